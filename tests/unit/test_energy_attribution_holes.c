/* SPDX-License-Identifier: Apache-2.0
 *
 * What could not be read, of counters or of work, is no zero: it has a flag, a reason and a bound, and its energy is not lost.
 */
#include <math.h>

#include "tests/unit/attribution_world.h"

static void mistake_19_a_hole_is_no_zero_and_its_energy_goes_to_the_work_since(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	double joules = machine.readings[PACKAGE_0].joules;
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 3; i++) { /* EIO, ENODEV or no number: the monitor says that it could not read */
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_1, 1);
		machine.readings[PACKAGE_0].joules = NAN;
		machine.readings[PACKAGE_0].flags = FW_DOMAIN_GAP;
		tick(&machine);
	}
	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	use(&machine, PACKAGE_1, 1);
	machine.readings[PACKAGE_0].joules = joules + 4 + 8;
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 8, 1e-6);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

static void what_ends_in_a_hole_is_told_as_far_as_known_and_bounded_beyond(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.3);
	work(&machine, 0, 0, 0.3);
	use(&machine, PACKAGE_0, 3 + 6);
	use(&machine, PACKAGE_1, 3);
	tick(&machine);
	for (unsigned i = 0; i < 2; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_1, 1);
		machine.readings[PACKAGE_0].joules = NAN;
		tick(&machine);
	}
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns)); /* waiting for the zone would have no end */
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 6, 1e-6);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.high >= share.figure.joules + 4); /* what it went on to use */
}

/* It rested, the counter went, it worked: its own CPU time bounds what cannot be seen. */
static void a_hole_that_is_open_at_the_end_is_in_the_books_with_its_bound(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];

	(void)state;
	machine_init(&machine);
	tick(&machine);
	rest(&machine); /* 10 W */
	assert_int_equal(fw_attribution_books(machine.attribution, books, DOMAINS), 3);
	assert_near(books[PACKAGE_0].books.lost_j, 0, 1e-9);
	machine.readings[PACKAGE_0].joules = NAN;
	pass(&machine, 3);
	use(&machine, DRAM, 6);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_near(books[PACKAGE_0].books.lost_j, 2 * 10 * 3, 1);
	assert_near(books[DRAM].books.lost_j, 0, 1e-9);
}

static void work_that_begins_in_a_hole_is_within_the_bound(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.3);
	use(&machine, PACKAGE_0, 3);
	use(&machine, PACKAGE_1, 3);
	tick(&machine);
	for (unsigned i = 0; i < 2; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		use(&machine, PACKAGE_1, 1);
		machine.readings[PACKAGE_0].joules = NAN;
		tick(&machine);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.high >= share.figure.joules + 0.2 * 10);
}

/* 10 ms in which the holder works all the time, at 20 W. */
static void tick_with_work(struct machine *machine)
{
	pass(machine, 0.01);
	work(machine, 0, PACKAGE_0, 0.01);
	use(machine, PACKAGE_0, 0.1 + 0.2);
	use(machine, PACKAGE_1, 0.1);
	use(machine, DRAM, 0.02);
	tick(machine);
}

static void what_waits_for_a_slow_counter_has_its_own_joules_of_a_fast_one(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init_with(&machine, 0.25, false);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);
	for (unsigned i = 0; i < 5; i++)
		tick_with_work(&machine);
	struct fw_edge end = edge(&machine, 0);
	for (unsigned i = 0; i < 60 && !fw_holder_covers(machine.holders[0], end.at_ns); i++)
		tick_with_work(&machine);
	assert_true(fw_holder_covers(machine.holders[0], end.at_ns));
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 1, 0.05);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* Too little of it is known for a figure: there is none, and the model stands in. */
static void what_lies_in_a_hole_has_no_figure(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	machine.readings[PACKAGE_0].joules = machine.readings[PACKAGE_1].joules = NAN;
	tick(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.3);
	work(&machine, 0, 0, 0.3);
	tick(&machine);
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
}

static void a_counter_that_stands_still_under_work_gives_no_zero(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 10; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.1);
		tick(&machine);
	}
	assert_true(fw_holder_covers(machine.holders[0], machine.now_ns));
	assert_false(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
}

/* Its counters go with it, so that the machine seems to have undone work. */
static void a_hot_removed_cpu_is_flagged_and_no_worker_pays_for_it(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	machine.work.ns[0] += 500e9;
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	machine.work.ns[0] -= 300e9; /* the CPU's part */
	pass(&machine, 0.01);
	use(&machine, PACKAGE_0, 0.1);
	use(&machine, PACKAGE_1, 0.1);
	tick(&machine);
	for (unsigned i = 0; i < 10; i++) { /* half of the work is the worker's, as before */
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.05);
		machine.work.ns[0] += 0.05e9;
		use(&machine, PACKAGE_0, 1 + 2);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 10, 1e-6);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].reason, FW_REASON_CPU_GONE);
	assert_true(books[0].books.system_dynamic_j >= 0);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* Half of the work is the worker's, and all that the package draws beyond 10 W is for work. */
static struct fw_share half_a_second(struct machine *machine, bool is_missed)
{
	struct fw_share share;

	machine_init(machine);
	join(machine, 0, 1);
	tick(machine);
	rest(machine);
	struct fw_edge begin = edge(machine, 0);

	for (unsigned i = 0; i < 5; i++) {
		pass(machine, 0.1);
		work(machine, 0, 0, 0.05);
		machine->work.ns[0] += 0.05e9;
		use(machine, PACKAGE_0, 1 + 2);
		use(machine, PACKAGE_1, 1);
		if (is_missed && i < 4)
			fw_attribution_miss(machine->attribution, machine->now_ns);
		else
			tick(machine);
		if (is_missed) /* no record waits for ever for work that cannot be read */
			assert_int_equal(fw_holder_covers(machine->holders[0], machine->now_ns), i > 1);
	}
	assert_true(cut(machine, 0, 1, begin, edge(machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 5, 1e-6);
	return share;
}

static void moments_whose_work_could_not_be_told_are_a_gap_with_its_reason_and_wider(void **state)
{
	cleanup_machine struct machine missed;
	cleanup_machine struct machine seen;
	struct fw_pool_books books[DOMAINS];
	struct fw_figure gap = half_a_second(&missed, true).figure, known = half_a_second(&seen, false).figure;

	(void)state;
	assert_true(gap.flags & FW_DOMAIN_GAP);
	assert_int_equal(known.flags & FW_DOMAIN_GAP, 0);
	assert_true(gap.high - gap.low > 2 * (known.high - known.low));
	fw_attribution_books(missed.attribution, books, DOMAINS);
	assert_true(books[0].flags & FW_DOMAIN_GAP);
	assert_int_equal(books[0].reason, FW_REASON_WORK);
	assert_near(fw_attribution_residual_j(missed.attribution), 0, 1e-9);
}

/* Its group cannot be read when it joins; later it shows the 500 s of its whole life. */
static void a_worker_that_cannot_be_read_at_first_is_flagged_and_has_not_done_everything_at_once(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	machine.works[0].total_ns = -1;
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = {machine.now_ns, 500e9};

	for (unsigned i = 0; i < 4; i++) {
		pass(&machine, 0.1);
		machine.work.ns[0] += 0.1e9; /* half of it is the worker's */
		if (i == 1)
			machine.works[0].total_ns = machine.works[0].ns[0] = 500.1e9;
		if (i > 1)
			machine.works[0].total_ns = machine.works[0].ns[0] += 0.05e9;
		use(&machine, PACKAGE_0, 1 + 2);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_near(share.figure.dynamic_j, 2, 1e-6); /* of the two slices that tell, and of the others the bound */
	assert_true(share.figure.high >= share.figure.joules + 2);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[0].reason, FW_REASON_WORK);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
	struct fw_edge later = edge(&machine, 0);

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.05);
	use(&machine, PACKAGE_0, 1 + 2);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 2, later, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_int_equal(share.figure.flags & FW_DOMAIN_GAP, 0);
}

/* More processes than anybody reads, for two of four slices: what they did comes with the next, all of it flagged. */
static void a_worker_that_cannot_be_read_for_a_while_is_flagged_and_loses_nothing(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);
	double total_ns = 0;

	for (unsigned i = 0; i < 4; i++) {
		pass(&machine, 0.1);
		machine.work.ns[0] += 0.1e9;
		total_ns += 0.05e9;
		machine.works[0].total_ns = i == 1 || i == 2 ? -1 : total_ns;
		machine.works[0].ns[0] = i == 1 || i == 2 ? 0 : total_ns;
		use(&machine, PACKAGE_0, 1 + 2);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
		if (i == 1) {
			struct fw_edge now = {machine.now_ns, -1};

			assert_true(cut(&machine, 0, 1, begin, now, FW_DOMAIN_PACKAGE, &share));
			assert_true(share.figure.flags & FW_DOMAIN_GAP);
			assert_true(share.figure.high >= share.figure.idle_j + 2); /* what it has really used */
		}
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.dynamic_high >= 4 && share.figure.dynamic_j <= 4);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* A tree of more processes than anybody reads ends: its last reading is a second old. */
static void an_end_that_could_not_be_read_is_flagged_and_bounded(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 5; i++) {
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.05);
		use(&machine, PACKAGE_0, 1 + 1);
		use(&machine, PACKAGE_1, 1);
		tick(&machine);
	}
	pass(&machine, 0.01);
	struct fw_edge end = {machine.now_ns, -1};

	pass(&machine, 0.09);
	use(&machine, PACKAGE_0, 1 + 1);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, end, FW_DOMAIN_PACKAGE, &share));
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.high >= share.figure.joules);
	assert_near(share.figure.dynamic_j, 5, 1e-6);
}

FW_TESTS(mistake_19_a_hole_is_no_zero_and_its_energy_goes_to_the_work_since,
         what_ends_in_a_hole_is_told_as_far_as_known_and_bounded_beyond,
         a_hole_that_is_open_at_the_end_is_in_the_books_with_its_bound, work_that_begins_in_a_hole_is_within_the_bound,
         what_waits_for_a_slow_counter_has_its_own_joules_of_a_fast_one, what_lies_in_a_hole_has_no_figure,
         a_counter_that_stands_still_under_work_gives_no_zero, a_hot_removed_cpu_is_flagged_and_no_worker_pays_for_it,
         moments_whose_work_could_not_be_told_are_a_gap_with_its_reason_and_wider,
         a_worker_that_cannot_be_read_at_first_is_flagged_and_has_not_done_everything_at_once,
         a_worker_that_cannot_be_read_for_a_while_is_flagged_and_loses_nothing,
         an_end_that_could_not_be_read_is_flagged_and_bounded)
