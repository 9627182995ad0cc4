/* SPDX-License-Identifier: Apache-2.0
 *
 * The manager with real processes on this machine: without a control group (everywhere) and in one (skipped where none
 * can be made). The same tests run under the thread sanitizer.
 */
#include <math.h>
#include <string.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "tests/unit/energy_support.h"

static struct fw_cgroups *cgroups;

static int tear_down(void **state)
{
	end_groups(cgroups);
	return energy_tear_down(state);
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
	/* Those that work on this machine. */
	assert_true(strncmp(record->method_version, "system/1 ", strlen("system/1 ")) == 0);
	assert_non_null(strstr(record->method_version, "model/1 tdp/1"));
}

static void measures_a_process_without_a_control_group(void **state)
{
	struct child child = child_new();
	struct fixture fixture;
	struct fw_record burned, held;

	(void)state;
	fixture_open(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 1769});
	fixture_invoke(&fixture, worker, &child, 'b', &burned);
	fixture_wait(&fixture, 1);
	fixture_invoke(&fixture, worker, &child, 'm', &held);
	fixture_wait(&fixture, 2);
	check_burned(&burned);
	assert_true(held.memory_peak_mb >= 32);
	assert_true(held.memory_peak_mb < 200);
	assert_true(held.faults_minor > 0);
	fw_energy_worker_free(worker);
	fw_record_done(&burned);
	fw_record_done(&held);
	fixture_close(&fixture);
	child_end(&child);
}

static void measures_a_control_group(void **state)
{
	struct fw_cgroup *group = NULL;
	struct fw_error *err = NULL;
	char parent[64];

	(void)state;
	snprintf(parent, sizeof parent, "flexwatt-test-%d", getpid());
	if (fw_cgroups_open(&world.root, parent, &cgroups, &err) != FW_OK) {
		print_message("skipped: %s\n", fw_error_message(err));
		fw_error_free(err);
		skip();
	}
	assert_ok(fw_cgroup_new(cgroups, "w", &(struct fw_cgroup_limits){0}, &group, &err), err);
	struct child child = child_new();
	assert_ok(fw_cgroup_add(group, child.pid, &err), err);
	struct fixture fixture;
	struct fw_record burned, held;
	fixture_open(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.cgroup = group, .pid = child.pid, .vcpus = 1, .memory_mb = 1769});
	/* What it held before it was moved stays with the group that it came from. */
	fixture_invoke(&fixture, worker, &child, 'm', &held);
	fixture_wait(&fixture, 1);
	fixture_invoke(&fixture, worker, &child, 'b', &burned);
	fixture_wait(&fixture, 2);
	if (fw_cgroups_can(cgroups) & FW_CAN_MEMORY) {
		check_burned(&burned);
		/* The kernel sums memory up in batches of 64 pages for each CPU. */
		if (!(held.memory_peak_mb >= 30 && held.memory_peak_mb < 300))
			fail_msg("%g MiB at the peak, %g on average, of 32", held.memory_peak_mb, held.memory_average_mb);
		assert_true(held.faults_minor > 0);
	}
	if (strstr(burned.method_version, "ebpf/") && fw_cgroups_can(cgroups) & FW_CAN_IDENTITY) {
		assert_int_equal(burned.network_sent_bytes, 0); /* known, and none */
		assert_int_equal(burned.network_received_bytes, 0);
	}
	fw_energy_worker_free(worker);
	fixture_close(&fixture);
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
	fixture_open(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 128});
	start = fw_monotonic_ns();
	for (size_t i = 0; i < COUNT; i++)
		fixture_invoke(&fixture, worker, &child, 'n', &records[i]);
	elapsed_ns = (double)(fw_monotonic_ns() - start);
	fw_energy_cost(fixture.manager, &cost);
	fixture_wait(&fixture, COUNT);
	assert_int_equal(cost.invocations, COUNT);
	/* What was saved at the start and the last reading of each thread, which may overdraw, come on top. */
	if (!((double)cost.metering_ns < 0.005 * elapsed_ns + 10e6 + 2 * (double)cost.metering_ns / (double)cost.readings + 2e6))
		fail_msg("%.3f ms for %llu readings and %llu samples in %.3f ms", (double)cost.metering_ns / 1e6,
		         (unsigned long long)cost.readings, (unsigned long long)cost.samples, elapsed_ns / 1e6);
	assert_true(cost.metering_ns > 5000 * cost.readings); /* each is charged */
	/* The sampler wakes for its ticks alone, however many end. */
	assert_true((double)cost.wake_ups <= elapsed_ns / 1e9 * FIXTURE_HZ + 1);
	for (size_t i = 0; i < COUNT; i++) {
		assert_true(records[i].memory_peak_mb > 0 || fw_record_has_flag(records[i].flags, "memory_unsampled"));
		assert_false(records[i].memory_peak_high_mb <= 0);
		assert_true(records[i].cpu_percent >= 0);
		fw_record_done(&records[i]);
	}
	fw_energy_worker_free(worker);
	fixture_close(&fixture);
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
	fixture_open(&fixture);
	for (size_t i = 0; i < WORKERS; i++)
		workers[i] = fw_energy_worker_new(fixture.manager,
		                                  &(struct fw_metered){.pid = children[i].pid, .vcpus = 1, .memory_mb = 128});
	for (size_t round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < WORKERS; i++)
			fixture_invoke(&fixture, workers[i], &children[i], 'n', &records[round * WORKERS + i]);
	for (size_t i = 0; i < WORKERS; i++) /* their last records are still to be filled */
		fw_energy_worker_free(workers[i]);
	fixture_wait(&fixture, WORKERS * ROUNDS);
	fixture_close(&fixture);
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
	fixture_open(&fixture);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 128});
	fw_record_init(&record);
	fw_energy_begin(worker);
	kill(child.pid, SIGKILL);
	child_end(&child);
	record.duration_ms = 5;
	fw_energy_end(worker, false, &record, fixture_count, &fixture);
	fw_energy_worker_free(worker);
	fixture_wait(&fixture, 1);
	assert_true(isnan(record.cpu_percent));
	assert_string_equal(record.energy.items[0].flags, "modelled gap");
	fw_record_done(&record);
	fixture_close(&fixture);
}

static void without_a_sampler_everything_happens_at_the_end(void **state)
{
	struct child child = child_new();
	struct fixture fixture = {.wanted = 99};
	struct fw_record record;
	struct fw_energy_options options = {.context = {&world.root, &world.machine, world.catalogue}, .no_sampler = true};
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_energy_manager_new(&options, &fixture.manager, &err), err);
	struct fw_energy_worker *worker = fw_energy_worker_new(
		fixture.manager, &(struct fw_metered){.pid = child.pid, .vcpus = 1, .memory_mb = 128});
	fixture_invoke(&fixture, worker, &child, 'b', &record);
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
	struct fw_energy_options options = {.context = {&world.root, &world.machine, NULL}, .no_sampler = true};
	const struct fw_monitor_report *reports;
	struct fw_error *err = NULL;
	bool seen = false;

	(void)state;
	assert_ok(fw_energy_manager_new(&options, &manager, &err), err);
	size_t count = fw_energy_manager_monitors(manager, &reports);
	assert_true(count >= 3);
	assert_true(reports[0].works);
	for (size_t i = 0; i < count; i++)
		if (strcmp(reports[i].ops->name, "model") == 0) {
			assert_false(reports[i].works);
			assert_string_equal(reports[i].detail, "the model needs the table of processors");
			seen = true;
		}
	assert_true(seen);
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
	struct fw_energy_options options = {.context = {&world.root, &world.machine, world.catalogue}, .no_sampler = true};
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

	return cmocka_run_group_tests(tests, energy_set_up, tear_down);
}
