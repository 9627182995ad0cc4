/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges of a span and its slices. The time of a slice begins where the one before ended, so that what the meter itself
 * takes between two slices is in neither twice and in none never.
 */
#include "energy/span.h"

#include <math.h>

#include "base/memory.h"
#include "base/time.h"

struct fw_span {
	struct fw_energy_manager *manager;
	struct fw_energy_worker *worker;
	struct fw_record slice;
	uint64_t slice_ns; /* its begin */
	struct fw_span_totals totals;
};

struct fw_span *fw_span_begin(struct fw_energy_manager *manager, const struct fw_metered *metered)
{
	struct fw_span *span = fw_alloc(sizeof *span);

	span->manager = manager;
	span->worker = fw_energy_worker_new(manager, metered);
	fw_record_init(&span->slice);
	fw_record_init(&span->totals.record);
	span->totals.record.duration_ms = 0;
	span->totals.record.vcpus = metered->vcpus;
	span->totals.watts = span->totals.peak_w = span->totals.peak_over_s = NAN;
	span->totals.slice_cpu_percent = span->totals.slice_memory_mb = NAN;
	fw_energy_begin(span->worker);
	span->slice_ns = fw_monotonic_ns();
	return span;
}

/* A slice in which no counter could be read has a model's power, which is none of a measured whole. */
static double watts_of(const struct fw_span_totals *totals, const struct fw_record *slice, bool *is_modelled)
{
	struct fw_energy_sum sum, whole;

	if (!fw_energy_best(slice, &sum) || !fw_energy_best(&totals->record, &whole))
		return NAN;
	*is_modelled = sum.modelled;
	return sum.modelled == whole.modelled ? fw_energy_watts(&sum, slice->duration_ms / 1000) : NAN;
}

void fw_span_total(struct fw_span_totals *totals, const struct fw_record *slice)
{
	double seconds = slice->duration_ms / 1000;
	bool is_modelled = false;

	fw_span_add(&totals->record, slice);
	totals->slice_cpu_percent = slice->cpu_percent;
	totals->slice_memory_mb = slice->memory_average_mb;
	totals->watts = watts_of(totals, slice, &is_modelled);
	if (isnan(totals->watts))
		return;
	if (is_modelled != totals->peak_is_modelled)
		totals->peak_w = totals->peak_over_s = NAN; /* of what the whole is no longer */
	totals->peak_is_modelled = is_modelled;
	/* A slice of a moment has no power worth the name, unless there is no other. */
	if (isnan(totals->peak_w) || (seconds >= totals->peak_over_s / 2 && totals->watts > totals->peak_w) ||
	    totals->peak_over_s < seconds / 2) {
		totals->peak_w = totals->watts;
		totals->peak_over_s = seconds;
	}
}

static void finish_slice(struct fw_span *span)
{
	fw_energy_flush(span->manager);
	fw_span_total(&span->totals, &span->slice);
	fw_record_done(&span->slice);
	fw_record_init(&span->slice);
}

static void end_slice(struct fw_span *span, bool alive)
{
	uint64_t now_ns = fw_monotonic_ns();

	span->slice.duration_ms = fw_ns_to_ms(now_ns - span->slice_ns);
	span->slice.vcpus = span->totals.record.vcpus;
	span->slice_ns = now_ns;
	fw_energy_end(span->worker, alive, &span->slice, NULL, NULL);
}

const struct fw_span_totals *fw_span_cut(struct fw_span *span)
{
	end_slice(span, true);
	fw_energy_begin(span->worker);
	finish_slice(span);
	return &span->totals;
}

const struct fw_span_totals *fw_span_end(struct fw_span *span, bool alive)
{
	if (!alive)
		fw_energy_last_sample(span->worker);
	end_slice(span, alive);
	finish_slice(span);
	return &span->totals;
}

void fw_span_free(struct fw_span *span)
{
	if (!span)
		return;
	fw_energy_worker_free(span->worker);
	fw_record_done(&span->slice);
	fw_record_done(&span->totals.record);
	free(span);
}
