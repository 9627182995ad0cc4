/* SPDX-License-Identifier: Apache-2.0 */
#include "energy/span.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "tests/unit/energy_support.h"

static struct fw_record slice_of(double ms, double cpu_ms, int64_t faults, double peak_mb)
{
	struct fw_record record;

	fw_record_init(&record);
	record.duration_ms = ms;
	record.cpu_user_ms = cpu_ms;
	record.cpu_percent = cpu_ms / ms * 100;
	record.faults_minor = faults;
	record.memory_peak_mb = peak_mb;
	return record;
}

static void give(struct fw_record *record, const char *source, double joules, const char *flags)
{
	struct fw_energy *energy = fw_record_add_energy(record);

	fw_record_set_text(&energy->source, source);
	fw_record_set_text(&energy->domain, "package");
	fw_record_set_text(&energy->flags, flags);
	energy->joules = joules;
	energy->low = joules - 1;
	energy->high = joules + 1;
	energy->dynamic_j = joules / 2;
	energy->idle_j = joules / 2;
}

static struct fw_record sum_of(struct fw_record *a, struct fw_record *b)
{
	struct fw_record sum;

	fw_record_init(&sum);
	sum.duration_ms = 0;
	fw_span_add(&sum, a);
	fw_span_add(&sum, b);
	fw_record_done(a);
	fw_record_done(b);
	return sum;
}

static void slices_add_up_by_the_nature_of_each_field(void **state)
{
	struct fw_record a = slice_of(100, 50, 3, 20), b = slice_of(300, 30, 4, 10), sum = sum_of(&a, &b);

	(void)state;
	assert_near(sum.duration_ms, 400, 0);
	assert_near(sum.cpu_user_ms, 80, 0);
	assert_near(sum.cpu_percent, 20, 1e-9); /* 80 of 400, not the mean of 50 and 10 */
	assert_int_equal(sum.faults_minor, 7);
	assert_near(sum.memory_peak_mb, 20, 0);
	fw_record_done(&sum);
}

static void a_counter_unknown_in_one_slice_is_unknown_in_the_sum(void **state)
{
	struct fw_record a = slice_of(100, 50, FW_NULL_INT, 20), b = slice_of(300, NAN, 4, 10), sum = sum_of(&a, &b);

	(void)state;
	assert_true(sum.faults_minor == FW_NULL_INT);
	assert_true(isnan(sum.cpu_user_ms));
	fw_record_done(&sum);
}

static void energy_adds_up_by_source_with_its_interval_and_flags(void **state)
{
	struct fw_record a = slice_of(100, 50, 3, 20), b = slice_of(300, 30, 4, 10);

	(void)state;
	give(&a, "rapl", 5, "measured ok");
	give(&b, "rapl", 7, "measured wrap");
	struct fw_record sum = sum_of(&a, &b);

	assert_int_equal(sum.energy.count, 1);
	assert_near(sum.energy.items[0].joules, 12, 1e-12);
	assert_near(sum.energy.items[0].low, 10, 1e-12);
	assert_near(sum.energy.items[0].high, 14, 1e-12);
	assert_near(sum.energy.items[0].dynamic_j, 6, 1e-12);
	assert_true(fw_record_has_flag(sum.energy.items[0].flags, "wrap"));
	assert_false(fw_record_has_flag(sum.energy.items[0].flags, "gap"));
	fw_record_done(&sum);
}

static void a_source_that_misses_in_a_slice_has_no_upper_end(void **state)
{
	for (int missing = 0; missing < 2; missing++) {
		struct fw_record a = slice_of(100, 50, 3, 20), b = slice_of(300, 30, 4, 10);

		(void)state;
		give(missing ? &a : &b, "rapl", 5, "measured ok");
		struct fw_record sum = sum_of(&a, &b);

		assert_near(sum.energy.items[0].joules, 5, 1e-12);
		assert_true(isnan(sum.energy.items[0].high));
		assert_true(fw_record_has_flag(sum.energy.items[0].flags, "gap"));
		fw_record_done(&sum);
	}
}

static void the_peak_is_of_a_slice_long_enough_to_have_a_power(void **state)
{
	static const struct {
		double ms, joules;
	} slices[] = {{1000, 10}, {1000, 30}, {1, 1}, {1000, 20}};
	struct fw_span_totals totals = {.watts = NAN, .peak_w = NAN, .peak_over_s = NAN};

	(void)state;
	fw_record_init(&totals.record);
	totals.record.duration_ms = 0;
	for (size_t i = 0; i < FW_COUNT_OF(slices); i++) {
		struct fw_record slice = slice_of(slices[i].ms, 0, 0, 0);

		give(&slice, "rapl", slices[i].joules, "measured");
		fw_span_total(&totals, &slice);
		fw_record_done(&slice);
	}
	assert_near(totals.peak_w, 30, 1e-9); /* not the 1000 W of the millisecond */
	assert_near(totals.watts, 20, 1e-9);
	assert_near(totals.peak_over_s, 1, 1e-9);
	fw_record_done(&totals.record);
}

static void what_is_flagged_in_one_slice_is_not_ok(void **state)
{
	static const struct {
		const char *first, *second, *sum; /* second NULL: none */
	} cases[] = {{"measured ok", "measured ok", "measured ok"}, {"measured ok", "measured wrap", "measured wrap"},
	             {"measured gap", "measured ok", "measured gap"}, {"measured ok", NULL, "measured gap"}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_record a = slice_of(100, 50, 3, 20), b = slice_of(300, 30, 4, 10);

		give(&a, "rapl", 5, cases[i].first);
		if (cases[i].second)
			give(&b, "rapl", 5, cases[i].second);
		struct fw_record sum = sum_of(&a, &b);

		assert_string_equal(sum.energy.items[0].flags, cases[i].sum);
		fw_record_done(&sum);
	}
}

static void power_is_of_one_basis(void **state)
{
	static const struct {
		const char *source, *flags;
		double joules, watts, peak_w;
	} slices[] = {{"model", "modelled", 100, 100, 100}, /* the counter is not there yet */
	              {"rapl", "measured", 20, 20, 20},
	              {"model", "modelled", 100, NAN, 20}, /* nor now */
	              {"rapl", "measured", 10, 10, 20}};
	struct fw_span_totals totals = {.watts = NAN, .peak_w = NAN, .peak_over_s = NAN};

	(void)state;
	fw_record_init(&totals.record);
	totals.record.duration_ms = 0;
	for (size_t i = 0; i < FW_COUNT_OF(slices); i++) {
		struct fw_record slice = slice_of(1000, 0, 0, 0);

		give(&slice, slices[i].source, slices[i].joules, slices[i].flags);
		fw_span_total(&totals, &slice);
		fw_record_done(&slice);
		assert_near(totals.peak_w, slices[i].peak_w, 1e-9);
		if (isnan(slices[i].watts))
			assert_true(isnan(totals.watts));
		else
			assert_near(totals.watts, slices[i].watts, 1e-9);
	}
	fw_record_done(&totals.record);
}

/* ---- a counter that is updated seldom ---- */

#define SLOW_S 0.2

static struct fw_domain slow_domain = {.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .package = -1, .gpu = -1, .quantum_j = 1e-6,
                                       .update_s = SLOW_S, .most_w = 1000, .is_root = true};

static int open_slow(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err)
{
	(void)context;
	(void)err;
	*monitor = (struct fw_monitor *)&slow_domain;
	return FW_OK;
}

static char *describe_slow(struct fw_monitor *monitor)
{
	(void)monitor;
	return fw_strdup("slow");
}

static size_t slow_domains(struct fw_monitor *monitor, const struct fw_domain **domains)
{
	(void)monitor;
	*domains = &slow_domain;
	return 1;
}

/* 10 W. */
static void read_slow(struct fw_monitor *monitor, struct fw_domain_reading *readings)
{
	static uint64_t first_ns;
	uint64_t now_ns = fw_monotonic_ns();

	(void)monitor;
	first_ns = first_ns ? first_ns : now_ns;
	*readings = (struct fw_domain_reading){.before_ns = now_ns, .after_ns = now_ns, .joules = 10 * (double)(now_ns - first_ns) / 1e9};
}

static void close_slow(struct fw_monitor *monitor)
{
	(void)monitor;
}

static const struct fw_monitor_ops slow = {.name = "rapl", .method = "rapl/1", .open = open_slow, .describe = describe_slow,
                                           .domains = slow_domains, .read = read_slow, .close = close_slow};
static const struct fw_monitor_ops *const monitors[] = {&fw_monitor_system, &slow, NULL};

/* Its slices last 0.4 s: whoever cuts before does not wait, and at the end no slice is missing. */
static void a_cut_waits_for_no_counter_and_the_end_has_all_slices(void **state)
{
	struct fw_energy_options options = {.context = {&world.root, &world.machine, world.catalogue}, .monitors = monitors};
	struct fw_metered metered = {.pid = getpid(), .vcpus = 1};
	FW_CLEANUP(fw_energy_manager_free) struct fw_energy_manager *manager = NULL;
	struct fw_error *err = NULL;
	uint64_t longest_ns = 0;

	(void)state;
	assert_ok(fw_energy_manager_new(&options, &manager, &err), err);
	FW_CLEANUP(fw_span_free) struct fw_span *span = fw_span_begin(manager, &metered);
	uint64_t begin_ns = fw_monotonic_ns();

	for (int i = 0; i < 3; i++) {
		burn_30_ms();
		uint64_t before_ns = fw_monotonic_ns();

		assert_true(fw_span_cut(span)->record.duration_ms < (double)(before_ns - begin_ns) / 1e6);
		uint64_t took_ns = fw_monotonic_ns() - before_ns;

		longest_ns = took_ns > longest_ns ? took_ns : longest_ns;
	}
	double whole_ms = fw_ns_to_ms(fw_monotonic_ns() - begin_ns);
	const struct fw_span_totals *totals = fw_span_end(span, true);

	assert_true(longest_ns < (uint64_t)(SLOW_S * 1e9));
	assert_near(totals->record.duration_ms, whole_ms, 50);
	assert_int_equal(totals->record.energy.count, 1);
	assert_true(totals->record.energy.items[0].joules > 0);
	assert_ptr_equal(fw_span_cut(span), totals);
	assert_near(totals->record.duration_ms, whole_ms, 50); /* nothing comes after the end */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_add_up_by_the_nature_of_each_field),
		cmocka_unit_test(a_counter_unknown_in_one_slice_is_unknown_in_the_sum),
		cmocka_unit_test(energy_adds_up_by_source_with_its_interval_and_flags),
		cmocka_unit_test(a_source_that_misses_in_a_slice_has_no_upper_end),
		cmocka_unit_test(the_peak_is_of_a_slice_long_enough_to_have_a_power),
		cmocka_unit_test(what_is_flagged_in_one_slice_is_not_ok),
		cmocka_unit_test(power_is_of_one_basis),
		cmocka_unit_test(a_cut_waits_for_no_counter_and_the_end_has_all_slices),
	};

	return cmocka_run_group_tests(tests, energy_set_up, energy_tear_down);
}
