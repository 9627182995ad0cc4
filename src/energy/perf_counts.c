/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts of control groups: opening, reading, scaling. See the header for the rules. Sums only rise: each reading adds what
 * was counted since the one before, so that a new scale never changes the past.
 */
#include "energy/perf_counts.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/procfs.h"

/* Nothing counts so far: a kernel that tells more tells nonsense. */
#define MOST_COUNTS 9e18

static const uint64_t generic_events[FW_COUNTS] = {
	PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_CACHE_MISSES};

/* One CPU: a leader and its members. */
struct cpu_counts {
	int fds[FW_COUNTS];         /* -1: none; the first that is not is the leader */
	struct fw_raw_counts last;
};

struct fw_group_counts {
	const struct fw_count_source *source;
	pthread_mutex_t lock;
	size_t cpu_count;
	struct cpu_counts *cpus;
	double sums[FW_COUNTS];
	uint64_t scaled; /* steps so far */
	bool is_broken;
};

static int kernel_open(void *context, uint64_t config, int group_directory, unsigned cpu, int leader)
{
	struct perf_event_attr attributes = {
		.type = PERF_TYPE_HARDWARE, .size = sizeof attributes, .config = config,
		.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING};
	unsigned long flags = PERF_FLAG_FD_CLOEXEC | (group_directory >= 0 ? PERF_FLAG_PID_CGROUP : 0);
	long fd;

	(void)context;
	fd = syscall(SYS_perf_event_open, &attributes, group_directory == FW_COUNT_ALL ? -1 : group_directory >= 0 ? group_directory : 0,
	             (int)cpu, leader, flags);
	return fd < 0 ? -errno : (int)fd;
}

static int kernel_read(void *context, int leader, size_t count, struct fw_raw_counts *raw)
{
	uint64_t words[3 + FW_COUNTS];
	ssize_t length = read(leader, words, sizeof words);

	(void)context;
	if (length < 0)
		return -errno;
	if ((size_t)length < (3 + count) * sizeof *words || words[0] != count)
		return -EIO;
	raw->enabled_ns = words[1];
	raw->running_ns = words[2];
	memcpy(raw->values, &words[3], count * sizeof *words);
	return 0;
}

static void kernel_close(void *context, int fd)
{
	(void)context;
	close(fd);
}

const struct fw_count_ops fw_count_kernel = {kernel_open, kernel_read, kernel_close, NULL};

static uint64_t config_of(const struct fw_count_pmu *pmu, size_t kind)
{
	return (uint64_t)pmu->type << 32 | generic_events[kind];
}

static void mark_cpu(void *context, unsigned cpu)
{
	struct fw_count_pmu *pmu = context;

	pmu->on[cpu] = true;
}

/* "cpu_core", "cpu_atom": type and the CPUs that it counts on. */
static void add_hybrid(struct fw_count_source *source, const struct fw_root *root, const char *name)
{
	struct fw_count_pmu *pmu = &source->pmus[source->pmu_count];
	char path[96], text[4096];
	uint64_t type;
	ssize_t length;

	snprintf(path, sizeof path, "sys/bus/event_source/devices/%s/type", name);
	length = fw_root_peek(root, path, text, sizeof text);
	if (length <= 0 || !fw_str_to_u64(fw_str_trim((struct fw_str){text, (size_t)length}), &type) || type == 0 ||
	    type > UINT32_MAX)
		return;
	snprintf(path, sizeof path, "sys/bus/event_source/devices/%s/cpus", name);
	length = fw_root_peek(root, path, text, sizeof text);
	*pmu = (struct fw_count_pmu){.type = (uint32_t)type};
	if (length <= 0 ||
	    !fw_each_in_list(fw_str_trim((struct fw_str){text, (size_t)length}), FW_MAX_CPUS, mark_cpu, pmu))
		return;
	source->pmu_count++;
}

static void find_pmus(struct fw_count_source *source, const struct fw_root *root, const struct fw_machine *machine)
{
	static const char *const hybrid[] = {"cpu_core", "cpu_atom", "cpu_lowpower"};

	for (size_t i = 0; i < FW_COUNT_OF(hybrid); i++)
		add_hybrid(source, root, hybrid[i]);
	if (source->pmu_count > 0)
		return;
	source->pmu_count = 1;
	for (unsigned cpu = 0; cpu < machine->cpu_count && cpu < FW_MAX_CPUS; cpu++)
		source->pmus[0].on[cpu] = machine->cpus[cpu].online;
}

static unsigned first_cpu(const struct fw_count_pmu *pmu)
{
	unsigned cpu = 0;

	while (cpu + 1 < FW_MAX_CPUS && !pmu->on[cpu])
		cpu++;
	return cpu;
}

static int refuse(int error, struct fw_error **err)
{
	int rc;

	if (error == EACCES || error == EPERM) {
		rc = fw_fail(err, FW_E_PERMISSION, "the kernel does not let hardware events be counted");
		return fw_error_hint(err, rc, "run as root, or scripts/install-caps (cap_perfmon for flexwatt's file), "
		                              "or lower /proc/sys/kernel/perf_event_paranoid");
	}
	if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV) {
		rc = fw_fail(err, FW_E_ABSENT, "no hardware counters of cycles and instructions here");
		return fw_error_hint(err, rc, "a machine, or a virtual machine whose host gives it a PMU");
	}
	if (error == ENOSYS) {
		rc = fw_fail(err, FW_E_ABSENT, "this kernel has no perf events");
		return fw_error_hint(err, rc, "a kernel with CONFIG_PERF_EVENTS=y");
	}
	return fw_fail_errno(err, error, "open a hardware event");
}

/* A group is counted all at once or not at all: a PMU may have each event and not all of them at a time. */
static bool opens_together(const struct fw_count_source *source, const struct fw_count_pmu *pmu)
{
	const struct fw_count_ops *ops = source->ops;
	int fds[FW_COUNTS], count = 0, fd = 0;

	for (size_t kind = 0; kind < FW_COUNTS && fd >= 0; kind++) {
		if (!source->has[kind])
			continue;
		fd = ops->open(ops->context, config_of(pmu, kind), -1, first_cpu(pmu), count > 0 ? fds[0] : -1);
		if (fd >= 0)
			fds[count++] = fd;
	}
	while (count > 0)
		ops->close(ops->context, fds[--count]);
	return fd >= 0;
}

/* The combinations, in order: all that there are, then without the last of them, and so on. */
static void choose_combination(struct fw_count_source *source)
{
	for (size_t kind = FW_COUNTS; kind-- > 1;) {
		bool together = true;

		for (size_t i = 0; i < source->pmu_count && together; i++)
			together = opens_together(source, &source->pmus[i]);
		if (together)
			return;
		source->has[kind] = false;
	}
}

int fw_count_source_init(struct fw_count_source *source, const struct fw_count_ops *ops, const struct fw_root *root,
                         const struct fw_machine *machine, struct fw_error **err)
{
	int error = ENOENT;
	bool any = false;

	memset(source, 0, sizeof *source);
	source->ops = ops;
	find_pmus(source, root, machine);
	for (size_t kind = 0; kind < FW_COUNTS; kind++) {
		source->has[kind] = true; /* on every PMU, or a sum would lack a part */
		for (size_t i = 0; i < source->pmu_count && source->has[kind]; i++) {
			const struct fw_count_pmu *pmu = &source->pmus[i];
			int fd = ops->open(ops->context, config_of(pmu, kind), -1, first_cpu(pmu), -1);

			source->has[kind] = fd >= 0;
			if (fd >= 0)
				ops->close(ops->context, fd);
			else if (kind == 0)
				error = -fd;
		}
		any = any || source->has[kind];
	}
	if (!any)
		return refuse(error, err);
	choose_combination(source);
	return FW_OK;
}

static int open_cpu(struct fw_group_counts *counts, const struct fw_count_pmu *pmu, unsigned cpu, int group_directory)
{
	const struct fw_count_ops *ops = counts->source->ops;
	struct cpu_counts *place = &counts->cpus[counts->cpu_count];
	int leader = -1;

	for (size_t kind = 0; kind < FW_COUNTS; kind++)
		place->fds[kind] = -1;
	counts->cpu_count++;
	for (size_t kind = 0; kind < FW_COUNTS; kind++) {
		if (!counts->source->has[kind])
			continue;
		place->fds[kind] = ops->open(ops->context, config_of(pmu, kind), group_directory, cpu, leader);
		if (place->fds[kind] == -ENODEV)
			return 0; /* went off line */
		if (place->fds[kind] < 0)
			return place->fds[kind];
		if (leader < 0)
			leader = place->fds[kind];
	}
	return 0;
}

int fw_group_counts_new(const struct fw_count_source *source, int group_directory, struct fw_group_counts **counts,
                        struct fw_error **err)
{
	struct fw_group_counts *fresh = fw_alloc(sizeof *fresh);
	int rc = 0;

	fresh->source = source;
	pthread_mutex_init(&fresh->lock, NULL);
	fresh->cpus = fw_alloc_array(FW_MAX_CPUS, sizeof *fresh->cpus);
	for (size_t i = 0; i < source->pmu_count; i++)
		for (unsigned cpu = 0; cpu < FW_MAX_CPUS && rc == 0 && fresh->cpu_count < FW_MAX_CPUS; cpu++)
			if (source->pmus[i].on[cpu])
				rc = open_cpu(fresh, &source->pmus[i], cpu, group_directory);
	if (rc < 0) {
		fw_group_counts_free(fresh);
		if (rc == -EMFILE || rc == -ENFILE)
			return fw_fail_errno(err, -rc, "open %d hardware events on each CPU", FW_COUNTS);
		return refuse(-rc, err);
	}
	*counts = fresh;
	return FW_OK;
}

void fw_group_counts_free(struct fw_group_counts *counts)
{
	if (!counts)
		return;
	for (size_t i = 0; i < counts->cpu_count; i++)
		for (size_t kind = FW_COUNTS; kind-- > 0;) /* members before their leader */
			if (counts->cpus[i].fds[kind] >= 0)
				counts->source->ops->close(counts->source->ops->context, counts->cpus[i].fds[kind]);
	pthread_mutex_destroy(&counts->lock);
	free(counts->cpus);
	free(counts);
}

/* What was counted since the last reading, as if all the time. */
static void add_step(struct fw_group_counts *counts, struct cpu_counts *cpu, const struct fw_raw_counts *raw)
{
	uint64_t enabled = raw->enabled_ns - cpu->last.enabled_ns, running = raw->running_ns - cpu->last.running_ns;
	size_t place = 0;

	if (raw->enabled_ns < cpu->last.enabled_ns || raw->running_ns < cpu->last.running_ns) {
		counts->is_broken = true; /* never seen of a kernel: begin anew */
		cpu->last = *raw;
		return;
	}
	if (enabled > 0 && running == 0) {
		counts->is_broken = true; /* it ran, uncounted: the next step's scale covers it */
		return;
	}
	double scale = enabled > running && running > 0 ? (double)enabled / (double)running : 1;

	counts->scaled += scale > 1;
	for (size_t kind = 0; kind < FW_COUNTS; kind++) {
		if (cpu->fds[kind] < 0)
			continue;
		if (raw->values[place] >= cpu->last.values[place])
			counts->sums[kind] += (double)(raw->values[place] - cpu->last.values[place]) * scale;
		else
			counts->is_broken = true;
		place++;
	}
	cpu->last = *raw;
}

static void read_cpu(struct fw_group_counts *counts, struct cpu_counts *cpu)
{
	const struct fw_count_ops *ops = counts->source->ops;
	struct fw_raw_counts raw = {0};
	int leader = -1;
	size_t count = 0;

	for (size_t kind = FW_COUNTS; kind-- > 0;)
		if (cpu->fds[kind] >= 0) {
			leader = cpu->fds[kind];
			count++;
		}
	if (leader < 0)
		return;
	if (ops->read(ops->context, leader, count, &raw) == 0)
		add_step(counts, cpu, &raw);
	else
		counts->is_broken = true;
}

uint64_t fw_group_counts_read(struct fw_group_counts *counts, int64_t values[FW_COUNTS])
{
	uint64_t scaled;

	pthread_mutex_lock(&counts->lock);
	counts->is_broken = false;
	for (size_t i = 0; i < counts->cpu_count; i++)
		read_cpu(counts, &counts->cpus[i]);
	for (size_t kind = 0; kind < FW_COUNTS; kind++)
		values[kind] = counts->source->has[kind] && !counts->is_broken && counts->sums[kind] < MOST_COUNTS
		                   ? (int64_t)counts->sums[kind]
		                   : -1;
	scaled = counts->scaled;
	pthread_mutex_unlock(&counts->lock);
	return scaled;
}
