/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the monitor `ebpf` share. Only the loader knows libbpf; everything else works on memory that the
 * programs write and on descriptors, so that tests can stand in for the kernel.
 */
#pragma once

#include "energy/bpf/shared.h"
#include "energy/work.h"
#include "host/machine.h"
#include "host/root.h"

typedef void fw_bpf_event_fn(void *context, const struct fw_bpf_event *event);

/* The programs in the kernel, as loaded. */
struct fw_bpf {
	void *object;
	unsigned cpu_count; /* possible ones: length of the arrays below */
	const struct fw_bpf_cpu *cpus;
	const struct fw_bpf_work *work;  /* cpu * FW_BPF_SLOTS + slot */
	const struct fw_bpf_idle *idle;
	const struct fw_bpf_traffic *traffic; /* FW_BPF_SLOTS */
	uint32_t *epoch;
	const __u64 *events_lost;
	int slots_fd, owners_fd, look_fd, sent_fd, received_fd; /* owned by the object; -1: none */
	bool has_cycles, has_idle, has_frequency, has_temperature;
	/* Hands all waiting events over. */
	void (*take_events)(struct fw_bpf *bpf, fw_bpf_event_fn *take, void *context);
	void (*unload)(struct fw_bpf *bpf); /* takes a half-loaded one */
};

/* FW_E_ABSENT, FW_E_PERMISSION or FW_E_ENVIRONMENT with reason and hint. */
int fw_bpf_load(const struct fw_root *root, struct fw_bpf *bpf, struct fw_error **err);

/* Why programs cannot be loaded here, from what the kernel tells in files; FW_OK when nothing speaks against it. */
int fw_bpf_check(const struct fw_root *root, struct fw_error **err);
/* "6.1.0-18-amd64" is at least major.minor. */
bool fw_kernel_at_least(struct fw_str release, unsigned major, unsigned minor);
/* "none integrity [confidentiality]": the one in brackets. */
bool fw_bpf_is_locked_down(struct fw_str lockdown);
/* /proc/self/status: has the capabilities; also true when it does not tell. */
bool fw_bpf_may_load(struct fw_str status);

/* Borrows the programs and copies what it needs of the machine. */
struct fw_work *fw_work_new(const struct fw_bpf *bpf, const struct fw_machine *machine);
void fw_work_free(struct fw_work *work);

/* The bpf() system call: the result or -errno. */
int fw_bpf_map_set(int map_fd, const void *key, const void *value);
int fw_bpf_map_delete(int map_fd, const void *key);
/* Runs the program on that CPU, now. */
int fw_bpf_run_on(int program_fd, unsigned cpu);
/* Ties a program to a control group until the descriptor that it returns is closed. */
int fw_bpf_tie(int program_fd, int group_fd, unsigned attach_type);

/* What a worker's account says now, added to a reading: time, and cycles where they are counted. */
void fw_ebpf_count_work(struct fw_work *work, struct fw_work_key key, struct fw_reading *reading);
/* Cycles between two edges, where the worker's own counters (perf_counts.h) do not tell them; flagged. */
void fw_ebpf_attribute_cycles(const struct fw_interval *interval, struct fw_record *record);

/* Traffic of workers: a program tied to each one's v2 group. */
struct fw_traffic_meter;
/* FW_E_ABSENT where the group is no v2 directory; other errors where the kernel does not let it be watched. */
int fw_traffic_meter_new(const struct fw_bpf *bpf, const struct fw_metered *worker, uint32_t slot,
                         struct fw_traffic_meter **meter, struct fw_error **err);
void fw_traffic_meter_free(struct fw_traffic_meter *meter);
void fw_traffic_meter_read(const struct fw_traffic_meter *meter, struct fw_reading *reading);

/* Idle states and what events tell, sampled into a ring. */
struct fw_bpf_history;
struct fw_bpf_history *fw_bpf_history_new(struct fw_bpf *bpf, const struct fw_root *root);
void fw_bpf_history_free(struct fw_bpf_history *history);
/* Sampler thread. */
void fw_bpf_history_sample(struct fw_bpf_history *history);
/* Fills what is still null of idle residency, frequency and temperature within [begin_ns, end_ns]; the latter two not where
 * events of that time were lost: they may have told the highest. */
void fw_bpf_history_fill(const struct fw_bpf_history *history, uint64_t begin_ns, uint64_t end_ns,
                         struct fw_record *record);

/* Copies a record of a CPU whose version stands still around it. False: it never did. */
bool fw_bpf_read_idle(const struct fw_bpf_idle *record, struct fw_bpf_idle *copy);
