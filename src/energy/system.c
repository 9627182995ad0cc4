/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernel's own accounting of a worker: CPU time, memory, faults, switches, pressure, disk, throttling. It gives no
 * energy. A counter that went backwards (a process of the tree ended) or is unknown at either end stays null.
 */
#include "energy/system.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

struct fw_monitor {
	struct fw_system *system;
};

#define MIB (1024.0 * 1024.0)

static int64_t difference(int64_t begin, int64_t end)
{
	return begin < 0 || end < begin ? FW_NULL_INT : end - begin;
}

static double scaled(int64_t begin, int64_t end, double unit)
{
	return begin < 0 || end < begin ? FW_NULL_REAL : (double)(end - begin) / unit;
}

static void attribute_cpu(const struct fw_interval *interval, struct fw_record *record)
{
	const struct fw_cgroup_stat *begin = &interval->begin.stat, *end = &interval->end.stat;

	if (isnan(interval->cpu_s)) {
		fw_record_flag(&record->flags, "cpu_unknown");
		return;
	}
	double total_ms = interval->cpu_s * 1000;
	double user_ms = scaled(begin->cpu_user_ns, end->cpu_user_ns, 1e6);

	record->cpu_percent = interval->duration_s > 0 ? round(interval->cpu_s / interval->duration_s * 1e8) / 1e6 : NAN;
	if (isnan(user_ms))
		return;
	/* The kernel splits by clock ticks what it counts exactly: the split follows the total. */
	record->cpu_user_ms = fmin(user_ms, total_ms);
	record->cpu_system_ms = round((total_ms - record->cpu_user_ms) * 1e6) / 1e6; /* to the ns: what is left of 0 is 0 */
}

/* The least upper bound that is known, and never below what was seen. */
static void attribute_memory(const struct fw_interval *interval, struct fw_record *record)
{
	int64_t group = interval->end.stat.memory_high_bytes, processes = interval->end.memory_high_bytes;
	double bound = NAN;

	record->memory_peak_mb = interval->memory_peak_mb;
	if (isnan(record->memory_peak_mb))
		fw_record_flag(&record->flags, "memory_unsampled");
	record->memory_average_mb = interval->memory_average_mb;
	if (interval->end.unique_bytes >= 0)
		record->memory_uss_mb = (double)interval->end.unique_bytes / MIB;
	if (interval->end.proportional_bytes >= 0)
		record->memory_pss_mb = (double)interval->end.proportional_bytes / MIB;
	if (group >= 0)
		bound = fmin(bound, (double)group / MIB); /* fmin() of NAN and a number is the number */
	if (processes >= 0)
		bound = fmin(bound, (double)processes / MIB);
	if (!isnan(bound))
		record->memory_peak_high_mb = fmax(bound, record->memory_peak_mb);
}

static void attribute_counters(const struct fw_interval *interval, struct fw_record *record)
{
	const struct fw_cgroup_stat *begin = &interval->begin.stat, *end = &interval->end.stat;

	record->faults_minor = difference(begin->faults_minor, end->faults_minor);
	record->faults_major = difference(begin->faults_major, end->faults_major);
	/* A child that ended within took its count along. */
	if (interval->begin.ended_faults == interval->end.ended_faults) {
		record->switches_voluntary = difference(interval->begin.switches_voluntary, interval->end.switches_voluntary);
		record->switches_involuntary =
			difference(interval->begin.switches_involuntary, interval->end.switches_involuntary);
	}
	record->pressure_cpu_ms = scaled(begin->pressure_cpu_us, end->pressure_cpu_us, 1e3);
	record->pressure_memory_ms = scaled(begin->pressure_memory_us, end->pressure_memory_us, 1e3);
	record->pressure_io_ms = scaled(begin->pressure_io_us, end->pressure_io_us, 1e3);
	record->disk_read_bytes = difference(begin->io_read_bytes, end->io_read_bytes);
	record->disk_written_bytes = difference(begin->io_written_bytes, end->io_written_bytes);
	record->throttled_ms = scaled(begin->throttled_ns, end->throttled_ns, 1e6);
	if (isnan(record->throttled_ms))
		fw_record_flag(&record->flags, "throttled_unknown");
}

static void system_attribute(struct fw_monitor *monitor, const struct fw_interval *interval, struct fw_record *record)
{
	attribute_cpu(interval, record);
	attribute_memory(interval, record);
	attribute_counters(interval, record);
	fw_system_fill_sensors(monitor->system, interval->begin.before_ns, interval->end.after_ns, record);
}

static void system_sample(struct fw_monitor *monitor)
{
	fw_system_sample_sensors(monitor->system);
}

static int system_open(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	struct fw_system *system;
	int rc = fw_system_new(context->root, context->machine, &system, err);

	if (rc != FW_OK)
		return fw_error_hint(err, rc, "mount /proc: mount -t proc proc /proc");
	*monitor = fw_alloc(sizeof **monitor);
	(*monitor)->system = system;
	return FW_OK;
}

static char *system_describe(struct fw_monitor *monitor)
{
	return fw_system_describe(monitor->system);
}

struct fw_system *fw_monitor_system_of(struct fw_monitor *monitor)
{
	return monitor->system;
}

static void system_close(struct fw_monitor *monitor)
{
	if (!monitor)
		return;
	fw_system_free(monitor->system);
	free(monitor);
}

const struct fw_monitor_ops fw_monitor_system = {
	.name = "system",
	.method = "system/1",
	.gives = "CPU time, memory, faults, switches, pressure, disk, throttling (no energy)",
	.open = system_open,
	.describe = system_describe,
	.sample = system_sample,
	.attribute = system_attribute,
	.close = system_close,
};
