/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/efficiency.h"

#include <math.h>

#include "tests/unit/support.h"

static void the_peak_is_the_most_that_draws_at_once(void **state)
{
	/* 10 W, 20 W and 5 W; the first two overlap, the third follows the second without a gap. */
	const struct fw_power_stretch stretches[] = {{1000, 2000, 20}, {0, 1500, 15}, {2000, 4000, 10}};

	(void)state;
	assert_near(fw_peak_watts(stretches, 3), 30, 1e-9);
	assert_near(fw_peak_watts(stretches, 1), 20, 1e-9);
}

static void stretches_that_follow_each_other_do_not_add_up(void **state)
{
	const struct fw_power_stretch stretches[] = {{1000, 2000, 7}, {0, 1000, 6}, {2000, 3000, 5}};

	(void)state;
	assert_near(fw_peak_watts(stretches, 3), 7, 1e-9);
}

static void what_has_no_length_or_no_joules_has_no_power(void **state)
{
	const struct fw_power_stretch stretches[] = {{0, 0, 5}, {0, 1000, NAN}, {NAN, 1000, 5}, {0, NAN, 5}, {5, 1, 2}};

	(void)state;
	assert_true(isnan(fw_peak_watts(stretches, 5)));
	assert_true(isnan(fw_peak_watts(NULL, 0)));
}

static void the_least_joules_per_unit_score_100(void **state)
{
	const double joules_per_unit[] = {2, 1, 4, NAN, 0};
	double scores[5];

	(void)state;
	fw_efficiency_scores(joules_per_unit, 5, scores);
	assert_near(scores[0], 50, 1e-12);
	assert_near(scores[1], 100, 1e-12);
	assert_near(scores[2], 25, 1e-12);
	assert_true(isnan(scores[3]));
	assert_true(isnan(scores[4]));
	fw_efficiency_scores(joules_per_unit + 3, 2, scores);
	assert_true(isnan(scores[0]) && isnan(scores[1]));
}

static void per_unit_needs_units(void **state)
{
	(void)state;
	assert_near(fw_joules_per_unit(10, 4), 2.5, 1e-12);
	assert_near(fw_sci(30, 10, 8), 5, 1e-12);
	assert_true(isnan(fw_joules_per_unit(10, 0)) && isnan(fw_joules_per_unit(10, NAN)) && isnan(fw_joules_per_unit(NAN, 1)));
	assert_true(isnan(fw_sci(1, 1, 0)) && isnan(fw_sci(NAN, 1, 1)) && isnan(fw_sci(1, NAN, 1)));
}

FW_TESTS(the_peak_is_the_most_that_draws_at_once, stretches_that_follow_each_other_do_not_add_up,
         what_has_no_length_or_no_joules_has_no_power, the_least_joules_per_unit_score_100, per_unit_needs_units)
