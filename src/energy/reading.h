/* SPDX-License-Identifier: Apache-2.0
 *
 * Readings of one worker: from its control group, else from its process tree in /proc. No allocation, no log, any thread.
 */
#pragma once

#include "energy/monitor.h"

/* What readings need to know of the machine. */
struct fw_reading_source {
	const struct fw_root *root;
	bool live; /* the root is ours: clocks of processes may be asked */
	/* What monitors add to a reading; may be NULL. */
	void (*count)(void *context, const struct fw_metered *worker, bool edge, struct fw_reading *reading);
	void *context;
};

/* Everything; about 60 µs for one process. */
void fw_reading_take(const struct fw_reading_source *source, const struct fw_metered *worker,
                     struct fw_reading *reading);
/* Adds USS and PSS, summed over the worker's processes: the kernel looks at each of their pages, some 30 ms for a GiB. */
void fw_reading_take_shares(const struct fw_reading_source *source, const struct fw_metered *worker,
                            struct fw_reading *reading);
/* CPU times and the clock alone, and throttling where that costs nothing more (v2); all else is -1. */
void fw_reading_take_cpu(const struct fw_reading_source *source, const struct fw_metered *worker,
                         struct fw_reading *reading);
/* The worker's processes, at most `capacity` of them; returns how many there are. */
size_t fw_reading_processes(const struct fw_reading_source *source, const struct fw_metered *worker, pid_t *pids,
                            size_t capacity);
/* Anonymous + shared + kernel memory now; -1 unknown. */
int64_t fw_reading_memory(const struct fw_reading_source *source, const struct fw_metered *worker);

/* The group's high-water mark, an upper bound of all memory held since the worker was made; -1 unknown. */
int64_t fw_reading_memory_high(const struct fw_metered *worker);

static inline uint64_t fw_reading_time_ns(const struct fw_reading *reading)
{
	return reading->before_ns + (reading->after_ns - reading->before_ns) / 2;
}
