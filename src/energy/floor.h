/* SPDX-License-Identifier: Apache-2.0
 *
 * The idle floor of a pool: the watts that it draws when nobody works. Measured, never assumed, in this order:
 *
 *   1. fresh idle evidence: slices of the last minute in which less than 2 % of the CPUs were busy. The floor is a low
 *      quantile of their power, so that neither a first reading under load nor one odd maximum or minimum stays in force; what
 *      little ran in them is taken off by the slope of the line, once that is known;
 *   2. without any, the mean of what is known, each by its certainty: older idle evidence, the power at no load of a line
 *      through (busy, watts) once load has varied enough, and the floor that an earlier run on this machine had;
 *   3. without that, anything between nothing and the least power seen, said so by the width of its interval.
 *
 * Evidence grows old: its uncertainty widens by the hour and the line forgets half, since fans, frequencies and rooms change.
 * Power that is below the floor, whatever the load, shows that the floor has sunk, and is evidence as well.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FW_FLOOR_KEPT = 128 };

enum fw_floor_basis { FW_FLOOR_UNKNOWN, FW_FLOOR_QUIET, FW_FLOOR_MIXED, FW_FLOOR_INHERITED };
extern const char *const fw_floor_basis_names[]; /* "unknown", "quiet", ... */

struct fw_floor {
	struct {
		double watts, busy, seconds;
		uint64_t at_ns;
	} quiet[FW_FLOOR_KEPT]; /* ring of idle times: slices that follow each other are one, as far as they go */
	size_t quiet_next, quiet_count;
	double quiet_seconds;
	uint64_t quiet_until_ns; /* the latest idle slice, taken or not */

	/* Decayed sums of a weighted least-squares line. */
	double weight, busy, watts, busy2, busy_watts, watts2;
	uint64_t sums_at_ns;
	double least_w; /* of the last ten to twenty minutes; NAN before the first slice */
	double least_now_w, least_before_w;
	uint64_t least_since_ns;

	double inherited_w, inherited_half_w, inherited_age_s; /* of an earlier run; watts NAN: nothing */
	uint64_t first_ns;      /* the first slice: what was inherited has grown older since */
	uint64_t evidence_ns;   /* the newest idle evidence; 0: none */

	double floor_w, half_w; /* in force */
	enum fw_floor_basis basis;
	bool is_known;          /* 1 or 2 */
};

void fw_floor_init(struct fw_floor *floor);
/* Before any slice: what it was in an earlier run, whose evidence is so old. */
void fw_floor_inherit(struct fw_floor *floor, double watts, double half_w, double age_s);
/* How old the evidence of the floor in force is; NAN: there is none. */
double fw_floor_age_s(const struct fw_floor *floor, uint64_t now_ns);
/* A slice that ended at_ns; busy: the share of the CPUs that worked, 0 to 1. Holes and resets must not be given. */
void fw_floor_add(struct fw_floor *floor, uint64_t at_ns, double seconds, double joules, double busy);
