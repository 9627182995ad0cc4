/* SPDX-License-Identifier: Apache-2.0
 *
 * The power PMU from a kernel that the tests play: which events it has, what they count, when they fail.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/time.h"
#include "energy/perf_power_internal.h"
#include "tests/unit/counter_world.h"
#include "tests/unit/power_kernel.h"

static int open_played(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	return fw_power_open_on(&played, context, monitor, err);
}

/* The monitor, on the played kernel. */
static const struct fw_monitor_ops *perf(void)
{
	static struct fw_monitor_ops ops;

	ops = fw_monitor_perf;
	ops.open = open_played;
	return &ops;
}

static void set(struct world *world, const char *pmu, const char *file, const char *text)
{
	fw_cleanup_free char *path = fw_printf("sys/bus/event_source/devices/%s/%s", pmu, file);

	tree_write(&world->tree, path, text);
}

static void add_event(struct world *world, const char *pmu, const char *event, unsigned code)
{
	fw_cleanup_free char *file = fw_printf("events/%s", event);
	fw_cleanup_free char *scale = fw_printf("events/%s.scale", event);
	fw_cleanup_free char *unit = fw_printf("events/%s.unit", event);
	fw_cleanup_free char *text = fw_printf("event=0x%02x\n", code);

	set(world, pmu, file, text);
	set(world, pmu, scale, "2.3283064365386962890625e-10\n");
	set(world, pmu, unit, "Joules\n");
}

static void add_pmu(struct world *world, const char *pmu, const char *type, const char *cpumask)
{
	set(world, pmu, "type", type);
	set(world, pmu, "format/event", "config:0-7\n");
	set(world, pmu, "cpumask", cpumask);
}

/* CPUs of `packages` packages in turn, as the kernel may number them, and the PMU with the package's event. */
static void begin(struct world *world, const char *cpumask, unsigned packages)
{
	memset(&kernel, 0, sizeof kernel);
	kernel.speed = 5 * STEP;
	kernel.still_cpu = UINT_MAX;
	world_init(world);
	world->machine.cpu_count = 8;
	for (unsigned cpu = 0; cpu < 8; cpu++)
		world->machine.cpus[cpu] = (struct fw_cpu_place){.package = (int16_t)(cpu % packages), .die = 0,
		                                                 .core = (int16_t)(cpu / packages), .online = true};
	add_pmu(world, "power", "15\n", cpumask);
	add_event(world, "power", "energy-pkg", PKG);
}

static size_t fd_of(uint64_t config, unsigned cpu)
{
	for (int i = kernel.count; i-- > 0;)
		if (kernel.fds[i].open && kernel.fds[i].config == config && kernel.fds[i].cpu == cpu)
			return (size_t)i;
	fail_msg("event %u of CPU %u is not open", (unsigned)config, cpu);
	return 0;
}

static void stop_all(void)
{
	for (int i = 0; i < kernel.count; i++)
		kernel.fds[i].speed = 0;
}

static void end(struct world *world)
{
	world_done(world);
	assert_int_equal(kernel.still_open, 0);
}

static void each_event_is_opened_once_for_each_cpu_of_the_mask(void **state)
{
	struct world world;

	(void)state;
	begin(&world, "0,3\n", 2);
	add_event(&world, "power", "energy-ram", RAM);
	add_event(&world, "power", "energy-psys", PSYS);
	add_event(&world, "power", "energy-cores", CORES_CODE);
	world_open(&world, perf());
	assert_int_equal(kernel.still_open, 8);
	for (int i = 0; i < kernel.count; i++)
		assert_int_equal(kernel.fds[i].type, POWER);
	/* CPU 3 is of package 1, second of the mask or not. */
	assert_int_equal(world_domain(&world, "package-1")->package, 1);
	assert_int_equal(world_domain(&world, "package-0")->package, 0);
	assert_true(world_domain(&world, "package-0")->is_root && world_domain(&world, "dram")->is_root);
	assert_false(world_domain(&world, "psys")->is_root || world_domain(&world, "core")->is_root);
	world_says(&world, "2 x package, 2 x core (not added), 2 x dram, 2 x psys (not added)");
	end(&world);
}

static void counts_become_joules_by_the_scale_of_sysfs_since_the_first_reading(void **state)
{
	struct world world;

	(void)state;
	begin(&world, "0\n", 1);
	set(&world, "power", "events/energy-pkg.scale", "4.656612873077392578125e-10\n"); /* 2^-31 */
	world_open(&world, perf());
	stop_all();
	world_read(&world);
	assert_near(world.readings[0].joules, 0, 0);
	world_pass_ms(&world, 20);
	kernel.fds[fd_of(PKG, 0)].count += 1ULL << 31;
	world_read(&world);
	assert_near(world.readings[0].joules, 1, 1e-12);
	assert_int_equal(world.readings[0].flags & ~(unsigned)FW_DOMAIN_SKEW, 0);
	assert_true(world.readings[0].before_ns <= world.readings[0].after_ns);
	end(&world);
}

/* Open: who hardly gets to run sees too few counts for the lowest bit, and begins again. */
static void begin_seen(struct world *world)
{
	for (unsigned attempt = 0; attempt < 100; attempt++) {
		begin(world, "0\n", 1);
		world_open(world, perf());
		if (world->domains[0].quantum_j <= 0x1p-14 && world->domains[0].update_s < 0.05)
			return;
		end(world);
	}
	fail_msg("the hardware's step was never seen");
}

static void the_hardwares_step_is_seen_in_the_bits_that_are_never_set(void **state)
{
	struct world world;

	(void)state;
	begin_seen(&world);
	assert_near(world.domains[0].quantum_j, 0x1p-14, 1e-12);
	assert_true(world.domains[0].update_s > 0 && world.domains[0].update_s < 0.05);
	world_says(&world, "counts by 6.1e-05 J");
	world_says(&world, "sure within 131 s at 1000 W"); /* 2^31 steps */
	end(&world);
}

static void dies_are_counted_apart_but_on_amd_where_they_show_the_sockets_counter(void **state)
{
	struct world world;

	(void)state;
	begin(&world, "0,1\n", 1);
	world.machine.cpus[1].die = 1;
	world_open(&world, perf());
	assert_int_equal(world.count, 2);
	assert_int_equal(world_domain(&world, "package-0-die-1")->die, 1);
	end(&world);

	begin(&world, "0,1\n", 1);
	world.machine.cpus[1].die = 1;
	strcpy(world.machine.vendor, "AuthenticAMD");
	add_event(&world, "power", "energy-ram", RAM); /* kernels before 5.17 list it */
	world_open(&world, perf());
	assert_int_equal(world.count, 1);
	assert_true(world_has(&world, "package-0"));
	end(&world);
}

static void single_cores_of_amd_are_domains_that_are_never_added(void **state)
{
	fw_cleanup_free char *path = fw_printf("%s/tests/fixtures/energy/amd-power-core", getenv("FLEXWATT_SOURCE"));
	struct fw_machine *machine = calloc(1, sizeof *machine);
	struct fw_monitor_context context = {NULL, machine, NULL};
	struct fw_monitor *monitor = NULL;
	const struct fw_domain *domains;
	struct fw_domain_reading readings[FW_POWER_EVENTS];
	struct fw_error *err = NULL;
	struct fw_root root;

	(void)state;
	memset(&kernel, 0, sizeof kernel);
	kernel.speed = STEP / 4 * 3;
	kernel.still_cpu = UINT_MAX;
	assert_ok(fw_root_open(path, &root, &err), err);
	context.root = &root;
	assert_ok(fw_machine_read(&root, machine, &err), err);
	assert_ok(perf()->open(&context, &monitor, &err), err);
	assert_int_equal(fw_monitor_perf.domains(monitor, &domains), 5);
	assert_string_equal(domains[0].name, "package-0");
	for (int core = 0; core < 4; core++) {
		fw_cleanup_free char *name = fw_printf("package-0-core-%d", core);

		assert_string_equal(domains[1 + core].name, name);
		assert_int_equal(domains[1 + core].kind, FW_DOMAIN_CORE);
		assert_false(domains[1 + core].is_root);
		assert_near(domains[1 + core].quantum_j, 0x1p-16, 1e-12);
		assert_int_equal(kernel.fds[1 + core].type, CORES);
	}
	stop_all();
	fw_monitor_perf.read(monitor, readings);
	kernel.fds[3].count += 1ULL << 30;
	monitor->cores_least_ns = 0;
	fw_monitor_perf.read(monitor, readings);
	assert_near(readings[3].joules, 0.25, 1e-9);
	assert_near(readings[2].joules, 0, 0);
	/* Asked too early they are as they were. */
	monitor->cores_least_ns = 3600 * FW_NS_PER_S;
	kernel.fds[3].count += 1ULL << 30;
	fw_monitor_perf.read(monitor, readings);
	assert_near(readings[3].joules, 0.25, 1e-9);
	fw_monitor_perf.close(monitor);
	assert_int_equal(kernel.still_open, 0);
	fw_root_close(&root);
	free(machine);
}

static void an_event_that_the_kernel_refuses_is_left_out_with_its_reason(void **state)
{
	struct world world;

	(void)state;
	begin(&world, "0\n", 1);
	add_event(&world, "power", "energy-ram", RAM);
	add_event(&world, "power", "energy-gpu", GPU);
	kernel.missing = RAM;
	world_open(&world, perf());
	assert_true(world_has(&world, "uncore"));
	assert_false(world_has(&world, "dram"));
	world_says(&world, "without energy-ram of CPU 0: Invalid argument");
	end(&world);
}

static void an_event_that_is_not_understood_is_left_out(void **state)
{
	struct world world;

	(void)state;
	begin(&world, "0\n", 1);
	add_event(&world, "power", "energy-ram", RAM);
	set(&world, "power", "events/energy-ram.unit", "Watts\n");
	world_open(&world, perf());
	assert_int_equal(world.count, 1);
	world_says(&world, "without energy-ram: its description in sysfs is not understood");
	end(&world);
}

static void a_pmu_that_is_not_understood_is_refused(void **state)
{
	static const struct {
		const char *file, *text;
	} bad[] = {{"type", "x\n"}, {"type", "0\n"}, {"type", "99999999999\n"}, {"cpumask", "\n"}, {"cpumask", "0-\n"},
	           {"cpumask", "a\n"}, {"format/event", "config1:0-7\n"}, {"format/event", "config:0-15\n"}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(bad); i++) {
		struct world world;
		struct fw_error *err = NULL;

		begin(&world, "0\n", 1);
		set(&world, "power", bad[i].file, bad[i].text);
		assert_error_is(world_try_open(&world, perf(), &err), &err, FW_E_ABSENT, "not understood");
		end(&world);
	}
}

static void a_read_that_fails_is_a_hole_and_the_next_one_covers_it(void **state)
{
	static const int errors[] = {EIO, ENODEV, EAGAIN};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(errors); i++) {
		struct world world;

		begin(&world, "0\n", 1);
		world_open(&world, perf());
		stop_all();
		world_read(&world);
		set(&world, "power", "cpumask", "\n"); /* nowhere else to go */
		kernel.fds[0].read_error = errors[i];
		world_read(&world);
		assert_true(isnan(world.readings[0].joules));
		assert_true(world.readings[0].flags & FW_DOMAIN_GAP);
		kernel.fds[0].read_error = 0;
		kernel.fds[0].count += 1ULL << 32;
		world_read(&world);
		assert_near(world.readings[0].joules, 1, 1e-9);
		end(&world);
	}
}

static void the_event_moves_to_the_cpu_that_stands_for_its_package_now(void **state)
{
	struct world world;

	(void)state;
	begin(&world, "0-1\n", 2);
	world_open(&world, perf());
	stop_all();
	world_read(&world);
	kernel.fds[fd_of(PKG, 0)].read_error = ENODEV; /* CPU 0 is gone */
	set(&world, "power", "cpumask", "1-2\n");
	kernel.speed = 0;
	world_read(&world);
	assert_true(isnan(world_reading(&world, "package-0")->joules));
	assert_near(world_reading(&world, "package-1")->joules, 0, 0);
	world_read(&world); /* counts from 0 there: what was used in between is unknown */
	assert_true(world_reading(&world, "package-0")->flags & FW_DOMAIN_RESET);
	assert_true(world_reading(&world, "package-0")->lost_j > 0);
	kernel.fds[fd_of(PKG, 2)].count += 1ULL << 32;
	world_pass_ms(&world, 5);
	world_read(&world);
	assert_near(world_reading(&world, "package-0")->joules, 1, 1e-9);
	end(&world);
}

static void a_count_that_falls_is_flagged_and_never_negative(void **state)
{
	struct world world;

	(void)state;
	begin(&world, "0\n", 1);
	world_open(&world, perf());
	stop_all();
	kernel.fds[0].count = 1ULL << 40;
	world_read(&world);
	kernel.fds[0].count -= 1ULL << 39; /* a step above 2^31 units, taken for a negative one */
	world_read(&world);
	assert_near(world.readings[0].joules, 0, 0);
	assert_true(world.readings[0].flags & FW_DOMAIN_RESET);
	assert_true(world.readings[0].lost_j > 0);
	end(&world);
}

static void a_time_unread_in_which_the_kernel_may_lose_count_is_flagged_and_bounded(void **state)
{
	struct world world;

	(void)state;
	begin_seen(&world);
	stop_all();
	world_read(&world);
	assert_near(world.monitor->events[0].longest_s, 131.072, 0.001);
	world.monitor->events[0].longest_s = 0.01; /* instead of two minutes */
	world_pass_ms(&world, 30);
	kernel.fds[0].count += 1ULL << 32;
	world_read(&world);
	assert_near(world.readings[0].joules, 1, 1e-9);
	assert_true(world.readings[0].flags & FW_DOMAIN_GAP);
	assert_true(world.readings[0].lost_j >= 1000 * 0.03 - 1); /* at most so much was used, 1 J was counted */
	world_read(&world);
	assert_false(world.readings[0].flags & FW_DOMAIN_GAP);
	end(&world);
}

static void counts_that_stand_still_are_no_counters(void **state)
{
	struct world world;
	struct fw_error *err = NULL;

	(void)state;
	begin(&world, "0\n", 1);
	kernel.speed = 0;
	assert_error_is(world_try_open(&world, perf(), &err), &err, FW_E_ABSENT, "stand still");
	end(&world);

	begin(&world, "0-1\n", 2);
	add_event(&world, "power", "energy-ram", RAM);
	kernel.still_cpu = 1;
	world_open(&world, perf());
	assert_int_equal(world.count, 2); /* package 0 and its memory */
	world_says(&world, "without package-1: it stands still");
	end(&world);
}

static void a_refusal_names_the_capability_and_the_sysctl(void **state)
{
	struct world world;
	struct fw_error *err = NULL;

	(void)state;
	begin(&world, "0\n", 1);
	kernel.open_error = EACCES;
	int rc = world_try_open(&world, perf(), &err);
	assert_non_null(strstr(fw_error_message(err), "does not let the power PMU be read"));
	assert_error_is(rc, &err, FW_E_PERMISSION, "PERFMON");
	tree_write(&world.tree, "proc/sys/kernel/perf_event_paranoid", "3\n");
	assert_error_is(world_try_open(&world, perf(), &err), &err, FW_E_PERMISSION, "perf_event_paranoid is 3");
	kernel.open_error = ENOSYS;
	assert_error_is(world_try_open(&world, perf(), &err), &err, FW_E_ABSENT, "CONFIG_PERF_EVENTS");
	end(&world);
}

static void without_the_pmu_the_reason_depends_on_whether_it_is_a_guest(void **state)
{
	struct world world;
	struct fw_error *err = NULL;

	(void)state;
	world_init(&world);
	assert_error_is(world_try_open(&world, perf(), &err), &err, FW_E_ABSENT, "modprobe rapl");
	tree_write(&world.tree, "proc/sys/kernel/osrelease", "6.6.0\n");
	tree_write(&world.tree, "boot/config-6.6.0", "CONFIG_PERF_EVENTS=y\n");
	assert_error_is(world_try_open(&world, perf(), &err), &err, FW_E_ABSENT, "built without CONFIG_PERF_EVENTS_INTEL_RAPL");
	strcpy(world.machine.hypervisor, "kvm");
	assert_error_is(world_try_open(&world, perf(), &err), &err, FW_E_ABSENT, "a virtual machine");
	world_done(&world);
}

static void a_copy_of_sysfs_is_not_taken_for_the_running_kernels(void **state)
{
	struct world world;
	struct fw_error *err = NULL;

	(void)state;
	begin(&world, "0\n", 1);
	assert_error_is(world_try_open(&world, &fw_monitor_perf, &err), &err, FW_E_ABSENT, "running kernel's");
	end(&world);
}

static void the_running_kernels_power_pmu_counts(void **state)
{
	struct world world;
	struct fw_error *err = NULL;

	(void)state;
	world_init(&world);
	fw_root_close(&world.root);
	assert_ok(fw_root_open("/", &world.root, &err), err);
	assert_ok(fw_machine_read(&world.root, &world.machine, &err), err);
	if (world_try_open(&world, &fw_monitor_perf, &err) != FW_OK) {
		print_message("skipped: %s\n", fw_error_message(err));
		fw_error_free(err);
		world_done(&world);
		skip();
	}
	world_read(&world);
	world_pass_ms(&world, 200);
	world_read(&world);
	assert_true(world_total_j(&world) > 0.02);
	world_done(&world);
}

FW_TESTS(each_event_is_opened_once_for_each_cpu_of_the_mask,
         counts_become_joules_by_the_scale_of_sysfs_since_the_first_reading,
         the_hardwares_step_is_seen_in_the_bits_that_are_never_set,
         dies_are_counted_apart_but_on_amd_where_they_show_the_sockets_counter,
         single_cores_of_amd_are_domains_that_are_never_added,
         an_event_that_the_kernel_refuses_is_left_out_with_its_reason, an_event_that_is_not_understood_is_left_out,
         a_pmu_that_is_not_understood_is_refused, a_read_that_fails_is_a_hole_and_the_next_one_covers_it,
         the_event_moves_to_the_cpu_that_stands_for_its_package_now, a_count_that_falls_is_flagged_and_never_negative,
         a_time_unread_in_which_the_kernel_may_lose_count_is_flagged_and_bounded, counts_that_stand_still_are_no_counters,
         a_refusal_names_the_capability_and_the_sysctl, without_the_pmu_the_reason_depends_on_whether_it_is_a_guest,
         a_copy_of_sysfs_is_not_taken_for_the_running_kernels,
         the_running_kernels_power_pmu_counts)
