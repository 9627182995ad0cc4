/* SPDX-License-Identifier: Apache-2.0
 *
 * What a run comes to, stage by stage, from its records in the store: the table that ends `run` and opens `show`.
 */
#pragma once

#include <stdbool.h>

#include "analysis/efficiency.h"
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
	int64_t modelled, measured; /* invocations, by what their joules are */
	double usd;
	double gco2e;          /* operational + embodied */
	double operational_gco2e, embodied_gco2e;
	double units;
	bool has_outputs;      /* in the workflow */
	int64_t objects_out;   /* sum; an attempt of which it is not known counts as one */
	FW_VECTOR(struct fw_power_stretch) stretches; /* its invocations, for the peak of their power */
};

/* Whose latest attempt failed; while the run goes on it may be tried again. */
struct fw_failed_task {
	char *stage;
	int64_t task, attempt;
	char *status;
	char *error_type, *error_message; /* or NULL */
};

struct fw_summary {
	struct fw_run_row row;
	struct fw_stage_summary *stages; /* in the order of the workflow */
	size_t count;
	struct fw_stage_summary total;
	FW_VECTOR(struct fw_failed_task) failed; /* by stage and number */
	char *price_basis, *price_region;
	double grid_gco2e_per_kwh, pue; /* of its records; NAN unknown */
	int64_t grid_year;
	char *grid_kind;
	char *state;  /* running, ok, failed, cancelled, interrupted (running, but its engine is gone) */
};

/* The state of a row as it is now: "interrupted" when it says running and its engine is gone. */
const char *fw_run_state(const struct fw_run_row *row);

int fw_summary_load(struct fw_store *store, const char *run, struct fw_summary *summary, struct fw_error **err);
void fw_summary_done(struct fw_summary *summary);

/* What the m behind joules means: of so many invocations that are modelled and so many that are measured. `mixed`: one sum has
 * both. Nothing where none is modelled. */
void fw_modelled_footnote(int64_t modelled, int64_t measured, bool mixed, struct fw_buffer *out);

/* The table with its head and foot, for a terminal of that width; 0 is any. */
void fw_summary_print(const struct fw_summary *summary, bool colour, size_t width, struct fw_buffer *out);
json_t *fw_summary_to_json(const struct fw_summary *summary);

/* A line of it: "failed: split/3 (attempt 2): Video.Unsupported: …". */
void fw_print_failed_task(const struct fw_failed_task *task, struct fw_buffer *out);
/* How to see those that are not among the `shown`; nothing where there are none. */
void fw_print_failed_rest(const struct fw_summary *summary, size_t shown, struct fw_buffer *out);
json_t *fw_failed_to_json(const struct fw_summary *summary);

/* For fw_summary_load() and fw_summary_done(). */
void fw_summary_take_attempt(struct fw_summary *summary, const struct fw_record *record);
void fw_summary_failed_done(struct fw_summary *summary);

/* What its energy comes to; NAN unknown. Attempts that failed are in the joules and have no units: they were paid for. */
struct fw_stage_energy {
	double average_w; /* over the time of the stage */
	double peak_w;    /* the most that its invocations drew at once, by their averages */
	double joules_per_unit, units_per_joule;
	double sci_gco2e_per_unit; /* software carbon intensity */
};
struct fw_stage_energy fw_stage_energy(const struct fw_stage_summary *stage);
/* 1: the stage with the most joules. */
size_t fw_stage_energy_rank(const struct fw_summary *summary, const struct fw_stage_summary *stage);
/* The table of it, stages ranked. */
void fw_summary_print_energy(const struct fw_summary *summary, bool colour, size_t width, struct fw_buffer *out);

/* Runs against each other, in the order given: joules per unit, and the efficiency score among them. */
void fw_summaries_print_energy(const struct fw_summary *summaries, size_t count, bool colour, struct fw_buffer *out);
json_t *fw_summaries_energy_to_json(const struct fw_summary *summaries, size_t count);

/* A stage that --from kept: it ended before the workflow or its package were changed. */
bool fw_stage_is_kept(const struct fw_summary *summary, const struct fw_stage_summary *stage);
/* The digest of its package when that is none of today's, else NULL. */
const char *fw_stage_old_package(const struct fw_summary *summary, const struct fw_stage_summary *stage);
