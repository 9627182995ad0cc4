/* SPDX-License-Identifier: Apache-2.0
 *
 * The summary of a run as people read it, and as JSON.
 */
#include <math.h>
#include <string.h>

#include "report/format.h"
#include "report/summary.h"
#include "report/table.h"
#include "report/width.h"
#include "storage/storage.h"

/* Sums of a million slices agree as well as doubles do. */
#define BOOKS_TOLERANCE 1e-6

static const struct {
	const char *title;
	enum fw_align align;
} columns[] = {
	{"stage", FW_LEFT},  {"tasks", FW_RIGHT},   {"time", FW_RIGHT}, {"cold", FW_RIGHT}, {"read", FW_RIGHT},
	{"compute", FW_RIGHT}, {"write", FW_RIGHT}, {"cpu", FW_RIGHT},  {"peak", FW_RIGHT}, {"energy", FW_RIGHT},
	{"cost", FW_RIGHT},  {"carbon", FW_RIGHT},
};

/* What a narrow terminal has no room for, least missed first. */
static const char *const spare[] = {"write", "read", "compute", "cold", "peak", "carbon"};

static double phase_share(const struct fw_stage_summary *stage, double phase_ms)
{
	double all = stage->read_ms + stage->compute_ms + stage->write_ms;

	return all > 0 ? phase_ms / all : (double)NAN;
}

static void print_stage(struct fw_table *table, const struct fw_stage_summary *stage)
{
	char text[FW_FORMAT_SIZE];
	bool none = stage->invocations == 0;

	fw_table_row(table);
	fw_table_cell(table, "%s", stage->stage);
	fw_table_cell(table, "%lld/%lld", (long long)stage->ok, (long long)stage->tasks);
	fw_table_cell(table, "%s", none && stage->status && strcmp(stage->status, "skipped") == 0
	                               ? "skipped"
	                               : fw_format_ms(text, stage->time_ms));
	fw_table_cell(table, "%s", fw_format_ms(text, stage->cold_ms));
	fw_table_cell(table, "%s", fw_format_percent(text, phase_share(stage, stage->read_ms)));
	fw_table_cell(table, "%s", fw_format_percent(text, phase_share(stage, stage->compute_ms)));
	fw_table_cell(table, "%s", fw_format_percent(text, phase_share(stage, stage->write_ms)));
	fw_table_cell(table, "%s", fw_format_ms(text, stage->cpu_ms));
	fw_table_cell(table, "%s", fw_format_mb(text, stage->memory_peak_mb));
	fw_table_cell(table, "%s%s", fw_format_joules_interval(text, stage->joules, stage->joules_low, stage->joules_high),
	              stage->modelled ? " m" : "");
	fw_table_cell(table, "%s", fw_format_usd(text, stage->usd));
	fw_table_cell(table, "%s", fw_format_grams(text, stage->gco2e));
}

/* Where a person finds the outputs: newly allocated. */
static char *outputs_place(const struct fw_run_row *row)
{
	fw_cleanup_free char *key = fw_printf("runs/%s", row->run);
	fw_cleanup_free char *uri = fw_storage_object_uri(row->storage, key);

	return fw_strdup(strncmp(uri, "file:", 5) == 0 ? uri + 5 : uri);
}

static void print_head(const struct fw_summary *summary, bool colour, struct fw_buffer *out)
{
	const char *bold = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "";
	fw_cleanup_free char *place = outputs_place(&summary->row);
	const char *mark = colour && strcmp(summary->state, "ok") != 0 ? "\033[31m" : "";

	fw_buffer_printf(out, "%s%s%s · run %s · %s · %s%s%s · %lld %s · outputs in %s\n", bold,
	                 summary->row.workflow, plain, summary->row.run, summary->row.backend, mark, summary->state,
	                 colour ? "\033[0m" : "", (long long)summary->total.tasks,
	                 summary->total.tasks == 1 ? "task" : "tasks", place);
}

static void print_makespan(const struct fw_summary *summary, struct fw_buffer *out)
{
	char makespan[FW_FORMAT_SIZE], work[FW_FORMAT_SIZE];

	if (isnan(summary->row.makespan_ms) || isnan(summary->total.work_ms))
		return;
	fw_buffer_printf(out, "  makespan %s for %s of work in %lld %s\n",
	                 fw_format_ms(makespan, summary->row.makespan_ms), fw_format_ms(work, summary->total.work_ms),
	                 (long long)summary->total.invocations, summary->total.invocations == 1 ? "invocation" : "invocations");
}

void fw_modelled_footnote(int64_t modelled, int64_t measured, bool mixed, struct fw_buffer *out)
{
	int64_t all = modelled + measured;

	if (modelled > 0 && measured > 0 && mixed)
		fw_buffer_printf(out, "  m = modelled, low–high: in %lld of %lld invocations no energy counters were read (flexwatt monitors says "
		                      "why). A sum marked m can hold measured joules as well.\n",
		                 (long long)modelled, (long long)all);
	else if (modelled > 0)
		fw_buffer_text(out, "  m = modelled, low–high: no energy counters were read (flexwatt monitors says why).\n");
}

static void print_basis(const struct fw_summary *summary, struct fw_buffer *out)
{
	fw_modelled_footnote(summary->total.modelled, summary->total.measured, true, out);
	if (summary->price_basis)
		fw_buffer_printf(out, "  Cost of this run %s, %s.", summary->price_basis, summary->price_region);
	if (!isnan(summary->total.gco2e))
		fw_buffer_printf(out, "%sCarbon: location-based grid of %s, operational + embodied.",
		                 summary->price_basis ? " " : "  ", summary->price_region ? summary->price_region : "the region");
	if (summary->price_basis || !isnan(summary->total.gco2e))
		fw_buffer_text(out, "\n");
}

/* A success that a consumer waits for in vain: a command that writes to standard output, say. */
static void print_fruitless(const struct fw_summary *summary, struct fw_buffer *out)
{
	for (size_t i = 0; i < summary->count; i++) {
		const struct fw_stage_summary *stage = &summary->stages[i];

		if (stage->status && strcmp(stage->status, "ok") == 0 && stage->has_outputs && stage->invocations > 0 &&
		    stage->objects_out == 0)
			fw_buffer_printf(out, "  note: %s declares outputs and made none: no file was left in their directories\n",
			                 stage->stage);
	}
}

/* After --from: which stages still are as they were before the change. */
static void print_kept(const struct fw_summary *summary, struct fw_buffer *out)
{
	size_t kept = 0;

	for (size_t i = 0; i < summary->count; i++) {
		const struct fw_stage_summary *stage = &summary->stages[i];
		const char *package = fw_stage_old_package(summary, stage);

		if (!fw_stage_is_kept(summary, stage))
			continue;
		fw_buffer_printf(out, "%s%s", kept++ ? ", " : "  note: kept from before a change: ", stage->stage);
		if (package)
			fw_buffer_printf(out, " (package %.12s)", package);
	}
	if (kept)
		fw_buffer_text(out, "\n");
}

/* NAN: nothing bounds it. */
static void print_lost(double lost_j, struct fw_buffer *out)
{
	char lost[FW_FORMAT_SIZE];

	if (isnan(lost_j))
		fw_buffer_text(out, "how much is missing is not known\n");
	else if (lost_j > 0)
		fw_buffer_printf(out, "up to %s may be missing\n", fw_format_joules(lost, lost_j));
	else
		fw_buffer_text(out, "nothing is missing in the sum, but whose it was is less sure\n");
}

/* Where something was not measured whole: what it may hide. Where all is well, no word. */
static void print_books(const struct fw_summary *summary, struct fw_buffer *out)
{
	const json_t *domains = fw_json_at(summary->row.totals, "energy.domains"), *domain;
	size_t i;

	json_array_foreach(domains, i, domain) {
		const char *flags = json_string_value(json_object_get(domain, "flags"));
		const char *reason = json_string_value(json_object_get(domain, "reason"));
		const json_t *lost = json_object_get(domain, "lost_j");
		double lost_j = json_is_number(lost) ? json_number_value(lost) : (double)NAN;
		double residual_j = fabs(json_number_value(json_object_get(domain, "residual_j")));
		double measured_j = json_number_value(json_object_get(domain, "measured_j"));

		if (residual_j > BOOKS_TOLERANCE * (measured_j + 1))
			fw_buffer_printf(out, "  note: %s: what was handed out differs by %g J from what was measured\n",
			                 json_string_value(json_object_get(domain, "name")), residual_j);
		if (!(lost_j > 0) && !fw_record_has_flag(flags, "gap") && !fw_record_has_flag(flags, "reset"))
			continue;
		fw_buffer_printf(out, "  note: %s was not read whole (%s%s%s): ", json_string_value(json_object_get(domain, "name")),
		                 flags ? flags : "gap", reason ? ", " : "", reason ? reason : "");
		print_lost(lost_j, out);
	}
}

/* What was not enforced or measured: one line each, told after the table. */
static void print_missing(const struct fw_summary *summary, struct fw_buffer *out)
{
	const char *missing = json_string_value(fw_json_at(summary->row.environment, "backend.missing"));
	struct fw_str rest = fw_str_of(missing), line;

	while (fw_str_next_line(&rest, &line))
		if (line.length > 0)
			fw_buffer_printf(out, "  note: %.*s\n", (int)line.length, line.text);
}

void fw_summary_print(const struct fw_summary *summary, bool colour, size_t width, struct fw_buffer *out)
{
	struct fw_table *table = fw_table_new();
	const char *tail = strrchr(summary->row.run, '-');

	for (size_t i = 0; i < FW_COUNT_OF(columns); i++)
		fw_table_column(table, columns[i].title, columns[i].align);
	for (size_t i = 0; i < summary->count; i++)
		print_stage(table, &summary->stages[i]);
	if (summary->count > 1)
		print_stage(table, &summary->total);
	print_head(summary, colour, out);
	fw_table_fit(table, width, spare, FW_COUNT_OF(spare));
	fw_table_print(table, colour, out);
	fw_table_free(table);
	size_t foot = out->length;

	print_makespan(summary, out);
	print_basis(summary, out);
	print_fruitless(summary, out);
	print_kept(summary, out);
	print_books(summary, out);
	print_missing(summary, out);
	fw_buffer_printf(out, "  flexwatt show %s · flexwatt show %s --task STAGE/0 --logs\n", tail ? tail + 1 : summary->row.run,
	                 tail ? tail + 1 : summary->row.run);
	fw_display_fold(out, foot, width);
}

/* ---- JSON ---- */

static json_t *stage_to_json(const struct fw_stage_summary *stage)
{
	struct fw_stage_energy energy = fw_stage_energy(stage);
	json_t *json = json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "stage", stage->stage, "status",
	                         stage->status, "tasks", (json_int_t)stage->tasks, "ok", (json_int_t)stage->ok, "failed",
	                         (json_int_t)stage->failed, "skipped", (json_int_t)stage->skipped, "invocations",
	                         (json_int_t)stage->invocations, "cold_starts", (json_int_t)stage->cold_starts, "memory_mb",
	                         (json_int_t)stage->memory_mb);
	const struct {
		const char *name;
		double value;
	} figures[] = {
		{"time_ms", stage->time_ms},       {"work_ms", stage->work_ms},
		{"cold_start_mean_ms", stage->cold_ms}, {"read_ms", stage->read_ms},
		{"compute_ms", stage->compute_ms}, {"write_ms", stage->write_ms},
		{"cpu_ms", stage->cpu_ms},         {"memory_peak_mb", stage->memory_peak_mb},
		{"joules", stage->joules},         {"joules_low", stage->joules_low},
		{"joules_high", stage->joules_high}, {"total_usd", stage->usd},
		{"gco2e", stage->gco2e},           {"units", stage->units},
		{"operational_gco2e", stage->operational_gco2e}, {"embodied_gco2e", stage->embodied_gco2e},
		{"average_w", energy.average_w},   {"peak_w", energy.peak_w},
		{"joules_per_unit", energy.joules_per_unit}, {"units_per_joule", energy.units_per_joule},
		{"sci_gco2e_per_unit", energy.sci_gco2e_per_unit},
	};

	for (size_t i = 0; i < FW_COUNT_OF(figures); i++)
		json_object_set_new(json, figures[i].name, fw_json_real(figures[i].value));
	json_object_set_new(json, "package_digest",
	                    stage->package_digest ? json_string(stage->package_digest) : json_null());
	json_object_set_new(json, "energy_basis",
	                    !stage->modelled && !stage->measured ? json_null()
	                    : json_string(stage->modelled && stage->measured ? "mixed"
	                                  : stage->modelled                  ? "modelled"
	                                                                     : "measured"));
	return json;
}

json_t *fw_summary_to_json(const struct fw_summary *summary)
{
	const struct fw_run_row *row = &summary->row;
	json_t *stages = json_array();

	for (size_t i = 0; i < summary->count; i++) {
		json_t *stage = stage_to_json(&summary->stages[i]);

		json_object_set_new(stage, "energy_rank", json_integer((json_int_t)fw_stage_energy_rank(summary, &summary->stages[i])));
		json_array_append_new(stages, stage);
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:s?, s:s?, s:s?, s:o, s:o, s:o, s:O?, s:O?}", "run", row->run, "workflow",
	                 row->workflow, "backend", row->backend, "storage", row->storage, "state", summary->state, "wall_ms",
	                 (json_int_t)row->wall_ms, "makespan_ms", fw_json_real(row->makespan_ms), "error", row->error, "price_basis",
	                 summary->price_basis, "price_region", summary->price_region, "stages", stages, "total",
	                 stage_to_json(&summary->total), "failed_tasks", fw_failed_to_json(summary), "environment", row->environment, "energy",
	                 json_object_get(row->totals, "energy"));
}
