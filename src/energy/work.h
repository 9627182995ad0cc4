/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose work the machine's CPUs do, from BPF: cumulative time on a CPU, and cycles where they are counted, of each
 * worker's control group (with the groups below it) and of the machine, for each package. A task that runs right now is
 * counted up to the moment of the reading. All sums only rise. Readings are plain memory reads: no allocation, and no
 * system call but for a CPU where it is doubtful who runs, which is asked: on kernels that hide switches, after one of the
 * tasks that they hide. Whoever calls sees to it that additions, removals and snapshots do not overlap; fw_work_read() may
 * run beside a snapshot.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "energy/monitor.h"

enum { FW_WORK_PACKAGES = 64 };

struct fw_work;

/* A worker's account. A key outlives its account harmlessly: after removal it finds nothing, also when a new worker has
 * taken the place, or the kernel has given a new group the old number. */
struct fw_work_key {
	uint32_t slot, generation; /* slot 0: none */
};

/* Of a monitor `ebpf` that is open. Borrowed. */
struct fw_work *fw_monitor_ebpf_work(struct fw_monitor *monitor);
/* The account of a worker, from what the monitor's meter() gave for it. */
struct fw_work_key fw_monitor_ebpf_key(const void *state);

/* How many packages, and the physical number of each; a CPU of unknown package counts to the first. */
size_t fw_work_packages(const struct fw_work *work, const int **physical);
/* True where the machine counts cycles. */
bool fw_work_has_cycles(const struct fw_work *work);

struct fw_work_sum {
	uint64_t ns, cycles; /* cycles of slices that have ended: those of running tasks come at their next switch */
};

/* Opens an account for the v2 control group with this id; counts from now. FW_E_LIMIT when there are too many. */
int fw_work_add(struct fw_work *work, uint64_t group, struct fw_work_key *key, struct fw_error **err);
void fw_work_remove(struct fw_work *work, struct fw_work_key key);
/* The id of the v2 group whose directory this is; 0 when it cannot be known. */
uint64_t fw_work_group_of(int directory_fd);

/* One worker now: sums[fw_work_packages()]. False: no such account. */
bool fw_work_read(struct fw_work *work, struct fw_work_key key, struct fw_work_sum *sums);

/* All at once: of each CPU everything is of one moment, so that the workers' sums never exceed the machine's. */
struct fw_work_snapshot;
struct fw_work_snapshot *fw_work_snapshot_new(const struct fw_work *work);
void fw_work_snapshot_free(struct fw_work_snapshot *snapshot);
FW_DEFINE_CLEANUP(struct fw_work_snapshot *, fw_work_snapshot_free)

/* False: a CPU's record was being written for long (a hypervisor had taken the CPU away): what it holds is incomplete, and
 * the next one covers it. */
bool fw_work_take(struct fw_work *work, struct fw_work_snapshot *snapshot);
/* False: no such account at that time. */
bool fw_work_of(const struct fw_work_snapshot *snapshot, struct fw_work_key key, struct fw_work_sum *sums);
/* From now on each snapshot tells how much of the time was shared with other threads of a core (sharing.h). */
void fw_work_snapshot_share(struct fw_work_snapshot *snapshot, const struct fw_machine *machine, double factor);
/* Of an account on a package, since it was first seen; slot 0: of the machine. 0 where it is not told. */
double fw_work_shared_ns(const struct fw_work_snapshot *snapshot, struct fw_work_key key, size_t package);
struct fw_work_machine {
	uint64_t before_ns, after_ns; /* CLOCK_MONOTONIC around it */
	const struct fw_work_sum *busy; /* of each package */
	const uint64_t *idle_ns;
	uint64_t switches, missed; /* missed: of those of tasks that the kernel hides, seen late */
	uint64_t cycle_errors;
	unsigned asked; /* CPUs that were interrupted for it */
};
struct fw_work_machine fw_work_machine_of(const struct fw_work_snapshot *snapshot);
