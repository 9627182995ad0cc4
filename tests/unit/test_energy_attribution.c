/* SPDX-License-Identifier: Apache-2.0
 *
 * Readings with a known truth become the joules of invocations: edges inside slices, clocks that go back, workers that join
 * and leave, machines with more than one package.
 */
#include "tests/unit/attribution_world.h"

static void mistake_18_the_first_reading_is_a_baseline_and_no_consumption(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	struct fw_edge begin = edge(&machine, 0);

	tick(&machine);
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	rest(&machine);
	assert_int_equal(fw_attribution_books(machine.attribution, books, DOMAINS), 3);
	assert_near(books[0].books.measured_j, 20, 1e-9);
}

/* A worker works 50 ms of the 100 on a package that uses 3 J, 2 of them for all work; another program does as much. */
static void an_invocation_gets_the_price_of_its_own_work(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	machine.held[0] = 1;
	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.05);
	machine.work.ns[0] += 0.05e9;
	use(&machine, PACKAGE_0, 3);
	use(&machine, PACKAGE_1, 1);
	use(&machine, DRAM, 0.2);
	use(&machine, CORE, 1);
	tick(&machine);
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns));
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 1, 1e-6);
	assert_near(share.figure.idle_j, 0.5, 1e-6); /* a quarter of the CPUs, of 2 J */
	assert_true(share.figure.low <= 1.5 && share.figure.high >= 1.5 && share.is_root);
}

/* A slice of 400 ms: the worker comes 20 ms before its end, or leaves 20 ms after its begin. */
static void a_worker_that_joins_or_leaves_within_a_slice_has_idle_joules_of_its_own_time_alone(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	tick(&machine);
	rest(&machine);
	pass(&machine, 0.38);
	join(&machine, 0, 1);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.02);
	use(&machine, PACKAGE_0, 4);
	use(&machine, PACKAGE_1, 4);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.idle_j, 0.25 * 20 * 0.02, 1e-6);
	begin = edge(&machine, 0);
	pass(&machine, 0.02);
	struct fw_edge end = edge(&machine, 0);

	machine.works[0].at_ns = machine.now_ns; /* read for the last time */
	fw_holder_set(machine.holders[0], &machine.works[0], 1);
	struct fw_holder *left = machine.holders[0];

	machine.holders[0] = NULL;
	pass(&machine, 0.38);
	use(&machine, PACKAGE_0, 4);
	use(&machine, PACKAGE_1, 4);
	tick(&machine);
	machine.holders[0] = left;
	assert_true(cut(&machine, 0, 2, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.idle_j, 0.25 * 20 * 0.02, 1e-6);
}

static void packages_are_priced_apart(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share first, second;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	join(&machine, 1, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin[2] = {edge(&machine, 0), edge(&machine, 1)};

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	work(&machine, 1, 1, 0.1);
	use(&machine, PACKAGE_0, 1 + 5);
	use(&machine, PACKAGE_1, 1 + 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin[0], edge(&machine, 0), FW_DOMAIN_PACKAGE, &first));
	assert_true(cut(&machine, 1, 1, begin[1], edge(&machine, 1), FW_DOMAIN_PACKAGE, &second));
	assert_near(first.figure.dynamic_j, 5, 1e-6);
	assert_near(second.figure.dynamic_j, 1, 1e-6);
}

/* It waited for the first half of the slice and then burned alone: all of the slice's work is its, whatever the clock says. */
static void mistake_21_edges_inside_a_slice_follow_work_and_measured_time(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	work(&machine, 0, 0, 0.03); /* before the invocation: its worker's, not its */
	pass(&machine, 0.037);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.02);
	work(&machine, 0, 0, 0.01);
	struct fw_edge end = edge(&machine, 0);

	pass(&machine, 0.011); /* a tick that comes late: 68 ms, not 50 */
	use(&machine, PACKAGE_0, 0.68 + 4);
	use(&machine, PACKAGE_1, 0.68);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 1, 1e-6);
	assert_near(share.figure.idle_j, 0.25 * 2 * 10 * 0.02, 1e-6);
	assert_near(share.seconds, 2 * 0.02, 1e-9); /* of two packages */
}

static void mistake_22_a_clock_that_goes_back_makes_nothing_negative_and_loses_nothing(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	machine.now_ns -= FW_NS_PER_S;
	use(&machine, PACKAGE_0, 1);
	tick(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.2);
	work(&machine, 0, 0, 0.1);
	use(&machine, PACKAGE_0, 2 + 3);
	use(&machine, PACKAGE_1, 2);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.low >= 0 && share.figure.dynamic_j > 0 && share.figure.idle_j >= 0);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_near(books[0].books.measured_j, 20 + 6, 1e-9);
	assert_true(books[0].flags & FW_DOMAIN_GAP);
	assert_int_equal(books[0].reason, FW_REASON_CLOCK);
}

/* 20 ms around a reading of a slice of 100. */
static void mistake_23_a_slow_batch_is_flagged_and_widens_the_interval(void **state)
{
	double widths[2];

	(void)state;
	for (unsigned slow = 0; slow < 2; slow++) {
		cleanup_machine struct machine machine;
		struct fw_share share;

		machine_init(&machine);
		join(&machine, 0, 1);
		tick(&machine);
		rest(&machine);
		struct fw_edge begin = edge(&machine, 0);

		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_0, 3);
		use(&machine, PACKAGE_1, 1);
		machine.works[0].at_ns = machine.now_ns;
		fw_holder_set(machine.holders[0], &machine.works[0], 1);
		for (size_t i = 0; i < DOMAINS; i++) {
			machine.readings[i].before_ns = machine.now_ns - slow * 10 * FW_NS_PER_MS;
			machine.readings[i].after_ns = machine.now_ns + slow * 10 * FW_NS_PER_MS;
		}
		fw_attribution_tick(machine.attribution, machine.readings, &machine.work);
		assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
		assert_int_equal((share.figure.flags & FW_DOMAIN_SKEW) != 0, slow);
		widths[slow] = share.figure.dynamic_high - share.figure.dynamic_low;
	}
	assert_true(widths[1] > 2 * widths[0]);
}

/* 0.1 ms after the last one: no slice of megawatts, and nothing is lost. */
/* It was there for half of the slice, with an invocation all that time, and its last reading is of then. */
static void who_leaves_within_a_slice_reserves_until_then(void **state)
{
	cleanup_machine struct machine machine;

	(void)state;
	machine_init(&machine);
	rest(&machine);
	join(&machine, 0, 2); /* of four CPUs */
	tick(&machine);
	struct fw_pool_books before[DOMAINS], after[DOMAINS];

	assert_true(fw_attribution_books(machine.attribution, before, DOMAINS) > 0);
	pass(&machine, 0.05);
	machine.works[0].at_ns = machine.now_ns;
	fw_holder_set(machine.holders[0], &machine.works[0], 1);
	pass(&machine, 0.05);
	use(&machine, PACKAGE_0, 1);
	use(&machine, PACKAGE_1, 1);
	use(&machine, DRAM, 0.2);
	struct fw_holder *left = machine.holders[0];

	machine.holders[0] = NULL;
	tick(&machine);
	fw_attribution_books(machine.attribution, after, DOMAINS);
	assert_near(after[0].books.workers_idle_j - before[0].books.workers_idle_j, 1.0 * 2 / 4 / 2, 0.005);
	fw_holder_free(left);
}

static void mistake_25_ticks_that_follow_at_once_close_no_slice(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];

	(void)state;
	machine_init(&machine);
	tick(&machine);
	rest(&machine);
	pass(&machine, 0.0001);
	use(&machine, PACKAGE_0, 100);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].slices, 20);
	assert_true(fw_attribution_due_ns(machine.attribution) > machine.now_ns);
	pass(&machine, 0.1);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].slices, 21);
	assert_near(books[0].books.measured_j, 120, 1e-9);
}

/* psys of whole joules, 30 W: a slice of it has 100 of them. */
static void mistake_12_a_coarse_counter_closes_slices_that_are_long_enough(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	use(&machine, PSYS, 1);
	use(&machine, DRAM, 0.2);
	use(&machine, PACKAGE_0, 2);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PSYS, &share));
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns)); /* nobody waits for it */
}

static void mistake_31_the_last_work_of_a_worker_that_left_is_handed_out(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.04);
	work(&machine, 0, 0, 0.04);
	struct fw_edge end = edge(&machine, 0);

	machine.works[0].at_ns = machine.now_ns; /* its last reading, before its group goes */
	fw_holder_set(machine.holders[0], &machine.works[0], 1);
	assert_false(fw_holder_covers(machine.holders[0], end.at_ns));
	struct fw_holder *left = machine.holders[0];

	machine.holders[0] = NULL;
	pass(&machine, 0.06);
	use(&machine, DRAM, 0.2);
	use(&machine, PACKAGE_0, 1 + 2);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	machine.holders[0] = left;
	assert_true(fw_holder_covers(left, end.at_ns));
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 2, 1e-6);
}

FW_TESTS(mistake_18_the_first_reading_is_a_baseline_and_no_consumption, an_invocation_gets_the_price_of_its_own_work,
         a_worker_that_joins_or_leaves_within_a_slice_has_idle_joules_of_its_own_time_alone, packages_are_priced_apart,
         mistake_21_edges_inside_a_slice_follow_work_and_measured_time,
         mistake_22_a_clock_that_goes_back_makes_nothing_negative_and_loses_nothing,
         mistake_23_a_slow_batch_is_flagged_and_widens_the_interval, who_leaves_within_a_slice_reserves_until_then,
         mistake_25_ticks_that_follow_at_once_close_no_slice,
         mistake_12_a_coarse_counter_closes_slices_that_are_long_enough,
         mistake_31_the_last_work_of_a_worker_that_left_is_handed_out)
