/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums of a run's records by stage. A figure that some records lack is the sum of those that have it; when none has it, it
 * stays unknown.
 */
#include "report/summary.h"

#include <stdlib.h>
#include <string.h>

#include "catalogue/catalogue.h"
#include "host/root.h"

static void add(double *sum, double value)
{
	if (!isnan(value))
		*sum = isnan(*sum) ? value : *sum + value;
}

static void summary_init(struct fw_stage_summary *stage)
{
	memset(stage, 0, sizeof *stage);
	stage->time_ms = stage->work_ms = stage->cold_ms = stage->read_ms = stage->compute_ms = stage->write_ms = NAN;
	stage->cpu_ms = stage->memory_peak_mb = stage->joules = stage->joules_low = stage->joules_high = NAN;
	stage->usd = stage->gco2e = stage->operational_gco2e = stage->embodied_gco2e = stage->units = NAN;
}

static void add_energy(struct fw_stage_summary *stage, const struct fw_record *record)
{
	struct fw_energy_sum energy;

	if (!fw_energy_best(record, &energy))
		return;
	add(&stage->joules, energy.joules);
	add(&stage->joules_low, energy.low);
	add(&stage->joules_high, energy.high);
	stage->modelled += energy.modelled;
	stage->measured += !energy.modelled;
	FW_PUSH(&stage->stretches,
	        (struct fw_power_stretch){record->started_ms, record->started_ms + record->duration_ms, energy.joules});
}

static void add_record(struct fw_stage_summary *stage, const struct fw_record *record)
{
	stage->invocations++;
	if (record->status && strcmp(record->status, "ok") == 0 && record->attempt >= stage->attempt) {
		stage->attempt = record->attempt;
		fw_record_set_text(&stage->package_digest, record->package_digest);
	}
	add(&stage->work_ms, record->duration_ms);
	if (!isnan(record->cold_start_ms)) {
		add(&stage->cold_ms, record->cold_start_ms);
		stage->cold_starts++;
	}
	add(&stage->read_ms, record->read_ms);
	add(&stage->compute_ms, record->compute_ms);
	add(&stage->write_ms, record->write_ms);
	add(&stage->cpu_ms, record->cpu_user_ms);
	add(&stage->cpu_ms, record->cpu_system_ms);
	if (!isnan(record->memory_peak_mb) && !(stage->memory_peak_mb > record->memory_peak_mb))
		stage->memory_peak_mb = record->memory_peak_mb;
	stage->memory_mb = record->memory_mb;
	add_energy(stage, record);
	add(&stage->usd, record->total_usd);
	add(&stage->gco2e, record->operational_gco2e);
	add(&stage->gco2e, record->embodied_gco2e);
	add(&stage->operational_gco2e, record->operational_gco2e);
	add(&stage->embodied_gco2e, record->embodied_gco2e);
	add(&stage->units, record->units);
	stage->objects_out += record->objects_out == FW_NULL_INT ? 1 : record->objects_out;
}

static int visit(void *context, const struct fw_record *record, struct fw_error **err)
{
	struct fw_summary *summary = context;

	(void)err;
	for (size_t i = 0; i < summary->count; i++)
		if (strcmp(summary->stages[i].stage, record->stage) == 0)
			add_record(&summary->stages[i], record);
	add_record(&summary->total, record);
	fw_summary_take_attempt(summary, record);
	if (!summary->price_basis && record->price_basis) {
		summary->price_basis = fw_strdup(record->price_basis);
		summary->price_region = fw_strdup(record->price_region);
	}
	if (isnan(summary->pue) && !isnan(record->pue)) {
		summary->pue = record->pue;
		summary->grid_gco2e_per_kwh = record->grid_gco2e_per_kwh;
		summary->grid_year = record->grid_year;
		summary->grid_kind = fw_strdup(record->grid_kind);
	}
	return FW_OK;
}

static void take_stage_row(struct fw_stage_summary *stage, struct fw_stage_row *row)
{
	stage->status = fw_strdup(row->status);
	stage->workflow_digest = fw_strdup(json_string_value(json_object_get(row->configuration, "workflow_digest")));
	stage->tasks = row->tasks;
	stage->ok = row->ok;
	stage->failed = row->failed;
	stage->skipped = row->skipped;
	stage->time_ms = row->last_end_ms - row->first_start_ms;
}

/* Stages as the workflow lists them; those that have not ended have no row yet. */
static int load_stages(struct fw_store *store, struct fw_summary *summary, struct fw_error **err)
{
	struct fw_stage_row *rows = NULL;
	size_t count = 0;
	fw_cleanup_json json_t *workflow = NULL;
	int rc = fw_store_stage_list(store, summary->row.run, &rows, &count, err);

	if (rc == FW_OK)
		rc = fw_json_load("workflow of the run", summary->row.workflow_text, strlen(summary->row.workflow_text),
		                  &workflow, err);
	const json_t *stages = json_object_get(workflow, "stages");
	const char *name;
	json_t *value;

	summary->stages = fw_alloc_array(json_object_size(stages) + 1, sizeof *summary->stages);
	json_object_foreach ((json_t *)stages, name, value) {
		struct fw_stage_summary *stage = &summary->stages[summary->count++];

		summary_init(stage);
		stage->stage = fw_strdup(name);
		stage->has_outputs = json_object_size(json_object_get(value, "outputs")) > 0;
		for (size_t i = 0; i < count; i++)
			if (strcmp(rows[i].stage, name) == 0)
				take_stage_row(stage, &rows[i]);
	}
	for (size_t i = 0; i < count; i++)
		fw_stage_row_done(&rows[i]);
	free(rows);
	return rc;
}

static void add_total(struct fw_summary *summary)
{
	summary->total.stage = fw_strdup("total");
	summary->total.time_ms = summary->row.makespan_ms;
	for (size_t i = 0; i < summary->count; i++) {
		summary->total.tasks += summary->stages[i].tasks;
		summary->total.ok += summary->stages[i].ok;
		summary->total.failed += summary->stages[i].failed;
		summary->total.skipped += summary->stages[i].skipped;
	}
}

static void mean_of_cold(struct fw_stage_summary *stage)
{
	if (stage->cold_starts > 0)
		stage->cold_ms /= (double)stage->cold_starts;
}

bool fw_stage_is_kept(const struct fw_summary *summary, const struct fw_stage_summary *stage)
{
	return fw_stage_old_package(summary, stage) ||
	       (stage->workflow_digest && strcmp(stage->workflow_digest, summary->row.workflow_digest) != 0);
}

const char *fw_stage_old_package(const struct fw_summary *summary, const struct fw_stage_summary *stage)
{
	const json_t *packages = json_object_get(summary->row.environment, "packages");
	const char *path;
	json_t *digest;

	json_object_foreach ((json_t *)(uintptr_t)packages, path, digest)
		if (stage->package_digest && strcmp(stage->package_digest, json_string_value(digest)) == 0)
			return NULL;
	return packages ? stage->package_digest : NULL;
}

const char *fw_run_state(const struct fw_run_row *row)
{
	struct fw_root root;
	bool alive = true;

	if (strcmp(row->state, "running") != 0)
		return row->state;
	if (fw_root_open("/", &root, NULL) == FW_OK) {
		alive = fw_store_run_is_alive(row, root.fd);
		fw_root_close(&root);
	}
	return alive ? "running" : "interrupted";
}

int fw_summary_load(struct fw_store *store, const char *run, struct fw_summary *summary, struct fw_error **err)
{
	memset(summary, 0, sizeof *summary);
	summary_init(&summary->total);
	summary->pue = summary->grid_gco2e_per_kwh = NAN;
	int rc = fw_store_run_get(store, run, &summary->row, err);

	if (rc == FW_OK)
		rc = load_stages(store, summary, err);
	if (rc == FW_OK)
		rc = fw_store_record_each(store, summary->row.run, NULL, -1, visit, summary, err);
	if (rc != FW_OK) {
		fw_summary_done(summary);
		return rc;
	}
	summary->state = fw_strdup(fw_run_state(&summary->row));
	for (size_t i = 0; i < summary->count; i++)
		mean_of_cold(&summary->stages[i]);
	mean_of_cold(&summary->total);
	add_total(summary);
	return FW_OK;
}

void fw_summary_done(struct fw_summary *summary)
{
	for (size_t i = 0; i < summary->count; i++) {
		free(summary->stages[i].stage);
		free(summary->stages[i].status);
		free(summary->stages[i].package_digest);
		free(summary->stages[i].workflow_digest);
		free(summary->stages[i].stretches.items);
	}
	fw_summary_failed_done(summary);
	free(summary->stages);
	free(summary->total.stage);
	free(summary->total.package_digest);
	free(summary->total.stretches.items);
	free(summary->grid_kind);
	free(summary->price_basis);
	free(summary->price_region);
	free(summary->state);
	fw_run_row_done(&summary->row);
	memset(summary, 0, sizeof *summary);
}
