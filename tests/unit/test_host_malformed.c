/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of Linux that are cut anywhere, or whose numbers are huge, negative, no text or missing: each reader says that it
 * does not know, or what the file still says; never 0, since no number in these texts is, and never anything below -1.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "host/cgroup_internal.h"
#include "host/machine.h"
#include "host/procfs.h"
#include "host/sysfs.h"
#include "tests/unit/support.h"

#define BASE "sys/fs/cgroup/"

FW_DEFINE_CLEANUP(struct fw_cgroups *, fw_cgroups_close)
FW_DEFINE_CLEANUP(struct fw_cgroup *, fw_cgroup_close)

typedef void check_fn(void *context, const char *text, size_t length);

static void replaced(const char *text, size_t from, size_t to, const char *by, check_fn *check, void *context)
{
	size_t length = from + strlen(by) + strlen(text + to);
	char *changed = malloc(length + 1); /* exactly as long: a reader past the end is seen */

	memcpy(changed, text, from);
	strcpy(changed + from, by);
	strcat(changed, text + to);
	check(context, changed, length);
	free(changed);
}

/* Every beginning of the text, and the text with each of its numbers replaced. */
static void each_malformed(const char *text, check_fn *check, void *context)
{
	static const char *const wrong[] = {"99999999999999999999999", "18446744073709551615", "9223372036854775807", "-7", "\xff\xfe", ""};

	for (size_t length = 0; length <= strlen(text); length++) {
		char *cut = malloc(length ? length : 1);

		memcpy(cut, text, length);
		check(context, cut, length);
		free(cut);
	}
	for (size_t from = 0; text[from]; from++) {
		size_t digits = strspn(text + from, "0123456789");

		for (size_t i = 0; digits && i < FW_COUNT_OF(wrong); i++)
			replaced(text, from, from + digits, wrong[i], check, context);
		from += digits ? digits - 1 : 0;
	}
}

static void unknown_or_more(int64_t value, const char *what, const char *text, size_t length)
{
	if (value != -1 && value <= 0)
		fail_msg("%s is %lld from '%.*s'", what, (long long)value, (int)length, text);
}

static void check_key(void *context, const char *text, size_t length)
{
	int64_t value = -1;

	fw_key_number((struct fw_str){text, length}, context, &value);
	unknown_or_more(value, context, text, length);
}

static void check_pressure(void *context, const char *text, size_t length)
{
	int64_t value = -1;

	fw_pressure_total((struct fw_str){text, length}, context, &value);
	unknown_or_more(value, context, text, length);
}

static void check_stat(void *context, const char *text, size_t length)
{
	struct fw_proc_stat stat;

	(void)context;
	if (!fw_proc_stat_parse((struct fw_str){text, length}, &stat))
		return;
	unknown_or_more(stat.pid, "pid", text, length);
	unknown_or_more(stat.parent, "parent", text, length);
	unknown_or_more(stat.faults_minor, "faults_minor", text, length);
	unknown_or_more(stat.children_faults_major, "children_faults_major", text, length);
	unknown_or_more(stat.user_ns, "user_ns", text, length);
	unknown_or_more(stat.children_system_ns, "children_system_ns", text, length);
	unknown_or_more(stat.user_ns + stat.system_ns + stat.children_user_ns + stat.children_system_ns, "sum", text, length);
	unknown_or_more(stat.threads, "threads", text, length);
	unknown_or_more((int64_t)stat.start_ticks, "start", text, length);
}

static void check_status(void *context, const char *text, size_t length)
{
	struct fw_proc_status status;

	(void)context;
	fw_proc_status_parse((struct fw_str){text, length}, &status);
	unknown_or_more(status.anonymous, "anonymous", text, length);
	unknown_or_more(status.resident_peak, "resident_peak", text, length);
	unknown_or_more(status.threads, "threads", text, length);
	unknown_or_more(status.switches_voluntary, "switches", text, length);
}

static void check_times(void *context, const char *text, size_t length)
{
	struct fw_cpu_times times;

	(void)context;
	if (!fw_cpu_times_parse((struct fw_str){text, length}, -1, &times))
		return;
	unknown_or_more(times.user_ns, "user", text, length);
	unknown_or_more(times.steal_ns, "steal", text, length);
	unknown_or_more(fw_cpu_times_total_ns(&times), "total", text, length);
}

static void check_disks(void *context, const char *text, size_t length)
{
	struct fw_disk_totals totals;

	(void)context;
	fw_diskstats_parse((struct fw_str){text, length}, &totals);
	unknown_or_more(totals.reads, "reads", text, length);
	unknown_or_more(totals.read_bytes, "read_bytes", text, length);
	unknown_or_more(totals.written_bytes, "written_bytes", text, length);
	unknown_or_more(totals.busy_ms, "busy_ms", text, length);
}

static void check_interfaces(void *context, const char *text, size_t length)
{
	struct fw_net_totals totals;

	(void)context;
	fw_net_dev_parse((struct fw_str){text, length}, &totals);
	unknown_or_more(totals.received_bytes, "received", text, length);
	unknown_or_more(totals.sent_packets, "sent_packets", text, length);
	unknown_or_more(totals.errors, "errors", text, length);
	unknown_or_more(totals.drops, "drops", text, length);
}

static void count(void *context, unsigned number)
{
	assert_true(number < 16);
	++*(int64_t *)context;
}

static void check_list(void *context, const char *text, size_t length)
{
	int64_t seen = 0;

	(void)context;
	if (fw_each_in_list((struct fw_str){text, length}, 16, count, &seen) && length > 0 && !memchr(text, '9', length))
		unknown_or_more(seen, "listed", text, length);
}

static void texts_of_proc_that_are_malformed_are_unknown(void **state)
{
	(void)state;
	each_malformed("Cached: 12 kB\nMemTotal:   24684 kB\n", check_key, "MemTotal");
	each_malformed("anon 4096\nshmem 77\n", check_key, "shmem");
	each_malformed("some avg10=1.25 avg60=2.00 avg300=3.00 total=4567\nfull avg10=1.00 total=12\n", check_pressure, "some");
	each_malformed("42 (a (b) c) S 7 42 42 -1 -1 4194560 120 33 2 1 250 50 11 5 20 -3 3 1 98765 1 2\n", check_stat, NULL);
	each_malformed("Name:\tx\nVmHWM:\t 300 kB\nRssAnon:\t 200 kB\nThreads:\t4\nvoluntary_ctxt_switches:\t95\n", check_status, NULL);
	each_malformed("cpu  100 11 50 1000 5 2 3 4 6 7\ncpu0 60 1 20 500 5 2 3 4 6 7\n", check_times, NULL);
	each_malformed("   8       1 sda 10 9 100 5 20 8 200 5 7 30 40 1 2 3 4\n", check_disks, NULL);
	each_malformed("Inter-|   Receive\n face |bytes\n  eth0: 1000 5 1 2 9 9 9 9 300 4 1 1 9 9 9 9\n", check_interfaces, NULL);
	each_malformed("0-3,5,8-11\n", check_list, NULL);
}

static void a_list_that_goes_backwards_or_stops_is_none(void **state)
{
	int64_t seen = 0;

	(void)state;
	assert_false(fw_each_in_list(FW_STR("3-1"), 16, count, &seen));
	assert_false(fw_each_in_list(FW_STR("3-"), 16, count, &seen));
	assert_false(fw_each_in_list(FW_STR("1,,2"), 16, count, &seen));
}

/* ---- files ---- */

struct malformed_file {
	struct tree *tree;
	const char *path;
};

static void write_bytes(const struct malformed_file *file, const char *text, size_t length)
{
	char name[256];

	snprintf(name, sizeof name, "%s/%s", file->tree->path, file->path);
	FILE *stream = fopen(name, "w");
	assert_non_null(stream);
	assert_int_equal(fwrite(text, 1, length, stream), length);
	assert_int_equal(fclose(stream), 0);
}

static void check_group(void *context, const char *text, size_t length)
{
	const struct malformed_file *file = context;
	struct fw_root root = {file->tree->fd};
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = NULL;
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = NULL;
	struct fw_cgroup_stat stat;
	struct fw_error *err = NULL;

	write_bytes(file, text, length);
	assert_ok(fw_cgroups_open(&root, "flexwatt", &cgroups, &err), err);
	assert_ok(fw_cgroup_open(cgroups, "w", &group, &err), err);
	fw_cgroup_read(group, &stat);
	const struct {
		const char *name;
		int64_t value;
	} values[] = {
		{"cpu_total_ns", stat.cpu_total_ns}, {"cpu_user_ns", stat.cpu_user_ns}, {"throttled_ns", stat.throttled_ns},
		{"memory_bytes", stat.memory_bytes}, {"memory_high_bytes", stat.memory_high_bytes}, {"faults_minor", stat.faults_minor},
		{"faults_major", stat.faults_major}, {"oom_kills", stat.oom_kills}, {"pids", stat.pids},
		{"pids_denied", stat.pids_denied}, {"pressure", stat.pressure_memory_us},
		/* a group that has read and written nothing has an empty file */
		{"io_read", length ? stat.io_read_bytes : -1}, {"io_written", length ? stat.io_written_bytes : -1},
	};

	for (size_t i = 0; i < FW_COUNT_OF(values); i++)
		if (!strstr(file->path, "io.stat") || memchr(text, '=', length) || strncmp(values[i].name, "io_", 3) != 0)
			unknown_or_more(values[i].value, values[i].name, text, length);
}

static void each_file_malformed(struct tree *tree, const char *const files[][2], size_t count_, check_fn *check)
{
	for (size_t i = 0; i < count_; i++)
		tree_write(tree, files[i][0], files[i][1]);
	for (size_t i = 0; i < count_; i++) {
		struct malformed_file file = {tree, files[i][0]};

		each_malformed(files[i][1], check, &file);
		tree_write(tree, files[i][0], files[i][1]);
	}
}

static void files_of_a_v2_group_that_are_malformed_are_unknown(void **state)
{
	static const char *const files[][2] = {
		{BASE "flexwatt/w/cpu.stat", "usage_usec 1000\nuser_usec 700\nsystem_usec 300\nthrottled_usec 55\n"},
		{BASE "flexwatt/w/memory.stat", "anon 100\nkernel 30\nshmem 7\npgfault 56789\npgmajfault 1\n"},
		{BASE "flexwatt/w/memory.peak", "20000\n"}, {BASE "flexwatt/w/memory.events", "low 1\noom_kill 2\n"},
		{BASE "flexwatt/w/pids.current", "2\n"}, {BASE "flexwatt/w/pids.events", "max 3\n"},
		{BASE "flexwatt/w/io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=5 wbytes=6\n"},
		{BASE "flexwatt/w/memory.pressure", "some avg10=0.00 total=88\n"},
	};
	fw_cleanup_tree struct tree tree = tree_of(
		"proc/self/mountinfo", "38 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "proc/self/cgroup", "0::/\n",
		BASE "cgroup.controllers", "cpu io memory pids\n", BASE "cgroup.subtree_control", "cpu io memory pids\n",
		BASE "flexwatt/cgroup.controllers", "cpu io memory pids\n", BASE "flexwatt/cgroup.subtree_control", "cpu io memory pids\n",
		BASE "flexwatt/w/cgroup.procs", "", NULL);

	(void)state;
	each_file_malformed(&tree, files, FW_COUNT_OF(files), check_group);
}

#define V1(controller) "31 30 0:29 / /sys/fs/cgroup/" controller " rw shared:9 - cgroup cgroup rw," controller "\n"

static void files_of_a_v1_group_that_are_malformed_are_unknown(void **state)
{
	static const char *const files[][2] = {
		{BASE "cpu/flexwatt/w/cpu.stat", "nr_periods 3\nnr_throttled 1\nthrottled_time 777\n"},
		{BASE "cpuacct/flexwatt/w/cpuacct.usage", "5000\n"}, {BASE "cpuacct/flexwatt/w/cpuacct.usage_user", "600\n"},
		{BASE "memory/flexwatt/w/memory.max_usage_in_bytes", "134000000\n"},
		{BASE "memory/flexwatt/w/memory.stat", "rss 1\ntotal_rss 4000\ntotal_shmem 500\ntotal_pgfault 56789\ntotal_pgmajfault 1\n"},
		{BASE "memory/flexwatt/w/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"},
		{BASE "pids/flexwatt/w/pids.current", "4\n"}, {BASE "pids/flexwatt/w/pids.events", "max 9\n"},
	};
	fw_cleanup_tree struct tree tree = tree_of(
		"proc/self/mountinfo", V1("cpu") V1("cpuacct") V1("memory") V1("pids"), "proc/self/cgroup",
		"4:memory:/\n3:pids:/\n2:cpuacct:/\n1:cpu:/\n", NULL);

	(void)state;
	each_file_malformed(&tree, files, FW_COUNT_OF(files), check_group);
}

static void check_machine(void *context, const char *text, size_t length)
{
	const struct malformed_file *file = context;
	struct fw_root root = {file->tree->fd};
	struct fw_machine *machine = calloc(1, sizeof *machine);
	struct fw_error *err = NULL;
	unsigned sensors;

	write_bytes(file, text, length);
	if (fw_machine_read(&root, machine, &err) == FW_OK) {
		if (!machine->memory_bytes || !machine->cpus_allowed || !machine->threads || !machine->cores || !machine->packages)
			fail_msg("%s: a machine of nothing from '%.*s'", file->path, (int)length, text);
		assert_false(machine->base_mhz <= 0);
	} else {
		assert_non_null(err);
		fw_error_free(err);
	}
	assert_false(fw_sysfs_cpu_mhz(&root, 0) <= 0);
	assert_false(fw_sysfs_temperature_c(&root, &sensors) > 150);
	free(machine);
}

static void files_that_describe_a_machine_are_an_error_or_unknown_when_malformed(void **state)
{
	static const char *const files[][2] = {
		{"proc/cpuinfo", "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\nmodel name\t: Xeon @ 2.50GHz\nstepping\t: 8\n"},
		{"proc/meminfo", "MemTotal:       24684096 kB\n"},
		{"proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1\n"},
		{"sys/devices/system/cpu/online", "0-1\n"},
		{"sys/devices/system/cpu/cpu0/topology/core_id", "1\n"},
		{"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2500000\n"},
		{"sys/class/hwmon/hwmon0/temp1_input", "45000\n"},
		{"proc/self/mountinfo", "38 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
		{"proc/self/cgroup", "0::/\n"},
		{BASE "memory.max", "1048576\n"}, {BASE "cpu.max", "150000 100000\n"},
	};
	fw_cleanup_tree struct tree tree = tree_of("proc/", "", NULL);

	(void)state;
	each_file_malformed(&tree, files, FW_COUNT_OF(files), check_machine);
}

FW_TESTS(texts_of_proc_that_are_malformed_are_unknown, a_list_that_goes_backwards_or_stops_is_none,
         files_of_a_v2_group_that_are_malformed_are_unknown, files_of_a_v1_group_that_are_malformed_are_unknown,
         files_that_describe_a_machine_are_an_error_or_unknown_when_malformed)
