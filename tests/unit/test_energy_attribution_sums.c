/* SPDX-License-Identifier: Apache-2.0
 *
 * Of many slices, of several domains and of others' promises: whatever happens, no joule is handed out twice, and memory goes to
 * those who use it.
 */
#include <math.h>

#include "base/memory.h"
#include "tests/unit/attribution_world.h"

/* 300 slices: far more than are kept. */
static void a_long_invocation_is_the_sum_of_all_its_slices(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	pass(&machine, 0.005);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 300; i++) {
		pass(&machine, 0.01);
		work(&machine, 0, 0, 0.01);
		use(&machine, PACKAGE_0, 0.1 + 0.4);
		use(&machine, PACKAGE_1, 0.1);
		if (i == 150)
			machine.readings[PACKAGE_0].flags = FW_DOMAIN_WRAP;
		tick(&machine);
		fw_holder_open(machine.holders[0], 7, &begin);
	}
	assert_true(cut(&machine, 0, 7, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.dynamic_j, 300 * 0.4, 0.3); /* 5 ms of the first slice's idle are not in its window */
	assert_true(share.figure.flags & FW_DOMAIN_WRAP);
	assert_true(share.figure.low < share.figure.joules && share.figure.joules < share.figure.high);
	assert_true(share.figure.high - share.figure.low < 0.2 * share.figure.joules);
}

static void memory_is_shared_by_bytes_and_time(void **state)
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
	use(&machine, DRAM, 0.2 + 0.4);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_DRAM, &share));
	assert_near(share.figure.dynamic_j, 0.4 / 4, 1e-6); /* 1 of the 4 GB in use */
	assert_near(share.figure.idle_j, 0.2 / 4, 1e-6);    /* 2 of the 8 reserved */
}

static void mistake_09_what_lies_inside_others_is_told_and_never_in_the_books(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];
	struct fw_share share;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	pass(&machine, 0.1);
	work(&machine, 0, 0, 0.1);
	use(&machine, PACKAGE_0, 3);
	use(&machine, PACKAGE_1, 1);
	use(&machine, CORE, 0.5 + 1);
	tick(&machine);
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_CORE, &share));
	assert_near(share.figure.dynamic_j, 1, 1e-6);
	assert_false(share.is_root);
	size_t count = fw_attribution_books(machine.attribution, books, DOMAINS);

	for (size_t i = 0; i < count; i++)
		assert_true(books[i].domain->is_root);
}

/* Three times the machine is promised: the idle floor is handed out once. */
static void what_is_promised_twice_is_handed_out_once(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_edge begins[HOLDERS];
	double idle = 0;

	(void)state;
	machine_init(&machine);
	for (size_t i = 0; i < HOLDERS; i++)
		join(&machine, i, 4);
	tick(&machine);
	rest(&machine);
	for (size_t i = 0; i < HOLDERS; i++) {
		begins[i] = edge(&machine, i);
		machine.held[i] = 1;
	}
	pass(&machine, 0.1);
	use(&machine, PACKAGE_0, 1);
	use(&machine, PACKAGE_1, 1);
	tick(&machine);
	for (size_t i = 0; i < HOLDERS; i++) {
		struct fw_share share;

		assert_true(cut(&machine, i, 1, begins[i], edge(&machine, i), FW_DOMAIN_PACKAGE, &share));
		idle += share.figure.idle_j;
	}
	assert_near(idle, 2, 1e-6);
}

/* Days of full load, then slices that a fraction of a joule makes: what the account rose by has lost their last digits. */
static void little_after_very_much_is_handed_out_once(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_pool_books books[DOMAINS];

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 2);
	machine.held[0] = 1;
	tick(&machine);
	rest(&machine);
	for (unsigned i = 0; i < 100; i++) {
		pass(&machine, i == 0 ? 3e6 : 0.01);
		work(&machine, 0, 0, i == 0 ? 5e6 : 0.02);
		use(&machine, PACKAGE_0, i == 0 ? 1e9 : 0.3 + 0.001 * i);
		tick(&machine); /* in a debug build the books assert that the worker got no more than there was */
		assert_true(fw_attribution_books(machine.attribution, books, DOMAINS) > 0);
		assert_true(books[0].books.workers_dynamic_j > 0);
		assert_true(books[0].books.system_dynamic_j >= 0);
	}
}

/* Memory's joules go by cache misses where they are counted: who holds much and asks for little does not pay. */
static void memory_is_shared_by_cache_misses_where_they_are_counted(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share share;

	(void)state;
	machine_init_with(&machine, 0.001, true);
	machine.works[1].misses = -1; /* of this worker they cannot be counted */
	join(&machine, 0, 1);
	join(&machine, 1, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	for (unsigned i = 0; i < 10; i++) {
		pass(&machine, 0.1);
		use(&machine, PACKAGE_0, 1);
		use(&machine, PACKAGE_1, 1);
		use(&machine, DRAM, 0.2 + 1);
		machine.work.misses += 4e6;
		machine.works[0].misses += 1e6;
		double of_all = machine.work.misses, own = machine.works[0].misses;

		if (i % 2 == 0)
			machine.work.misses = machine.works[0].misses = NAN; /* not asked for at this tick */
		tick(&machine);
		machine.work.misses = of_all;
		machine.works[0].misses = own;
		assert_int_equal(fw_holder_covers(machine.holders[0], machine.now_ns), i % 2);
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_DRAM, &share));
	assert_true(share.by_misses);
	assert_near(share.figure.dynamic_j, 10 * 1.0 / 4, 1e-6);
	assert_int_equal(share.figure.flags & FW_DOMAIN_GAP, 0);
	assert_true(cut(&machine, 1, 1, begin, edge(&machine, 1), FW_DOMAIN_DRAM, &share));
	assert_near(share.figure.dynamic_j, 0, 1e-9);
	assert_true(share.figure.flags & FW_DOMAIN_GAP);
	assert_true(share.figure.high >= share.figure.joules + 7.4);
	struct fw_pool_books books[DOMAINS];

	machine.work.misses = -1; /* nor of all */
	pass(&machine, 0.1);
	use(&machine, PACKAGE_0, 1);
	use(&machine, PACKAGE_1, 1);
	use(&machine, DRAM, 0.2);
	tick(&machine);
	fw_attribution_books(machine.attribution, books, DOMAINS);
	assert_int_equal(books[DRAM].reason, FW_REASON_WORK);
	assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-9);
}

/* Whoever looks on sees what the account holds by then, and changes nothing by it. */
static void what_goes_on_is_told_so_far_and_comes_to_the_same_in_the_end(void **state)
{
	cleanup_machine struct machine machine;
	struct fw_share shares[16], share;
	double before_j = 0;

	(void)state;
	machine_init(&machine);
	join(&machine, 0, 1);
	tick(&machine);
	rest(&machine);
	struct fw_edge begin = edge(&machine, 0);

	assert_int_equal(fw_holder_so_far(machine.holders[0], 1, &begin, shares, FW_COUNT_OF(shares)), 0);
	for (unsigned i = 0; i < 50; i++) { /* longer than slices are kept */
		pass(&machine, 0.1);
		work(&machine, 0, 0, 0.05);
		use(&machine, PACKAGE_0, 1 + 1);
		use(&machine, PACKAGE_1, 1);
		use(&machine, DRAM, 0.2);
		tick(&machine);
		fw_holder_open(machine.holders[0], 1, &begin);
		assert_true(fw_holder_so_far(machine.holders[0], 1, &begin, shares, FW_COUNT_OF(shares)) >= 1);
		assert_int_equal(shares[0].kind, FW_DOMAIN_PACKAGE);
		assert_true(shares[0].figure.joules > before_j);
		assert_near(shares[0].figure.dynamic_j, i + 1, 1e-6);
		before_j = shares[0].figure.joules;
	}
	assert_true(cut(&machine, 0, 1, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &share));
	assert_near(share.figure.joules, before_j, 1e-9);
}

/* Invocations follow each other without a pause: together they are what their worker has in the books. */
static void mistake_24_invocations_one_behind_the_other_leave_no_gap(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		cleanup_machine struct machine machine;
		struct fw_pool_books books[DOMAINS];
		double dynamic = 0, idle = 0, workers_dynamic = 0, workers_idle = 0;
		uint64_t random = seed, serial = 1;

		machine_init(&machine);
		join(&machine, 0, 1);
		machine.held[0] = 1;
		tick(&machine);
		struct fw_edge begin = edge(&machine, 0), ends[64];

		for (unsigned slice = 0; slice < 60; slice++) {
			size_t count = 0;

			for (unsigned step = 0; step < 5; step++) {
				double seconds = 0.002 + 0.02 * uniform(&random);

				pass(&machine, seconds);
				work(&machine, 0, uniform(&random) < 0.5, seconds * uniform(&random));
				machine.work.ns[0] += 1e9 * seconds * uniform(&random);
				use(&machine, PACKAGE_0, 0.01 + 50 * seconds * uniform(&random));
				use(&machine, PACKAGE_1, 0.01 + 50 * seconds * uniform(&random));
				if (uniform(&random) < 0.4)
					ends[count++] = edge(&machine, 0);
			}
			pass(&machine, 0.003);
			tick(&machine);
			for (size_t i = 0; i < count; i++) {
				struct fw_share share;

				assert_true(cut(&machine, 0, serial++, begin, ends[i], FW_DOMAIN_PACKAGE, &share));
				dynamic += share.figure.dynamic_j;
				idle += share.figure.idle_j;
				assert_true(share.figure.low >= 0 && share.figure.low <= share.figure.joules);
				begin = ends[i];
			}
			fw_holder_open(machine.holders[0], serial, &begin);
		}
		struct fw_share rest_of_it;

		assert_true(cut(&machine, 0, serial, begin, edge(&machine, 0), FW_DOMAIN_PACKAGE, &rest_of_it));
		dynamic += rest_of_it.figure.dynamic_j;
		idle += rest_of_it.figure.idle_j;
		fw_attribution_books(machine.attribution, books, DOMAINS);
		for (size_t i = 0; i < 2; i++) {
			workers_dynamic += books[i].books.workers_dynamic_j;
			workers_idle += books[i].books.workers_idle_j;
		}
		assert_near(dynamic, workers_dynamic, 1e-6 * workers_dynamic + 1e-9);
		assert_near(idle, workers_idle, 1e-6 * workers_idle + 1e-9);
		assert_near(fw_attribution_residual_j(machine.attribution), 0, 1e-6);
	}
}

FW_TESTS(a_long_invocation_is_the_sum_of_all_its_slices, memory_is_shared_by_bytes_and_time,
         mistake_09_what_lies_inside_others_is_told_and_never_in_the_books, what_is_promised_twice_is_handed_out_once,
         little_after_very_much_is_handed_out_once, memory_is_shared_by_cache_misses_where_they_are_counted,
         what_goes_on_is_told_so_far_and_comes_to_the_same_in_the_end,
         mistake_24_invocations_one_behind_the_other_leave_no_gap)
