/* SPDX-License-Identifier: Apache-2.0
 *
 * Who was on which CPU, and when: every switch of every CPU to the nanosecond, from the records that perf writes of
 * them (PERF_RECORD_SWITCH_CPU_WIDE, FORK, COMM of a dummy event on each CPU, stamped with CLOCK_MONOTONIC).
 *
 * The product reads neither: it takes CPU time from control groups, /proc and a BPF program on the tracepoint of the
 * scheduler. Only a label is common to both: the control group that a process is in when it calls exec names its tree.
 * A tree is that process and all that it forks, also what has ended. A record that perf had to drop ends the simulator,
 * since then the truth would be none.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { SIM_CPUS = 256, SIM_TREES = 4096, SIM_REST = 0 /* the tree of all that is nobody's */ };

struct sim_cpu {
	int fd;
	void *ring;
	uint32_t tid;      /* on it now; 0: idle */
	uint64_t since_ns; /* what came before has been told */
	uint64_t next_ns;  /* of the oldest record that has not been looked at; UINT64_MAX: none */
};

struct sim_switches {
	struct sim_cpu cpus[SIM_CPUS];
	unsigned cpu_count;
	const char *prefix;     /* control groups whose names begin so are trees */
	uint16_t *tree_of;      /* by thread id */
	uint32_t thread_limit;
	char *names[SIM_TREES]; /* [SIM_REST] is NULL */
	unsigned tree_count;
	uint64_t lost;

	/* `tree` was on this CPU between the two times. SIM_REST for all that no tree owns; never called for idle time. */
	void (*ran)(void *context, unsigned cpu, unsigned tree, uint64_t from_ns, uint64_t to_ns);
	void (*runs)(void *context, unsigned cpu, uint64_t from_ns, uint64_t to_ns);
	/* A thread of a tree took a name: functions mark their invocations so. */
	void (*named)(void *context, unsigned tree, uint64_t at_ns, const char *name);
	void *context;
};

/* On error a line on standard error and false. */
bool sim_switches_open(struct sim_switches *switches, const char *prefix);
/* Tells all that happened until then, which must be some milliseconds ago: a record may be written late. */
void sim_switches_advance(struct sim_switches *switches, uint64_t until_ns);
/* When CPUs were busy from there until a later time, as far as is known now: by `runs`. */
void sim_switches_look_ahead(struct sim_switches *switches, uint64_t until_ns);
/* A running process and what it will fork from now on become a tree. */
bool sim_switches_watch(struct sim_switches *switches, pid_t pid, const char *name);
void sim_switches_close(struct sim_switches *switches);
