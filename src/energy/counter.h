/* SPDX-License-Identifier: Apache-2.0
 *
 * From what a counter of energy shows to joules that only rise. Pure: no file, no clock. Each counter has its own range
 * (a zone's DRAM wraps elsewhere than its package), and every decrease is judged by the power that it would mean: a wrap
 * if the part can have drawn that much, else a reset, which gives nothing. What cannot be known is bounded in `lost_j`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "energy/domain.h"

struct fw_counter_limits {
	double joules_per_unit; /* of a raw unit: 1e-6 for microjoules */
	uint64_t range;         /* the highest raw value, after which it begins at 0; 0: it never goes round */
	double step;            /* raw units by which it counts, at least 1 */
	double most_w;          /* more is not plausible; not positive or NAN: FW_COUNTER_MOST_W */
	double update_s;        /* how often it is updated: that long may energy be booked late; NAN: unknown */
};

/* For a part of which nothing is known: no socket, module or board that we know of draws more. */
#define FW_COUNTER_MOST_W 5000.0
/* Energy is booked late by at most this where the counter's own interval is unknown. */
#define FW_COUNTER_UPDATE_S 0.1
/* A rise is judged mildly: energy that was used must not be thrown away for a limit that was told too low. */
#define FW_COUNTER_LEAP 4.0

struct fw_counter {
	struct fw_counter_limits limits;
	bool has_raw;
	uint64_t raw;                /* the latest that could be read */
	uint64_t before_ns, after_ns; /* around it */
	uint64_t moved_ns;           /* before the reading that showed its latest movement: the next may be of all the time since */
	uint64_t units;              /* raw units since the first reading */
	unsigned wraps, resets, gaps, holes;
	enum fw_domain_reason reason; /* of the latest reading */
	double lost_j;
};

void fw_counter_init(struct fw_counter *counter, const struct fw_counter_limits *limits);
/* The first reading is the baseline: 0 joules. Fills all of `reading`. */
void fw_counter_read(struct fw_counter *counter, uint64_t raw, uint64_t before_ns, uint64_t after_ns,
                     struct fw_domain_reading *reading);
/* It could not be read: a hole, never a zero. The next reading covers it. */
void fw_counter_miss(struct fw_counter *counter, uint64_t before_ns, uint64_t after_ns,
                     struct fw_domain_reading *reading);
/* Of one that cannot be read: whether it is to be looked for again now. At once, and then once a second, however often it is
 * read. *tried_ns: when it was last; 0 as long as it can be read. */
bool fw_counter_may_retry(uint64_t *tried_ns, uint64_t now_ns);
/* Longest time between two readings in which no wrap can go unseen; INFINITY where there is no range. */
double fw_counter_longest_s(const struct fw_counter_limits *limits);

/* Power of which only the present value is told, added up by the trapezoid over measured time. */
struct fw_power_sum {
	double most_w;
	bool has_watts;
	double watts;
	uint64_t before_ns, after_ns;
	double joules, lost_j;
};
/* Two values further apart than this say little of the time between them: flagged, and bounded by most_w. */
#define FW_POWER_LONGEST_S 5.0

void fw_power_sum_init(struct fw_power_sum *sum, double most_w);
void fw_power_sum_read(struct fw_power_sum *sum, double watts, uint64_t before_ns, uint64_t after_ns,
                       struct fw_domain_reading *reading);
void fw_power_sum_miss(struct fw_power_sum *sum, uint64_t before_ns, uint64_t after_ns,
                       struct fw_domain_reading *reading);
