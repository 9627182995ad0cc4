/* SPDX-License-Identifier: Apache-2.0
 *
 * The power model and the counters of tests/tools/simulator: what tests of energy take for true is arithmetic that is
 * itself tested.
 */
#include "support.h"
#include "tests/tools/simulator/model.h"

static const struct sim_counter hardware = {.unit_nj = 61035, .bits = 32};

static void time_is_weighted_with_the_frequency_of_each_step(void **state)
{
	const struct sim_model model = {.steps = {{1000000000, 2}, {2000000000, 0.5}}, .step_count = 2};

	(void)state;
	assert_near(sim_weighted_s(&model, 0, 1000000000), 1, 1e-12);
	assert_near(sim_weighted_s(&model, 500000000, 1500000000), 0.5 + 1, 1e-12);
	assert_near(sim_weighted_s(&model, 0, 4000000000), 1 + 2 + 1, 1e-12);
	assert_near(sim_weighted_s(&model, 1700000000, 1700000000), 0, 1e-12);
	assert_int_equal(sim_next_step(&model, 1000000000), 2000000000);
	assert_true(sim_next_step(&model, 2000000000) == UINT64_MAX);
}

static void a_counter_counts_in_whole_units_and_never_ahead(void **state)
{
	(void)state;
	assert_int_equal(sim_counter_shows_uj(&hardware, 0), 0);
	assert_int_equal(sim_counter_shows_uj(&hardware, 61e-6), 0);
	assert_int_equal(sim_counter_shows_uj(&hardware, 62e-6), 61);
	for (double joules = 0.1; joules < 1000; joules *= 1.37) {
		double shown = (double)sim_counter_shows_uj(&hardware, joules) / 1e6;

		assert_true(shown <= joules && shown > joules - 63e-6);
	}
}

static void its_range_is_what_the_kernel_tells_of_32_bits(void **state)
{
	(void)state;
	assert_int_equal(sim_counter_range_uj(&hardware), 262143328850);
}

static void beyond_its_range_it_begins_at_nothing(void **state)
{
	struct sim_counter near_the_end = hardware;

	(void)state;
	near_the_end.start_uj = sim_counter_range_uj(&hardware);
	assert_true(sim_counter_shows_uj(&near_the_end, 0) > 262143000000);
	assert_true(sim_counter_shows_uj(&near_the_end, 1) < 1000001);
}

FW_TESTS(time_is_weighted_with_the_frequency_of_each_step, a_counter_counts_in_whole_units_and_never_ahead,
         its_range_is_what_the_kernel_tells_of_32_bits, beyond_its_range_it_begins_at_nothing)
