/* SPDX-License-Identifier: Apache-2.0
 *
 * What a group has used. Memory is anonymous + shared + kernel and never page cache, which the kernel gives back at will;
 * the high-water mark is the kernel's own and includes page cache: an upper bound and no more. Reads allocate nothing.
 */
#include <string.h>

#include "host/cgroup_internal.h"
#include "host/procfs.h"

static int64_t number_or(struct fw_str text, const char *key, int64_t otherwise)
{
	fw_key_number(text, key, &otherwise);
	return otherwise;
}

/* 0 when the kernel does not list it, -1 when what it lists cannot be read. */
static int64_t part_of(struct fw_str text, const char *key)
{
	struct fw_str value;

	return fw_key_text(text, key, &value) ? number_or(text, key, -1) : 0;
}

static int64_t scaled(int64_t value, int64_t factor)
{
	return value < 0 || value > INT64_MAX / factor ? -1 : value * factor;
}

static int64_t sum(int64_t a, int64_t b)
{
	int64_t total;

	return a < 0 || b < 0 || __builtin_add_overflow(a, b, &total) ? -1 : total;
}

void fw_cgroup_read_cpu(struct fw_cgroup *group, struct fw_cgroup_stat *stat)
{
	char text[1024];
	struct fw_str read;

	if (fw_cgroup_file_text(group, FW_FILE_CPU_STAT, text, sizeof text, &read)) {
		stat->cpu_total_ns = scaled(number_or(read, "usage_usec", -1), 1000);
		stat->cpu_user_ns = scaled(number_or(read, "user_usec", -1), 1000);
		stat->cpu_system_ns = scaled(number_or(read, "system_usec", -1), 1000);
		if (fw_cgroup_has_file(group->cgroups, FW_FILE_CPU_MAX))
			stat->throttled_ns = scaled(number_or(read, "throttled_usec", -1), 1000);
		return;
	}
	/* v1 counts the total exactly and splits it by clock ticks: the split may not exceed the total. */
	stat->cpu_total_ns = fw_cgroup_file_number(group, FW_FILE_V1_CPU_USAGE);
	stat->cpu_user_ns = fw_cgroup_file_number(group, FW_FILE_V1_CPU_USAGE_USER);
	if (stat->cpu_total_ns < 0 || stat->cpu_user_ns < 0)
		return;
	if (stat->cpu_user_ns > stat->cpu_total_ns)
		stat->cpu_user_ns = stat->cpu_total_ns;
	stat->cpu_system_ns = stat->cpu_total_ns - stat->cpu_user_ns;
}

bool fw_cgroup_cpus_parse(struct fw_str text, void (*visit)(void *context, size_t cpu, int64_t ns), void *context)
{
	struct fw_str word;
	uint64_t ns;
	size_t cpu = 0;

	text = fw_str_trim(text);
	while (fw_str_next_word(&text, &word)) {
		if (!fw_str_to_u64(word, &ns) || ns > INT64_MAX)
			return false;
		visit(context, cpu++, (int64_t)ns);
	}
	return cpu > 0;
}

bool fw_cgroup_read_cpus(struct fw_cgroup *group, void (*visit)(void *context, size_t cpu, int64_t ns), void *context)
{
	char text[24576]; /* 1024 CPUs */
	struct fw_str read;

	return fw_cgroup_file_text(group, FW_FILE_V1_CPU_USAGE_EACH, text, sizeof text, &read) &&
	       fw_cgroup_cpus_parse(read, visit, context);
}

/* Kernels before 5.18 do not sum what they use for a group. */
static int64_t v2_kernel_memory(struct fw_str stat)
{
	static const char *const parts[] = {"kernel_stack", "pagetables", "percpu", "sock", "slab"};
	struct fw_str value;
	int64_t total = 0;

	if (fw_key_text(stat, "kernel", &value))
		return number_or(stat, "kernel", -1);
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		total = sum(total, part_of(stat, parts[i]));
	return total;
}

/* -1 when the text does not tell. */
static int64_t v2_memory(struct fw_str stat)
{
	return sum(sum(number_or(stat, "anon", -1), number_or(stat, "shmem", -1)), v2_kernel_memory(stat));
}

static int64_t v1_memory(struct fw_cgroup *group, struct fw_str stat)
{
	int64_t kernel = fw_cgroup_file_number(group, FW_FILE_V1_MEMORY_KERNEL);

	return sum(sum(number_or(stat, "total_rss", -1), part_of(stat, "total_shmem")), kernel < 0 ? 0 : kernel);
}

int64_t fw_cgroup_read_memory(struct fw_cgroup *group)
{
	char text[8192];
	struct fw_str read;

	if (fw_cgroup_file_text(group, FW_FILE_MEMORY_STAT, text, sizeof text, &read))
		return v2_memory(read);
	if (fw_cgroup_file_text(group, FW_FILE_V1_MEMORY_STAT, text, sizeof text, &read))
		return v1_memory(group, read);
	return -1;
}

int64_t fw_cgroup_read_oom_kills(struct fw_cgroup *group)
{
	char text[1024];
	struct fw_str read;

	if (fw_cgroup_file_text(group, FW_FILE_MEMORY_EVENTS, text, sizeof text, &read) ||
	    fw_cgroup_file_text(group, FW_FILE_V1_MEMORY_OOM, text, sizeof text, &read))
		return number_or(read, "oom_kill", -1);
	return -1;
}

int64_t fw_cgroup_read_memory_high(struct fw_cgroup *group)
{
	int64_t high = fw_cgroup_file_number(group, FW_FILE_MEMORY_PEAK);

	return high >= 0 ? high : fw_cgroup_file_number(group, FW_FILE_V1_MEMORY_PEAK);
}

static void read_memory(struct fw_cgroup *group, struct fw_cgroup_stat *stat)
{
	char text[8192];
	struct fw_str read;

	if (fw_cgroup_file_text(group, FW_FILE_MEMORY_STAT, text, sizeof text, &read)) {
		int64_t major = number_or(read, "pgmajfault", -1), all = number_or(read, "pgfault", -1);

		stat->memory_bytes = v2_memory(read);
		stat->faults_major = major;
		stat->faults_minor = major < 0 || all < major ? -1 : all - major;
	} else if (fw_cgroup_file_text(group, FW_FILE_V1_MEMORY_STAT, text, sizeof text, &read)) {
		int64_t major = number_or(read, "total_pgmajfault", -1), all = number_or(read, "total_pgfault", -1);

		stat->memory_bytes = v1_memory(group, read);
		stat->faults_major = major;
		stat->faults_minor = major < 0 || all < major ? -1 : all - major;
	}
	stat->memory_high_bytes = fw_cgroup_read_memory_high(group);
	stat->oom_kills = fw_cgroup_read_oom_kills(group);
}

static void read_v1_throttling(struct fw_cgroup *group, struct fw_cgroup_stat *stat)
{
	char text[1024];
	struct fw_str read;

	if (fw_cgroup_file_text(group, FW_FILE_V1_CPU_STAT, text, sizeof text, &read))
		stat->throttled_ns = number_or(read, "throttled_time", -1);
}

static void read_pressure(struct fw_cgroup *group, enum fw_cgroup_file file, int64_t *total_us)
{
	char text[256];
	struct fw_str read;

	if (fw_cgroup_file_text(group, file, text, sizeof text, &read))
		fw_pressure_total(read, "some", total_us);
}

static void read_pids(struct fw_cgroup *group, struct fw_cgroup_stat *stat)
{
	bool v2 = fw_cgroup_has_file(group->cgroups, FW_FILE_PIDS_CURRENT);
	char text[128];
	struct fw_str read;

	stat->pids = fw_cgroup_file_number(group, v2 ? FW_FILE_PIDS_CURRENT : FW_FILE_V1_PIDS_CURRENT);
	if (fw_cgroup_file_text(group, v2 ? FW_FILE_PIDS_EVENTS : FW_FILE_V1_PIDS_EVENTS, text, sizeof text, &read))
		stat->pids_denied = number_or(read, "max", -1);
}

/* "rbytes=12": -1 when it is no number. */
static int64_t number_behind(struct fw_str word)
{
	uint64_t number;

	word = (struct fw_str){word.text + 7, word.length - 7};
	return fw_str_to_u64(word, &number) && number <= INT64_MAX ? (int64_t)number : -1;
}

/* "8:0 rbytes=1 wbytes=2 rios=…", one line a device; a device may stand there without figures, but not with one alone. */
static void add_device(struct fw_str line, int64_t *read_bytes, int64_t *written_bytes)
{
	struct fw_str word;
	int64_t read = 0, written = 0;
	unsigned found = 0;

	while (fw_str_next_word(&line, &word)) {
		if (fw_str_starts(word, "rbytes="))
			read = number_behind(word);
		else if (fw_str_starts(word, "wbytes="))
			written = number_behind(word);
		else
			continue;
		found++;
	}
	*read_bytes = sum(*read_bytes, found == 1 ? -1 : read);
	*written_bytes = sum(*written_bytes, found == 1 ? -1 : written);
}

static void read_io(struct fw_cgroup *group, struct fw_cgroup_stat *stat)
{
	char text[8192];
	struct fw_str read, line;

	if (!fw_cgroup_file_text(group, FW_FILE_IO_STAT, text, sizeof text, &read) || read.length >= sizeof text - 256)
		return; /* not there, or more devices than are read: their sum would be too small */
	stat->io_read_bytes = stat->io_written_bytes = 0;
	while (fw_str_next_line(&read, &line))
		add_device(line, &stat->io_read_bytes, &stat->io_written_bytes);
}

void fw_cgroup_read(struct fw_cgroup *group, struct fw_cgroup_stat *stat)
{
	*stat = (struct fw_cgroup_stat)FW_CGROUP_STAT_UNKNOWN;
	fw_cgroup_read_cpu(group, stat);
	read_v1_throttling(group, stat);
	read_memory(group, stat);
	read_pids(group, stat);
	read_pressure(group, FW_FILE_CPU_PRESSURE, &stat->pressure_cpu_us);
	read_pressure(group, FW_FILE_MEMORY_PRESSURE, &stat->pressure_memory_us);
	read_pressure(group, FW_FILE_IO_PRESSURE, &stat->pressure_io_us);
	read_io(group, stat);
}
