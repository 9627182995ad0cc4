/* SPDX-License-Identifier: Apache-2.0
 *
 * The energy of a run, stage by stage, those with the most joules first: watts, work per joule, software carbon intensity.
 */
#include <stdlib.h>

#include "analysis/efficiency.h"
#include "report/format.h"
#include "report/summary.h"
#include "report/table.h"
#include "report/width.h"

static const struct {
	const char *title;
	enum fw_align align;
} columns[] = {
	{"stage", FW_LEFT},     {"energy", FW_RIGHT},  {"share", FW_RIGHT},    {"average", FW_RIGHT}, {"peak", FW_RIGHT},
	{"units", FW_RIGHT},    {"per unit", FW_RIGHT}, {"units/J", FW_RIGHT}, {"operational", FW_RIGHT},
	{"embodied", FW_RIGHT}, {"SCI per unit", FW_RIGHT},
};

/* What a narrow terminal has no room for, least missed first. */
static const char *const spare[] = {"embodied", "operational", "units/J", "units", "peak", "share"};

struct fw_stage_energy fw_stage_energy(const struct fw_stage_summary *stage)
{
	return (struct fw_stage_energy){
		.average_w = stage->time_ms > 0 ? stage->joules / (stage->time_ms / 1000) : (double)NAN,
		.peak_w = fw_peak_watts(stage->stretches.items, stage->stretches.count),
		.joules_per_unit = fw_joules_per_unit(stage->joules, stage->units),
		.units_per_joule = stage->joules > 0 && stage->units > 0 ? stage->units / stage->joules : (double)NAN,
		.sci_gco2e_per_unit = fw_sci(stage->operational_gco2e, stage->embodied_gco2e, stage->units),
	};
}

/* Of two the one with more joules; unknown ones last, else as the workflow has them. */
static bool comes_before(const struct fw_stage_summary *a, const struct fw_stage_summary *b)
{
	if (isnan(a->joules) || isnan(b->joules))
		return !isnan(a->joules) || (isnan(b->joules) && a < b);
	return a->joules > b->joules || (a->joules == b->joules && a < b);
}

size_t fw_stage_energy_rank(const struct fw_summary *summary, const struct fw_stage_summary *stage)
{
	size_t rank = 1;

	for (size_t i = 0; i < summary->count; i++)
		rank += &summary->stages[i] != stage && comes_before(&summary->stages[i], stage);
	return rank;
}

static void print_row(struct fw_table *table, const struct fw_stage_summary *stage, double all_joules)
{
	struct fw_stage_energy energy = fw_stage_energy(stage);
	char text[FW_FORMAT_SIZE];

	fw_table_row(table);
	fw_table_cell(table, "%s", stage->stage);
	fw_table_cell(table, "%s%s", fw_format_joules_interval(text, stage->joules, stage->joules_low, stage->joules_high),
	              stage->modelled ? " m" : "");
	fw_table_cell(table, "%s", fw_format_percent(text, stage->joules / all_joules));
	fw_table_cell(table, "%s", fw_format_watts(text, energy.average_w));
	fw_table_cell(table, "%s", fw_format_watts(text, energy.peak_w));
	fw_table_number(table, stage->units);
	fw_table_cell(table, "%s", fw_format_joules(text, energy.joules_per_unit));
	fw_table_number(table, energy.units_per_joule);
	fw_table_cell(table, "%s", fw_format_grams(text, stage->operational_gco2e));
	fw_table_cell(table, "%s", fw_format_grams(text, stage->embodied_gco2e));
	fw_table_cell(table, "%s", fw_format_grams(text, energy.sci_gco2e_per_unit));
}

static double joules_of(const json_t *domain, const char *dynamic, const char *idle)
{
	return json_number_value(json_object_get(domain, dynamic)) + json_number_value(json_object_get(domain, idle));
}

/* Of each counter that counts: the parts are all of what was measured. */
static void print_books(const struct fw_summary *summary, struct fw_buffer *out)
{
	const json_t *domain;
	size_t i;

	json_array_foreach(fw_json_at(summary->row.totals, "energy.domains"), i, domain) {
		char measured[FW_FORMAT_SIZE], workers[FW_FORMAT_SIZE], system[FW_FORMAT_SIZE], idle[FW_FORMAT_SIZE];

		fw_buffer_printf(out, "  %s measured %s: workers %s, system %s, idle rest %s; residual %.2g J.\n",
		                 json_string_value(json_object_get(domain, "name")),
		                 fw_format_joules(measured, json_number_value(json_object_get(domain, "measured_j"))),
		                 fw_format_joules(workers, joules_of(domain, "workers_dynamic_j", "workers_idle_j")),
		                 fw_format_joules(system, json_number_value(json_object_get(domain, "system_dynamic_j"))),
		                 fw_format_joules(idle, json_number_value(json_object_get(domain, "system_idle_j"))),
		                 json_number_value(json_object_get(domain, "residual_j")));
	}
}

void fw_summary_print_energy(const struct fw_summary *summary, bool colour, size_t width, struct fw_buffer *out)
{
	struct fw_table *table = fw_table_new();

	for (size_t i = 0; i < FW_COUNT_OF(columns); i++)
		fw_table_column(table, columns[i].title, columns[i].align);
	for (size_t rank = 1; rank <= summary->count; rank++)
		for (size_t i = 0; i < summary->count; i++)
			if (fw_stage_energy_rank(summary, &summary->stages[i]) == rank)
				print_row(table, &summary->stages[i], summary->total.joules);
	if (summary->count > 1)
		print_row(table, &summary->total, summary->total.joules);
	fw_buffer_printf(out, "%s · run %s · energy, most first\n", summary->row.workflow, summary->row.run);
	fw_table_fit(table, width, spare, FW_COUNT_OF(spare));
	fw_table_print(table, colour, out);
	fw_table_free(table);
	size_t foot = out->length;

	fw_modelled_footnote(summary->total.modelled, summary->total.measured, true, out);
	print_books(summary, out);
	fw_buffer_text(out, "  average: joules over the time of the stage; peak: the most at once, from the averages of its invocations.\n"
	                    "  SCI = (E x I + M) / R: operational (energy x PUE x grid) + embodied, per unit of work.\n");
	if (summary->grid_gco2e_per_kwh > 0)
		fw_buffer_printf(out, "  Grid of %s: %.0f g/kWh, %s, %lld; PUE %.2f. Units are the function's own, else its output objects.\n",
		                 summary->price_region ? summary->price_region : "the region", summary->grid_gco2e_per_kwh,
		                 summary->grid_kind ? summary->grid_kind : "", (long long)summary->grid_year, summary->pue);
	fw_display_fold(out, foot, width);
}
