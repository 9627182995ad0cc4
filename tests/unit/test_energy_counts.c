/* SPDX-License-Identifier: Apache-2.0
 *
 * Counts of control groups from a kernel that the tests play: which events it has, what they tell, when it fails.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "energy/perf_counts.h"
#include "tests/unit/support.h"

enum { FDS = 256 };

/* A kernel: descriptors are 100 + index. */
static struct {
	struct {
		uint64_t config;
		unsigned cpu;
		int directory, leader;
		bool open;
	} fds[FDS];
	int count, still_open;
	uint64_t missing; /* an event type that it does not have, by its low 32 bits; UINT64_MAX: none */
	int together;     /* so many events fit in a group; 0: all */
	int error;        /* instead of opening on groups */
	struct fw_raw_counts raw[8]; /* of each CPU */
	int read_error;
} kernel;

static int members_of(int leader)
{
	int members = 1;

	for (int i = 0; i < kernel.count; i++)
		members += kernel.fds[i].leader == leader;
	return members;
}

static int play_open(void *context, uint64_t config, int directory, unsigned cpu, int leader)
{
	(void)context;
	if ((config & 0xffffffff) == kernel.missing)
		return -ENOENT;
	if (kernel.together && leader >= 0 && members_of(leader) >= kernel.together)
		return -EINVAL;
	if (kernel.error && directory >= 0)
		return -kernel.error;
	assert_true(kernel.count < FDS);
	kernel.fds[kernel.count].config = config;
	kernel.fds[kernel.count].cpu = cpu;
	kernel.fds[kernel.count].directory = directory;
	kernel.fds[kernel.count].leader = leader;
	kernel.still_open++;
	return 100 + kernel.count++;
}

static int play_read(void *context, int leader, size_t count, struct fw_raw_counts *raw)
{
	(void)context;
	assert_int_equal(kernel.fds[leader - 100].leader, -1);
	*raw = kernel.raw[kernel.fds[leader - 100].cpu];
	(void)count;
	return -kernel.read_error;
}

static void play_close(void *context, int fd)
{
	(void)context;
	assert_in_range(fd, 100, 100 + kernel.count - 1);
	kernel.still_open--;
}

static const struct fw_count_ops played = {play_open, play_read, play_close, NULL};
static struct fw_count_source source;
static struct fw_group_counts *counts;

static void begin_on(struct tree *tree)
{
	static struct fw_machine machine;
	struct fw_root root = {tree->fd};
	struct fw_error *err = NULL;

	machine.cpu_count = 2;
	machine.cpus[0].online = machine.cpus[1].online = true;
	memset(&kernel, 0, sizeof kernel);
	kernel.missing = UINT64_MAX;
	assert_ok(fw_count_source_init(&source, &played, &root, &machine, &err), err);
	assert_int_equal(kernel.still_open, 0);
	assert_ok(fw_group_counts_new(&source, 7, &counts, &err), err);
}

static void end(void)
{
	fw_group_counts_free(counts);
	assert_int_equal(kernel.still_open, 0);
}

static struct fw_raw_counts raw(uint64_t enabled, uint64_t running, uint64_t cycles)
{
	return (struct fw_raw_counts){enabled, running, {cycles, 2 * cycles, cycles / 10}};
}

static void counts_of_all_cpus_are_added_up(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", NULL);
	int64_t values[FW_COUNTS];

	(void)state;
	begin_on(&tree);
	kernel.raw[0] = raw(1000, 1000, 500);
	kernel.raw[1] = raw(0, 0, 0); /* never ran there */
	assert_false(fw_group_counts_read(counts, values));
	assert_int_equal(values[FW_COUNT_CYCLES], 500);
	kernel.raw[1] = raw(300, 300, 100);
	assert_false(fw_group_counts_read(counts, values));
	assert_int_equal(values[FW_COUNT_CYCLES], 600);
	assert_int_equal(values[FW_COUNT_INSTRUCTIONS], 1200);
	assert_int_equal(values[FW_COUNT_CACHE_MISSES], 60);
	end();
}

/* Memory's energy is shared by them: of all the machine, beside those of groups. */
static void cache_misses_are_counted_of_the_whole_machine(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", NULL);
	struct fw_machine machine = {.cpu_count = 2};
	struct fw_root root = {tree.fd};
	struct fw_monitor_context context = {.root = &root, .machine = &machine};
	struct fw_monitor *monitor;
	struct fw_error *err = NULL;

	(void)state;
	machine.cpus[0].online = machine.cpus[1].online = true;
	memset(&kernel, 0, sizeof kernel);
	kernel.missing = UINT64_MAX;
	assert_ok(fw_counts_open_on(&played, &context, &monitor, &err), err);
	assert_true(fw_monitor_counts_has_misses(monitor));
	assert_int_equal(kernel.still_open, 2); /* one event on each CPU, and of no group */
	for (int i = kernel.count - 2; i < kernel.count; i++)
		assert_int_equal(kernel.fds[i].directory, FW_COUNT_ALL);
	kernel.raw[0] = (struct fw_raw_counts){100, 100, {70}};
	kernel.raw[1] = (struct fw_raw_counts){100, 50, {10}}; /* half of the time */
	assert_int_equal(fw_monitor_counts_all_misses(monitor), 90);
	kernel.read_error = EIO;
	assert_int_equal(fw_monitor_counts_all_misses(monitor), -1);
	assert_int_equal(fw_monitor_counts_misses_of(NULL), -1); /* a worker that is not counted */
	fw_monitor_counts.close(monitor);
	assert_int_equal(kernel.still_open, 0);
	memset(&kernel, 0, sizeof kernel);
	kernel.missing = 3; /* cache misses */
	assert_ok(fw_counts_open_on(&played, &context, &monitor, &err), err);
	assert_false(fw_monitor_counts_has_misses(monitor));
	fw_monitor_counts.close(monitor);
}

static void a_shared_pmu_is_scaled_and_marked_and_never_goes_back(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", NULL);
	int64_t values[FW_COUNTS];

	(void)state;
	begin_on(&tree);
	kernel.raw[0] = raw(1000, 500, 500); /* half of the time */
	assert_int_equal(fw_group_counts_read(counts, values), 1);
	assert_int_equal(values[FW_COUNT_CYCLES], 1000);
	kernel.raw[0] = raw(2000, 1500, 1000); /* all of the time since: the whole's scale of 4/3 would give 1333 */
	assert_int_equal(fw_group_counts_read(counts, values), 1); /* not again */
	assert_int_equal(values[FW_COUNT_CYCLES], 1500);
	end();
}

static void only_an_invocation_in_which_counts_were_scaled_is_marked(void **state)
{
	(void)state;
	for (uint64_t scaled = 1; scaled <= 2; scaled++) {
		struct fw_interval interval = {.begin = {.counts = {100, 200, 10}, .counts_scaled = 1},
		                               .end = {.counts = {150, 300, 15}, .counts_scaled = scaled}};
		struct fw_record record;

		fw_record_init(&record);
		fw_monitor_counts.attribute(NULL, &interval, &record);
		assert_int_equal(record.cycles, 50);
		assert_int_equal(fw_record_has_flag(record.flags, "counts_scaled"), scaled == 2);
		fw_record_done(&record);
	}
}

static void what_ran_uncounted_is_unknown_until_a_later_step_covers_it(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", NULL);
	int64_t values[FW_COUNTS];

	(void)state;
	begin_on(&tree);
	kernel.raw[0] = raw(1000, 0, 0);
	fw_group_counts_read(counts, values);
	assert_int_equal(values[FW_COUNT_CYCLES], -1); /* not 0 */
	kernel.raw[0] = raw(2000, 1000, 700);
	assert_true(fw_group_counts_read(counts, values));
	assert_int_equal(values[FW_COUNT_CYCLES], 1400);
	end();
}

static void a_failed_read_is_unknown_and_the_next_one_covers_it(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", NULL);
	int64_t values[FW_COUNTS];

	(void)state;
	begin_on(&tree);
	kernel.read_error = EIO;
	fw_group_counts_read(counts, values);
	assert_int_equal(values[FW_COUNT_INSTRUCTIONS], -1);
	kernel.read_error = 0;
	kernel.raw[0] = raw(10, 10, 9);
	fw_group_counts_read(counts, values);
	assert_int_equal(values[FW_COUNT_INSTRUCTIONS], 18);
	kernel.raw[0] = raw(5, 5, 3); /* went back */
	fw_group_counts_read(counts, values);
	assert_int_equal(values[FW_COUNT_INSTRUCTIONS], -1);
	kernel.raw[0] = raw(7, 7, 4);
	fw_group_counts_read(counts, values);
	assert_int_equal(values[FW_COUNT_INSTRUCTIONS], 20);
	end();
}

static void hybrid_cores_are_counted_each_by_their_own_pmu(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(
		"sys/bus/event_source/devices/cpu_core/type", "4\n", "sys/bus/event_source/devices/cpu_core/cpus", "0-1\n",
		"sys/bus/event_source/devices/cpu_atom/type", "10\n", "sys/bus/event_source/devices/cpu_atom/cpus", "2-5\n", NULL);

	(void)state;
	begin_on(&tree);
	assert_int_equal(source.pmu_count, 2);
	int groups = 0;
	for (int i = 0; i < kernel.count; i++)
		if (kernel.fds[i].directory == 7) {
			assert_int_equal(kernel.fds[i].config >> 32, kernel.fds[i].cpu < 2 ? 4 : 10);
			groups += kernel.fds[i].leader == -1;
		}
	assert_int_equal(groups, 6);
	end();
}

static void malformed_pmus_are_left_out(void **state)
{
	static const char *const types[] = {"", "x\n", "-1\n", "99999999999999\n", "0\n"};

	(void)state;
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		fw_cleanup_tree struct tree tree = tree_of("sys/bus/event_source/devices/cpu_core/type", types[i],
		                                           "sys/bus/event_source/devices/cpu_core/cpus", "0-1\n", NULL);

		begin_on(&tree);
		assert_int_equal(source.pmu_count, 1);
		assert_int_equal(source.pmus[0].type, 0);
		end();
	}
}

static void an_event_that_is_missing_stays_unknown(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", NULL);
	struct fw_root root = {tree.fd};
	struct fw_machine *machine = calloc(1, sizeof *machine);
	struct fw_error *err = NULL;
	int64_t values[FW_COUNTS];

	(void)state;
	machine->cpu_count = 1;
	machine->cpus[0].online = true;
	memset(&kernel, 0, sizeof kernel);
	kernel.missing = 3; /* cache misses */
	assert_ok(fw_count_source_init(&source, &played, &root, machine, &err), err);
	assert_ok(fw_group_counts_new(&source, 7, &counts, &err), err);
	kernel.raw[0] = raw(1, 1, 50);
	fw_group_counts_read(counts, values);
	assert_int_equal(values[FW_COUNT_CYCLES], 50);
	assert_int_equal(values[FW_COUNT_CACHE_MISSES], -1);
	kernel.error = EACCES;
	end();
	assert_error_is(fw_group_counts_new(&source, 7, &counts, &err), &err, FW_E_PERMISSION, "does not let");
	assert_int_equal(kernel.still_open, 0);
	free(machine);
}

static void of_events_that_do_not_fit_together_the_first_are_counted(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", NULL);
	struct fw_root root = {tree.fd};
	struct fw_machine *machine = calloc(1, sizeof *machine);
	struct fw_error *err = NULL;

	(void)state;
	machine->cpu_count = 1;
	machine->cpus[0].online = true;
	for (int together = 3; together >= 1; together--) {
		memset(&kernel, 0, sizeof kernel);
		kernel.missing = UINT64_MAX;
		kernel.together = together;
		assert_ok(fw_count_source_init(&source, &played, &root, machine, &err), err);
		for (int kind = 0; kind < FW_COUNTS; kind++)
			assert_int_equal(source.has[kind], kind < together);
		assert_ok(fw_group_counts_new(&source, 7, &counts, &err), err);
		end();
	}
	free(machine);
}

FW_TESTS(cache_misses_are_counted_of_the_whole_machine, counts_of_all_cpus_are_added_up, a_shared_pmu_is_scaled_and_marked_and_never_goes_back,
         only_an_invocation_in_which_counts_were_scaled_is_marked,
         what_ran_uncounted_is_unknown_until_a_later_step_covers_it,
         a_failed_read_is_unknown_and_the_next_one_covers_it, hybrid_cores_are_counted_each_by_their_own_pmu,
         malformed_pmus_are_left_out, of_events_that_do_not_fit_together_the_first_are_counted, an_event_that_is_missing_stays_unknown)
