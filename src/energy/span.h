/* SPDX-License-Identifier: Apache-2.0
 *
 * A span: something that already runs, metered from now until it ends, for seconds or for days. It is cut into slices,
 * each an invocation to the EnergyManager; their records are added up here. Slices leave no hole between them, so that the sum
 * is the whole, and the busiest one is the peak of the power.
 */
#pragma once

#include "energy/manager.h"

struct fw_span;

struct fw_span_totals {
	struct fw_record record; /* resources, counters, energy and duration_ms, since the begin, of all slices that are known */
	double watts;            /* of the last slice, by the best source; NAN unknown, or modelled where the whole is measured */
	double slice_cpu_percent, slice_memory_mb; /* of the last slice */
	double peak_w;           /* of the busiest slice that was at least half as long as the longest; NAN unknown */
	double peak_over_s;      /* how long that slice was */
	bool peak_is_modelled;   /* as the whole is */
	double unseen_s;         /* at the end: so long before it what had ended by then was seen last (fw_metered.keeps_seen) */
};

/* The worker's cgroup must stay open until fw_span_free(). */
struct fw_span *fw_span_begin(struct fw_energy_manager *manager, const struct fw_metered *metered);
/* Ends a slice and begins the next. Waits for nothing: the totals, which are the span's, lack slices whose energy no counter has
 * told yet. */
const struct fw_span_totals *fw_span_cut(struct fw_span *span);
/* The totals as far as they are known now. */
const struct fw_span_totals *fw_span_look(struct fw_span *span);
/* As fw_span_cut(), with all slices up to now: waits, up to a second, until the counters have been updated. */
const struct fw_span_totals *fw_span_read(struct fw_span *span);
/* Ends the last one, now, and waits as fw_span_read(). `alive`: what is metered goes on; else it has just ended, and may still be a
 * zombie. After it the others give the same totals. */
const struct fw_span_totals *fw_span_end(struct fw_span *span, bool alive);
void fw_span_free(struct fw_span *span);
FW_DEFINE_CLEANUP(struct fw_span *, fw_span_free)

/* Adds what `slice` measured to `sum`: sums, largest and smallest values, means weighted by duration_ms. What is unknown in
 * one part is unknown in the sum; an energy figure that misses in one part has no upper end any more and the flag gap. The
 * first slice is added to a fresh record with duration_ms 0. */
void fw_span_add(struct fw_record *sum, const struct fw_record *slice);
/* The same for the totals: with power and peak. */
void fw_span_total(struct fw_span_totals *totals, const struct fw_record *slice);
