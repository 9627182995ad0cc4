/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "energy/monitor.h"
#include "energy/reading.h"
#include "energy/sensors.h"
#include "tests/unit/energy_support.h"

/* 2 vCPUs of an EPYC 7R13 and 2 GB for 10 s. */
static void attribute(const struct fw_monitor_ops *ops, double cpu_s, struct fw_record *record)
{
	static struct fw_machine milan;
	static const struct fw_metered worker = {.vcpus = 2, .memory_mb = 2048};
	struct fw_monitor_context context = {&world.root, &milan, world.catalogue};
	struct fw_interval interval = {.worker = &worker, .duration_s = 10, .cpu_s = cpu_s, .memory_peak_mb = NAN,
	                               .memory_average_mb = NAN};
	struct fw_monitor *monitor = NULL;
	struct fw_error *err = NULL;

	milan = world.machine;
	strcpy(milan.cpu_model, "AMD EPYC 7R13 48-Core Processor");
	milan.threads = 96;
	fw_record_init(record);
	assert_ok(ops->open(&context, &monitor, &err), err);
	ops->attribute(monitor, &interval, record);
	ops->close(monitor);
}

static const struct fw_energy *figure(const struct fw_record *record, const char *domain)
{
	for (size_t i = 0; i < record->energy.count; i++)
		if (strcmp(record->energy.items[i].domain, domain) == 0)
			return &record->energy.items[i];
	fail_msg("no energy of %s", domain);
	return NULL;
}

static void the_model_charges_vcpus_by_their_use(void **state)
{
	struct fw_processor p;
	struct fw_record record;

	(void)state;
	fw_catalogue_processor(world.catalogue, "AMD EPYC 7R13 48-Core Processor", NULL, -1, -1, &p);
	attribute(&fw_monitor_model, 5, &record); /* u = 5 / (10 x 2) */
	const struct fw_energy *cpu = figure(&record, "package"), *memory = figure(&record, "dram");
	assert_near(cpu->joules, 20 * (p.mid_w_per_vcpu_min + 0.25 * (p.mid_w_per_vcpu_max - p.mid_w_per_vcpu_min)), 1e-9);
	assert_near(cpu->low, 20 * (p.low_w_per_vcpu_min + 0.25 * (p.low_w_per_vcpu_max - p.low_w_per_vcpu_min)), 1e-9);
	assert_near(cpu->high, 20 * (p.high_w_per_vcpu_min + 0.25 * (p.high_w_per_vcpu_max - p.high_w_per_vcpu_min)), 1e-9);
	assert_near(cpu->dynamic_j + cpu->idle_j, cpu->joules, 1e-12);
	assert_string_equal(cpu->source, "model");
	assert_string_equal(cpu->method, "model/1");
	assert_string_equal(cpu->flags, "modelled ok");
	assert_near(memory->joules, 20 * 0.284, 1e-9);
	assert_near(memory->low, 20 * 0.048, 1e-9);
	assert_near(memory->high, 20 * 0.392, 1e-9);
	fw_record_done(&record);
}

static void the_model_never_exceeds_full_use(void **state)
{
	struct fw_processor p;
	struct fw_record record;

	(void)state;
	fw_catalogue_processor(world.catalogue, "AMD EPYC 7R13 48-Core Processor", NULL, -1, -1, &p);
	attribute(&fw_monitor_model, 35, &record);
	assert_near(figure(&record, "package")->joules, 20 * p.mid_w_per_vcpu_max, 1e-9);
	/* never a socket's watts for two vCPUs */
	assert_true(figure(&record, "package")->high < 10 * p.tdp_w / 10);
	fw_record_done(&record);
}

static void mistake_34_the_model_never_falls_below_idle(void **state)
{
	struct fw_processor p;
	double last = 0;

	(void)state;
	fw_catalogue_processor(world.catalogue, "AMD EPYC 7R13 48-Core Processor", NULL, -1, -1, &p);
	for (unsigned percent = 0; percent <= 100; percent++) {
		struct fw_record record;

		attribute(&fw_monitor_model, 20.0 * percent / 100, &record);
		const struct fw_energy *cpu = figure(&record, "package");
		assert_true(cpu->low > 0 && cpu->low <= cpu->joules && cpu->joules <= cpu->high);
		assert_true(cpu->joules >= 20 * p.mid_w_per_vcpu_min && cpu->joules >= last && cpu->dynamic_j >= 0);
		last = cpu->joules;
		fw_record_done(&record);
	}
}

static void an_unknown_cpu_time_widens_the_interval_and_is_flagged(void **state)
{
	struct fw_processor p;
	struct fw_record record;

	(void)state;
	fw_catalogue_processor(world.catalogue, "AMD EPYC 7R13 48-Core Processor", NULL, -1, -1, &p);
	attribute(&fw_monitor_model, NAN, &record);
	const struct fw_energy *cpu = figure(&record, "package");
	assert_string_equal(cpu->flags, "modelled gap");
	assert_near(cpu->low, 20 * p.low_w_per_vcpu_min, 1e-9);
	assert_near(cpu->joules, 20 * (p.mid_w_per_vcpu_min + p.mid_w_per_vcpu_max) / 2, 1e-9);
	assert_near(cpu->high, 20 * p.high_w_per_vcpu_max, 1e-9);
	fw_record_done(&record);
}

static void tdp_stands_apart_and_has_no_interval(void **state)
{
	struct fw_record record;
	struct fw_energy_sum sum;

	(void)state;
	attribute(&fw_monitor_tdp, 5, &record);
	const struct fw_energy *cpu = figure(&record, "package");
	assert_near(cpu->joules, 225 * 5 / 96.0, 1e-9);
	assert_true(isnan(cpu->low) && isnan(cpu->high));
	assert_true(fw_record_has_flag(cpu->flags, "modelled"));
	assert_false(fw_energy_best(&record, &sum));
	fw_record_done(&record);
	attribute(&fw_monitor_tdp, NAN, &record);
	assert_int_equal(record.energy.count, 0);
	fw_record_done(&record);
}

static struct fw_reading reading(int64_t base)
{
	return (struct fw_reading){
		.before_ns = (uint64_t)base, .after_ns = (uint64_t)base,
		.stat = {base * 2, base, base * 3, base, 1 << 20, 3 << 20, 0, 1, 0, base, base, base, base, base, base, base},
		.memory_high_bytes = 2 << 20, .switches_voluntary = base, .switches_involuntary = -1};
}

static void the_system_monitor_fills_resources(void **state)
{
	struct fw_monitor_context context = {&world.root, &world.machine, world.catalogue};
	struct fw_interval interval = {.duration_s = 0.01, .cpu_s = 0.003, .begin = reading(1000000), .end = reading(2000000),
	                               .memory_peak_mb = 1.5, .memory_average_mb = 1.25};
	struct fw_monitor *monitor = NULL;
	struct fw_record record;
	struct fw_error *err = NULL;

	(void)state;
	fw_record_init(&record);
	assert_ok(fw_monitor_system.open(&context, &monitor, &err), err);
	fw_monitor_system.attribute(monitor, &interval, &record);
	fw_monitor_system.close(monitor);
	assert_near(record.cpu_user_ms, 2, 1e-9);
	assert_near(record.cpu_system_ms, 1, 1e-9);
	assert_near(record.cpu_percent, 30, 1e-9);
	assert_near(record.memory_peak_mb, 1.5, 0);
	assert_near(record.memory_average_mb, 1.25, 0);
	assert_near(record.memory_peak_high_mb, 2, 0); /* the lesser of 3 and 2 */
	assert_int_equal(record.faults_minor, 1000000);
	assert_int_equal(record.switches_voluntary, 1000000);
	assert_int_equal(record.switches_involuntary, FW_NULL_INT);
	assert_near(record.throttled_ms, 1, 1e-9);
	assert_near(record.pressure_io_ms, 1000, 1e-9);
	assert_int_equal(record.energy.count, 0);
	fw_record_done(&record);
}

static void no_time_in_the_kernel_is_zero_and_no_rest_of_a_subtraction(void **state)
{
	struct fw_monitor_context context = {&world.root, &world.machine, world.catalogue};
	struct fw_interval interval = {.duration_s = 1, .cpu_s = 8597000 / 1e9, .begin = reading(1000), .end = reading(2000)};
	struct fw_monitor *monitor = NULL;
	struct fw_record record;
	struct fw_error *err = NULL;
	(void)state;

	interval.begin.stat.cpu_user_ns = 0;
	interval.end.stat.cpu_user_ns = 8597000;
	fw_record_init(&record);
	assert_ok(fw_monitor_system.open(&context, &monitor, &err), err);
	fw_monitor_system.attribute(monitor, &interval, &record);
	fw_monitor_system.close(monitor);
	assert_true(record.cpu_system_ms == 0);
	fw_record_done(&record);
}

static void switches_are_null_when_a_child_took_its_count_along(void **state)
{
	struct fw_monitor_context context = {&world.root, &world.machine, world.catalogue};
	struct fw_interval interval = {.duration_s = 1, .cpu_s = NAN, .begin = reading(1000), .end = reading(2000),
	                               .memory_peak_mb = NAN, .memory_average_mb = NAN};
	struct fw_monitor *monitor = NULL;
	struct fw_record record;

	(void)state;
	fw_record_init(&record);
	interval.end.ended_faults = interval.begin.ended_faults + 9;
	assert_int_equal(fw_monitor_system.open(&context, &monitor, NULL), FW_OK);
	fw_monitor_system.attribute(monitor, &interval, &record);
	fw_monitor_system.close(monitor);
	assert_int_equal(record.switches_voluntary, FW_NULL_INT);
	assert_int_equal(record.faults_minor, 1000); /* the group's or the parent's: they are kept */
	assert_true(fw_record_has_flag(record.flags, "memory_unsampled"));
	fw_record_done(&record);
}

static void a_counter_that_went_back_is_null(void **state)
{
	struct fw_monitor_context context = {&world.root, &world.machine, world.catalogue};
	struct fw_interval interval = {.duration_s = 1, .cpu_s = NAN, .begin = reading(9000), .end = reading(5000),
	                               .memory_peak_mb = 2.5, .memory_average_mb = NAN};
	struct fw_monitor *monitor = NULL;
	struct fw_record record;

	(void)state;
	fw_record_init(&record);
	assert_int_equal(fw_monitor_system.open(&context, &monitor, NULL), FW_OK);
	fw_monitor_system.attribute(monitor, &interval, &record);
	fw_monitor_system.close(monitor);
	assert_true(isnan(record.cpu_user_ms) && isnan(record.cpu_percent));
	assert_int_equal(record.disk_read_bytes, FW_NULL_INT);
	assert_true(fw_record_has_flag(record.flags, "throttled_unknown"));
	assert_near(record.memory_peak_high_mb, 2.5, 0); /* a bound is never below what was seen */
	fw_record_done(&record);
}

#define STATUS                                                                                                     \
	"VmHWM:\t 30 kB\nRssAnon:\t 10 kB\nRssShmem:\t 2 kB\nVmPTE:\t 4 kB\nThreads:\t1\nvoluntary_ctxt_switches:\t5\n" \
	"nonvoluntary_ctxt_switches:\t6\n"

static void without_a_group_the_process_tree_is_added_up(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/7/task/7/children", "8 ", "proc/7/stat",
	            "7 (a) S 1 7 7 -1 -1 0 100 0 1 0 10 5 0 0 20 0 1 0 50 1 1\n", "proc/8/stat",
	            "8 (b) S 7 7 7 -1 -1 0 200 0 2 0 20 10 0 0 20 0 1 0 50 1 1\n", "proc/7/status", STATUS, "proc/8/status",
	            STATUS, "proc/7/io", "read_bytes: 4096\nwrite_bytes: 1\n", "proc/8/io",
	            "read_bytes: 4096\nwrite_bytes: 2\n", NULL);
	struct fw_root fixture = {tree.fd};
	struct fw_reading_source source = {&fixture, false};
	struct fw_metered worker = {.pid = 7};
	struct fw_reading now;

	(void)state;
	fw_reading_take(&source, &worker, &now);
	assert_int_equal(now.stat.cpu_total_ns, 450000000);
	assert_int_equal(now.stat.cpu_user_ns, 300000000);
	assert_int_equal(now.stat.faults_minor, 300);
	assert_int_equal(now.stat.memory_bytes, 32 * 1024);
	assert_int_equal(now.memory_high_bytes, (60 + 12) * 1024);
	assert_int_equal(now.switches_voluntary, 10);
	assert_int_equal(now.ended_faults, 0);
	assert_int_equal(now.stat.io_written_bytes, 3);
	assert_int_equal(fw_reading_memory(&source, &worker), 32 * 1024);
	/* A child that has ended takes its high-water mark along. */
	tree_write(&tree, "proc/7/stat", "7 (a) S 1 7 7 -1 -1 0 100 9 1 0 10 5 3 1 20 0 1 0 50 1 1\n");
	fw_reading_take(&source, &worker, &now);
	assert_int_equal(now.memory_high_bytes, -1);
	assert_int_equal(now.ended_faults, 9);
	assert_int_equal(now.stat.cpu_total_ns, 490000000);
	/* Of several threads the kernel tells the first one's switches alone. */
	tree_write(&tree, "proc/8/status", "VmHWM:\t 30 kB\nThreads:\t2\nvoluntary_ctxt_switches:\t5\n");
	fw_reading_take(&source, &worker, &now);
	assert_int_equal(now.switches_voluntary, -1);
	fw_reading_take_cpu(&source, &worker, &now);
	assert_int_equal(now.stat.cpu_total_ns, 490000000);
	assert_int_equal(now.stat.memory_bytes, -1);
}

/* 10 ms each, the first one the parent of all. */
static struct tree tree_of_processes(int count)
{
	struct tree tree = tree_of("proc/", "", NULL);
	fw_cleanup_buffer struct fw_buffer children;

	fw_buffer_init(&children, 1 << 16);
	for (int pid = 7; pid < 7 + count; pid++) {
		char path[64], text[128];

		snprintf(path, sizeof path, "proc/%d/stat", pid);
		snprintf(text, sizeof text, "%d (a) S 1 7 7 -1 -1 0 100 0 1 0 1 0 0 0 20 0 1 0 50 1 1\n", pid);
		tree_write(&tree, path, text);
		snprintf(path, sizeof path, "proc/%d/status", pid);
		tree_write(&tree, path, STATUS);
		if (pid > 7)
			fw_buffer_printf(&children, "%d ", pid);
	}
	fw_buffer_text(&children, ""); /* ends it */
	tree_write(&tree, "proc/7/task/7/children", children.data ? children.data : "");
	return tree;
}

static void a_large_tree_is_told_whole_or_not_at_all(void **state)
{
	static const struct {
		int count;
		bool has_memory, has_cpu;
	} trees[] = {{64, true, true}, {65, false, true}, {1024, false, true}, {1025, false, false}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(trees); i++) {
		fw_cleanup_tree struct tree tree = tree_of_processes(trees[i].count);
		struct fw_root fixture = {tree.fd};
		struct fw_reading_source source = {&fixture, false};
		struct fw_metered worker = {.pid = 7};
		int64_t cpu_ns = trees[i].has_cpu ? trees[i].count * 10000000LL : -1;
		int64_t bytes = trees[i].has_memory ? trees[i].count * 16 * 1024LL : -1;
		struct fw_reading now;

		fw_reading_take_cpu(&source, &worker, &now);
		assert_int_equal(now.stat.cpu_total_ns, cpu_ns);
		fw_reading_take(&source, &worker, &now);
		assert_int_equal(now.stat.cpu_total_ns, cpu_ns);
		assert_int_equal(now.stat.memory_bytes, bytes);
		assert_int_equal(fw_reading_memory(&source, &worker), bytes);
	}
}

static void a_worker_that_is_gone_is_unknown_not_zero(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("proc/", "", NULL);
	struct fw_root fixture = {tree.fd};
	struct fw_reading_source source = {&fixture, false};
	struct fw_metered worker = {.pid = 7};
	struct fw_reading now;

	(void)state;
	fw_reading_take_cpu(&source, &worker, &now);
	assert_int_equal(now.stat.cpu_total_ns, -1);
	assert_int_equal(fw_reading_memory(&source, &worker), -1);
}

static void sensors_give_the_range_within_the_invocation(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1000000\n",
	            "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3000000\n", "sys/class/thermal/thermal_zone0/temp",
	            "55000\n", NULL);
	struct fw_root fixture = {tree.fd};
	struct fw_machine two = {.cpu_count = 2};
	struct fw_sensors *sensors = fw_sensors_new(&fixture, &two);
	struct fw_record record;

	(void)state;
	fw_record_init(&record);
	fw_sensors_sample(sensors);
	tree_write(&tree, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2000000\n");
	fw_sensors_sample(sensors);
	fw_sensors_fill(sensors, 0, UINT64_MAX, &record);
	assert_near(record.frequency_mhz_min, 1000, 1e-6);
	assert_near(record.frequency_mhz_mean, 2250, 1e-6);
	assert_near(record.frequency_mhz_max, 3000, 1e-6);
	assert_near(record.temperature_c, 55, 1e-6);
	fw_record_done(&record);
	fw_record_init(&record);
	fw_sensors_fill(sensors, 0, 1, &record);
	assert_true(isnan(record.frequency_mhz_min) && isnan(record.temperature_c));
	fw_record_done(&record);
	fw_sensors_free(sensors);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FW_TEST_MAP(the_model_charges_vcpus_by_their_use, the_model_never_exceeds_full_use,
		            mistake_34_the_model_never_falls_below_idle,
		            an_unknown_cpu_time_widens_the_interval_and_is_flagged, tdp_stands_apart_and_has_no_interval,
		            the_system_monitor_fills_resources,
		            no_time_in_the_kernel_is_zero_and_no_rest_of_a_subtraction, switches_are_null_when_a_child_took_its_count_along,
		            a_counter_that_went_back_is_null,
		            without_a_group_the_process_tree_is_added_up, a_large_tree_is_told_whole_or_not_at_all,
		            a_worker_that_is_gone_is_unknown_not_zero,
		            sensors_give_the_range_within_the_invocation)};

	return cmocka_run_group_tests(tests, energy_set_up, energy_tear_down);
}
