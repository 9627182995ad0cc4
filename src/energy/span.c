/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges of a span and its slices. The time of a slice begins where the one before ended, so that what the meter itself
 * takes between two slices is in neither twice and in none never. A slice whose energy is not known yet waits; nobody waits
 * for it before the end.
 */
#include "energy/span.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/time.h"

/* Until its energy is known its record is the manager's. */
struct slice {
	struct slice *next;
	struct fw_record record;
	bool is_known;
};

struct fw_span {
	struct fw_energy_manager *manager;
	struct fw_energy_worker *worker;
	struct slice *first, **end; /* that wait, oldest first */
	uint64_t slice_ns;          /* begin of the open one */
	bool has_ended;
	struct fw_span_totals totals;
};

struct fw_span *fw_span_begin(struct fw_energy_manager *manager, const struct fw_metered *metered)
{
	struct fw_span *span = fw_alloc(sizeof *span);

	span->manager = manager;
	span->worker = fw_energy_worker_new(manager, metered);
	span->end = &span->first;
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

static void is_known(void *context, struct fw_record *record)
{
	struct slice *slice = context;

	(void)record;
	slice->is_known = true;
}

static void end_slice(struct fw_span *span, uint64_t now_ns, bool alive)
{
	struct slice *slice = fw_alloc(sizeof *slice);

	fw_record_init(&slice->record);
	slice->record.duration_ms = fw_ns_to_ms(now_ns - span->slice_ns);
	slice->record.vcpus = span->totals.record.vcpus;
	span->slice_ns = now_ns;
	*span->end = slice;
	span->end = &slice->next;
	fw_energy_end(span->worker, alive, &slice->record, is_known, slice);
}

/* In their order: peaks and flags depend on it. */
static void add_known(struct fw_span *span)
{
	while (span->first && span->first->is_known) {
		struct slice *slice = span->first;

		fw_span_total(&span->totals, &slice->record);
		span->first = slice->next;
		if (!span->first)
			span->end = &span->first;
		fw_record_done(&slice->record);
		free(slice);
	}
}

static void cut(struct fw_span *span)
{
	if (span->has_ended)
		return;
	end_slice(span, fw_monotonic_ns(), true);
	fw_energy_begin(span->worker);
}

const struct fw_span_totals *fw_span_look(struct fw_span *span)
{
	fw_energy_collect(span->manager);
	add_known(span);
	return &span->totals;
}

const struct fw_span_totals *fw_span_cut(struct fw_span *span)
{
	cut(span);
	return fw_span_look(span);
}

const struct fw_span_totals *fw_span_read(struct fw_span *span)
{
	cut(span);
	fw_energy_flush(span->manager);
	return fw_span_look(span);
}

const struct fw_span_totals *fw_span_end(struct fw_span *span, bool alive)
{
	uint64_t now_ns = fw_monotonic_ns();

	if (span->has_ended)
		return &span->totals;
	span->has_ended = true;
	if (!alive)
		fw_energy_last_sample(span->worker);
	end_slice(span, now_ns, alive);
	fw_energy_flush(span->manager);
	span->totals.unseen_s = (double)fw_energy_unseen_ns(span->worker) / 1e9;
	return fw_span_look(span);
}

void fw_span_free(struct fw_span *span)
{
	if (!span)
		return;
	if (span->first)
		fw_energy_flush(span->manager);
	add_known(span);
	fw_energy_worker_free(span->worker);
	fw_record_done(&span->totals.record);
	free(span);
}
