/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantities with an interval: one unit for all three, that of the largest.
 */
#include "base/memory.h"
#include "report/format.h"
#include "tests/unit/support.h"

static void the_largest_part_of_an_interval_tells_the_unit(void **state)
{
	static const struct {
		double joules, low, high;
		const char *text;
	} cases[] = {{0, 0, 28.172041112, "0 J (0–28)"},
	             {0.0003, 0, 0.004, "0.30 mJ (0.00–4.00)"},
	             {0.012, 0, 28.17, "0.012 J (0.000–28.170)"},
	             {12.4, 10.2, 49.1, "12 J (10–49)"},
	             {0.05, 0.04, 0.06, "50 mJ (40–60)"}};
	char text[FW_FORMAT_SIZE];

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++)
		assert_string_equal(fw_format_joules_interval(text, cases[i].joules, cases[i].low, cases[i].high), cases[i].text);
}

FW_TESTS(the_largest_part_of_an_interval_tells_the_unit)
