/* SPDX-License-Identifier: Apache-2.0 */
#include "energy/whole.h"

#include <math.h>
#include <string.h>

#include "energy/manager_internal.h"
#include "tests/unit/energy_support.h"

enum { DOMAINS = 2 };

/* A monitor whose counters show what the test says, and one that takes long to open. */
static struct {
	struct tree tree;
	struct fw_energy_here here;
	struct fw_energy_manager manager;
	struct fw_domain domains[DOMAINS];
	struct fw_domain_reading readings[DOMAINS];
} machine;

static int open_counters(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	(void)context;
	(void)err;
	*monitor = (struct fw_monitor *)&machine;
	return FW_OK;
}

static void show_busy_s(unsigned seconds)
{
	char text[64];

	snprintf(text, sizeof text, "cpu  %u 0 0 1000 0 0 0 0 0 0\n", seconds * 100);
	tree_write(&machine.tree, "proc/stat", text);
}

static int open_slowly(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	machine.readings[0].joules += 100;
	show_busy_s(50);
	return open_counters(context, monitor, err);
}

static size_t domains_of(struct fw_monitor *monitor, const struct fw_domain **domains)
{
	(void)monitor;
	*domains = machine.domains;
	return DOMAINS;
}

static size_t no_domains(struct fw_monitor *monitor, const struct fw_domain **domains)
{
	(void)monitor;
	*domains = NULL;
	return 0;
}

static void read_counters(struct fw_monitor *monitor, struct fw_domain_reading *readings)
{
	(void)monitor;
	memcpy(readings, machine.readings, sizeof machine.readings);
}

static void close_counters(struct fw_monitor *monitor)
{
	(void)monitor;
}

static const struct fw_monitor_ops counters = {.name = "rapl", .method = "rapl/1", .open = open_counters, .domains = domains_of,
                                               .read = read_counters, .close = close_counters};
static const struct fw_monitor_ops slow = {.name = "hwmon", .method = "hwmon/1", .open = open_slowly, .domains = no_domains,
                                           .close = close_counters};

static void set_domain(size_t index, enum fw_domain_kind kind, bool is_root)
{
	machine.domains[index] = (struct fw_domain){.source = "rapl", .kind = kind, .quantum_j = 0.5, .is_root = is_root};
}

/* Two packages. */
static int machine_open(void **state)
{
	(void)state;
	memset(&machine, 0, sizeof machine);
	machine.tree = tree_of("proc/", "", NULL);
	show_busy_s(0);
	assert_ok(fw_root_open(machine.tree.path, &machine.here.root, NULL), NULL);
	machine.here.counters_root.fd = -1;
	machine.here.machine = world.machine;
	machine.here.catalogue = world.catalogue;
	machine.here.manager = &machine.manager;
	machine.manager.reports[0] = (struct fw_monitor_report){.ops = &counters, .works = true};
	for (size_t i = 0; i < DOMAINS; i++)
		set_domain(i, FW_DOMAIN_PACKAGE, true);
	return 0;
}

static int machine_close(void **state)
{
	(void)state;
	fw_root_close(&machine.here.root);
	tree_remove_cleanup(&machine.tree);
	return 0;
}

static struct fw_whole *begin(void)
{
	struct fw_whole *whole = NULL;
	struct fw_error *err = NULL;

	assert_ok(fw_whole_begin(&machine.here, &whole, &err), err);
	return whole;
}

static const struct fw_energy *find(const struct fw_span_totals *totals, const char *domain)
{
	for (size_t i = 0; i < totals->record.energy.count; i++) {
		const struct fw_energy *energy = &totals->record.energy.items[i];

		if (strcmp(energy->source, "rapl") == 0 && strcmp(energy->domain, domain) == 0)
			return energy;
	}
	return NULL;
}

static const struct fw_energy *after(struct fw_whole *whole, double first_j, double second_j)
{
	machine.readings[0].joules += first_j;
	machine.readings[1].joules += second_j;
	return find(fw_whole_cut(whole), "package");
}

static void packages_are_one_figure_with_its_interval(void **state)
{
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();
	const struct fw_energy *package = after(whole, 5, 7);

	(void)state;
	assert_non_null(package);
	assert_near(package->joules, 12, 1e-9);
	assert_near(package->low, 11, 1e-9);
	assert_near(package->high, 13, 1e-9);
	assert_string_equal(package->flags, "measured");
}

static void a_virtual_counter_is_told_as_such(void **state)
{
	(void)state;
	machine.domains[1].is_virtual = true;
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();
	const struct fw_energy *package = after(whole, 5, 7);

	machine.domains[1].is_virtual = false;
	assert_string_equal(package->flags, "measured virtual");
}

static void what_another_counts_already_is_not_added(void **state)
{
	(void)state;
	set_domain(1, FW_DOMAIN_PACKAGE, false);
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	assert_near(after(whole, 5, 5)->joules, 5, 1e-9);
}

static void a_kind_that_counts_in_no_total_is_a_figure_and_an_unknown_one_none(void **state)
{
	(void)state;
	set_domain(0, FW_DOMAIN_CORE, false);
	set_domain(1, FW_DOMAIN_OTHER, false);
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	machine.readings[0].joules = machine.readings[1].joules = 3;
	const struct fw_span_totals *totals = fw_whole_cut(whole);

	assert_near(find(totals, "core")->joules, 3, 1e-9);
	assert_null(find(totals, "other"));
}

/* Of an unreadable counter and of one that stands still. */
static void what_is_not_known_is_no_zero(void **state)
{
	(void)state;
	for (int stuck = 0; stuck < 2; stuck++) {
		FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

		for (size_t i = 0; i < DOMAINS; i++)
			if (stuck)
				machine.readings[i].flags = FW_DOMAIN_STALE;
			else
				machine.readings[i].joules = NAN;
		assert_null(find(fw_whole_cut(whole), "package"));
		memset(machine.readings, 0, sizeof machine.readings);
		const struct fw_energy *package = after(whole, 4, 6); /* covers the hole, and says that there was one */

		assert_near(package->joules, 10, 1e-9);
		assert_true(isnan(package->high));
		assert_string_equal(package->flags, "gap measured");
		memset(machine.readings, 0, sizeof machine.readings);
	}
}

static void one_unknown_package_takes_the_upper_end_away(void **state)
{
	(void)state;
	for (size_t unknown = 0; unknown < DOMAINS; unknown++) {
		memset(machine.readings, 0, sizeof machine.readings);
		FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

		machine.readings[unknown].flags = FW_DOMAIN_STALE;
		const struct fw_energy *package = after(whole, unknown == 0 ? 0 : 5, unknown == 1 ? 0 : 5);

		assert_near(package->joules, 5, 1e-9);
		assert_true(isnan(package->high));
		assert_true(fw_record_has_flag(package->flags, "gap"));
	}
}

static void a_counter_that_was_unknown_at_the_begin_counts_from_when_it_is_known(void **state)
{
	(void)state;
	machine.readings[1].joules = NAN;
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	machine.readings[1].joules = 1000;
	assert_near(after(whole, 5, 0)->joules, 5, 1e-9);
	assert_near(after(whole, 5, 7)->joules, 17, 1e-9);
}

static void the_opening_of_monitors_is_in_no_slice(void **state)
{
	(void)state;
	machine.manager.reports[1] = (struct fw_monitor_report){.ops = &slow, .works = true};
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	machine.readings[0].joules += 5;
	const struct fw_span_totals *totals = fw_whole_cut(whole);

	assert_near(find(totals, "package")->joules, 5, 1e-9);
	assert_near(totals->record.cpu_user_ms, 0, 1e-9);
}

static void without_the_times_of_cpus_nothing_is_begun(void **state)
{
	struct fw_whole *whole = NULL;
	struct fw_error *err = NULL;

	(void)state;
	tree_write(&machine.tree, "proc/stat", "nonsense\n");
	assert_error_is(fw_whole_begin(&machine.here, &whole, &err), &err, FW_E_ENVIRONMENT, "/proc/stat");
}

#define MACHINE_TEST(f) cmocka_unit_test_setup_teardown(f, machine_open, machine_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MACHINE_TEST(packages_are_one_figure_with_its_interval),
		MACHINE_TEST(a_virtual_counter_is_told_as_such),
		MACHINE_TEST(what_another_counts_already_is_not_added),
		MACHINE_TEST(a_kind_that_counts_in_no_total_is_a_figure_and_an_unknown_one_none),
		MACHINE_TEST(what_is_not_known_is_no_zero),
		MACHINE_TEST(one_unknown_package_takes_the_upper_end_away),
		MACHINE_TEST(a_counter_that_was_unknown_at_the_begin_counts_from_when_it_is_known),
		MACHINE_TEST(the_opening_of_monitors_is_in_no_slice),
		MACHINE_TEST(without_the_times_of_cpus_nothing_is_begun),
	};

	return cmocka_run_group_tests(tests, energy_set_up, energy_tear_down);
}
