/* SPDX-License-Identifier: Apache-2.0
 *
 * Cycles, instructions and cache misses of a control group, by perf events of the machine's core PMUs: one, or on hybrid
 * processors one for each kind of core. Opened on every CPU, since events of groups are. When the PMU has fewer counters
 * than are asked of it the kernel takes turns: each step is then scaled by the time that it counted, and marked.
 */
#pragma once

#include <pthread.h>

#include "base/str.h"
#include "energy/monitor.h"

enum { FW_COUNT_PMUS = 4 };

/* What one event group of one CPU tells. */
struct fw_raw_counts {
	uint64_t enabled_ns, running_ns;
	uint64_t values[FW_COUNTS];
};

/* In place of a group's directory: everything on the machine. */
enum { FW_COUNT_ALL = -2 };

/* The kernel, or what stands for it in tests. */
struct fw_count_ops {
	/* Descriptor or -errno. `leader` -1: opens a group of events; `group_directory` -1: of this process. */
	int (*open)(void *context, uint64_t config, int group_directory, unsigned cpu, int leader);
	/* All events of a leader, in the order of opening: 0 or -errno. */
	int (*read)(void *context, int leader, size_t count, struct fw_raw_counts *raw);
	void (*close)(void *context, int fd);
	void *context;
};
extern const struct fw_count_ops fw_count_kernel;

struct fw_count_pmu {
	uint32_t type; /* 0: the only one, generic events */
	bool on[FW_MAX_CPUS];
};
struct fw_count_source {
	const struct fw_count_ops *ops;
	size_t pmu_count;
	struct fw_count_pmu pmus[FW_COUNT_PMUS];
	bool has[FW_COUNTS];
};

/* Which PMUs there are and which events they have; tried on this process. */
int fw_count_source_init(struct fw_count_source *source, const struct fw_count_ops *ops, const struct fw_root *root,
                         const struct fw_machine *machine, struct fw_error **err);

struct fw_group_counts;
/* NULL with the reason: the group cannot be counted. Borrows source. */
int fw_group_counts_new(const struct fw_count_source *source, int group_directory, struct fw_group_counts **counts,
                        struct fw_error **err);
void fw_group_counts_free(struct fw_group_counts *counts);
/* Since it was made; what could not be read is -1. Any thread. Returns how often they were scaled until now. */
uint64_t fw_group_counts_read(struct fw_group_counts *counts, int64_t values[FW_COUNTS]);

/* The monitor on whatever stands for the kernel. */
int fw_counts_open_on(const struct fw_count_ops *ops, const struct fw_monitor_context *context, struct fw_monitor **monitor,
                      struct fw_error **err);
/* Last-level cache misses, by which memory's energy is shared: whether they are counted of all the machine as well, how many
 * there were of all, and of a worker by what meter() gave for it, or NULL. -1: not known. */
bool fw_monitor_counts_has_misses(const struct fw_monitor *monitor);
int64_t fw_monitor_counts_all_misses(struct fw_monitor *monitor);
int64_t fw_monitor_counts_misses_of(const void *state);
