/* SPDX-License-Identifier: Apache-2.0 */
#include "analysis/mean.h"

#include <math.h>

#include "tests/unit/support.h"

static void students_quantiles_are_those_of_the_tables(void **state)
{
	static const struct {
		size_t degrees;
		double t;
	} rows[] = {{1, 12.7062}, {2, 4.3027}, {3, 3.1824}, {4, 2.7764}, {5, 2.5706}, {9, 2.2622}, {10, 2.2281}, {29, 2.0452},
	            {30, 2.0423}, {99, 1.9842}, {1000, 1.9623}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_near(fw_student_95(rows[i].degrees), rows[i].t, 0.00006);
	assert_near(fw_student_95(SIZE_MAX), 1.95996, 0.0001);
}

static void a_mean_has_an_interval_from_two_values_on(void **state)
{
	const double values[] = {10, 12, 14};
	struct fw_mean mean = fw_mean_of(values, 3);

	(void)state;
	assert_near(mean.mean, 12, 1e-12);
	assert_near(mean.ci95, 4.3027 * 2 / sqrt(3), 0.001);
	assert_near(mean.least, 10, 0);
	assert_near(mean.most, 14, 0);
	mean = fw_mean_of(values, 1);
	assert_near(mean.mean, 10, 0);
	assert_true(isnan(mean.ci95));
	assert_true(isnan(fw_mean_of(values, 0).mean));
}

static void what_is_unknown_once_is_unknown(void **state)
{
	const double values[] = {1, NAN, 3};

	(void)state;
	assert_true(isnan(fw_mean_of(values, 3).mean));
	assert_true(isnan(fw_mean_of(values, 3).ci95));
}

FW_TESTS(students_quantiles_are_those_of_the_tables, a_mean_has_an_interval_from_two_values_on,
         what_is_unknown_once_is_unknown)
