/* SPDX-License-Identifier: Apache-2.0 */
#include "energy/counter.h"

#include <math.h>
#include <stdlib.h>

#include "tests/unit/support.h"

#define S 1000000000ULL
#define RANGE 262143328850ULL /* 2^32 - 1 units of 61.035 µJ, as powercap tells it */

static const struct fw_counter_limits package = {1e-6, RANGE, 61.035, 300, 1e-3};

static struct fw_domain_reading read_at(struct fw_counter *counter, uint64_t raw, double seconds)
{
	struct fw_domain_reading reading;
	uint64_t now = (uint64_t)(seconds * 1e9);

	fw_counter_read(counter, raw, now, now + 500, &reading);
	return reading;
}

static void mistake_01_each_counter_wraps_at_its_own_range(void **state)
{
	struct fw_counter_limits memory = {1e-6, 65712999613ULL, 15.3, 300, 1e-3};
	struct fw_counter dram, whole;

	(void)state;
	fw_counter_init(&dram, &memory);
	fw_counter_init(&whole, &package);
	read_at(&dram, 65712999613ULL - 1000000, 1);
	read_at(&whole, RANGE - 1000000, 1);
	assert_near(read_at(&dram, 2000000, 2).joules, 3, 16e-6); /* exact to one step */
	assert_near(read_at(&whole, 2000000, 2).joules, 3, 62e-6);
}

static void mistake_02_a_wrap_is_corrected_and_flagged(void **state)
{
	struct fw_counter counter;

	(void)state;
	fw_counter_init(&counter, &package);
	read_at(&counter, RANGE - 61, 1);
	struct fw_domain_reading after = read_at(&counter, 49999939, 2);
	assert_near(after.joules, 50, 122e-6);
	assert_int_equal(after.flags, FW_DOMAIN_WRAP);
	assert_near(after.lost_j, 0, 0);
	assert_near(read_at(&counter, 59999939, 3).joules, 60, 122e-6);
	assert_int_equal(counter.wraps, 1);
}

static void mistake_03_a_reset_is_no_wrap(void **state)
{
	struct fw_counter counter;

	(void)state;
	fw_counter_init(&counter, &package);
	read_at(&counter, 200000000000ULL, 1);
	read_at(&counter, 200100000000ULL, 2);
	struct fw_domain_reading after = read_at(&counter, 5000000, 3); /* as a wrap it would be 62 kJ in a second */
	assert_near(after.joules, 100, 1e-9);
	assert_int_equal(after.flags, FW_DOMAIN_RESET);
	assert_true(after.lost_j >= 300 && after.lost_j < 302); /* a second at the most plausible power */
	assert_near(read_at(&counter, 25000000, 4).joules, 120, 1e-9);
}

static void a_leap_that_no_processor_can_draw_is_a_reset_too(void **state)
{
	struct fw_counter counter;

	(void)state;
	fw_counter_init(&counter, &package);
	read_at(&counter, 1000000, 1);
	struct fw_domain_reading after = read_at(&counter, 200000000000ULL, 2); /* moved to another host */
	assert_near(after.joules, 0, 0);
	assert_int_equal(after.flags, FW_DOMAIN_RESET);
}

static void mistake_04_a_gap_that_may_hide_wraps_is_flagged_and_bounded(void **state)
{
	struct fw_counter counter;

	(void)state;
	fw_counter_init(&counter, &package);
	assert_near(fw_counter_longest_s(&package), RANGE / 1e6 / 300, 1e-6);
	read_at(&counter, 0, 1);
	/* 3000 s at 300 W may be 900 kJ: of 100 kJ seen, three more rounds of 262 kJ are possible. */
	struct fw_domain_reading after = read_at(&counter, 100000000000ULL, 3001);
	assert_near(after.joules, 1e5, 1e-6);
	assert_int_equal(after.flags, FW_DOMAIN_GAP);
	assert_near(after.lost_j, 3 * 262143.328911, 1e-3);
	assert_int_equal(read_at(&counter, 100010000000ULL, 3002).flags, 0);
}

static void one_that_stood_still_brings_all_at_once(void **state)
{
	struct fw_counter counter;
	struct fw_domain_reading after;

	(void)state;
	fw_counter_init(&counter, &package);
	for (int i = 0; i <= 60; i++)
		read_at(&counter, 1000000000, 1 + i * 0.01);
	after = read_at(&counter, 1030000000, 1.61); /* 50 W for 0.6 s, told within 10 ms */
	assert_near(after.joules, 30, 1e-6);
	assert_int_equal(after.flags, 0);
	assert_near(after.lost_j, 0, 0);
}

static void a_reset_hides_what_was_used_since_the_counter_moved(void **state)
{
	struct fw_counter counter;
	struct fw_domain_reading after;

	(void)state;
	fw_counter_init(&counter, &package);
	for (int i = 0; i <= 60; i++)
		read_at(&counter, 1000000000, 1 + i * 0.01);
	after = read_at(&counter, 0, 1.61);
	assert_int_equal(after.flags, FW_DOMAIN_RESET);
	assert_true(after.lost_j >= package.most_w * 0.6);
}

static void mistake_18_the_first_reading_is_a_baseline(void **state)
{
	struct fw_counter counter;

	(void)state;
	fw_counter_init(&counter, &package);
	struct fw_domain_reading first = read_at(&counter, 123456789012ULL, 1);
	assert_near(first.joules, 0, 0);
	assert_int_equal(first.flags, 0);
	assert_int_equal(first.raw, 123456789012ULL);
}

static void mistake_19_a_failed_read_is_missing_and_not_zero(void **state)
{
	struct fw_counter counter;
	struct fw_domain_reading hole;

	(void)state;
	fw_counter_init(&counter, &package);
	fw_counter_miss(&counter, S / 2, S / 2, &hole); /* even before the baseline */
	assert_true(isnan(hole.joules));
	read_at(&counter, 1000000, 1);
	fw_counter_miss(&counter, 2 * S, 2 * S + 10, &hole);
	assert_true(isnan(hole.joules));
	assert_int_equal(hole.flags, FW_DOMAIN_GAP);
	struct fw_domain_reading after = read_at(&counter, 21000000, 3);
	assert_near(after.joules, 20, 1e-9); /* the hole is covered, nothing is lost */
	assert_int_equal(after.flags, 0);
	assert_near(after.lost_j, 0, 0);
	assert_int_equal(counter.holes, 2);
}

static void mistake_21_energy_of_power_uses_the_time_that_passed(void **state)
{
	struct fw_power_sum sum;
	struct fw_domain_reading reading;

	(void)state;
	fw_power_sum_init(&sum, 500);
	fw_power_sum_read(&sum, 100, 1 * S, 1 * S, &reading);
	assert_near(reading.joules, 0, 0);
	fw_power_sum_read(&sum, 100, 3 * S + S / 2, 3 * S + S / 2, &reading); /* meant for 1 s, came after 2.5 s */
	assert_near(reading.joules, 250, 1e-9);
	fw_power_sum_read(&sum, 200, 4 * S, 4 * S, &reading);
	assert_near(reading.joules, 325, 1e-9);
	assert_int_equal(reading.flags, 0);
	assert_int_equal(reading.raw, 200000000);
}

static void power_that_was_not_read_for_long_is_bounded(void **state)
{
	struct fw_power_sum sum;
	struct fw_domain_reading reading;

	(void)state;
	fw_power_sum_init(&sum, 500);
	fw_power_sum_read(&sum, 100, 1 * S, 1 * S, &reading);
	fw_power_sum_miss(&sum, 2 * S, 2 * S, &reading);
	assert_true(isnan(reading.joules));
	fw_power_sum_read(&sum, 100, 11 * S, 11 * S, &reading);
	assert_near(reading.joules, 1000, 1e-9);
	assert_int_equal(reading.flags, FW_DOMAIN_GAP);
	assert_near(reading.lost_j, 4000, 1e-9);
	fw_power_sum_read(&sum, 6000, 12 * S, 12 * S, &reading); /* more than plausible: not read */
	assert_true(isnan(reading.joules));
}

static void a_clock_that_jumps_back_is_flagged_and_never_negative(void **state)
{
	struct fw_counter counter;
	struct fw_power_sum sum;
	struct fw_domain_reading reading;

	(void)state;
	fw_counter_init(&counter, &package);
	read_at(&counter, 1000000, 10);
	reading = read_at(&counter, 3000000, 5);
	assert_near(reading.joules, 2, 1e-9);
	assert_int_equal(reading.flags, FW_DOMAIN_GAP);
	reading = read_at(&counter, 1000, 4);
	assert_near(reading.joules, 2, 1e-9);
	assert_int_equal(reading.flags, FW_DOMAIN_GAP | FW_DOMAIN_RESET);
	assert_near(reading.lost_j, 262143.328911, 1e-3);
	assert_near(read_at(&counter, 10001000, 5).joules, 12, 1e-9);
	fw_power_sum_init(&sum, 500);
	fw_power_sum_read(&sum, 100, 10 * S, 10 * S, &reading);
	fw_power_sum_read(&sum, 100, 5 * S, 5 * S, &reading);
	assert_near(reading.joules, 0, 0);
	assert_int_equal(reading.flags, FW_DOMAIN_GAP);
	fw_power_sum_read(&sum, 100, 6 * S, 6 * S, &reading);
	assert_near(reading.joules, 100, 1e-9);
}

static void a_counter_without_range_that_falls_began_anew(void **state)
{
	struct fw_counter counter;

	(void)state;
	fw_counter_init(&counter, &(struct fw_counter_limits){1e-6, 0, 1, 300, NAN});
	assert_true(isinf(fw_counter_longest_s(&counter.limits)));
	read_at(&counter, UINT64_MAX - 5, 1);
	struct fw_domain_reading after = read_at(&counter, 5, 2);
	assert_near(after.joules, 0, 0);
	assert_int_equal(after.flags, FW_DOMAIN_RESET);
	assert_int_equal(read_at(&counter, 1000005, 2000).flags, 0); /* and no gap is too long for it */
}

static void mistake_23_a_slow_read_is_flagged_as_skewed(void **state)
{
	struct fw_counter counter;
	struct fw_domain_reading reading;

	(void)state;
	fw_counter_init(&counter, &package);
	fw_counter_read(&counter, 0, 1000000, 1000500, &reading);
	fw_counter_read(&counter, 61, 2000000, 2000500, &reading);
	assert_int_equal(reading.flags, 0);
	fw_counter_read(&counter, 122, 3000000, 3500000, &reading);
	assert_int_equal(reading.flags, FW_DOMAIN_SKEW);
	assert_int_equal(reading.before_ns, 3000000);
	assert_int_equal(reading.after_ns, 3500000);
}

static uint64_t random_below(uint64_t bound)
{
	return (((uint64_t)random() << 31) ^ (uint64_t)random()) % bound;
}

/* True energies and read times at random, gaps below range / most_w: the sum is the truth to a step and one a wrap. */
static void the_sum_is_the_truth_whatever_the_readings(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 2000; seed++) {
		struct fw_counter counter;
		double most_w = 20 + (double)(seed % 7) * 80;
		uint64_t range = seed % 3 == 0 ? 65712999613ULL : seed % 3 == 1 ? RANGE : 999999;
		struct fw_counter_limits limits = {1e-6, range, 1, most_w, seed % 2 ? 1e-3 : NAN};
		uint64_t now_ns = S, true_uj, base_uj;
		double last = 0;

		srandom(seed);
		true_uj = base_uj = random_below(range);
		fw_counter_init(&counter, &limits);
		for (unsigned i = 0; i < 200; i++) {
			uint64_t took_ns = random_below(20000);
			struct fw_domain_reading reading;

			fw_counter_read(&counter, true_uj % (range + 1), now_ns, now_ns + took_ns, &reading);
			assert_false(reading.flags & (FW_DOMAIN_RESET | FW_DOMAIN_GAP));
			assert_near(reading.joules, (double)(true_uj - base_uj) / 1e6, 1e-6 * (1 + (double)(true_uj - base_uj) / 1e12));
			assert_true(reading.joules >= last);
			assert_near(reading.lost_j, 0, 0);
			last = reading.joules;
			uint64_t gap_ns = random_below((uint64_t)((double)range / most_w * 1e3 - 60000));
			now_ns += took_ns + gap_ns;
			true_uj += (uint64_t)((double)gap_ns / 1e3 * most_w * (double)random_below(1001) / 1000);
		}
	}
}

/* The kernel counts 2^32 steps and tells each as 61.035 µJ, cut to whole ones: over many rounds the sum keeps within one
 * step of each. */
static void a_counter_as_the_kernel_makes_it_is_followed_for_many_rounds(void **state)
{
	const uint64_t unit_nj = 61035;
	struct fw_counter_limits limits = {1e-6, UINT32_MAX * unit_nj / 1000, 61.035, 300, 1e-3};
	struct fw_counter counter;
	struct fw_domain_reading reading = {0};
	uint64_t steps = 12345, base = steps, now_ns = S;

	(void)state;
	assert_int_equal(limits.range, RANGE);
	fw_counter_init(&counter, &limits);
	srandom(7);
	for (unsigned i = 0; i < 1000; i++) {
		fw_counter_read(&counter, (steps & UINT32_MAX) * unit_nj / 1000, now_ns, now_ns + 400, &reading);
		uint64_t gap_ns = random_below(800 * S);

		now_ns += gap_ns;
		steps += (uint64_t)((double)gap_ns / 1e9 * 300 / 61.035e-6 * (double)random_below(1000) / 1000);
	}
	double truth_j = (double)counter.raw / 1e6 + counter.wraps * (double)(UINT32_MAX + 1ULL) * (double)unit_nj / 1e9 -
	                 (double)(base * unit_nj / 1000) / 1e6;
	assert_true(counter.wraps > 100 && counter.resets == 0 && counter.gaps == 0);
	assert_near(reading.joules, truth_j, counter.wraps * 61.035e-6);
}

/* Whatever is shown: joules only rise, what is lost only rises, nothing is negative or not finite. */
static void any_bytes_give_rising_sums(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 2000; seed++) {
		struct fw_counter_limits limits = {1e-6, seed % 3 ? random_below(1ULL << 40) : 0, (double)(seed % 100), NAN, NAN};
		struct fw_counter counter;
		double joules = 0, lost = 0;

		srandom(seed);
		fw_counter_init(&counter, &limits);
		for (unsigned i = 0; i < 100; i++) {
			struct fw_domain_reading reading;
			uint64_t now = random_below(1ULL << 45);

			if (random_below(5) == 0)
				fw_counter_miss(&counter, now, now, &reading);
			else
				fw_counter_read(&counter, random_below(1ULL << 41), now, now + random_below(1000), &reading);
			assert_true(reading.lost_j >= lost && isfinite(reading.lost_j));
			lost = reading.lost_j;
			if (isnan(reading.joules))
				continue;
			assert_true(reading.joules >= joules && isfinite(reading.joules));
			joules = reading.joules;
		}
	}
}

FW_TESTS(mistake_01_each_counter_wraps_at_its_own_range, mistake_02_a_wrap_is_corrected_and_flagged,
         mistake_03_a_reset_is_no_wrap, a_leap_that_no_processor_can_draw_is_a_reset_too,
         mistake_04_a_gap_that_may_hide_wraps_is_flagged_and_bounded, mistake_18_the_first_reading_is_a_baseline,
         one_that_stood_still_brings_all_at_once, a_reset_hides_what_was_used_since_the_counter_moved,
         mistake_19_a_failed_read_is_missing_and_not_zero, mistake_21_energy_of_power_uses_the_time_that_passed,
         power_that_was_not_read_for_long_is_bounded,
         a_clock_that_jumps_back_is_flagged_and_never_negative,
         a_counter_without_range_that_falls_began_anew, mistake_23_a_slow_read_is_flagged_as_skewed,
         the_sum_is_the_truth_whatever_the_readings,
         a_counter_as_the_kernel_makes_it_is_followed_for_many_rounds, any_bytes_give_rising_sums)
