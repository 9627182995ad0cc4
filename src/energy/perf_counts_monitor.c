/* SPDX-License-Identifier: Apache-2.0
 *
 * The monitor `counters`: cycles, instructions and cache misses of workers, where the machine counts them and the kernel
 * lets control groups be told apart. Virtual machines seldom do; then it is off, with the reason.
 */
#include <stdlib.h>

#include "base/memory.h"
#include "energy/perf_counts.h"

struct fw_monitor {
	struct fw_count_source source;
};

static int counts_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	struct fw_monitor *fresh;
	int rc;

	if (!fw_root_is_live(context->root))
		return fw_fail(err, FW_E_ABSENT, "events are the running kernel's, not those of a tree that stands for a machine");
	fresh = fw_alloc(sizeof *fresh);
	rc = fw_count_source_init(&fresh->source, &fw_count_kernel, context->root, context->machine, err);
	if (rc != FW_OK) {
		free(fresh);
		return rc;
	}
	*monitor = fresh;
	return FW_OK;
}

static char *counts_describe(struct fw_monitor *monitor)
{
	const struct fw_count_source *source = &monitor->source;

	return fw_printf("%s%s%sof control groups, by %zu core PMU%s", source->has[FW_COUNT_CYCLES] ? "cycles " : "",
	                 source->has[FW_COUNT_INSTRUCTIONS] ? "instructions " : "",
	                 source->has[FW_COUNT_CACHE_MISSES] ? "cache misses " : "", source->pmu_count,
	                 source->pmu_count == 1 ? "" : "s");
}

static void *counts_meter(struct fw_monitor *monitor, const struct fw_metered *worker)
{
	int directory = worker->cgroup ? fw_cgroup_v2_fd(worker->cgroup) : -1;
	struct fw_group_counts *counts = NULL;

	if (directory >= 0)
		(void)fw_group_counts_new(&monitor->source, directory, &counts, NULL);
	return counts; /* NULL: this worker's counts stay null */
}

static void counts_unmeter(struct fw_monitor *monitor, void *state)
{
	(void)monitor;
	fw_group_counts_free(state);
}

static void counts_count(struct fw_monitor *monitor, void *state, bool edge, struct fw_reading *reading)
{
	(void)monitor;
	if (!edge) /* a system call for each CPU */
		reading->counts_scaled = fw_group_counts_read(state, reading->counts);
}

static int64_t difference(const struct fw_interval *interval, enum fw_count kind)
{
	int64_t begin = interval->begin.counts[kind], end = interval->end.counts[kind];

	return begin < 0 || end < begin ? FW_NULL_INT : end - begin;
}

static void counts_attribute(struct fw_monitor *monitor, const struct fw_interval *interval, struct fw_record *record)
{
	(void)monitor;
	record->cycles = difference(interval, FW_COUNT_CYCLES);
	record->instructions = difference(interval, FW_COUNT_INSTRUCTIONS);
	record->cache_misses = difference(interval, FW_COUNT_CACHE_MISSES);
	if (record->cycles != FW_NULL_INT && interval->end.counts_scaled)
		fw_record_flag(&record->flags, "counts_scaled");
}

static void counts_close(struct fw_monitor *monitor)
{
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
