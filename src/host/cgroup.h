/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups, v1, v2 and hybrid behind one face. A group of ours is one name under every hierarchy that is usable:
 * the v1 controllers memory, cpu, cpuacct, pids, freezer (joined mounts are handled), and a v2 leaf. On v2 alone it is one
 * directory. What cannot be enforced is said, never pretended. Nothing outside our own parent group is touched.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"
#include "host/root.h"

enum fw_cgroup_mode { FW_CGROUP_NONE, FW_CGROUP_V1, FW_CGROUP_V2, FW_CGROUP_HYBRID };

/* What can be enforced or read. */
enum fw_cgroup_can {
	FW_CAN_MEMORY = 1 << 0,
	FW_CAN_CPU = 1 << 1,     /* quota */
	FW_CAN_CPUACCT = 1 << 2, /* CPU time */
	FW_CAN_PIDS = 1 << 3,
	FW_CAN_FREEZE = 1 << 4,
	FW_CAN_KILL = 1 << 5,    /* cgroup.kill */
	FW_CAN_IDENTITY = 1 << 6, /* a v2 leaf for BPF */
};

struct fw_cgroups; /* the hierarchies of this machine and our parent group */
struct fw_cgroup;  /* one group with its open descriptors */

/* Probes /proc/self/mountinfo and /proc/self/cgroup below root, makes or reuses the parent group `parent`
 * ("flexwatt"): at the top as root, else below the delegated subtree that this process is in. FW_E_PERMISSION or
 * FW_E_ABSENT with the reason when none is usable: the caller goes on without. */
int fw_cgroups_open(const struct fw_root *root, const char *parent, struct fw_cgroups **cgroups, struct fw_error **err);
void fw_cgroups_close(struct fw_cgroups *cgroups);
enum fw_cgroup_mode fw_cgroups_mode(const struct fw_cgroups *cgroups);
unsigned fw_cgroups_can(const struct fw_cgroups *cgroups);
/* One line on what is not enforced and why, or NULL. Borrowed. */
const char *fw_cgroups_missing(const struct fw_cgroups *cgroups);

/* True where a scope of its own would let this user's process enforce limits that its present group does not: on v2, in a
 * group that is not this user's or that others are in too. */
bool fw_cgroup_wants_scope(const struct fw_root *root);

struct fw_cgroup_limits {
	int64_t memory_bytes;   /* 0: none; swap is not allowed beyond it */
	int64_t cpu_quota_us;   /* per cpu_period_us; 0: none */
	int64_t cpu_period_us;
	int64_t pids;           /* 0: none */
};

/* Makes parent/name. */
int fw_cgroup_new(struct fw_cgroups *cgroups, const char *name, const struct fw_cgroup_limits *limits,
                  struct fw_cgroup **group, struct fw_error **err);
/* Groups of ours that exist, for orphans of a killed engine. Calls back with each name. */
int fw_cgroups_each(struct fw_cgroups *cgroups, void (*visit)(void *context, const char *name), void *context,
                    struct fw_error **err);
/* Other groups of the parent's name that belong to this user, anywhere in the hierarchies in use: where engines that were
 * started from another scope had theirs. Each is shown as one of a single hierarchy, closed after the visit. */
void fw_cgroups_elsewhere(struct fw_cgroups *cgroups, void (*visit)(void *context, struct fw_cgroups *place),
                          void *context);
/* Opens an existing one. */
int fw_cgroup_open(struct fw_cgroups *cgroups, const char *name, struct fw_cgroup **group, struct fw_error **err);

const char *fw_cgroup_name(const struct fw_cgroup *group);
/* v2 directory for CLONE_INTO_CGROUP, or -1. */
int fw_cgroup_v2_fd(const struct fw_cgroup *group);
/* Moves a process into every hierarchy (writes cgroup.procs). */
int fw_cgroup_add(struct fw_cgroup *group, pid_t pid, struct fw_error **err);
/* Descriptors of cgroup.procs that a child writes "0" to before exec: those of v1 first, and last, where
 * fw_cgroup_v2_fd() is not -1, that of v2, which CLONE_INTO_CGROUP makes unnecessary. Returns how many; fds are the
 * group's. The kernel's first migration after a quiet time waits for a grace period (some 10 ms), the next ones do not. */
size_t fw_cgroup_procs_fds(struct fw_cgroup *group, int fds[8]);

int fw_cgroup_set_cpu(struct fw_cgroup *group, int64_t quota_us, int64_t period_us, struct fw_error **err);

struct fw_cgroup_stat { /* what cannot be read is -1 */
	int64_t cpu_user_ns, cpu_system_ns, cpu_total_ns;
	int64_t throttled_ns;
	int64_t memory_bytes;       /* anonymous + shared + kernel; page cache excluded */
	int64_t memory_high_bytes;  /* the group's own high-water mark (includes page cache) */
	int64_t oom_kills;          /* since the group was made */
	int64_t pids;
	int64_t pids_denied;        /* forks refused by the limit */
	int64_t faults_minor, faults_major;
	int64_t pressure_cpu_us, pressure_memory_us, pressure_io_us;
	int64_t io_read_bytes, io_written_bytes;
};
#define FW_CGROUP_STAT_UNKNOWN {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1}
/* Kept-open descriptors, no allocation: any thread. */
void fw_cgroup_read(struct fw_cgroup *group, struct fw_cgroup_stat *stat);
/* memory_bytes alone, for the samples within an invocation; -1 unknown. The kernel sums it up in batches: it may lag by
 * 64 pages for each CPU. */
int64_t fw_cgroup_read_memory(struct fw_cgroup *group);
/* memory_high_bytes alone: one pread. */
int64_t fw_cgroup_read_memory_high(struct fw_cgroup *group);
/* CPU time alone (one or two preads), for the edges of an invocation; throttled_ns too where the same file tells it (v2).
 * What it cannot read it leaves as it is. */
void fw_cgroup_read_cpu(struct fw_cgroup *group, struct fw_cgroup_stat *stat);

/* CPU time on each CPU, where it is told (v1): calls back with every CPU's number. False: it is not. */
bool fw_cgroup_read_cpus(struct fw_cgroup *group, void (*visit)(void *context, size_t cpu, int64_t ns), void *context);
/* The same of a text of cpuacct.usage_percpu. False when it is none; some may have been called back by then. */
bool fw_cgroup_cpus_parse(struct fw_str text, void (*visit)(void *context, size_t cpu, int64_t ns), void *context);

/* Processes that the kernel killed in it for memory, since it was made; -1 when it cannot be known. One pread. */
int64_t fw_cgroup_read_oom_kills(struct fw_cgroup *group);

/* Processes inside, at most `capacity` of them; returns how many there are. */
size_t fw_cgroup_pids(struct fw_cgroup *group, pid_t *pids, size_t capacity);
/* SIGKILL to every process of the group, including those being forked: cgroup.kill, else freeze + signal + thaw, else
 * sweeps. Does not wait for them. */
int fw_cgroup_kill(struct fw_cgroup *group, struct fw_error **err);
int fw_cgroup_signal(struct fw_cgroup *group, int signal_number, struct fw_error **err);
/* Removes the directories; FW_E_BUSY while processes remain. */
int fw_cgroup_remove(struct fw_cgroup *group, struct fw_error **err);
void fw_cgroup_close(struct fw_cgroup *group); /* descriptors only, the group stays */

/* What this process itself may use; -1 where nothing limits it. */
struct fw_cgroup_own {
	int64_t memory_bytes;
	double cpus; /* CPU quota over its period */
};
void fw_cgroup_read_own(const struct fw_root *root, struct fw_cgroup_own *own);
