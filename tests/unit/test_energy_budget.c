/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of metering on a clock of the test's own: no real time, exact bounds.
 */
#include "base/time.h"
#include "energy/budget.h"
#include "tests/unit/support.h"

/* At the start: what two seconds earn. */
#define SAVED_NS (8 * 1000000ULL)
#define PURSE_NS (2 * 1000000ULL)

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
	assert_in_range(spent_ns, 49 * 1000000, 50 * 1000000 + SAVED_NS);
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
	assert_true(fw_budget_allows(&budget, FW_NS_PER_S + 1000000, FW_KEEP_NOTHING)); /* 5 ms are a second's, the purse is full */
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

/* As when a hundred workers start at once. */
static uint64_t ticks_in_debt(uint64_t cost_ns, uint64_t seconds)
{
	struct fw_budget budget;
	uint64_t ticks = 0;

	fw_budget_init(&budget, 1);
	fw_budget_spend(&budget, SAVED_NS + 40 * 1000000);
	for (uint64_t i = 0; i < 100 * seconds; i++) {
		uint64_t now_ns = 1 + i * FW_NS_PER_S / 100;

		assert_false(fw_budget_allows(&budget, now_ns, FW_KEEP_NOTHING));
		if (fw_budget_allows_tick(&budget, now_ns)) {
			fw_budget_spend_tick(&budget, cost_ns);
			ticks++;
		}
	}
	fw_budget_done(&budget);
	return ticks;
}

static void ticks_have_a_purse_that_no_other_reading_can_take(void **state)
{
	(void)state;
	assert_in_range(ticks_in_debt(100000, 1), 29, 31); /* 2 ms to begin with, 1 ms a second */
	assert_in_range(ticks_in_debt(100000, 5), 69, 71);
	assert_int_equal(ticks_in_debt(10000, 5), 500);
}

static void at_the_period_of_the_purse_ticks_go_on_for_ever(void **state)
{
	struct fw_budget budget;
	uint64_t period_ns = fw_budget_purse_period_ns(100000);

	(void)state;
	assert_int_equal(period_ns, FW_NS_PER_S / 10);
	fw_budget_init(&budget, 1);
	fw_budget_spend(&budget, SAVED_NS + 40 * 1000000);
	for (uint64_t i = 1; i < 80; i++) {
		assert_true(fw_budget_allows_tick(&budget, 1 + i * period_ns));
		assert_true(fw_budget_allows_faster(&budget, 1 + i * period_ns));
		fw_budget_spend_tick(&budget, 100000);
	}
	fw_budget_done(&budget);
}

static void the_purse_is_part_of_the_half_percent(void **state)
{
	struct fw_budget budget;

	(void)state;
	fw_budget_init(&budget, 1);
	for (uint64_t i = 0; i < 100000; i++) { /* ten seconds, all that may be is spent */
		uint64_t now_ns = 1 + i * 100000;

		if (fw_budget_allows(&budget, now_ns, FW_KEEP_NOTHING))
			fw_budget_spend(&budget, 30000);
		if (fw_budget_allows_tick(&budget, now_ns))
			fw_budget_spend_tick(&budget, 30000);
	}
	assert_in_range(fw_budget_spent_ns(&budget), 50 * 1000000, 50 * 1000000 + SAVED_NS + PURSE_NS + 2 * 30000);
	fw_budget_done(&budget);
}

static void who_asks_often_loses_nothing_of_what_is_earned(void **state)
{
	struct fw_budget budget;

	(void)state;
	fw_budget_init(&budget, 1);
	fw_budget_spend(&budget, SAVED_NS + 1000);
	for (uint64_t now_ns = 1; now_ns < 199000; now_ns += 70)
		assert_false(fw_budget_allows(&budget, now_ns, FW_KEEP_NOTHING));
	assert_true(fw_budget_allows(&budget, 202000, FW_KEEP_NOTHING)); /* 1 µs is earned in 200: the purse is full */
	fw_budget_done(&budget);
}

FW_TESTS(a_fast_stream_gets_half_a_percent_of_a_cpu_and_no_more, a_slow_stream_is_sampled_at_every_end,
         what_can_be_done_without_stops_first, what_must_be_read_is_paid_back_before_anything_else,
         a_clock_that_another_thread_read_later_earns_nothing_twice, ticks_have_a_purse_that_no_other_reading_can_take,
         at_the_period_of_the_purse_ticks_go_on_for_ever, the_purse_is_part_of_the_half_percent,
         who_asks_often_loses_nothing_of_what_is_earned)
