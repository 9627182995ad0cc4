/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run comes to, stage by stage, from its records in the store: the table that ends `run` and opens `show`.
 */
#pragma once

#include <stdbool.h>

#include "base/buffer.h"
#include "base/json.h"
#include "store/store.h"

/* Sums over all attempts, retried ones too: they were paid for. NAN: nothing known. */
struct fw_stage_summary {
	char *package_digest;  /* of the attempt that stands, or NULL */
	char *workflow_digest; /* when it ended, or NULL */
	int64_t attempt;       /* the highest that stands */
	char *stage;
	char *status;          /* of the stage, or NULL while it runs */
	int64_t tasks, ok, failed, skipped;
	int64_t invocations;   /* records */
	double time_ms;        /* first start to last end */
	double work_ms;        /* sum of durations */
	double cold_ms;        /* mean of the cold starts */
	int64_t cold_starts;
	double read_ms, compute_ms, write_ms; /* sums */
	double cpu_ms;
	double memory_peak_mb; /* largest */
	int64_t memory_mb;     /* of the configuration */
	double joules, joules_low, joules_high; /* ends of the interval are summed too: the model's error is common to all */
	bool modelled, measured;
	double usd;
	double gco2e;          /* operational + embodied */
	double units;
};

struct fw_summary {
	struct fw_run_row row;
	struct fw_stage_summary *stages; /* in the order of the workflow */
	size_t count;
	struct fw_stage_summary total;
	char *price_basis, *price_region;
	char *state;  /* running, ok, failed, cancelled, interrupted (running, but its engine is gone) */
};

/* The state of a row as it is now: "interrupted" when it says running and its engine is gone. */
const char *fw_run_state(const struct fw_run_row *row);

int fw_summary_load(struct fw_store *store, const char *run, struct fw_summary *summary, struct fw_error **err);
void fw_summary_done(struct fw_summary *summary);

/* The table with its head and foot. */
void fw_summary_print(const struct fw_summary *summary, bool colour, struct fw_buffer *out);
json_t *fw_summary_to_json(const struct fw_summary *summary);

/* A stage that --from kept: it ended before the workflow or its package were changed. */
bool fw_stage_is_kept(const struct fw_summary *summary, const struct fw_stage_summary *stage);
/* The digest of its package when that is none of today's, else NULL. */
const char *fw_stage_old_package(const struct fw_summary *summary, const struct fw_stage_summary *stage);
