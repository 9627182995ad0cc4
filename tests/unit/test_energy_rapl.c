/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/time.h"
#include "tests/unit/counter_world.h"

#define RANGE 262143328850ULL
#define AMD_RANGE 65532610987ULL
#define PACKAGE_FILE "sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj"

enum { COUNT_NS = 300000, ATTEMPTS = 100 };

static atomic_bool counted_enough;

/* A laptop: everything that such a machine shows of one socket, psys registered second. */
static void client(struct world *world)
{
	world_init(world);
	world_zone(world, "intel-rapl:0", "package-0", 100000000, RANGE);
	world_zone(world, "intel-rapl:0:0", "core", 60000000, RANGE);
	world_zone(world, "intel-rapl:0:1", "uncore", 5000000, RANGE);
	world_zone(world, "intel-rapl:0:2", "dram", 20000000, RANGE);
	world_zone(world, "intel-rapl:1", "psys", 300000000, RANGE);
	world_zone(world, "intel-rapl-mmio:0", "package-0", 100000000, RANGE);
}

static void server(struct world *world)
{
	world_init(world);
	world_zone(world, "intel-rapl:0", "package-1", 100000000, RANGE);
	world_zone(world, "intel-rapl:0:0", "dram", 10000000, 65712999613ULL);
	world_zone(world, "intel-rapl:1", "psys-1", 60293987000000ULL, 4294967295000000ULL);
	world_zone(world, "intel-rapl:2", "package-0", 200000000, RANGE);
	world_zone(world, "intel-rapl:2:0", "dram", 20000000, 65712999613ULL);
	world_zone(world, "intel-rapl:3", "psys", 80293987000000ULL, 4294967295000000ULL);
}

static void mistake_05_zones_are_told_apart_by_name_not_by_number(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	server(&world);
	world_open(&world, &fw_monitor_rapl);
	assert_int_equal(world.count, 6);
	assert_int_equal(world_domain(&world, "package-1")->package, 1);
	assert_int_equal(world_domain(&world, "package-0")->package, 0);
	for (size_t i = 0; i < world.count; i++)
		if (world.domains[i].kind == FW_DOMAIN_DRAM) /* of the package that holds it */
			assert_int_equal(world.domains[i].package, world.domains[i - 1].package);
	assert_int_equal(world_domain(&world, "psys-1")->kind, FW_DOMAIN_PSYS);
	assert_false(world_domain(&world, "psys-1")->is_root);
	assert_near(world_domain(&world, "psys-1")->quantum_j, 1, 1e-9);
	assert_near(world_domain(&world, "package-0")->quantum_j, 61.035e-6, 1e-9);
}

static void mistake_06_unknown_names_are_kept_and_never_fatal(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	world_zone(&world, "intel-rapl:0", "package-0-die-0", 1000000, RANGE);
	world_zone(&world, "intel-rapl:1", "package-0-die-1", 2000000, RANGE);
	world_zone(&world, "intel-rapl:2", "psys-1", 3000000, RANGE);
	world_zone(&world, "intel-rapl:3", "package-0-tile-7", 4000000, RANGE);
	world_zone(&world, "intel-rapl:4", "cache \033[31m", 5000000, RANGE);
	world_zone(&world, "intel-rapl:0:0", "l4", 6000000, RANGE);
	tree_write(&world.tree, "sys/class/powercap/intel-rapl:a", "-> ../nowhere");
	tree_write(&world.tree, "sys/class/powercap/idle-injection/", "");
	world_open(&world, &fw_monitor_rapl);
	assert_int_equal(world.count, 6);
	assert_int_equal(world_domain(&world, "package-0-die-1")->die, 1);
	assert_true(world_domain(&world, "package-0-die-1")->is_root);
	assert_int_equal(world_domain(&world, "package-0-tile-7")->kind, FW_DOMAIN_OTHER);
	assert_int_equal(world_domain(&world, "cache??[31m")->kind, FW_DOMAIN_OTHER);
	assert_int_equal(world_domain(&world, "l4")->package, 0);
	for (size_t i = 0; i < world.count; i++)
		assert_int_equal(world.domains[i].is_root, world.domains[i].kind == FW_DOMAIN_PACKAGE);
}

static void mistake_07_a_package_comes_by_one_control_type(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_zone(&world, "intel-rapl-mmio:0:0", "dram", 20000000, RANGE);
	world_open(&world, &fw_monitor_rapl);
	assert_int_equal(world.count, 5);
	world_says(&world, "without intel-rapl-mmio:0 package-0: the same counter as in intel-rapl");
	world_read(&world);
	world_pass_ms(&world, 20); /* two joules take longer than no time at all */
	world_energy(&world, "intel-rapl:0", 102000000);
	world_energy(&world, "intel-rapl-mmio:0", 102000000);
	world_read(&world);
	assert_near(world_total_j(&world), 2, 1e-9);
}

static void mmio_stands_in_where_the_other_cannot_be_read(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	world_zone(&world, "intel-rapl:0", "package-0", 0, RANGE);
	world_zone_file(&world, "intel-rapl:0", "energy_uj", "");
	world_zone(&world, "intel-rapl-mmio:0", "package-0", 100000000, RANGE);
	world_open(&world, &fw_monitor_rapl);
	assert_int_equal(world.count, 1);
	assert_true(world.domains[0].is_root);
	world_says(&world, "without intel-rapl:0 package-0: cannot be read");
}

static void packages_of_which_one_cannot_be_read_are_no_machine(void **state)
{
	(void)state;
	for (int readable = 0; readable < 2; readable++) {
		fw_cleanup_world struct world world;
		struct fw_error *err = NULL;

		world_init(&world);
		world_zone(&world, "intel-rapl:0", "package-0", 100000000, RANGE);
		world_zone(&world, "intel-rapl:1", "package-1", 100000000, RANGE);
		world_zone(&world, "intel-rapl:1:0", "core", 100000000, RANGE);
		world_zone_file(&world, readable ? "intel-rapl:1:0" : "intel-rapl:1", "energy_uj", "");
		if (readable)
			world_open(&world, &fw_monitor_rapl); /* what is within a package may be missing */
		else
			assert_error_is(world_try_open(&world, &fw_monitor_rapl, &err), &err, FW_E_IO, "package-1 is missing");
	}
}

static void a_zone_that_two_drivers_register_counts_once(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	world_zone(&world, "intel-rapl:0", "package-0", 100000000, RANGE);
	world_zone(&world, "intel-rapl:0:0", "dram", 1000000, RANGE);
	world_zone(&world, "intel-rapl:1", "package-0", 100000000, RANGE);
	world_zone(&world, "intel-rapl:1:0", "dram", 1000000, RANGE);
	world_open(&world, &fw_monitor_rapl);
	assert_int_equal(world.count, 2);
	world_says(&world, "a second zone of this name");
}

static void mistake_08_mirrored_dies_count_once(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	strcpy(world.machine.vendor, "AuthenticAMD");
	world_zone(&world, "intel-rapl:0", "package-0-die-0", 68000000, AMD_RANGE);
	world_zone(&world, "intel-rapl:1", "package-0-die-1", 68000000, AMD_RANGE);
	world_zone(&world, "intel-rapl:2", "package-1-die-0", 68000000, AMD_RANGE); /* by chance equal, another socket */
	world_open(&world, &fw_monitor_rapl);
	assert_true(world_domain(&world, "package-0-die-0")->is_root);
	assert_false(world_domain(&world, "package-0-die-1")->is_root);
	assert_true(world_domain(&world, "package-1-die-0")->is_root);
	world_says(&world, "package-0-die-1 shows the counter of package-0-die-0 and is not added");
	world_read(&world);
	world_pass_ms(&world, 20);
	world_energy(&world, "intel-rapl:0", 69000000);
	world_energy(&world, "intel-rapl:1", 69000000);
	world_read(&world);
	assert_near(world_total_j(&world), 1, 1e-9);
	assert_near(world_reading(&world, "package-0-die-0")->lost_j, 0, 0);
}

static void a_mirror_that_goes_its_own_way_is_told_as_lost(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	world_zone(&world, "intel-rapl:0", "package-0-die-0", 68000000, RANGE);
	world_zone(&world, "intel-rapl:1", "package-0-die-1", 68000000, RANGE);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_energy(&world, "intel-rapl:0", 69000000);
	world_energy(&world, "intel-rapl:1", 108000000);
	world_read(&world);
	assert_near(world_total_j(&world), 1, 1e-9);
	assert_near(world_reading(&world, "package-0-die-0")->lost_j, 40, 1e-9);
}

static void dies_with_counters_of_their_own_are_added(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	world_zone(&world, "intel-rapl:0", "package-0-die-0", 68000000, RANGE);
	world_zone(&world, "intel-rapl:1", "package-0-die-1", 68000061, RANGE);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_energy(&world, "intel-rapl:0", 69000000);
	world_energy(&world, "intel-rapl:1", 69000061);
	world_read(&world);
	assert_near(world_total_j(&world), 2, 1e-9);
}

static void mistake_09_the_total_is_of_roots_alone(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_energy(&world, "intel-rapl:0", 110000000);
	world_energy(&world, "intel-rapl:0:0", 67000000);
	world_energy(&world, "intel-rapl:0:1", 6000000);
	world_energy(&world, "intel-rapl:0:2", 22000000);
	world_energy(&world, "intel-rapl:1", 320000000);
	world_read(&world);
	assert_near(world_reading(&world, "core")->joules, 7, 1e-9);
	assert_near(world_reading(&world, "psys")->joules, 20, 1e-9);
	assert_near(world_total_j(&world), 12, 1e-9);
}

static void mistake_10_dram_stands_beside_its_package(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	server(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_energy(&world, "intel-rapl:0", 105000000);
	world_energy(&world, "intel-rapl:0:0", 11000000);
	world_energy(&world, "intel-rapl:2", 207000000);
	world_energy(&world, "intel-rapl:2:0", 22000000);
	world_read(&world);
	assert_near(world_total_j(&world), 5 + 1 + 7 + 2, 1e-9);
}

static void mistake_11_an_old_kernels_dram_unit_is_told(void **state)
{
	fw_cleanup_world struct world world;
	fw_cleanup_world struct world right;

	(void)state;
	server(&world);
	world.machine.model = 143;
	world_open(&world, &fw_monitor_rapl);
	world_says(&world, "dram is four times too low");
	server(&right); /* the same range is right on the processors before */
	world_open(&right, &fw_monitor_rapl);
	fw_cleanup_free char *told = right.ops->describe(right.monitor);
	assert_null(strstr(told, "too low"));
}

static void amd_cores_zone_is_left_out(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	strcpy(world.machine.vendor, "AuthenticAMD");
	world_zone(&world, "intel-rapl:0", "package-0", 68000000, AMD_RANGE);
	world_zone(&world, "intel-rapl:0:0", "core", 1000000, AMD_RANGE);
	world_open(&world, &fw_monitor_rapl);
	assert_int_equal(world.count, 1);
	assert_near(world.domains[0].quantum_j, 15.258e-6, 1e-9);
	world_says(&world, "counts one core alone");
}

/* Reads until the counter has stood still long enough to be judged. */
static void stand_still(struct world *world, uint64_t busy_ms)
{
	for (unsigned i = 0; i < 6; i++) {
		world_pass_ms(world, 80);
		world_busy_ms(world, busy_ms * (i + 1));
		world_read(world);
	}
}

static void mistake_13_a_guests_constant_counter_is_rejected_under_load(void **state)
{
	(void)state;
	for (uint64_t constant = 0; constant <= 1; constant++) {
		fw_cleanup_world struct world world;

		world_init(&world);
		strcpy(world.machine.hypervisor, "kvm");
		world_zone(&world, "intel-rapl:0", "package-0", constant * 1234567, RANGE);
		world_open(&world, &fw_monitor_rapl);
		world_says(&world, "did not move while it was opened");
		assert_true(world.domains[0].is_virtual);
		world_read(&world);
		assert_near(world.readings[0].joules, 0, 0);
		stand_still(&world, 80);
		assert_true(isnan(world.readings[0].joules)); /* unknown, and not zero */
		assert_true(world.readings[0].flags & FW_DOMAIN_STALE);
		world_says(&world, "package-0 is left out: it stands still while CPUs work");
	}
}

static void a_counter_that_moves_again_is_taken_again(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	stand_still(&world, 80);
	assert_true(isnan(world_reading(&world, "package-0")->joules));
	world_energy(&world, "intel-rapl:0", 105000000);
	world_read(&world);
	assert_near(world_reading(&world, "package-0")->joules, 5, 1e-9); /* what it counted meanwhile is in it */
}

/* As hardware does: counts on while it is looked at. */
static void *count_on(void *context)
{
	struct world *world = context;
	char path[256], text[32];
	uint64_t energy = 100000000;

	snprintf(path, sizeof path, "%s/" PACKAGE_FILE, world->tree.path);
	fw_cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	while (!atomic_load(&counted_enough)) {
		snprintf(text, sizeof text, "%" PRIu64 "\n", energy += 1500);
		if (pwrite(fd, text, strlen(text), 0) < 0)
			break;
		fw_sleep_until(fw_monotonic_ns() + COUNT_NS);
	}
	return NULL;
}

static bool is_near_the_truth(double update_s)
{
	return update_s > COUNT_NS / 2e9 && update_s <= 0.005; /* of NAN: no */
}

static void the_interval_is_measured_at_open(void **state)
{
	pthread_t counting;
	double update_s = NAN;

	(void)state;
	/* Either thread may not get to run for a moment, which makes the interval longer or hides it. */
	for (unsigned attempt = 0; attempt < ATTEMPTS && !is_near_the_truth(update_s); attempt++) {
		fw_cleanup_world struct world world;

		client(&world);
		world_zone_file(&world, "intel-rapl:0", "max_energy_range_uj", "unknown\n");
		atomic_store(&counted_enough, false);
		assert_int_equal(pthread_create(&counting, NULL, count_on, &world), 0);
		world_open(&world, &fw_monitor_rapl);
		atomic_store(&counted_enough, true);
		pthread_join(counting, NULL);
		update_s = world_domain(&world, "package-0")->update_s;
		if (isnan(update_s))
			continue;
		assert_true(update_s > 0);
		double step_j = world_domain(&world, "package-0")->quantum_j; /* no range tells it: the least movement seen */
		assert_near(step_j, 0.0015 * round(step_j / 0.0015), 1e-9);
		assert_true(step_j >= 0.0015 - 1e-9);
		world_says(&world, " ms");
	}
	assert_true(is_near_the_truth(update_s));
}

static void opening_takes_milliseconds(void **state)
{
	fw_cleanup_world struct world world;
	uint64_t least_ns = UINT64_MAX;

	(void)state;
	server(&world);
	for (unsigned attempt = 0; attempt < ATTEMPTS && least_ns >= 50 * FW_NS_PER_MS; attempt++) { /* it may not get to run */
		uint64_t began = fw_monotonic_ns();

		world_open(&world, &fw_monitor_rapl);
		uint64_t took_ns = fw_monotonic_ns() - began;
		least_ns = took_ns < least_ns ? took_ns : least_ns;
		world.ops->close(world.monitor);
		world.ops = NULL;
	}
	assert_true(least_ns < 50 * FW_NS_PER_MS); /* under the sanitizers */
}

static void a_counter_that_rests_with_its_machine_is_kept(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	stand_still(&world, 0);
	assert_near(world_reading(&world, "package-0")->joules, 0, 0);
	assert_true(world_reading(&world, "package-0")->flags & FW_DOMAIN_STALE);
	world_energy(&world, "intel-rapl:0", 101000000);
	world_read(&world);
	assert_near(world_reading(&world, "package-0")->joules, 1, 1e-9);
	assert_int_equal(world_reading(&world, "package-0")->flags, 0);
}

static void mistake_14_a_refused_counter_says_who_may_read_it(void **state)
{
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	(void)state;
	client(&world);
	assert_int_equal(fchmod(world.tree.fd, 0755), 0);
	for (const char *const *zone = (const char *const[]){"0/energy_uj", "0/intel-rapl:0:0/energy_uj", "1/energy_uj", NULL};
	     *zone; zone++) {
		char path[128];

		snprintf(path, sizeof path, "sys/devices/virtual/powercap/intel-rapl/intel-rapl:%s", *zone);
		assert_int_equal(fchmodat(world.tree.fd, path, 0, 0), 0);
	}
	assert_int_equal(fchmodat(world.tree.fd, "sys/devices/virtual/powercap/intel-rapl-mmio/intel-rapl-mmio:0/energy_uj", 0, 0), 0);
	bool root = geteuid() == 0;
	if (root)
		assert_int_equal(seteuid(65534), 0);
	int rc = world_try_open(&world, &fw_monitor_rapl, &err);
	if (root)
		assert_int_equal(seteuid(0), 0);
	assert_string_equal(fw_error_message(err), "read /sys/class/powercap/intel-rapl:0/energy_uj: not permitted; the kernel shows it to root alone");
	assert_error_is(rc, &err, FW_E_PERMISSION, "run as root, or chmod a+r");
}

static void mistake_15_a_masked_powercap_names_the_container(void **state)
{
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	(void)state;
	world_init(&world);
	tree_write(&world.tree, "sys/class/powercap/intel-rapl:0", "-> ../../devices/virtual/powercap/intel-rapl/intel-rapl:0");
	tree_write(&world.tree, "sys/class/powercap/intel-rapl:1", "-> ../../devices/virtual/powercap/intel-rapl/intel-rapl:1");
	int rc = world_try_open(&world, &fw_monitor_rapl, &err);
	assert_string_equal(fw_error_message(err), "powercap is masked: 2 zones are listed in /sys/class/powercap and not there");
	assert_error_is(rc, &err, FW_E_ABSENT, "--counters-root");
}

static void mistake_16_a_counter_without_range_or_name_is_taken_and_graded_lower(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	tree_write(&world.tree, "sys/class/powercap/intel-rapl:0/energy_uj", "5000000\n");
	world_open(&world, &fw_monitor_rapl);
	assert_int_equal(world.count, 1);
	assert_true(world.domains[0].is_root && world.domains[0].is_virtual);
	assert_int_equal(world.domains[0].package, -1); /* the number is no socket */
	world_says(&world, "tells no range");
	world_read(&world);
	tree_write(&world.tree, "sys/class/powercap/intel-rapl:0/energy_uj", "7000000\n");
	world_read(&world);
	assert_near(world.readings[0].joules, 2, 1e-9);
	tree_write(&world.tree, "sys/class/powercap/intel-rapl:0/energy_uj", "1000\n");
	world_read(&world);
	assert_near(world.readings[0].joules, 2, 1e-9); /* nothing says where it would wrap */
	assert_int_equal(world.readings[0].flags & FW_DOMAIN_RESET, FW_DOMAIN_RESET);
}

static void mistake_17_a_zone_that_goes_away_leaves_a_hole(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_energy(&world, "intel-rapl:0", 101000000);
	world_zone_file(&world, "intel-rapl:0", "name", "package-3\n"); /* numbered anew: not to be taken for it */
	world_break(&world, PACKAGE_FILE);
	for (unsigned i = 0; i < 20; i++) {
		world_read(&world);
		assert_true(isnan(world_reading(&world, "package-0")->joules));
		assert_true(world_reading(&world, "package-0")->flags & FW_DOMAIN_GAP);
		assert_int_equal(world_reading(&world, "package-0")->reason, FW_REASON_IO);
		assert_near(world_reading(&world, "dram")->joules, 0, 0); /* the others go on */
	}
	world_zone_file(&world, "intel-rapl:0", "name", "package-0\n");
	world_pass_ms(&world, 1000); /* it is looked for once a second, however seldom it is read */
	world_read(&world);
	world_read(&world);
	assert_near(world_reading(&world, "package-0")->joules, 1, 1e-9); /* back, and nothing lost */
}

static void malformed_values_are_holes(void **state)
{
	static const char *const texts[] = {"", "\n", "-5\n", "12ab\n", "1e9\n", "99999999999999999999999\n", "0x10\n"};
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		world_zone_file(&world, "intel-rapl:0", "energy_uj", texts[i]);
		world_read(&world);
		assert_true(isnan(world_reading(&world, "package-0")->joules));
		assert_int_equal(world_reading(&world, "package-0")->reason, FW_REASON_MALFORMED);
	}
	world_energy(&world, "intel-rapl:0", 103000000);
	world_read(&world);
	assert_near(world_reading(&world, "package-0")->joules, 3, 1e-9);
}

static void mistake_22_readings_carry_the_monotonic_clock(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_open(&world, &fw_monitor_rapl);
	uint64_t before = fw_monotonic_ns();
	world_read(&world);
	uint64_t after = fw_monotonic_ns();
	for (size_t i = 0; i < world.count; i++)
		assert_true(before <= world.readings[i].before_ns && world.readings[i].before_ns <= world.readings[i].after_ns &&
		            world.readings[i].after_ns <= after);
}

static void mistake_33_a_package_is_counted_once_whatever_its_cores(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world.machine.cpu_count = world.machine.threads = 8; /* of one package */
	for (unsigned cpu = 0; cpu < 8; cpu++)
		world.machine.cpus[cpu] = (struct fw_cpu_place){.core = (int16_t)(cpu / 2), .online = true, .allowed = true};
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_energy(&world, "intel-rapl:0", 104000000);
	world_read(&world);
	assert_near(world_total_j(&world), 4, 1e-9);
}

static void psys_that_counts_less_than_its_packages_is_dropped(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	client(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_energy(&world, "intel-rapl:0", 110000000);
	world_energy(&world, "intel-rapl:1", 309000000);
	world_read(&world);
	assert_true(isnan(world_reading(&world, "psys")->joules));
	assert_int_equal(world_reading(&world, "psys")->flags & (FW_DOMAIN_GAP | FW_DOMAIN_STALE), FW_DOMAIN_GAP);
	assert_string_equal(fw_domain_reason_text(world_reading(&world, "psys")->reason),
	                    "it counted less than the packages that it holds");
	assert_near(world_reading(&world, "package-0")->joules, 10, 1e-9);
	world_says(&world, "psys is left out: it counts less than its packages");
}

static void psys_of_one_socket_is_held_against_that_socket(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	server(&world);
	world_open(&world, &fw_monitor_rapl);
	world_read(&world);
	world_pass_ms(&world, 50);
	world_energy(&world, "intel-rapl:0", 100000000 + 180000000); /* package-1 */
	world_energy(&world, "intel-rapl:1", 60293987000000ULL + 130000000); /* psys-1: less than its package */
	world_energy(&world, "intel-rapl:2", 200000000 + 100000000); /* package-0 */
	world_energy(&world, "intel-rapl:3", 80293987000000ULL + 150000000); /* psys: more than package 0, less than both */
	world_read(&world);
	assert_near(world_reading(&world, "psys")->joules, 150, 1e-9);
	assert_true(isnan(world_reading(&world, "psys-1")->joules));
}

static void a_machine_without_powercap_says_why(void **state)
{
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	(void)state;
	world_init(&world);
	assert_error_is(world_try_open(&world, &fw_monitor_rapl, &err), &err, FW_E_ABSENT, "modprobe intel_rapl_msr");
	tree_write(&world.tree, "proc/sys/kernel/osrelease", "6.6.0\n");
	tree_write(&world.tree, "boot/config-6.6.0", "# CONFIG_INTEL_RAPL is not set\nCONFIG_POWERCAP=y\n");
	assert_error_is(world_try_open(&world, &fw_monitor_rapl, &err), &err, FW_E_ABSENT, "built without CONFIG_INTEL_RAPL");
	strcpy(world.machine.hypervisor, "kvm");
	assert_error_is(world_try_open(&world, &fw_monitor_rapl, &err), &err, FW_E_ABSENT, "virtual machine");
	tree_write(&world.tree, "sys/class/powercap/dtpm/", "");
	assert_error_is(world_try_open(&world, &fw_monitor_rapl, &err), &err, FW_E_ABSENT, "no zone of RAPL");
}

FW_TESTS(mistake_05_zones_are_told_apart_by_name_not_by_number, mistake_06_unknown_names_are_kept_and_never_fatal,
         mistake_07_a_package_comes_by_one_control_type, mmio_stands_in_where_the_other_cannot_be_read, packages_of_which_one_cannot_be_read_are_no_machine,
         a_zone_that_two_drivers_register_counts_once, mistake_08_mirrored_dies_count_once,
         a_mirror_that_goes_its_own_way_is_told_as_lost, dies_with_counters_of_their_own_are_added,
         mistake_09_the_total_is_of_roots_alone, mistake_10_dram_stands_beside_its_package,
         mistake_11_an_old_kernels_dram_unit_is_told, amd_cores_zone_is_left_out,
         mistake_13_a_guests_constant_counter_is_rejected_under_load, a_counter_that_rests_with_its_machine_is_kept,
         a_counter_that_moves_again_is_taken_again, the_interval_is_measured_at_open, opening_takes_milliseconds,
         mistake_14_a_refused_counter_says_who_may_read_it, mistake_15_a_masked_powercap_names_the_container,
         mistake_16_a_counter_without_range_or_name_is_taken_and_graded_lower, mistake_17_a_zone_that_goes_away_leaves_a_hole,
         malformed_values_are_holes, mistake_22_readings_carry_the_monotonic_clock,
         mistake_33_a_package_is_counted_once_whatever_its_cores, psys_that_counts_less_than_its_packages_is_dropped,
         psys_of_one_socket_is_held_against_that_socket,
         a_machine_without_powercap_says_why)
