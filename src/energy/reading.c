/* SPDX-License-Identifier: Apache-2.0
 *
 * Readings of one worker. A control group tells exactly what its processes used, also those that have ended. Where there
 * is none, the process tree is added up: CPU time by the processes' own clocks, which are exact, and by clock ticks for
 * children that have ended. What no file tells stays -1.
 */
#include "energy/reading.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "host/procfs.h"

/* Of a tree larger than MAX_TREE nothing is known: what a part of it used would be told as all. */
enum { MAX_PROCESSES = 64, MAX_TREE = 1024 };

/* Sums over the processes of a worker; -1 as soon as one of them does not tell. */
struct sums {
	int64_t cpu_user_ns, cpu_system_ns, cpu_total_ns;
	int64_t faults_minor, faults_major;
	int64_t anonymous, held, resident_peak; /* held: anonymous + shared + page tables */
	int64_t switches_voluntary, switches_involuntary;
	int64_t ended_faults;
	int64_t read_bytes, written_bytes;
	size_t counted; /* processes that were still there */
	bool some_ended;
};

static void add(int64_t *total, int64_t value)
{
	if (*total < 0 || value < 0 || __builtin_add_overflow(*total, value, total))
		*total = -1;
}

static struct fw_str peek(const struct fw_reading_source *source, pid_t pid, const char *file, char *text, size_t size)
{
	char path[64];
	ssize_t length;

	snprintf(path, sizeof path, "proc/%d/%s", pid, file);
	length = fw_root_peek(source->root, path, text, size);
	return (struct fw_str){text, length < 0 ? 0 : (size_t)length};
}

/* All threads of a process, also those that have ended, to the nanosecond. */
static bool process_clock_ns(const struct fw_reading_source *source, pid_t pid, int64_t *ns)
{
	struct timespec time;
	clockid_t clock;

	if (!source->live || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0)
		return false;
	*ns = (int64_t)time.tv_sec * (int64_t)FW_NS_PER_S + time.tv_nsec;
	return true;
}

static void add_stat(const struct fw_reading_source *source, pid_t pid, struct sums *sums)
{
	char text[1024];
	struct fw_proc_stat stat;
	int64_t own_ns;

	if (!fw_proc_stat_parse(peek(source, pid, "stat", text, sizeof text), &stat)) {
		sums->some_ended = true; /* between the list and now */
		return;
	}
	sums->counted++;
	if (!process_clock_ns(source, pid, &own_ns) || own_ns < stat.user_ns) /* CPU times are at most 1/16 of the range */
		own_ns = stat.user_ns + stat.system_ns;
	add(&sums->cpu_user_ns, stat.user_ns + stat.children_user_ns);
	add(&sums->cpu_total_ns, own_ns + stat.children_user_ns + stat.children_system_ns);
	add(&sums->faults_minor, stat.faults_minor + stat.children_faults_minor);
	add(&sums->faults_major, stat.faults_major + stat.children_faults_major);
	add(&sums->ended_faults, stat.children_faults_minor);
	/* A child that was waited for has left its faults here, and no trace of its memory. */
	sums->some_ended = sums->some_ended || stat.children_faults_minor > 0 || stat.state == 'Z';
}

static void add_status(const struct fw_reading_source *source, pid_t pid, struct sums *sums)
{
	char text[4096];
	struct fw_proc_status status;

	fw_proc_status_parse(peek(source, pid, "status", text, sizeof text), &status);
	add(&sums->anonymous, status.anonymous);
	add(&sums->resident_peak, status.resident_peak);
	add(&sums->switches_voluntary, status.switches_voluntary);
	add(&sums->switches_involuntary, status.switches_involuntary);
	add(&sums->held, status.anonymous);
	add(&sums->held, status.shared);
	add(&sums->held, status.page_tables);
	/* The file tells the first thread's alone, and to read the others' costs as much again for each and misses those that
	 * have ended, whose counts the kernel keeps to itself. */
	if (status.threads > 1)
		sums->switches_voluntary = sums->switches_involuntary = -1;
}

static void add_io(const struct fw_reading_source *source, pid_t pid, struct sums *sums)
{
	char text[512];
	struct fw_str io = peek(source, pid, "io", text, sizeof text);
	int64_t read = -1, written = -1;

	fw_key_number(io, "read_bytes", &read);
	fw_key_number(io, "write_bytes", &written);
	add(&sums->read_bytes, read);
	add(&sums->written_bytes, written);
}

size_t fw_reading_processes(const struct fw_reading_source *source, const struct fw_metered *worker, pid_t *pids,
                            size_t capacity)
{
	if (worker->cgroup)
		return fw_cgroup_pids(worker->cgroup, pids, capacity);
	return worker->pid > 0 ? fw_process_tree(source->root, worker->pid, pids, capacity) : 0;
}

static void unknown(struct fw_reading *reading)
{
	*reading = (struct fw_reading){.stat = FW_CGROUP_STAT_UNKNOWN,
	                               .memory_high_bytes = -1, .unique_bytes = -1, .proportional_bytes = -1,
	                               .switches_voluntary = -1, .switches_involuntary = -1,
	                               .network_sent_bytes = -1, .network_received_bytes = -1,
	                               .counts = {-1, -1, -1}, .work_ns = -1, .work_cycles = -1};
}

static void let_monitors_count(const struct fw_reading_source *source, const struct fw_metered *worker, bool edge,
                               struct fw_reading *reading)
{
	if (source->count && worker->states)
		source->count(source->context, worker, edge, reading);
}

static void take_cpu_of(const struct sums *sums, struct fw_cgroup_stat *stat)
{
	stat->cpu_total_ns = sums->cpu_total_ns;
	stat->cpu_user_ns = sums->cpu_user_ns > sums->cpu_total_ns ? sums->cpu_total_ns : sums->cpu_user_ns;
	stat->cpu_system_ns = sums->cpu_total_ns - stat->cpu_user_ns;
}

/* Of a tree without a group. */
static void take_tree_cpu(const struct fw_reading_source *source, const pid_t *pids, size_t count, struct fw_cgroup_stat *stat)
{
	struct sums sums = {0};

	for (size_t i = 0; i < count && count <= MAX_TREE; i++)
		add_stat(source, pids[i], &sums);
	if (sums.counted > 0)
		take_cpu_of(&sums, stat);
}

/* What only the processes tell beside a group, or everything where there is no group. */
static void complete(const struct fw_reading_source *source, const struct fw_metered *worker,
                     struct fw_reading *reading)
{
	struct fw_cgroup_stat *stat = &reading->stat;
	pid_t pids[MAX_TREE + 1];
	size_t count = fw_reading_processes(source, worker, pids, FW_COUNT_OF(pids));
	struct sums sums = {0};

	if (count > MAX_PROCESSES && !worker->cgroup)
		take_tree_cpu(source, pids, count, stat);
	if (count == 0 || count > MAX_PROCESSES)
		return; /* ended, or more than anybody wants to read ten times a second */
	for (size_t i = 0; i < count; i++) {
		add_stat(source, pids[i], &sums);
		add_status(source, pids[i], &sums);
		if (stat->io_read_bytes < 0)
			add_io(source, pids[i], &sums);
	}
	reading->switches_voluntary = sums.switches_voluntary;
	reading->switches_involuntary = sums.switches_involuntary;
	reading->ended_faults = sums.ended_faults;
	if (stat->io_read_bytes < 0) {
		stat->io_read_bytes = sums.read_bytes;
		stat->io_written_bytes = sums.written_bytes;
	}
	if (!worker->cgroup && sums.counted > 0) {
		take_cpu_of(&sums, stat);
		stat->memory_bytes = sums.held;
		stat->faults_minor = sums.faults_minor;
		stat->faults_major = sums.faults_major;
		stat->pids = (int64_t)count;
	}
	if (!sums.some_ended && sums.resident_peak >= 0 && stat->memory_bytes >= sums.anonymous)
		reading->memory_high_bytes = sums.resident_peak + (stat->memory_bytes - sums.anonymous);
}

void fw_reading_take(const struct fw_reading_source *source, const struct fw_metered *worker,
                     struct fw_reading *reading)
{
	unknown(reading);
	reading->before_ns = fw_monotonic_ns();
	if (worker->cgroup)
		fw_cgroup_read(worker->cgroup, &reading->stat);
	if (worker->cgroup || worker->pid > 0)
		complete(source, worker, reading);
	let_monitors_count(source, worker, false, reading);
	reading->after_ns = fw_monotonic_ns();
}

void fw_reading_take_cpu(const struct fw_reading_source *source, const struct fw_metered *worker,
                         struct fw_reading *reading)
{
	struct fw_cgroup_stat *stat = &reading->stat;

	unknown(reading);
	reading->before_ns = fw_monotonic_ns();
	if (worker->cgroup) {
		fw_cgroup_read_cpu(worker->cgroup, stat);
	} else if (worker->pid > 0) {
		pid_t pids[MAX_TREE + 1];

		take_tree_cpu(source, pids, fw_process_tree(source->root, worker->pid, pids, FW_COUNT_OF(pids)), stat);
	}
	let_monitors_count(source, worker, true, reading);
	reading->after_ns = fw_monotonic_ns();
}

int64_t fw_reading_memory(const struct fw_reading_source *source, const struct fw_metered *worker)
{
	pid_t pids[MAX_PROCESSES + 1];
	struct sums sums = {0};
	size_t count;

	if (worker->cgroup)
		return fw_cgroup_read_memory(worker->cgroup);
	if (worker->pid <= 0)
		return -1;
	count = fw_process_tree(source->root, worker->pid, pids, FW_COUNT_OF(pids));
	for (size_t i = 0; i < count && count <= MAX_PROCESSES; i++)
		add_status(source, pids[i], &sums);
	return count > 0 && sums.held > 0 ? sums.held : -1;
}

void fw_reading_take_shares(const struct fw_reading_source *source, const struct fw_metered *worker,
                            struct fw_reading *reading)
{
	pid_t pids[MAX_PROCESSES + 1];
	size_t count = fw_reading_processes(source, worker, pids, FW_COUNT_OF(pids));
	int64_t unique = 0, proportional = 0;

	if (count == 0 || count > MAX_PROCESSES)
		return;
	for (size_t i = 0; i < count; i++) {
		char text[2048];
		struct fw_str rollup = peek(source, pids[i], "smaps_rollup", text, sizeof text);
		int64_t clean = -1, dirty = -1, pss = -1;

		fw_key_number(rollup, "Private_Clean", &clean);
		fw_key_number(rollup, "Private_Dirty", &dirty);
		fw_key_number(rollup, "Pss", &pss);
		add(&unique, clean);
		add(&unique, dirty);
		add(&proportional, pss);
	}
	reading->unique_bytes = unique;
	reading->proportional_bytes = proportional;
}

int64_t fw_reading_memory_high(const struct fw_metered *worker)
{
	return worker->cgroup ? fw_cgroup_read_memory_high(worker->cgroup) : -1;
}
