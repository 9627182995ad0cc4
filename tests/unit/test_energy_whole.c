/* SPDX-License-Identifier: Apache-2.0 */
#include "energy/whole.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "tests/unit/energy_support.h"

enum { DOMAINS = 2 };

/* A monitor whose counters show what the test says. */
static struct {
	struct tree tree;
	struct fw_energy_here here;
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

static char *describe_counters(struct fw_monitor *monitor)
{
	(void)monitor;
	return fw_strdup("counters");
}

static void show_busy_s(unsigned seconds)
{
	char text[64];

	snprintf(text, sizeof text, "cpu  %u 0 0 1000 0 0 0 0 0 0\n", seconds * 100);
	tree_write(&machine.tree, "proc/stat", text);
}

static size_t domains_of(struct fw_monitor *monitor, const struct fw_domain **domains)
{
	(void)monitor;
	*domains = machine.domains;
	return DOMAINS;
}

static void read_counters(struct fw_monitor *monitor, struct fw_domain_reading *readings)
{
	(void)monitor;
	for (size_t i = 0; i < DOMAINS; i++)
		machine.readings[i].before_ns = machine.readings[i].after_ns = fw_monotonic_ns();
	memcpy(readings, machine.readings, sizeof machine.readings);
}

static void close_counters(struct fw_monitor *monitor)
{
	(void)monitor;
}

static const struct fw_monitor_ops counters = {.name = "rapl", .method = "rapl/1", .open = open_counters, .describe = describe_counters,
                                               .domains = domains_of, .read = read_counters, .close = close_counters};
static const struct fw_monitor_ops *const monitors[] = {&counters, NULL};

/* Updated so often that only its step is in doubt. */
static void set_domain(size_t index, enum fw_domain_kind kind, bool is_root)
{
	machine.domains[index] = (struct fw_domain){.source = "rapl", .kind = kind, .package = -1, .gpu = -1, .quantum_j = 0.01,
	                                            .update_s = 1e-9, .most_w = NAN, .is_root = is_root};
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
	for (size_t i = 0; i < DOMAINS; i++)
		set_domain(i, FW_DOMAIN_PACKAGE, true);
	return 0;
}

static int machine_close(void **state)
{
	(void)state;
	fw_energy_manager_free(machine.here.manager);
	fw_root_close(&machine.here.root);
	tree_remove_cleanup(&machine.tree);
	return 0;
}

/* Counters are of this or that kind from when the manager is there. */
static struct fw_whole *begin(void)
{
	struct fw_energy_options options = {.context = {&machine.here.root, &machine.here.machine, machine.here.catalogue},
	                                    .monitors = monitors, .no_sampler = true};
	struct fw_whole *whole = NULL;
	struct fw_error *err = NULL;

	fw_energy_manager_free(machine.here.manager);
	machine.here.manager = NULL;
	assert_ok(fw_energy_manager_new(&options, &machine.here.manager, &err), err);
	assert_ok(fw_whole_begin(&machine.here, &whole, &err), err);
	return whole;
}

/* Long enough for a counter to tell something. */
static const struct fw_span_totals *cut(struct fw_whole *whole)
{
	uint64_t until_ns = fw_monotonic_ns() + 5 * FW_NS_PER_MS;

	while (fw_monotonic_ns() < until_ns)
		continue;
	return fw_whole_cut(whole);
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
	return find(cut(whole), "package");
}

static size_t troubles_of(const struct fw_whole *whole, const char *text)
{
	char *notes[8];
	size_t count = fw_whole_troubles(whole, notes, FW_COUNT_OF(notes));

	for (size_t i = 0; i < count; i++) {
		assert_non_null(strstr(notes[i], text));
		free(notes[i]);
	}
	return count;
}

static void packages_are_one_figure_with_its_interval(void **state)
{
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();
	const struct fw_energy *package = after(whole, 5, 7);

	(void)state;
	assert_non_null(package);
	assert_near(package->joules, 12, 1e-9);
	assert_near(package->low, 12 - 0.02, 1e-4);
	assert_near(package->high, 12 + 0.02, 1e-4);
	assert_string_equal(package->flags, "measured ok");
	assert_int_equal(troubles_of(whole, ""), 0);
}

/* A counter shows what it showed at its latest update: what came since is in doubt at both ends, once, however often it is cut. */
static void the_interval_holds_what_no_update_has_shown_yet(void **state)
{
	(void)state;
	for (size_t i = 0; i < DOMAINS; i++)
		machine.domains[i].update_s = 0.002;
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	for (int i = 0; i < 20; i++)
		after(whole, 1, 1);
	const struct fw_energy *package = find(fw_whole_look(whole), "package");
	const double seconds = fw_whole_look(whole)->record.duration_ms / 1000;

	assert_near(package->joules, 40, 1e-9);
	assert_near(package->high - package->joules, 40 / seconds * 0.002 + 0.02, 0.02);
}

static void a_virtual_counter_is_told_as_such(void **state)
{
	(void)state;
	machine.domains[1].is_virtual = true;
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();
	const struct fw_energy *package = after(whole, 5, 7);

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
	const struct fw_span_totals *totals = cut(whole);

	assert_near(find(totals, "core")->joules, 3, 1e-9);
	assert_null(find(totals, "other"));
}

/* Of an unreadable counter and of one that stands still. What it counted meanwhile is in its next reading. */
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
		assert_null(find(cut(whole), "package"));
		assert_int_equal(troubles_of(whole, "was not read whole"), DOMAINS);
		memset(machine.readings, 0, sizeof machine.readings);
		const struct fw_energy *package = after(whole, 4, 6);

		assert_near(package->joules, 10, 1e-9);
		assert_string_equal(package->flags, "measured ok");
		memset(machine.readings, 0, sizeof machine.readings);
	}
}

/* What it had counted stays, with a bound of the rest and the reason. */
static void a_counter_that_is_lost_keeps_what_it_had_counted(void **state)
{
	(void)state;
	for (int bounded = 0; bounded < 2; bounded++) {
		memset(machine.readings, 0, sizeof machine.readings);
		machine.domains[0].most_w = bounded ? 100 : (double)NAN;
		FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

		assert_near(after(whole, 5, 7)->joules, 12, 1e-9);
		double at_ms = fw_whole_look(whole)->record.duration_ms;

		machine.readings[0].joules = NAN;
		machine.readings[0].flags = FW_DOMAIN_GAP;
		machine.readings[0].reason = FW_REASON_GONE;
		const struct fw_energy *package = after(whole, 0, 3);
		double lost_s = (fw_whole_look(whole)->record.duration_ms - at_ms) / 1000;

		assert_near(package->joules, 15, 1e-9);
		assert_true(package->high >= 15 + (bounded ? 100 * lost_s : 1e-3)); /* unbounded: by the power of late */
		assert_true(!bounded || package->high < 15 + 100 * (lost_s + 0.02) + 1);
		assert_string_equal(package->flags, "measured gap");
		assert_int_equal(troubles_of(whole, "gone"), 1);
	}
}

static void an_unknown_package_has_a_bound_only_where_one_is_known(void **state)
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
	const struct fw_energy *package = after(whole, 5, 7);

	assert_near(package->joules, 17, 1e-9);
	assert_true(fw_record_has_flag(package->flags, "gap"));
}

static void what_was_counted_before_is_in_no_slice(void **state)
{
	(void)state;
	machine.readings[0].joules = 100;
	show_busy_s(50);
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	machine.readings[0].joules += 5;
	const struct fw_span_totals *totals = cut(whole);

	assert_near(find(totals, "package")->joules, 5, 1e-9);
	assert_near(totals->record.cpu_user_ms, 0, 1e-9);
}

/* Two updates at least. */
static void of_a_time_that_is_too_short_a_counter_tells_nothing(void **state)
{
	(void)state;
	machine.domains[0].update_s = machine.domains[1].update_s = 1000;
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	assert_null(after(whole, 5, 7));
	assert_int_equal(troubles_of(whole, "nothing of less than 2e+03 s"), DOMAINS);
}

static void the_power_is_that_of_the_slice(void **state)
{
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = begin();

	(void)state;
	after(whole, 5, 7);
	double before_ms = fw_whole_look(whole)->record.duration_ms;

	after(whole, 1, 1);
	double slice_s = (fw_whole_look(whole)->record.duration_ms - before_ms) / 1000;

	assert_near(fw_whole_look(whole)->watts, 2 / slice_s, 1e-6);
}

static void without_the_times_of_cpus_nothing_is_begun(void **state)
{
	FW_CLEANUP(fw_whole_free) struct fw_whole *first = begin();
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
		MACHINE_TEST(the_interval_holds_what_no_update_has_shown_yet),
		MACHINE_TEST(a_virtual_counter_is_told_as_such),
		MACHINE_TEST(what_another_counts_already_is_not_added),
		MACHINE_TEST(a_kind_that_counts_in_no_total_is_a_figure_and_an_unknown_one_none),
		MACHINE_TEST(what_is_not_known_is_no_zero),
		MACHINE_TEST(a_counter_that_is_lost_keeps_what_it_had_counted),
		MACHINE_TEST(an_unknown_package_has_a_bound_only_where_one_is_known),
		MACHINE_TEST(a_counter_that_was_unknown_at_the_begin_counts_from_when_it_is_known),
		MACHINE_TEST(what_was_counted_before_is_in_no_slice),
		MACHINE_TEST(of_a_time_that_is_too_short_a_counter_tells_nothing),
		MACHINE_TEST(the_power_is_that_of_the_slice),
		MACHINE_TEST(without_the_times_of_cpus_nothing_is_begun),
	};

	return cmocka_run_group_tests(tests, energy_set_up, energy_tear_down);
}
