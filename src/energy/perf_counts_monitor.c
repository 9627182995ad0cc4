/* SPDX-License-Identifier: Apache-2.0
 *
 * The monitor `counters`: cycles, instructions and cache misses of workers, where the machine counts them and the kernel
 * lets control groups be told apart. Virtual machines seldom do; then it is off, with the reason.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "energy/perf_counts.h"
#include "energy/perf_counts_group.h"

struct fw_monitor {
	struct fw_count_source source;
	struct fw_count_source misses;
	struct fw_group_counts *all; /* misses of the whole machine; NULL: not counted */
	const struct fw_root *root;
	bool is_v1; /* events are of groups that are made for them */
};

/* What is kept of one worker. */
struct counted {
	struct fw_count_group *group; /* or NULL: its own */
	struct fw_group_counts *counts;
};

enum { WORKER_PIDS = 256 };

/* Where that is not allowed, memory is shared by what is held. */
static void count_all_misses(struct fw_monitor *monitor)
{
	monitor->misses = monitor->source;
	monitor->misses.has[FW_COUNT_CYCLES] = monitor->misses.has[FW_COUNT_INSTRUCTIONS] = false;
	if (monitor->misses.has[FW_COUNT_CACHE_MISSES] &&
	    fw_group_counts_new(&monitor->misses, FW_COUNT_ALL, &monitor->all, NULL) != FW_OK)
		monitor->all = NULL;
}

bool fw_monitor_counts_has_misses(const struct fw_monitor *monitor)
{
	return monitor->all != NULL;
}

int64_t fw_monitor_counts_all_misses(struct fw_monitor *monitor)
{
	int64_t values[FW_COUNTS];

	fw_group_counts_read(monitor->all, values);
	return values[FW_COUNT_CACHE_MISSES];
}

int64_t fw_monitor_counts_misses_of(const void *state)
{
	const struct counted *counted = state;
	int64_t values[FW_COUNTS] = {-1, -1, -1};

	if (counted)
		fw_group_counts_read(counted->counts, values);
	return values[FW_COUNT_CACHE_MISSES];
}

int fw_counts_open_on(const struct fw_count_ops *ops, const struct fw_monitor_context *context, struct fw_monitor **monitor,
                      struct fw_error **err)
{
	struct fw_monitor *fresh;
	int rc;

	fresh = fw_alloc(sizeof *fresh);
	rc = fw_count_source_init(&fresh->source, ops, context->root, context->machine, err);
	if (rc != FW_OK) {
		free(fresh);
		return rc;
	}
	fresh->root = context->root;
	fresh->is_v1 = fw_count_group_is_needed(context->root);
	if (fresh->is_v1)
		fw_count_group_sweep(context->root);
	count_all_misses(fresh);
	*monitor = fresh;
	return FW_OK;
}

static int counts_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	if (!fw_root_is_live(context->root))
		return fw_fail(err, FW_E_ABSENT, "events are the running kernel's, not those of a tree that stands for a machine");
	return fw_counts_open_on(&fw_count_kernel, context, monitor, err);
}

static char *counts_describe(struct fw_monitor *monitor)
{
	const struct fw_count_source *source = &monitor->source;

	return fw_printf("%s%s%sof control groups%s, by %zu core PMU%s%s", source->has[FW_COUNT_CYCLES] ? "cycles " : "",
	                 source->has[FW_COUNT_INSTRUCTIONS] ? "instructions " : "",
	                 source->has[FW_COUNT_CACHE_MISSES] ? "cache misses " : "", monitor->is_v1 ? " of perf_event (v1)" : "", source->pmu_count,
	                 source->pmu_count == 1 ? "" : "s", monitor->all ? "; memory's energy is shared by cache misses" : "");
}

static struct fw_count_group *group_of(const struct fw_monitor *monitor, const struct fw_metered *worker)
{
	pid_t pids[WORKER_PIDS];
	size_t count;

	if (!worker->cgroup)
		return NULL;
	count = fw_cgroup_pids(worker->cgroup, pids, WORKER_PIDS);
	return fw_count_group_new(monitor->root, fw_cgroup_name(worker->cgroup), pids, count < WORKER_PIDS ? count : WORKER_PIDS);
}

static void *counts_meter(struct fw_monitor *monitor, const struct fw_metered *worker)
{
	struct counted fresh = {0}, *counted;
	int directory = worker->cgroup ? fw_cgroup_v2_fd(worker->cgroup) : -1;

	if (monitor->is_v1) {
		fresh.group = group_of(monitor, worker);
		directory = fresh.group ? fw_count_group_fd(fresh.group) : -1;
	}
	if (directory < 0 || fw_group_counts_new(&monitor->source, directory, &fresh.counts, NULL) != FW_OK) {
		fw_count_group_free(fresh.group);
		return NULL; /* this worker's counts stay null */
	}
	counted = fw_alloc(sizeof *counted);
	*counted = fresh;
	return counted;
}

static void counts_unmeter(struct fw_monitor *monitor, void *state)
{
	struct counted *counted = state;

	(void)monitor;
	if (!counted)
		return;
	fw_group_counts_free(counted->counts);
	fw_count_group_free(counted->group);
	free(counted);
}

static void counts_count(struct fw_monitor *monitor, void *state, bool edge, struct fw_reading *reading)
{
	const struct counted *counted = state;

	(void)monitor;
	if (!edge) /* a system call for each CPU */
		reading->counts_scaled = fw_group_counts_read(counted->counts, reading->counts);
}

/* What is not counted here stays as another monitor may have told it. */
static bool take(const struct fw_interval *interval, enum fw_count kind, int64_t *field)
{
	int64_t begin = interval->begin.counts[kind], end = interval->end.counts[kind];

	if (begin < 0 || end < begin)
		return false;
	*field = end - begin;
	return true;
}

static void counts_attribute(struct fw_monitor *monitor, const struct fw_interval *interval, struct fw_record *record)
{
	(void)monitor;
	bool any = take(interval, FW_COUNT_CYCLES, &record->cycles);

	any |= take(interval, FW_COUNT_INSTRUCTIONS, &record->instructions);
	any |= take(interval, FW_COUNT_CACHE_MISSES, &record->cache_misses);
	if (any && interval->end.counts_scaled != interval->begin.counts_scaled)
		fw_record_flag(&record->flags, "counts_scaled");
}

static void counts_close(struct fw_monitor *monitor)
{
	if (monitor)
		fw_group_counts_free(monitor->all);
	free(monitor);
}

const struct fw_monitor_ops fw_monitor_counts = {
	.name = "counters",
	.method = "counters/1",
	.gives = "cycles, instructions, cache misses of workers (no energy)",
	.open = counts_open,
	.describe = counts_describe,
	.meter = counts_meter,
	.unmeter = counts_unmeter,
	.count = counts_count,
	.attribute = counts_attribute,
	.close = counts_close,
};
