/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/attribution.h"
#include "energy/units.h"
#include "tests/unit/counter_world.h"

static void file(struct world *world, const char *path, const char *text)
{
	char whole[160];

	snprintf(whole, sizeof whole, "sys/class/hwmon/%s", path);
	tree_write(&world->tree, whole, text);
}

/* Ampere Altra: two sensors of power, none of energy. */
static void altra(struct world *world)
{
	world_init(world);
	file(world, "hwmon0/name", "nvme\n");
	file(world, "hwmon1/name", "apm_xgene\n");
	file(world, "hwmon1/temp1_input", "40000\n");
	file(world, "hwmon1/power1_label", "CPU power\n");
	file(world, "hwmon1/power1_input", "100000000\n");
	file(world, "hwmon1/power2_label", "IO power\n");
	file(world, "hwmon1/power2_input", "30000000\n");
}

static void mistake_20_watts_become_energy_only_over_time(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	altra(&world);
	world_open(&world, &fw_monitor_hwmon);
	assert_int_equal(world.count, 2);
	world_read(&world);
	assert_near(world_total_j(&world), 0, 0);
	struct fw_domain_reading first = *world_reading(&world, "apm_xgene CPU power");
	world_pass_ms(&world, 30);
	file(&world, "hwmon1/power1_input", "140000000\n"); /* as a counter of µJ this would be 40 J */
	world_read(&world);
	const struct fw_domain_reading *second = world_reading(&world, "apm_xgene CPU power");
	double seconds = (double)(second->before_ns - first.before_ns + second->after_ns - first.after_ns) / 2e9;
	assert_true(seconds >= 0.03);
	assert_near(second->joules, 120 * seconds, 1e-9);
	world_says(&world, "apm_xgene CPU power: package, from power");
	/* one type for each unit: a compiler refuses one for the other */
	_Static_assert(!__builtin_types_compatible_p(struct fw_microwatts, struct fw_microjoules), "power is no energy");
	_Static_assert(!__builtin_types_compatible_p(struct fw_millijoules, struct fw_microjoules), "units differ");
	assert_near(fw_joules_of_milli((struct fw_millijoules){1500}), fw_joules_of_micro((struct fw_microjoules){1500000}), 1e-12);
	assert_near(fw_watts_of_milli((struct fw_milliwatts){1500}), fw_watts_of_micro((struct fw_microwatts){1500000}), 1e-12);
}

static void power_that_was_used_before_the_first_reading_is_not_booked(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	altra(&world);
	world_open(&world, &fw_monitor_hwmon);
	world_read(&world);
	for (size_t i = 0; i < world.count; i++)
		assert_near(world.readings[i].joules, 0, 0);
}

static void counters_are_taken_before_power_and_means_before_moments(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	file(&world, "hwmon4/name", "i915\n");
	file(&world, "hwmon4/energy1_input", "7000000\n");
	file(&world, "hwmon4/power1_input", "70000000\n");
	file(&world, "hwmon5/name", "i915\n");
	file(&world, "hwmon5/energy1_input", "9000000\n");
	file(&world, "hwmon6/name", "amdgpu\n");
	file(&world, "hwmon6/power1_label", "PPT\n");
	file(&world, "hwmon6/power1_input", "20000000\n");
	file(&world, "hwmon6/power1_average", "10000000\n");
	world_open(&world, &fw_monitor_hwmon);
	assert_int_equal(world.count, 3);
	assert_int_equal(world_domain(&world, "i915")->gpu, 0);
	assert_int_equal(world_domain(&world, "i915 #2")->gpu, 1);
	assert_int_equal(world_domain(&world, "amdgpu PPT")->gpu, 2);
	assert_false(world_domain(&world, "amdgpu PPT")->is_root); /* it may be inside a package */
	world_read(&world);
	assert_int_equal(world_reading(&world, "amdgpu PPT")->raw, 10000000);
	file(&world, "hwmon4/energy1_input", "9500000\n");
	world_read(&world);
	assert_near(world_reading(&world, "i915")->joules, 2.5, 1e-9);
	world_says(&world, "i915: gpu, a counter");
}

static void grace_meters_count_the_socket_once(void **state)
{
	static const char *const meters[] = {"Module Power Socket 1", "Grace Power Socket 1", "CPU Power Socket 1",
	                                     "SysIO Power Socket 1"};
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	for (unsigned i = 0; i < 4; i++) {
		char path[64], text[64];

		snprintf(path, sizeof path, "hwmon%u/name", i + 1);
		file(&world, path, "power_meter\n");
		snprintf(path, sizeof path, "hwmon%u/device/power1_oem_info", i + 1);
		snprintf(text, sizeof text, "%s\n", meters[i]);
		file(&world, path, text);
		snprintf(path, sizeof path, "hwmon%u/device/power1_average", i + 1);
		file(&world, path, "100000000\n");
		snprintf(path, sizeof path, "hwmon%u/device/power1_average_interval", i + 1);
		file(&world, path, "50\n");
	}
	world_open(&world, &fw_monitor_hwmon);
	assert_int_equal(world.count, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(world.domains[i].is_root, world.domains[i].kind == FW_DOMAIN_PACKAGE);
	assert_int_equal(world_domain(&world, "power_meter Grace Power Socket 1")->package, 1);
	assert_int_equal(world_domain(&world, "power_meter Module Power Socket 1")->kind, FW_DOMAIN_PSYS);
	assert_near(world_domain(&world, "power_meter Grace Power Socket 1")->update_s, 0.05, 1e-12);
}

static void single_cores_and_unknown_sensors_are_never_added(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	file(&world, "hwmon0/name", "altra_hwmon\n");
	file(&world, "hwmon0/energy1_label", "Core Energy 000\n");
	file(&world, "hwmon0/energy1_input", "230120000\n");
	file(&world, "hwmon0/energy2_label", "Core Energy 001\n");
	file(&world, "hwmon0/energy2_input", "186070000\n");
	file(&world, "hwmon1/name", "corsairpsu\n");
	file(&world, "hwmon1/power1_label", "power total\n");
	file(&world, "hwmon1/power1_input", "230000000\n");
	file(&world, "hwmonx/name", "apm_xgene\n");
	world_open(&world, &fw_monitor_hwmon);
	assert_int_equal(world.count, 1);
	assert_int_equal(world.domains[0].kind, FW_DOMAIN_OTHER);
	assert_false(world.domains[0].is_root);
	world_says(&world, "without 2 counters of single cores");
}

static void a_sensor_that_fails_leaves_a_hole(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	altra(&world);
	file(&world, "hwmon2/name", "i915\n");
	file(&world, "hwmon2/energy1_input", "7000000\n");
	world_open(&world, &fw_monitor_hwmon);
	world_read(&world);
	world_break(&world, "sys/class/hwmon/hwmon1/power1_input");
	file(&world, "hwmon2/energy1_input", "70x0000\n");
	world_read(&world);
	assert_true(isnan(world_reading(&world, "apm_xgene CPU power")->joules));
	assert_true(world_reading(&world, "apm_xgene CPU power")->flags & FW_DOMAIN_GAP);
	assert_true(isnan(world_reading(&world, "i915")->joules));
	assert_true(world_reading(&world, "apm_xgene IO power")->joules >= 0);
	file(&world, "hwmon2/energy1_input", "8000000\n");
	world_read(&world);
	assert_near(world_reading(&world, "i915")->joules, 1, 1e-9);
}

static void a_mean_is_not_asked_for_more_often_than_it_is_made(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	file(&world, "hwmon0/name", "power_meter\n");
	file(&world, "hwmon0/power1_oem_info", "Grace Power Socket 0\n");
	file(&world, "hwmon0/power1_average", "100000000\n");
	file(&world, "hwmon0/power1_average_interval", "600000\n");
	world_open(&world, &fw_monitor_hwmon);
	world_read(&world);
	struct fw_domain_reading first = world.readings[0];
	file(&world, "hwmon0/power1_average", "300000000\n");
	world_pass_ms(&world, 5);
	world_read(&world);
	assert_int_equal(world.readings[0].raw, 100000000);
	double seconds = (double)(world.readings[0].before_ns - first.before_ns + world.readings[0].after_ns - first.after_ns) / 2e9;
	assert_near(world.readings[0].joules, 100 * seconds, 1e-9); /* it goes on all the same */
	assert_true(seconds >= 0.005);
}

/* All counters keep the pace of the slowest that counts: one that is told every ten minutes would hold up every record. */
static void a_mean_of_minutes_is_shown_and_never_waited_for(void **state)
{
	fw_cleanup_world struct world world;
	struct fw_attribution_machine machine = {.packages = 1, .physical = {-1}, .cpus = {4}, .memory_bytes = 1e9};

	(void)state;
	world_init(&world);
	file(&world, "hwmon0/name", "power_meter\n");
	file(&world, "hwmon0/power1_oem_info", "Grace Power Socket 0\n");
	file(&world, "hwmon0/power1_average", "100000000\n");
	file(&world, "hwmon0/power1_average_interval", "600000\n");
	file(&world, "hwmon1/name", "power_meter\n");
	file(&world, "hwmon1/power1_oem_info", "Grace Power Socket 1\n");
	file(&world, "hwmon1/power1_average", "100000000\n");
	file(&world, "hwmon1/power1_average_interval", "50\n");
	world_open(&world, &fw_monitor_hwmon);
	assert_false(world_domain(&world, "power_meter Grace Power Socket 0")->is_root);
	assert_true(world_domain(&world, "power_meter Grace Power Socket 1")->is_root);
	world_says(&world, "Grace Power Socket 0: package, from power (not added: told anew every 600 s only)");
	FW_CLEANUP(fw_attribution_free) struct fw_attribution *attribution = fw_attribution_new(&machine, world.domains, world.count);

	world_read(&world);
	fw_attribution_tick(attribution, world.readings, &(struct fw_work_now){.at_ns = 1});
	assert_true(fw_attribution_due_ns(attribution) <= world.readings[0].after_ns + FW_NS_PER_S);
}

static void refused_sensors_say_who_may_read_them(void **state)
{
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	(void)state;
	altra(&world);
	assert_int_equal(fchmod(world.tree.fd, 0755), 0);
	assert_int_equal(fchmodat(world.tree.fd, "sys/class/hwmon/hwmon1/power1_input", 0, 0), 0);
	assert_int_equal(fchmodat(world.tree.fd, "sys/class/hwmon/hwmon1/power2_input", 0, 0), 0);
	bool root = geteuid() == 0;
	if (root)
		assert_int_equal(seteuid(65534), 0);
	int rc = world_try_open(&world, &fw_monitor_hwmon, &err);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_string_equal(fw_error_message(err), "2 sensors of power or energy may not be read");
	assert_error_is(rc, &err, FW_E_PERMISSION, "run as root, or chmod a+r");
}

static void a_machine_without_sensors_says_so(void **state)
{
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	(void)state;
	world_init(&world);
	assert_error_is(world_try_open(&world, &fw_monitor_hwmon, &err), &err, FW_E_ABSENT, "virtual machines");
	file(&world, "hwmon0/name", "coretemp\n");
	file(&world, "hwmon0/temp1_input", "40000\n");
	assert_error_is(world_try_open(&world, &fw_monitor_hwmon, &err), &err, FW_E_ABSENT, "no sensor of hwmon tells");
}

FW_TESTS(mistake_20_watts_become_energy_only_over_time, power_that_was_used_before_the_first_reading_is_not_booked,
         counters_are_taken_before_power_and_means_before_moments, grace_meters_count_the_socket_once,
         single_cores_and_unknown_sensors_are_never_added, a_sensor_that_fails_leaves_a_hole,
         a_mean_is_not_asked_for_more_often_than_it_is_made, a_mean_of_minutes_is_shown_and_never_waited_for, refused_sensors_say_who_may_read_them,
         a_machine_without_sensors_says_so)
