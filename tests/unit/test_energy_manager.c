/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager with real processes on this machine: without a control group (everywhere) and in one (skipped where none
 * can be made). The same tests run under the thread sanitizer.
 */
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/manager.h"
#include "tests/unit/support.h"

FW_DEFINE_CLEANUP(struct fw_cgroups *, fw_cgroups_close)

static struct fw_catalogue *catalogue;
static struct fw_root root;
static struct fw_machine machine;

static int set_up(void **state)
{
	fw_cleanup_free char *directory = fw_printf("%s/data", getenv("FLEXWATT_SOURCE"));
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_root_open("/", &root, &err), err);
	assert_ok(fw_machine_read(&root, &machine, &err), err);
	assert_ok(fw_catalogue_open(directory, &catalogue, &err), err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fw_catalogue_close(catalogue);
	fw_root_close(&root);
	return 0;
}

/* A child that does what one byte says and answers it: 'b' burns 30 ms of CPU, 'm' holds 32 MiB, 'n' nothing. */
struct child {
	pid_t pid;
	int fd;
};

static void burn_30_ms(void)
{
	struct timespec start, now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < 30000000);
}

static _Noreturn void serve(int fd)
{
	char what;

	while (read(fd, &what, 1) == 1) {
		if (what == 'b')
			burn_30_ms();
		if (what == 'm') {
			char *memory = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (memory != MAP_FAILED)
				memset(memory, 1, 32 << 20);
		}
		if (write(fd, &what, 1) != 1)
			break;
	}
	_exit(0);
}

static struct child child_new(void)
{
	int fds[2];
	struct child child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (child.pid == 0) {
		close(fds[0]);
		serve(fds[1]);
	}
	close(fds[1]);
	child.fd = fds[0];
	return child;
}

static void child_do(const struct child *child, char what)
{
	assert_int_equal(write(child->fd, &what, 1), 1);
	assert_int_equal(read(child->fd, &what, 1), 1);
}

static void child_end(struct child *child)
{
	close(child->fd);
	kill(child->pid, SIGKILL); /* later children hold its socket open too */
	waitpid(child->pid, NULL, 0);
}

struct fixture {
	struct fw_loop *loop;
	struct fw_energy_manager *manager;
	size_t done, wanted;
};

static void count_done(void *context, struct fw_record *record)
{
	struct fixture *fixture = context;

	assert_non_null(record->method_version);
	if (++fixture->done == fixture->wanted)
		fw_loop_stop(fixture->loop);
}

static void too_late(void *context)
{
	(void)context;
	fail_msg("records were not filled within 20 s");
}

static void open_fixture(struct fixture *fixture)
{
	struct fw_error *err = NULL;

	*fixture = (struct fixture){0};
	assert_ok(fw_loop_new(&fixture->loop, &err), err);
	struct fw_energy_options options = {.loop = fixture->loop, .context = {&root, &machine, catalogue}, .rate_hz = 50};
	assert_ok(fw_energy_manager_new(&options, &fixture->manager, &err), err);
}

static void wait_done(struct fixture *fixture, size_t wanted)
{
	struct fw_timer *timer = fw_timer_new(fixture->loop, too_late, fixture);
	struct fw_error *err = NULL;

	fixture->wanted = wanted;
	fw_timer_set(timer, 20 * FW_NS_PER_S);
	if (fixture->done < wanted)
		assert_ok(fw_loop_run(fixture->loop, &err), err);
	fw_timer_free(timer);
	assert_int_equal(fixture->done, wanted);
}

static void close_fixture(struct fixture *fixture)
{
	fw_energy_manager_free(fixture->manager);
	fw_loop_free(fixture->loop);
}

static void invoke(struct fixture *fixture, struct fw_energy_worker *worker, const struct child *child, char what,
                   struct fw_record *record)
{
	uint64_t start;

	fw_record_init(record);
	start = fw_monotonic_ns();
	fw_energy_begin(worker);
	child_do(child, what);
	record->duration_ms = fw_ns_to_ms(fw_monotonic_ns() - start);
	fw_energy_end(worker, record, count_done, fixture);
}

static void check_burned(const struct fw_record *record)
{
	struct fw_energy_sum sum;

	assert_in_range((int)(record->cpu_user_ms + record->cpu_system_ms), 29, 60);
	assert_near(record->cpu_percent, (record->cpu_user_ms + record->cpu_system_ms) / record->duration_ms * 100, 1e-5);
	assert_true(record->memory_peak_mb > 0 && record->memory_average_mb > 0);
	assert_true(record->memory_peak_high_mb >= record->memory_peak_mb);
	assert_true(fw_energy_best(record, &sum));
	assert_true(sum.modelled && sum.low <= sum.joules && sum.joules <= sum.high && sum.low > 0);
	assert_string_equal(record->method_version, "system/1 model/1 tdp/1");
}

static void measures_a_process_without_a_control_group(void **state)
{
	struct child child = child_new();
	struct fixture fixture;
	struct fw_record burned, held;

	(void)state;
	open_fixture(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 1769});
	invoke(&fixture, worker, &child, 'b', &burned);
	wait_done(&fixture, 1);
	invoke(&fixture, worker, &child, 'm', &held);
	wait_done(&fixture, 2);
	check_burned(&burned);
	assert_true(held.memory_peak_mb >= 32);
	assert_true(held.memory_peak_mb < 200);
	assert_true(held.faults_minor > 0);
	fw_energy_worker_free(worker);
	fw_record_done(&burned);
	fw_record_done(&held);
	close_fixture(&fixture);
	child_end(&child);
}

static void measures_a_control_group(void **state)
{
	struct fw_cgroups *cgroups = NULL;
	struct fw_cgroup *group = NULL;
	struct fw_error *err = NULL;
	char parent[64];

	(void)state;
	snprintf(parent, sizeof parent, "flexwatt-test-%d", getpid());
	if (fw_cgroups_open(&root, parent, &cgroups, &err) != FW_OK) {
		print_message("skipped: %s\n", fw_error_message(err));
		fw_error_free(err);
		skip();
	}
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *opened = cgroups;
	assert_ok(fw_cgroup_new(cgroups, "w", &(struct fw_cgroup_limits){0}, &group, &err), err);
	struct child child = child_new();
	assert_ok(fw_cgroup_add(group, child.pid, &err), err);
	struct fixture fixture;
	struct fw_record burned, held;
	open_fixture(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.cgroup = group, .pid = child.pid, .vcpus = 1, .memory_mb = 1769});
	/* What it held before it was moved stays with the group that it came from. */
	invoke(&fixture, worker, &child, 'm', &held);
	wait_done(&fixture, 1);
	invoke(&fixture, worker, &child, 'b', &burned);
	wait_done(&fixture, 2);
	if (fw_cgroups_can(cgroups) & FW_CAN_MEMORY) {
		check_burned(&burned);
		/* The kernel sums memory up in batches of 64 pages for each CPU. */
		if (!(held.memory_peak_mb >= 30 && held.memory_peak_mb < 300))
			fail_msg("%g MiB at the peak, %g on average, of 32", held.memory_peak_mb, held.memory_average_mb);
		assert_true(held.faults_minor > 0);
	}
	fw_energy_worker_free(worker);
	close_fixture(&fixture);
	child_end(&child);
	while (fw_cgroup_remove(group, NULL) == FW_E_BUSY)
		sched_yield();
	fw_cgroup_close(group);
	fw_record_done(&burned);
	fw_record_done(&held);
}

/* Thousands of invocations that take microseconds: all are filled, CPU time is handed out once, the budget holds. */
static void a_stream_of_short_invocations_stays_within_the_budget(void **state)
{
	enum { COUNT = 4000 };
	struct child child = child_new();
	struct fixture fixture;
	struct fw_record *records = fw_alloc_array(COUNT, sizeof *records);
	struct fw_energy_cost cost;
	uint64_t start;
	double elapsed_ns;

	(void)state;
	open_fixture(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 128});
	start = fw_monotonic_ns();
	for (size_t i = 0; i < COUNT; i++)
		invoke(&fixture, worker, &child, 'n', &records[i]);
	elapsed_ns = (double)(fw_monotonic_ns() - start);
	fw_energy_cost(fixture.manager, &cost);
	wait_done(&fixture, COUNT);
	assert_int_equal(cost.invocations, COUNT);
	/* What was saved at the start and the last reading, which may overdraw, come on top. */
	assert_true((double)cost.reading_ns < 0.005 * elapsed_ns + 4e6 + 2e6);
	assert_true(cost.reading_ns > 5000 * (cost.readings - 1)); /* each is charged; the first was the loop's */
	for (size_t i = 0; i < COUNT; i++) {
		assert_true(records[i].memory_peak_mb > 0);
		assert_true(records[i].cpu_percent >= 0);
		fw_record_done(&records[i]);
	}
	fw_energy_worker_free(worker);
	close_fixture(&fixture);
	child_end(&child);
	free(records);
}

static void many_workers_at_once_are_sampled_and_freed(void **state)
{
	enum { WORKERS = 8, ROUNDS = 20 };
	struct child children[WORKERS];
	struct fw_energy_worker *workers[WORKERS];
	static struct fw_record records[WORKERS * ROUNDS];
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < WORKERS; i++)
		children[i] = child_new();
	open_fixture(&fixture);
	for (size_t i = 0; i < WORKERS; i++)
		workers[i] = fw_energy_worker_new(fixture.manager,
		                                  &(struct fw_metered){.pid = children[i].pid, .vcpus = 1, .memory_mb = 128});
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < WORKERS; i++)
			invoke(&fixture, workers[i], &children[i], 'n', &records[round * WORKERS + i]);
	for (size_t i = 0; i < WORKERS; i++) /* their last records are still to be filled */
		fw_energy_worker_free(workers[i]);
	wait_done(&fixture, WORKERS * ROUNDS);
	close_fixture(&fixture);
	for (size_t i = 0; i < WORKERS; i++)
		child_end(&children[i]);
	for (size_t i = 0; i < WORKERS * ROUNDS; i++)
		fw_record_done(&records[i]);
}

static void an_invocation_of_a_killed_worker_is_filled_too(void **state)
{
	struct child child = child_new();
	struct fixture fixture;
	struct fw_record record;

	(void)state;
	open_fixture(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 128});
	fw_record_init(&record);
	fw_energy_begin(worker);
	kill(child.pid, SIGKILL);
	child_end(&child);
	record.duration_ms = 5;
	fw_energy_end(worker, &record, count_done, &fixture);
	fw_energy_worker_free(worker);
	wait_done(&fixture, 1);
	assert_true(isnan(record.cpu_percent));
	assert_string_equal(record.energy.items[0].flags, "modelled gap");
	fw_record_done(&record);
	close_fixture(&fixture);
}

static void without_a_sampler_everything_happens_at_the_end(void **state)
{
	struct child child = child_new();
	struct fixture fixture = {.wanted = 99};
	struct fw_record record;
	struct fw_energy_options options = {.context = {&root, &machine, catalogue}, .no_sampler = true};
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_energy_manager_new(&options, &fixture.manager, &err), err);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 128});
	invoke(&fixture, worker, &child, 'b', &record);
	assert_int_equal(fixture.done, 1);
	check_burned(&record);
	fw_record_done(&record);
	fw_energy_worker_free(worker);
	fw_energy_manager_free(fixture.manager);
	child_end(&child);
}

static void a_monitor_that_does_not_work_leaves_the_others(void **state)
{
	struct fw_energy_manager *manager = NULL;
	struct fw_energy_options options = {.context = {&root, &machine, NULL}, .no_sampler = true};
	const struct fw_monitor_report *reports;
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_energy_manager_new(&options, &manager, &err), err);
	assert_int_equal(fw_energy_manager_monitors(manager, &reports), 3);
	assert_true(reports[0].works);
	assert_false(reports[1].works);
	assert_string_equal(reports[1].detail, "the model needs the table of processors");
	fw_energy_manager_free(manager);
}

static void gives_at_least_fifty_metrics_with_units(void **state)
{
	static const char *const needed[] = {
		"cpu_percent", "cpu0_percent", "load_1m", "memory_total_bytes", "swap_used_bytes", "tree_memory_uss_bytes",
		"tree_memory_pss_bytes", "tree_memory_virtual_bytes", "tree_cpu_percent", "disk_read_bytes",
		"network_sent_bytes", "temperature_c_max", "frequency_mhz_mean", "cpu_brand", "cpu_cores_logical",
	};
	struct fw_energy_manager *manager = NULL;
	struct fw_energy_options options = {.context = {&root, &machine, catalogue}, .no_sampler = true};
	struct fw_error *err = NULL;
	const char *name;
	json_t *metric;

	(void)state;
	assert_ok(fw_energy_manager_new(&options, &manager, &err), err);
	burn_30_ms();
	fw_cleanup_json json_t *metrics = fw_energy_manager_metrics(manager);
	assert_true(json_object_size(metrics) >= 50);
	json_object_foreach(metrics, name, metric)
		if (!json_is_string(json_object_get(metric, "unit")) || !json_object_get(metric, "value"))
			fail_msg("%s has no unit or value", name);
	for (size_t i = 0; i < FW_COUNT_OF(needed); i++)
		if (!json_object_get(metrics, needed[i]))
			fail_msg("no metric %s", needed[i]);
	assert_true(json_real_value(json_object_get(json_object_get(metrics, "tree_cpu_percent"), "value")) > 1);
	assert_true(json_integer_value(json_object_get(json_object_get(metrics, "tree_memory_uss_bytes"), "value")) > 1 << 16);
	fw_energy_manager_free(manager);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FW_TEST_MAP(measures_a_process_without_a_control_group, measures_a_control_group,
		            a_stream_of_short_invocations_stays_within_the_budget, many_workers_at_once_are_sampled_and_freed,
		            an_invocation_of_a_killed_worker_is_filled_too, without_a_sampler_everything_happens_at_the_end,
		            a_monitor_that_does_not_work_leaves_the_others, gives_at_least_fifty_metrics_with_units)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
