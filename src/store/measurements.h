/* SPDX-License-Identifier: Apache-2.0
 *
 * What is measured beside the record: sweeps, sampled series (delta-coded), and the raw counter readings from which a
 * later version can attribute again.
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

/* ---- raw counter readings, at every edge of an invocation ---- */
#define FW_READING_FIELDS(X)                                                                   \
	X(RUN, run, "run id")                                                                      \
	X(INT, ordinal, "number of the reading in its run, from 1")                                \
	X(NAME, stage, "stage of the invocation whose edge it is; null for a sample in between")   \
	X(INT, task, "its task, or null")                                                          \
	X(INT, attempt, "its attempt, or null")                                                    \
	X(NAME, edge, "begin, sample or end")                                                      \
	X(INT, before_ns, "CLOCK_MONOTONIC before the counter was read")                           \
	X(INT, after_ns, "CLOCK_MONOTONIC after it was read")                                      \
	X(NAME, source, "monitor that read it: perf, rapl, system, ...")                           \
	X(NAME, counter, "what was read: package-0, dram-0, cpu_user, ...")                        \
	X(INT, value, "the counter as it was read; null when it could not be read")                \
	X(NAME, unit, "unit of the value: uj, ns, bytes, ...")                                     \
	X(NAME, flags, "ok, wrap, reset, gap, skew: separated by spaces")

#define FW_MEMBER_RUN(name) char *name;
struct fw_reading_row {
	FW_READING_FIELDS(FW_MEMBER)
};
void fw_reading_row_done(struct fw_reading_row *row);
int fw_store_reading_put(struct fw_store *store, const struct fw_reading_row *row, struct fw_error **err);
/* In the order of their numbers. */
int fw_store_reading_each(struct fw_store *store, const char *run,
                          int (*visit)(void *context, const struct fw_reading_row *row, struct fw_error **err),
                          void *context, struct fw_error **err);
