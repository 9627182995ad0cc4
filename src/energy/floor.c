/* SPDX-License-Identifier: Apache-2.0
 *
 * Idle evidence, a line through load and power, or a bound: the best of what is known.
 */
#include "energy/floor.h"

#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "energy/counter.h"

#define QUIET_BUSY 0.02
#define QUIET_QUANTILE 0.10
#define QUIET_WHOLE_S 0.125
#define QUIET_ENOUGH 4 /* long ones, and the short are left out: a low quantile would take those that a counter shortened */
#define QUIET_JOINED_S 0.25 /* idle slices that follow each other: the longer, the less a counter's lateness weighs */
#define QUIET_SECONDS 0.2 /* so much evidence before it counts */
#define HALF_LIFE_S 3600.0
#define FORGET_NS (6 * 3600ULL * FW_NS_PER_S)
#define FRESH_S 60.0
#define LEAST_KEPT_S 600.0
#define MOST_AGE_S (7 * 24 * 3600.0)
#define WIDER_AN_HOUR 0.03 /* of the floor */
#define LEAST_SPREAD 0.05 /* standard deviation of load from which a line means something */
#define LEAST_WEIGHT_S 0.5

const char *const fw_floor_basis_names[] = {
	[FW_FLOOR_UNKNOWN] = "unknown", [FW_FLOOR_QUIET] = "quiet", [FW_FLOOR_MIXED] = "mixed", [FW_FLOOR_INHERITED] = "inherited"};

struct estimate {
	double watts, half_w;
};

static double widened(double half_w, double watts, double age_s)
{
	return half_w + WIDER_AN_HOUR * watts * age_s / 3600;
}

void fw_floor_init(struct fw_floor *floor)
{
	*floor = (struct fw_floor){.least_w = NAN, .least_now_w = NAN, .least_before_w = NAN, .inherited_w = NAN};
}

void fw_floor_inherit(struct fw_floor *floor, double watts, double half_w, double age_s)
{
	if (!(watts >= 0 && watts <= FW_COUNTER_MOST_W) || !(half_w >= 0 && half_w <= FW_COUNTER_MOST_W) || !(age_s >= 0) ||
	    age_s > MOST_AGE_S)
		return;
	floor->inherited_w = floor->floor_w = watts;
	floor->inherited_half_w = half_w;
	floor->inherited_age_s = age_s;
	floor->half_w = widened(half_w, watts, age_s);
	floor->basis = FW_FLOOR_INHERITED;
	floor->is_known = true;
}

static double since_s(uint64_t then_ns, uint64_t now_ns)
{
	return now_ns > then_ns ? (double)(now_ns - then_ns) / 1e9 : 0;
}

double fw_floor_age_s(const struct fw_floor *floor, uint64_t now_ns)
{
	if (floor->basis == FW_FLOOR_INHERITED)
		return floor->inherited_age_s + (floor->first_ns ? since_s(floor->first_ns, now_ns) : 0);
	if (floor->basis == FW_FLOOR_QUIET)
		return since_s(floor->evidence_ns, now_ns);
	if (floor->basis != FW_FLOOR_MIXED)
		return NAN;
	if (floor->quiet_count > 0)
		return since_s(floor->evidence_ns, now_ns);
	return floor->inherited_w >= 0 ? floor->inherited_age_s + since_s(floor->first_ns, now_ns) : 0;
}

static double square(double value)
{
	return value * value;
}

/* Few enough to be sorted as they come; the library's sorting may allocate. */
static void insert(double *sorted, size_t count, double value)
{
	for (; count > 0 && sorted[count - 1] > value; count--)
		sorted[count] = sorted[count - 1];
	sorted[count] = value;
}

/* Variance of load. */
static double spread2(const struct fw_floor *floor)
{
	return floor->busy2 / floor->weight - square(floor->busy / floor->weight);
}

static bool load_has_varied(const struct fw_floor *floor)
{
	return floor->weight >= LEAST_WEIGHT_S && spread2(floor) >= square(LEAST_SPREAD);
}

/* Watts of all CPUs at work beyond the floor; 0 where load has varied too little to tell. */
static double slope_w(const struct fw_floor *floor)
{
	double n = floor->weight, both = floor->busy_watts / n - floor->busy / n * floor->watts / n;

	return load_has_varied(floor) ? fmax(both / spread2(floor), 0) : 0;
}

/* Ascending. */
static size_t quiet_watts(const struct fw_floor *floor, uint64_t now_ns, double least_s, double *watts)
{
	double slope = slope_w(floor);
	size_t count = 0;

	for (size_t i = 0; i < floor->quiet_count; i++)
		if (floor->quiet[i].at_ns + FORGET_NS >= now_ns && floor->quiet[i].seconds >= least_s)
			insert(watts, count++, fmax(floor->quiet[i].watts - slope * floor->quiet[i].busy, 0));
	return count;
}

/* Low quantile, and as its uncertainty the distance to the median. */
static bool from_quiet(const struct fw_floor *floor, uint64_t now_ns, struct estimate *estimate)
{
	double watts[FW_FLOOR_KEPT];
	size_t count = quiet_watts(floor, now_ns, QUIET_WHOLE_S, watts);

	if (count < QUIET_ENOUGH)
		count = quiet_watts(floor, now_ns, 0, watts);
	if (count == 0 || floor->quiet_seconds < QUIET_SECONDS)
		return false;
	estimate->watts = watts[(size_t)((double)(count - 1) * QUIET_QUANTILE)];
	estimate->half_w = fmax(watts[(count - 1) / 2] - estimate->watts, 0.01 * estimate->watts);
	return true;
}

/* watts = a + b x busy: a, with the standard error of a, within 0 and the least power seen. */
static bool from_line(const struct fw_floor *floor, struct estimate *estimate)
{
	double n = floor->weight, mean_busy = floor->busy / n, mean_watts = floor->watts / n;
	double slope = slope_w(floor), at_rest = mean_watts - slope * mean_busy;

	if (!load_has_varied(floor))
		return false;
	double left2 = fmax(floor->watts2 / n - square(mean_watts) - square(slope) * spread2(floor), 0);

	estimate->watts = fmin(fmax(at_rest, 0), floor->least_w);
	estimate->half_w = fmax(2 * sqrt(left2 * (1 + square(mean_busy) / spread2(floor)) / fmax(n / LEAST_WEIGHT_S, 1)),
	                        0.02 * estimate->watts);
	return true;
}

/* The mean by certainty. Where they differ by more than they should, it is no more certain than they differ. */
static struct estimate mean_of(const struct estimate *known, size_t count)
{
	double weights = 0, sum = 0, apart = 0;

	for (size_t i = 0; i < count; i++) {
		double weight = 1 / fmax(known[i].half_w * known[i].half_w, 1e-12);

		weights += weight;
		sum += weight * known[i].watts;
	}
	for (size_t i = 0; i < count; i++)
		apart += (known[i].watts - sum / weights) * (known[i].watts - sum / weights) /
		         fmax(known[i].half_w * known[i].half_w, 1e-12);
	return (struct estimate){sum / weights, fmax(1 / sqrt(weights), sqrt(apart / weights))};
}

static void set(struct fw_floor *floor, enum fw_floor_basis basis, struct estimate estimate)
{
	floor->basis = basis;
	floor->is_known = basis != FW_FLOOR_UNKNOWN;
	floor->floor_w = estimate.watts;
	floor->half_w = estimate.half_w;
}

static void judge(struct fw_floor *floor, uint64_t now_ns)
{
	struct estimate known[3], quiet;
	size_t count = 0;
	bool has_quiet = from_quiet(floor, now_ns, &quiet), has_line;
	double age_s = since_s(floor->evidence_ns, now_ns);

	if (has_quiet && age_s < FRESH_S) {
		set(floor, FW_FLOOR_QUIET, quiet);
		return;
	}
	if (has_quiet)
		known[count++] = (struct estimate){quiet.watts, widened(quiet.half_w, quiet.watts, age_s)};
	has_line = from_line(floor, &known[count]);
	count += has_line;
	if (floor->inherited_w >= 0 && !has_quiet) {
		double watts = fmin(floor->inherited_w, floor->least_w);

		age_s = floor->inherited_age_s + since_s(floor->first_ns, now_ns);
		known[count++] = (struct estimate){watts, widened(floor->inherited_half_w, watts, age_s) + floor->inherited_w - watts};
	}
	if (count == 0)
		set(floor, FW_FLOOR_UNKNOWN, (struct estimate){floor->least_w / 2, floor->least_w / 2});
	else
		set(floor, has_line ? FW_FLOOR_MIXED : has_quiet ? FW_FLOOR_QUIET : FW_FLOOR_INHERITED, mean_of(known, count));
}

static void add_to_sums(struct fw_floor *floor, uint64_t at_ns, double seconds, double watts, double busy)
{
	double age_s = floor->sums_at_ns && at_ns > floor->sums_at_ns ? (double)(at_ns - floor->sums_at_ns) / 1e9 : 0;
	double keep = exp2(-age_s / HALF_LIFE_S);

	floor->weight = floor->weight * keep + seconds;
	floor->busy = floor->busy * keep + seconds * busy;
	floor->watts = floor->watts * keep + seconds * watts;
	floor->busy2 = floor->busy2 * keep + seconds * busy * busy;
	floor->busy_watts = floor->busy_watts * keep + seconds * busy * watts;
	floor->watts2 = floor->watts2 * keep + seconds * watts * watts;
	floor->sums_at_ns = at_ns;
}

/* The latest idle time, when this slice goes on with it; else a new one. */
static size_t place_of(struct fw_floor *floor, uint64_t from_ns, double seconds)
{
	size_t latest = (floor->quiet_next + FW_FLOOR_KEPT - 1) % FW_FLOOR_KEPT, next = floor->quiet_next;

	if (floor->quiet_count > 0 && floor->quiet[latest].at_ns >= from_ns &&
	    floor->quiet[latest].seconds + seconds <= QUIET_JOINED_S)
		return latest;
	floor->quiet[next].watts = floor->quiet[next].busy = floor->quiet[next].seconds = 0;
	floor->quiet_next = (next + 1) % FW_FLOOR_KEPT;
	if (floor->quiet_count < FW_FLOOR_KEPT)
		floor->quiet_count++;
	return next;
}

static void add_quiet(struct fw_floor *floor, uint64_t at_ns, double seconds, double watts, double busy)
{
	size_t place = place_of(floor, at_ns - (uint64_t)(seconds * 1e9) - FW_NS_PER_MS, seconds);
	double before_s = floor->quiet[place].seconds, all_s = before_s + seconds;

	floor->quiet[place].watts = (floor->quiet[place].watts * before_s + watts * seconds) / all_s;
	floor->quiet[place].busy = (floor->quiet[place].busy * before_s + busy * seconds) / all_s;
	floor->quiet[place].seconds = all_s;
	floor->quiet[place].at_ns = at_ns;
	floor->quiet_seconds += seconds;
	floor->evidence_ns = at_ns;
}

/* In the first idle slice after work a late counter still brings joules of that: it tells only where nothing better does. */
static bool follows_work(struct fw_floor *floor, uint64_t at_ns, double seconds)
{
	uint64_t until_ns = floor->quiet_until_ns;

	floor->quiet_until_ns = at_ns;
	return floor->quiet_count > 0 && until_ns + FW_NS_PER_MS < at_ns - (uint64_t)(seconds * 1e9);
}

/* A minimum that were kept for ever would hold the floor down when it has risen. */
static void note_least(struct fw_floor *floor, uint64_t at_ns, double watts)
{
	double age_s = since_s(floor->least_since_ns, at_ns);

	if (floor->least_since_ns == 0 || age_s > LEAST_KEPT_S) {
		floor->least_before_w = floor->least_since_ns > 0 && age_s <= 2 * LEAST_KEPT_S ? floor->least_now_w : (double)NAN;
		floor->least_now_w = NAN;
		floor->least_since_ns = at_ns;
	}
	floor->least_now_w = fmin(floor->least_now_w, watts); /* of NAN and a number: the number */
	floor->least_w = fmin(floor->least_now_w, floor->least_before_w);
}

void fw_floor_add(struct fw_floor *floor, uint64_t at_ns, double seconds, double joules, double busy)
{
	if (!(seconds > 0) || !(joules >= 0) || !(busy >= 0))
		return;
	double watts = joules / seconds;

	note_least(floor, at_ns, watts);
	add_to_sums(floor, at_ns, seconds, watts, fmin(busy, 1));
	if (floor->first_ns == 0)
		floor->first_ns = at_ns;
	if (busy < QUIET_BUSY ? !follows_work(floor, at_ns, seconds) : (floor->basis == FW_FLOOR_QUIET && watts < floor->floor_w - floor->half_w))
		add_quiet(floor, at_ns, seconds, watts, fmin(busy, 1));
	judge(floor, at_ns);
}
