/* SPDX-License-Identifier: Apache-2.0
 *
 * Idle evidence, a line through load and power, or a bound: the best of what is known.
 */
#include "energy/floor.h"

#include <math.h>
#include <stdlib.h>

#include "base/time.h"

#define QUIET_BUSY 0.02
#define QUIET_QUANTILE 0.10
#define QUIET_SECONDS 0.2 /* so much evidence before it counts */
#define HALF_LIFE_S 3600.0
#define FORGET_NS (6 * 3600ULL * FW_NS_PER_S)
#define LEAST_SPREAD 0.05 /* standard deviation of load from which a line means something */
#define LEAST_WEIGHT_S 0.5

void fw_floor_init(struct fw_floor *floor)
{
	*floor = (struct fw_floor){.least_w = NAN};
}

static double square(double value)
{
	return value * value;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
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

/* Low quantile, and as its uncertainty the distance to the median. */
static bool from_quiet(struct fw_floor *floor, uint64_t now_ns)
{
	double watts[FW_FLOOR_KEPT], slope = slope_w(floor);
	size_t count = 0;

	for (size_t i = 0; i < floor->quiet_count; i++)
		if (now_ns - floor->quiet[i].at_ns <= FORGET_NS)
			watts[count++] = fmax(floor->quiet[i].watts - slope * floor->quiet[i].busy, 0);
	if (count == 0 || floor->quiet_seconds < QUIET_SECONDS)
		return false;
	qsort(watts, count, sizeof watts[0], ascending);
	floor->floor_w = watts[(size_t)((double)(count - 1) * QUIET_QUANTILE)];
	floor->half_w = fmax(watts[(count - 1) / 2] - floor->floor_w, 0.01 * floor->floor_w);
	return true;
}

/* watts = a + b x busy: a, with the standard error of a, within 0 and the least power seen. */
static bool from_line(struct fw_floor *floor)
{
	double n = floor->weight, mean_busy = floor->busy / n, mean_watts = floor->watts / n;
	double slope = slope_w(floor), at_rest = mean_watts - slope * mean_busy;

	if (!load_has_varied(floor))
		return false;
	double left2 = fmax(floor->watts2 / n - square(mean_watts) - square(slope) * spread2(floor), 0);

	floor->floor_w = fmin(fmax(at_rest, 0), floor->least_w);
	floor->half_w = fmax(2 * sqrt(left2 * (1 + square(mean_busy) / spread2(floor)) / fmax(n / LEAST_WEIGHT_S, 1)),
	                     0.02 * floor->floor_w);
	return true;
}

static void from_bound(struct fw_floor *floor)
{
	floor->floor_w = floor->half_w = floor->least_w / 2;
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

static void add_quiet(struct fw_floor *floor, uint64_t at_ns, double seconds, double watts, double busy)
{
	floor->quiet[floor->quiet_next].watts = watts;
	floor->quiet[floor->quiet_next].busy = busy;
	floor->quiet[floor->quiet_next].at_ns = at_ns;
	floor->quiet_next = (floor->quiet_next + 1) % FW_FLOOR_KEPT;
	if (floor->quiet_count < FW_FLOOR_KEPT)
		floor->quiet_count++;
	floor->quiet_seconds += seconds;
}

void fw_floor_add(struct fw_floor *floor, uint64_t at_ns, double seconds, double joules, double busy)
{
	if (!(seconds > 0) || !(joules >= 0) || !(busy >= 0))
		return;
	double watts = joules / seconds;

	floor->least_w = fmin(floor->least_w, watts); /* of NAN and a number: the number */
	add_to_sums(floor, at_ns, seconds, watts, fmin(busy, 1));
	if (busy < QUIET_BUSY)
		add_quiet(floor, at_ns, seconds, watts, busy);
	floor->is_quiet = from_quiet(floor, at_ns);
	floor->is_known = floor->is_quiet || from_line(floor);
	if (!floor->is_known)
		from_bound(floor);
}
