/* SPDX-License-Identifier: Apache-2.0
 *
 * A counter that is updated seldom, bridged by power: what is told between two updates, and that it never falls.
 */
#include <math.h>

#include "base/time.h"
#include "energy/bridge.h"
#include "tests/unit/support.h"

static unsigned tell(struct fw_bridge *bridge, double watts, unsigned ms, double *joules)
{
	return fw_bridge_tell(bridge, watts, 1000 * FW_NS_PER_S + ms * FW_NS_PER_MS, joules);
}

static void count(struct fw_bridge *bridge, double joules, unsigned ms)
{
	fw_bridge_count(bridge, joules, 1000 * FW_NS_PER_S + ms * FW_NS_PER_MS);
}

static void mistake_32_a_window_shorter_than_the_counters_update_is_bridged_by_power_and_flagged(void **state)
{
	struct fw_bridge bridge;
	double joules;

	(void)state;
	fw_bridge_init(&bridge);
	count(&bridge, 0, 0);
	assert_int_equal(tell(&bridge, 100, 0, &joules), 0);
	assert_near(joules, 0, 0);
	count(&bridge, 0, 30); /* asked, and not updated yet */
	assert_int_equal(tell(&bridge, 200, 30, &joules), FW_DOMAIN_EARLY);
	assert_near(joules, 4.5, 1e-9);
	count(&bridge, 15, 100); /* its update is the truth */
	assert_int_equal(tell(&bridge, 200, 100, &joules), 0);
	assert_near(joules, 15, 1e-9);
}

static void what_was_told_too_much_is_not_taken_back_and_not_told_twice(void **state)
{
	struct fw_bridge bridge;
	double joules;

	(void)state;
	fw_bridge_init(&bridge);
	count(&bridge, 0, 0);
	tell(&bridge, 100, 0, &joules);
	tell(&bridge, 100, 90, &joules);
	assert_near(joules, 9, 1e-9);
	count(&bridge, 2, 100);
	assert_int_equal(tell(&bridge, 10, 100, &joules), FW_DOMAIN_EARLY);
	assert_near(joules, 9, 1e-9);
	count(&bridge, 12, 200);
	assert_int_equal(tell(&bridge, 10, 200, &joules), 0);
	assert_near(joules, 12, 1e-9);
}

static void power_stands_in_for_a_second_and_then_the_counter_is_broken(void **state)
{
	struct fw_bridge bridge;
	double joules;

	(void)state;
	fw_bridge_init(&bridge);
	count(&bridge, 0, 0);
	tell(&bridge, 50, 0, &joules);
	assert_int_equal(tell(&bridge, 50, 5000, &joules), FW_DOMAIN_EARLY | FW_DOMAIN_STALE);
	assert_near(joules, 50, 1e-9);
	tell(&bridge, 50, 9000, &joules);
	assert_near(joules, 50, 1e-9);
}

static void without_power_a_late_counter_is_all_that_is_told(void **state)
{
	struct fw_bridge bridge;
	double joules;

	(void)state;
	fw_bridge_init(&bridge);
	count(&bridge, 3, 0);
	assert_int_equal(tell(&bridge, NAN, 50, &joules), 0);
	assert_near(joules, 3, 0);
	/* and power that comes back counts from then on */
	assert_int_equal(tell(&bridge, 100, 60, &joules), FW_DOMAIN_EARLY);
	assert_near(joules, 4, 1e-9);
}

FW_TESTS(mistake_32_a_window_shorter_than_the_counters_update_is_bridged_by_power_and_flagged,
         what_was_told_too_much_is_not_taken_back_and_not_told_twice,
         power_stands_in_for_a_second_and_then_the_counter_is_broken,
         without_power_a_late_counter_is_all_that_is_told)
