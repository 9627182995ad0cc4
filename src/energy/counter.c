/* SPDX-License-Identifier: Apache-2.0
 *
 * Unwrapping. All sums are in the counter's own units, so that nothing is rounded away in a long run; floating point
 * enters where joules are told and where plausibility is judged.
 */
#include "energy/counter.h"

#include <math.h>

#include "base/time.h"

#define RETRY_NS FW_NS_PER_S

static double most_w(const struct fw_counter_limits *limits)
{
	return limits->most_w > 0 ? limits->most_w : FW_COUNTER_MOST_W;
}

/* Values from 0 to range in steps: after the highest comes one more step to 0. */
static uint64_t modulus(const struct fw_counter_limits *limits)
{
	uint64_t step = (uint64_t)llround(limits->step);

	return limits->range > UINT64_MAX - step ? UINT64_MAX : limits->range + step;
}

/* The most that the part may have drawn between the readings, with what the counter books late. */
static double plausible_j(const struct fw_counter_limits *limits, double seconds)
{
	double late_s = limits->update_s > 0 ? 2 * limits->update_s : FW_COUNTER_UPDATE_S;

	return most_w(limits) * (seconds + late_s) + 2 * limits->step * limits->joules_per_unit;
}

void fw_counter_init(struct fw_counter *counter, const struct fw_counter_limits *limits)
{
	*counter = (struct fw_counter){.limits = *limits};
	if (!(counter->limits.step >= 1))
		counter->limits.step = 1;
}

bool fw_counter_may_retry(uint64_t *tried_ns, uint64_t now_ns)
{
	if (*tried_ns > 0 && now_ns >= *tried_ns && now_ns - *tried_ns < RETRY_NS)
		return false;
	*tried_ns = now_ns;
	return true;
}

double fw_counter_longest_s(const struct fw_counter_limits *limits)
{
	return limits->range > 0 ? (double)limits->range * limits->joules_per_unit / most_w(limits) : INFINITY;
}

static void tell(const struct fw_counter *counter, uint64_t before_ns, uint64_t after_ns, unsigned flags,
                 struct fw_domain_reading *reading)
{
	*reading = (struct fw_domain_reading){.before_ns = before_ns, .after_ns = after_ns, .lost_j = counter->lost_j,
	                                      .raw = counter->raw, .flags = flags, .reason = counter->reason};
	reading->joules = (double)counter->units * counter->limits.joules_per_unit;
}

static void reset(struct fw_counter *counter, double bound_j, unsigned *flags)
{
	counter->reason = FW_REASON_BEGAN_ANEW;
	counter->resets++;
	counter->lost_j += bound_j;
	*flags |= FW_DOMAIN_RESET;
}

/* Whole rounds more than the one that was seen may have gone by. */
static void bound_rounds(struct fw_counter *counter, uint64_t moved, double seconds, unsigned *flags)
{
	const struct fw_counter_limits *limits = &counter->limits;
	double round_j = (double)modulus(limits) * limits->joules_per_unit;
	double rounds = floor((most_w(limits) * seconds - (double)moved * limits->joules_per_unit) / round_j);

	if (limits->range == 0 || !(rounds >= 1))
		return;
	counter->gaps++;
	counter->reason = FW_REASON_LONG_UNREAD;
	counter->lost_j += rounds * round_j;
	*flags |= FW_DOMAIN_GAP;
}

/* What it moved by since the reading before, or nothing when it began anew. */
static uint64_t move(struct fw_counter *counter, uint64_t raw, double seconds, double still_s, unsigned *flags)
{
	const struct fw_counter_limits *limits = &counter->limits;
	bool fell = raw < counter->raw, can_wrap = limits->range > 0 && counter->raw <= limits->range;
	uint64_t moved = fell ? modulus(limits) - counter->raw + raw : raw - counter->raw;

	double plausible = plausible_j(limits, seconds), since_moved = plausible_j(limits, still_s);
	double moved_j = (double)moved * limits->joules_per_unit;

	/* One that stood still brings at once what it had not shown; a fall is judged strictly: a reset is no wrap. */
	if ((fell && !can_wrap) || moved_j > (fell ? plausible : fmax(FW_COUNTER_LEAP * plausible, since_moved))) {
		reset(counter, since_moved, flags);
		return 0;
	}
	if (fell) {
		counter->wraps++;
		*flags |= FW_DOMAIN_WRAP;
	}
	bound_rounds(counter, moved, seconds, flags);
	return moved;
}

/* The clock went back: how long it was is unknown. A rise that takes less than an hour is taken as told, all else as a
 * new beginning. */
static uint64_t move_without_time(struct fw_counter *counter, uint64_t raw, unsigned *flags)
{
	const struct fw_counter_limits *limits = &counter->limits;
	double hour_j = plausible_j(limits, 3600), round_j = (double)modulus(limits) * limits->joules_per_unit;

	counter->gaps++;
	*flags |= FW_DOMAIN_GAP;
	counter->reason = FW_REASON_CLOCK;
	if (raw >= counter->raw && (double)(raw - counter->raw) * limits->joules_per_unit <= hour_j)
		return raw - counter->raw;
	reset(counter, limits->range > 0 ? fmin(round_j, hour_j) : hour_j, flags);
	counter->reason = FW_REASON_CLOCK;
	return 0;
}

static unsigned skew(uint64_t before_ns, uint64_t after_ns, uint64_t since_ns)
{
	return after_ns > before_ns && after_ns - before_ns > since_ns / 10 ? FW_DOMAIN_SKEW : 0;
}

void fw_counter_read(struct fw_counter *counter, uint64_t raw, uint64_t before_ns, uint64_t after_ns,
                     struct fw_domain_reading *reading)
{
	unsigned flags = 0;

	counter->reason = FW_REASON_NONE;
	if (counter->has_raw && after_ns < counter->before_ns) {
		counter->units += move_without_time(counter, raw, &flags);
	} else if (counter->has_raw) {
		uint64_t since_ns = after_ns - counter->before_ns;

		double still_s = after_ns > counter->moved_ns ? (double)(after_ns - counter->moved_ns) / 1e9 : 0;

		counter->units += move(counter, raw, (double)since_ns / 1e9, still_s, &flags);
		flags |= skew(before_ns, after_ns, since_ns);
	}
	if (!counter->has_raw || raw != counter->raw || before_ns < counter->moved_ns)
		counter->moved_ns = before_ns;
	counter->has_raw = true;
	counter->raw = raw;
	counter->before_ns = before_ns;
	counter->after_ns = after_ns;
	tell(counter, before_ns, after_ns, flags, reading);
}

void fw_counter_miss(struct fw_counter *counter, uint64_t before_ns, uint64_t after_ns,
                     struct fw_domain_reading *reading)
{
	counter->holes++;
	counter->reason = FW_REASON_UNREADABLE;
	tell(counter, before_ns, after_ns, FW_DOMAIN_GAP, reading);
	reading->joules = NAN;
}

void fw_power_sum_init(struct fw_power_sum *sum, double most)
{
	*sum = (struct fw_power_sum){.most_w = most > 0 ? most : FW_COUNTER_MOST_W};
}

void fw_power_sum_miss(struct fw_power_sum *sum, uint64_t before_ns, uint64_t after_ns,
                       struct fw_domain_reading *reading)
{
	*reading = (struct fw_domain_reading){.before_ns = before_ns, .after_ns = after_ns, .joules = NAN,
	                                      .lost_j = sum->lost_j, .flags = FW_DOMAIN_GAP,
	                                      .reason = FW_REASON_UNREADABLE};
}

void fw_power_sum_read(struct fw_power_sum *sum, double watts, uint64_t before_ns, uint64_t after_ns,
                       struct fw_domain_reading *reading)
{
	enum fw_domain_reason reason = FW_REASON_NONE;
	unsigned flags = 0;

	if (!(watts >= 0 && watts <= sum->most_w)) {
		fw_power_sum_miss(sum, before_ns, after_ns, reading);
		return;
	}
	if (sum->has_watts && after_ns < sum->after_ns) {
		flags = FW_DOMAIN_GAP;
		reason = FW_REASON_CLOCK;
	} else if (sum->has_watts) {
		double middle_ns = (double)(before_ns - sum->before_ns) + (double)(after_ns - sum->after_ns);
		double seconds = fmax(middle_ns / 2e9, 0);
		double moved_j = (sum->watts + watts) / 2 * seconds;

		sum->joules += moved_j;
		flags = skew(before_ns, after_ns, after_ns - sum->before_ns);
		if (seconds > FW_POWER_LONGEST_S) {
			flags |= FW_DOMAIN_GAP;
			reason = FW_REASON_LONG_UNREAD;
			sum->lost_j += sum->most_w * seconds - moved_j;
		}
	}
	sum->has_watts = true;
	sum->watts = watts;
	sum->before_ns = before_ns;
	sum->after_ns = after_ns;
	*reading = (struct fw_domain_reading){.before_ns = before_ns, .after_ns = after_ns, .joules = sum->joules,
	                                      .lost_j = sum->lost_j, .raw = (uint64_t)llround(watts * 1e6), .flags = flags, .reason = reason};
}
