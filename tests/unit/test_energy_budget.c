/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of metering on a clock of the test's own: no real time, exact bounds.
 */
#include "base/time.h"
#include "energy/budget.h"
#include "tests/unit/support.h"

#define SAVED_NS (10 * 1000000ULL) /* at the start */

/* Ends at so many a second for ten seconds; each that may is charged what a sample costs. */
static uint64_t samples_of_stream(uint64_t per_second, uint64_t cost_ns, enum fw_budget_keep keep, uint64_t *spent_ns)
{
	struct fw_budget budget;
	uint64_t samples = 0;

	fw_budget_init(&budget, 1);
	for (uint64_t i = 0; i < 10 * per_second; i++)
		if (fw_budget_allows(&budget, 1 + i * FW_NS_PER_S / per_second, keep)) {
			fw_budget_spend(&budget, cost_ns);
			samples++;
		}
	*spent_ns = fw_budget_spent_ns(&budget);
	fw_budget_done(&budget);
	return samples;
}

static void a_fast_stream_gets_half_a_percent_of_a_cpu_and_no_more(void **state)
{
	uint64_t spent_ns;

	(void)state;
	uint64_t samples = samples_of_stream(13000, 8000, FW_KEEP_FOR_TICKS, &spent_ns);
	assert_in_range(spent_ns, 50 * 1000000, 50 * 1000000 + SAVED_NS);
	assert_int_equal(samples, spent_ns / 8000);
}

static void a_slow_stream_is_sampled_at_every_end(void **state)
{
	uint64_t spent_ns;

	(void)state;
	assert_int_equal(samples_of_stream(400, 8000, FW_KEEP_FOR_TICKS, &spent_ns), 4000);
}

static void what_can_be_done_without_stops_first(void **state)
{
	struct fw_budget budget;

	(void)state;
	fw_budget_init(&budget, 1);
	fw_budget_spend(&budget, SAVED_NS - FW_KEEP_FOR_TICKS);
	assert_false(fw_budget_allows(&budget, 1, FW_KEEP_MUCH));
	assert_false(fw_budget_allows(&budget, 1, FW_KEEP_FOR_TICKS));
	assert_true(fw_budget_allows(&budget, 1, FW_KEEP_FOR_ENDS));
	fw_budget_spend(&budget, FW_KEEP_FOR_TICKS - FW_KEEP_FOR_ENDS);
	assert_false(fw_budget_allows(&budget, 1, FW_KEEP_FOR_ENDS));
	assert_true(fw_budget_allows(&budget, 1, FW_KEEP_NOTHING));
	fw_budget_done(&budget);
}

static void what_must_be_read_is_paid_back_before_anything_else(void **state)
{
	struct fw_budget budget;

	(void)state;
	fw_budget_init(&budget, 1);
	fw_budget_spend(&budget, SAVED_NS + 5 * 1000000);
	assert_false(fw_budget_allows(&budget, FW_NS_PER_S - 1000000, FW_KEEP_NOTHING));
	assert_true(fw_budget_allows(&budget, FW_NS_PER_S + 1000000, FW_KEEP_NOTHING)); /* 5 ms are a second's */
	fw_budget_done(&budget);
}

static void a_clock_that_another_thread_read_later_earns_nothing_twice(void **state)
{
	struct fw_budget budget;

	(void)state;
	fw_budget_init(&budget, 1);
	fw_budget_spend(&budget, SAVED_NS);
	assert_true(fw_budget_allows(&budget, FW_NS_PER_S, FW_KEEP_NOTHING));
	fw_budget_spend(&budget, 5 * 1000000);
	assert_false(fw_budget_allows(&budget, FW_NS_PER_S / 2, FW_KEEP_NOTHING));
	assert_false(fw_budget_allows(&budget, FW_NS_PER_S, FW_KEEP_NOTHING));
	fw_budget_done(&budget);
}

FW_TESTS(a_fast_stream_gets_half_a_percent_of_a_cpu_and_no_more, a_slow_stream_is_sampled_at_every_end,
         what_can_be_done_without_stops_first, what_must_be_read_is_paid_back_before_anything_else,
         a_clock_that_another_thread_read_later_earns_nothing_twice)
