/* SPDX-License-Identifier: Apache-2.0
 *
 * The idle floor of a pool: the watts that it draws when nobody works. Measured, never assumed, in this order:
 *
 *   1. idle evidence: slices in which less than 2 % of the CPUs were busy. The floor is a low quantile of their power,
 *      so that neither a first reading under load nor one odd maximum or minimum stays in force; what little ran in
 *      them is taken off by the slope of 2, once that is known;
 *   2. without any, the power at no load of a line through (busy, watts), once load has varied enough;
 *   3. without that, anything between nothing and the least power seen, said so by the width of its interval.
 *
 * Evidence grows old: it counts half after an hour, since fans, frequencies and rooms change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FW_FLOOR_KEPT = 128 };

struct fw_floor {
	struct {
		double watts, busy;
		uint64_t at_ns;
	} quiet[FW_FLOOR_KEPT]; /* ring of idle slices */
	size_t quiet_next, quiet_count;
	double quiet_seconds;

	/* Decayed sums of a weighted least-squares line. */
	double weight, busy, watts, busy2, busy_watts, watts2;
	uint64_t sums_at_ns;
	double least_w; /* NAN before the first slice */

	double floor_w, half_w; /* in force */
	bool is_known;          /* 1 or 2 */
	bool is_quiet;          /* 1 */
};

void fw_floor_init(struct fw_floor *floor);
/* A slice that ended at_ns; busy: the share of the CPUs that worked, 0 to 1. Holes and resets must not be given. */
void fw_floor_add(struct fw_floor *floor, uint64_t at_ns, double seconds, double joules, double busy);
