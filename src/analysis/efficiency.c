/* SPDX-License-Identifier: Apache-2.0
 *
 * The peak is found by walking along all begins and ends in their order with the sum of what draws at once; an end comes before
 * a begin at the same moment, so that what follows each other never adds up.
 */
#include "analysis/efficiency.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/memory.h"

struct edge {
	double at_ms, watts; /* watts < 0: an end */
};

static int by_time(const void *left, const void *right)
{
	const struct edge *a = left, *b = right;

	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms ? -1 : 1;
	return (a->watts > b->watts) - (a->watts < b->watts);
}

double fw_peak_watts(const struct fw_power_stretch *stretches, size_t count)
{
	fw_cleanup_free struct edge *edges = fw_alloc_array(2 * count + 1, sizeof *edges);
	size_t used = 0;
	double now = 0, peak = NAN;

	for (size_t i = 0; i < count; i++) {
		const struct fw_power_stretch *one = &stretches[i];
		double watts = one->joules / ((one->end_ms - one->begin_ms) / 1000);

		if (!(one->end_ms > one->begin_ms) || !(watts >= 0))
			continue;
		edges[used++] = (struct edge){one->begin_ms, watts};
		edges[used++] = (struct edge){one->end_ms, -watts};
	}
	qsort(edges, used, sizeof *edges, by_time);
	for (size_t i = 0; i < used; i++) {
		now += edges[i].watts;
		peak = fmax(peak, now);
	}
	return peak;
}

double fw_joules_per_unit(double joules, double units)
{
	return units > 0 ? joules / units : (double)NAN;
}

void fw_efficiency_scores(const double *joules_per_unit, size_t count, double *scores)
{
	double least = NAN;

	for (size_t i = 0; i < count; i++)
		if (joules_per_unit[i] > 0)
			least = fmin(least, joules_per_unit[i]);
	for (size_t i = 0; i < count; i++)
		scores[i] = joules_per_unit[i] > 0 ? 100 * least / joules_per_unit[i] : (double)NAN;
}

double fw_sci(double operational_gco2e, double embodied_gco2e, double units)
{
	return units > 0 ? (operational_gco2e + embodied_gco2e) / units : (double)NAN;
}
