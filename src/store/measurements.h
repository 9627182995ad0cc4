/* SPDX-License-Identifier: Apache-2.0
 *
 * What is measured beside the record: sweeps, sampled series (delta-coded), and the raw readings from which a later version
 * can attribute again.
 */
#pragma once

#include "base/buffer.h"
#include "store/store.h"

/* ---- sweep: a set of runs over configurations × repetitions; runs name it in their row ---- */
struct fw_sweep_row {
	char *sweep;      /* id */
	char *workflow;   /* name */
	char *state;      /* running, ok, failed, interrupted */
	int64_t wall_ms;  /* start */
	json_t *design;   /* configurations, repetitions, protocol */
	json_t *totals;   /* made at the end, or NULL */
	char *error;
};
void fw_sweep_row_done(struct fw_sweep_row *row);
int fw_store_sweep_put(struct fw_store *store, const struct fw_sweep_row *row, struct fw_error **err); /* by sweep */
int fw_store_sweep_get(struct fw_store *store, const char *sweep, struct fw_sweep_row *row, struct fw_error **err);
/* Ids of its runs, by repetition and start; the caller frees each and the array. */
int fw_store_sweep_runs(struct fw_store *store, const char *sweep, char ***runs, size_t *count, struct fw_error **err);

/* ---- series ---- */
struct fw_sample {
	int64_t time_ns; /* CLOCK_MONOTONIC since the start of the run */
	int64_t value;   /* in the series' unit; FW_NULL_INT: a hole */
};

/* Version byte, count, then per sample zigzag varints of the second difference of times and the difference of values.
 * Samples of a steady rate take two to four bytes each. Every int64_t comes back as it was. */
void fw_series_encode(const struct fw_sample *samples, size_t count, struct fw_buffer *out);
/* Newly allocated; memory is bounded by the length of the text. */
int fw_series_decode(const void *bytes, size_t length, struct fw_sample **samples, size_t *count, struct fw_error **err);

struct fw_series_row {
	char *run;
	char *stage;     /* "" for a series of the whole run or machine */
	int64_t task;    /* -1 unless of one invocation */
	int64_t attempt; /* -1 unless of one invocation */
	char *name;      /* memory, cpu, energy.package-0 */
	char *unit;      /* bytes, ns, uj, khz, mdeg: integers */
	struct fw_sample *samples;
	size_t count;
};
void fw_series_row_done(struct fw_series_row *row);
int fw_store_series_put(struct fw_store *store, const struct fw_series_row *row, struct fw_error **err); /* replaces */
int fw_store_series_each(struct fw_store *store, const char *run,
                         int (*visit)(void *context, const struct fw_series_row *row, struct fw_error **err),
                         void *context, struct fw_error **err);

/* ---- raw readings: what counters of energy and of work showed at ticks and edges, in portions of about a second ---- */
struct fw_reading_row {
	char *run;
	int64_t ordinal;           /* number of the portion in its run, from 1: they are read in this order */
	struct fw_buffer readings; /* as energy/feed.h writes them */
};
void fw_reading_row_done(struct fw_reading_row *row);
int fw_store_reading_put(struct fw_store *store, const struct fw_reading_row *row, struct fw_error **err);
/* The number of the run's last portion; 0 when it has none. */
int fw_store_reading_last(struct fw_store *store, const char *run, int64_t *ordinal, struct fw_error **err);
/* In the order of their numbers. */
int fw_store_reading_each(struct fw_store *store, const char *run,
                          int (*visit)(void *context, const struct fw_reading_row *row, struct fw_error **err),
                          void *context, struct fw_error **err);
