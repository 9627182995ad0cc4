/* SPDX-License-Identifier: Apache-2.0
 *
 * What the BPF programs write and flexwatt reads, in arrays that both map into memory: a reading costs no system call.
 * Every record of a CPU has one writer, the program on that CPU, and a version that is odd while it writes.
 */
#pragma once

#include <linux/types.h>

enum {
	FW_BPF_SLOTS = 1024,      /* slot 0: tasks of no worker */
	FW_BPF_REMEMBERED = 8,    /* groups whose slots a CPU remembers */
	FW_BPF_HIDERS = 4,        /* processes that a CPU remembers for leaving it unseen */
	FW_BPF_IDLE_STATES = 10,  /* as many as cpuidle can have */
	FW_BPF_EVENT_BYTES = 65536,
};

#define FW_BPF_IDLE 0xffffffffu /* in place of a slot: nothing runs */

struct fw_bpf_remembered {
	__u64 group;
	__u32 epoch; /* of the table of workers; 0: empty */
	__u32 slot;
};

struct fw_bpf_cpu {
	__u64 version;
	__u64 since_ns;     /* since when the running task runs; 0: this CPU was not seen yet */
	__u64 since_cycles; /* 0: unknown */
	__u32 slot;
	__u32 task;         /* number of the running task */
	__u32 process;      /* and of its process */
	__u32 doubtful;     /* it is one of those that leave unseen: whether it still runs must be asked */
	__u64 missed;       /* switches that the kernel did not tell of */
	__u32 hiders[FW_BPF_HIDERS]; /* processes that have left unseen */
	__u32 hider_count;  /* more than there is room for: each is doubtful */
	__u64 busy_ns, idle_ns, busy_cycles;
	__u64 switches, cycle_errors;
	struct fw_bpf_remembered remembered[FW_BPF_REMEMBERED];
} __attribute__((aligned(64)));

/* Of a slot on one CPU: index cpu * FW_BPF_SLOTS + slot. */
struct fw_bpf_work {
	__u64 ns, cycles;
};

struct fw_bpf_idle {
	__u64 version;
	__u64 since_ns; /* 0: not idle, or not seen yet */
	__u64 state;
	__u64 wakeups;
	__u64 ns[FW_BPF_IDLE_STATES];
} __attribute__((aligned(64)));

/* Of a slot, from all CPUs: bytes of IP packets, headers included. */
struct fw_bpf_traffic {
	__u64 sent_bytes, received_bytes;
} __attribute__((aligned(64)));

/* Whose traffic a program attached to a group counts. Traffic with address and port (network byte order, 0: none) at
 * either end is the worker's talk with flexwatt itself, which is no network traffic. */
struct fw_bpf_owner {
	__u32 slot;
	__u32 address, port;
};

enum fw_bpf_event_kind { FW_BPF_FREQUENCY = 1, FW_BPF_TEMPERATURE };

struct fw_bpf_event {
	__u64 time_ns;
	__u32 kind;
	__u32 where; /* CPU, or thermal zone */
	__s64 value; /* kHz, or thousandths of a degree */
};
