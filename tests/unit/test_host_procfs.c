/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/procfs.h"
#include "host/sysfs.h"
#include "tests/unit/support.h"

static void finds_a_number_behind_exactly_its_key(void **state)
{
	struct fw_str text = FW_STR("rss_huge 7\nrss 12\nMemTotal:       24684096 kB\nbad x\n");
	int64_t value = -5;

	(void)state;
	assert_true(fw_key_number(text, "rss", &value));
	assert_int_equal(value, 12);
	assert_true(fw_key_number(text, "MemTotal", &value));
	assert_int_equal(value, 24684096LL * 1024);
	assert_false(fw_key_number(text, "bad", &value));
	assert_false(fw_key_number(text, "rs", &value));
	assert_int_equal(value, 24684096LL * 1024);
}

static void reads_a_process_whose_name_holds_blanks_and_parentheses(void **state)
{
	struct fw_str text = FW_STR("42 (a (b) c) S 7 42 42 -1 -1 4194560 120 33 2 1 250 50 10 5 20 0 3 0 98765 1 2 3\n");
	struct fw_proc_stat stat;

	(void)state;
	assert_true(fw_proc_stat_parse(text, &stat));
	assert_string_equal(stat.name, "a (b) c");
	assert_int_equal(stat.state, 'S');
	assert_int_equal(stat.parent, 7);
	assert_int_equal(stat.faults_minor, 120);
	assert_int_equal(stat.children_faults_minor, 33);
	assert_int_equal(stat.user_ns, 2500000000LL);
	assert_int_equal(stat.children_system_ns, 50000000);
	assert_int_equal(stat.threads, 3);
	assert_int_equal(stat.start_ticks, 98765);
	assert_false(fw_proc_stat_parse(FW_STR("42 (cut) S 7 42"), &stat));
	assert_false(fw_proc_stat_parse(FW_STR(")("), &stat));
}

static void a_zombie_has_unknown_memory_not_zero(void **state)
{
	struct fw_proc_status status;

	(void)state;
	fw_proc_status_parse(FW_STR("Name:\tz\nState:\tZ (zombie)\nThreads:\t1\nvoluntary_ctxt_switches:\t9\n"), &status);
	assert_int_equal(status.anonymous, -1);
	assert_int_equal(status.resident_peak, -1);
	assert_int_equal(status.threads, 1);
	assert_int_equal(status.switches_voluntary, 9);
	assert_int_equal(status.switches_involuntary, -1);
}

static void reads_pressure_of_its_kind(void **state)
{
	struct fw_str text = FW_STR("some avg10=0.00 avg60=1.00 avg300=0.00 total=123\nfull avg10=0.00 total=45\n");
	int64_t value = -1;

	(void)state;
	assert_true(fw_pressure_total(text, "full", &value));
	assert_int_equal(value, 45);
	assert_true(fw_pressure_total(text, "some", &value));
	assert_int_equal(value, 123);
	assert_false(fw_pressure_total(FW_STR("some avg10=0.00\n"), "some", &value));
}

static void count(void *context, unsigned number)
{
	*(unsigned *)context += 1u << number;
}

static void reads_lists_of_cpus_within_a_bound(void **state)
{
	unsigned seen = 0;

	(void)state;
	assert_true(fw_each_in_list(FW_STR("0-2,5,9-99999999999\n"), 11, count, &seen));
	assert_int_equal(seen, 0x627);
	assert_false(fw_each_in_list(FW_STR("0-x"), 8, count, &seen));
}

static void reads_the_times_of_one_cpu_and_of_all(void **state)
{
	struct fw_str text = FW_STR("cpu  100 1 50 1000 5 2 3 4 0 0\ncpu0 60 1 20 500 5 2 3 4 0 0\nintr 5\n");
	struct fw_cpu_times times;

	(void)state;
	assert_true(fw_cpu_times_parse(text, -1, &times));
	assert_int_equal(fw_cpu_times_busy_ns(&times), 1600000000LL);
	assert_int_equal(fw_cpu_times_total_ns(&times), 11650000000LL);
	assert_true(fw_cpu_times_parse(text, 0, &times));
	assert_int_equal(times.user_ns, 600000000);
	assert_false(fw_cpu_times_parse(text, 1, &times));
}

static void counts_disks_once_and_no_partitions(void **state)
{
	struct fw_disk_totals totals;

	(void)state;
	fw_diskstats_parse(FW_STR("8 0 sda 10 0 100 5 20 0 200 5 0 30 40\n8 1 sda1 10 0 100 5 20 0 200 5 0 30 40\n"
	                          "7 0 loop0 1 1 1 1 1 1 1 1 1 1 1\n259 0 nvme0n1 1 0 8 5 2 0 16 5 0 3 4\n"
	                          "259 1 nvme0n1p1 1 0 8 5 2 0 16 5 0 3 4\n"),
	                   &totals);
	assert_int_equal(totals.read_bytes, 108 * 512);
	assert_int_equal(totals.written_bytes, 216 * 512);
	assert_int_equal(totals.writes, 22);
}

static void counts_all_interfaces_but_loopback(void **state)
{
	struct fw_net_totals totals;

	(void)state;
	fw_net_dev_parse(FW_STR("Inter-| Receive\n face |bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n"
	                        "  eth0:1000 5 1 2 0 0 0 0 300 4 0 1 0 0 0 0\n"),
	                 &totals);
	assert_int_equal(totals.received_bytes, 1000);
	assert_int_equal(totals.sent_bytes, 300);
	assert_int_equal(totals.errors, 1);
	assert_int_equal(totals.drops, 3);
}

static void finds_the_children_of_every_thread(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/10/task/10/children", "11 ", "proc/10/task/15/children", "12 13 ", "proc/11/task/11/children",
	            "14 ", "proc/12/task/12/children", "", NULL);
	struct fw_root root = {tree.fd};
	pid_t pids[16];

	(void)state;
	assert_int_equal(fw_process_tree(&root, 10, pids, 16), 5);
	assert_int_equal(pids[0], 10);
	assert_int_equal(fw_process_tree(&root, 10, pids, 2), 2);
}

static void a_thread_with_many_children_is_read_to_the_end(void **state)
{
	enum { CHILDREN = 1500 };
	fw_cleanup_tree struct tree tree = tree_of("proc/", "", NULL);
	struct fw_root root = {tree.fd};
	static char text[CHILDREN * 8];
	static pid_t pids[CHILDREN + 8];
	size_t length = 0;

	(void)state;
	for (int i = 0; i < CHILDREN; i++)
		length += (size_t)snprintf(text + length, sizeof text - length, "%d ", 4000 + i * 7);
	tree_write(&tree, "proc/10/task/10/children", text);
	assert_int_equal(fw_process_tree(&root, 10, pids, FW_COUNT_OF(pids)), CHILDREN + 1);
	for (int i = 0; i < CHILDREN; i++)
		assert_int_equal(pids[i + 1], 4000 + i * 7);
}

static void a_process_that_may_not_be_signalled_is_there(void **state)
{
	int status = 0;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can become somebody else\n");
		skip();
	}
	pid_t child = fork();
	if (child == 0)
		_exit(setuid(65534) != 0 || kill(getppid(), 0) == 0 ? 2 : !fw_process_is_there(getppid()));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_false(fw_process_is_there(child)); /* waited for: gone */
}

static void finds_a_live_child_of_this_process(void **state)
{
	struct fw_root root;
	pid_t pids[16], child = fork();
	size_t found;
	bool seen = false;

	(void)state;
	if (child == 0) {
		pause();
		_exit(0);
	}
	assert_ok(fw_root_open("/", &root, NULL), NULL);
	assert_true(fw_root_is_live(&root));
	found = fw_process_tree(&root, getpid(), pids, 16);
	for (size_t i = 0; i < found; i++)
		seen = seen || pids[i] == child;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	fw_root_close(&root);
	assert_true(seen);
}

static void takes_the_highest_believable_temperature(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("sys/class/hwmon/hwmon0/temp1_input", "45000\n", "sys/class/hwmon/hwmon0/temp2_input", "61500\n",
	            "sys/class/hwmon/hwmon1/temp1_input", "-274000\n", "sys/class/thermal/thermal_zone0/temp", "50000\n", NULL);
	struct fw_root root = {tree.fd};
	unsigned sensors;

	(void)state;
	assert_near(fw_sysfs_temperature_c(&root, &sensors), 61.5, 1e-9);
	assert_int_equal(sensors, 3);
}

static void says_that_there_is_no_temperature_or_frequency(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("sys/", "", NULL);
	struct fw_root root = {tree.fd};
	unsigned sensors;

	(void)state;
	assert_true(isnan(fw_sysfs_temperature_c(&root, &sensors)));
	assert_int_equal(sensors, 0);
	assert_true(isnan(fw_sysfs_cpu_mhz(&root, 0)));
	assert_false(fw_root_is_live(&root));
}

FW_TESTS(finds_a_number_behind_exactly_its_key, reads_a_process_whose_name_holds_blanks_and_parentheses,
         a_zombie_has_unknown_memory_not_zero, reads_pressure_of_its_kind, reads_lists_of_cpus_within_a_bound,
         reads_the_times_of_one_cpu_and_of_all, counts_disks_once_and_no_partitions,
         counts_all_interfaces_but_loopback, finds_the_children_of_every_thread, a_thread_with_many_children_is_read_to_the_end,
         a_process_that_may_not_be_signalled_is_there, finds_a_live_child_of_this_process,
         takes_the_highest_believable_temperature, says_that_there_is_no_temperature_or_frequency)
