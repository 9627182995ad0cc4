/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs against each other by their energy: 100 is the score of the one with the least joules per unit of work. What was
 * measured and what was modelled stand beside each other here, each marked; a note says that such scores compare little.
 */
#include "report/format.h"
#include "report/summary.h"
#include "report/table.h"

static const struct {
	const char *title;
	enum fw_align align;
} columns[] = {
	{"run", FW_LEFT},       {"workflow", FW_LEFT},  {"time", FW_RIGHT},  {"energy", FW_RIGHT},
	{"average", FW_RIGHT},  {"units", FW_RIGHT},    {"per unit", FW_RIGHT}, {"score", FW_RIGHT}, {"SCI per unit", FW_RIGHT},
};

static double *scores_of(const struct fw_summary *summaries, size_t count)
{
	fw_cleanup_free double *per_unit = fw_alloc_array(count ? count : 1, sizeof *per_unit);
	double *scores = fw_alloc_array(count ? count : 1, sizeof *scores);

	for (size_t i = 0; i < count; i++)
		per_unit[i] = fw_stage_energy(&summaries[i].total).joules_per_unit;
	fw_efficiency_scores(per_unit, count, scores);
	return scores;
}

static void print_run(struct fw_table *table, const struct fw_summary *summary, double score)
{
	const struct fw_stage_summary *total = &summary->total;
	struct fw_stage_energy energy = fw_stage_energy(total);
	char text[FW_FORMAT_SIZE];

	fw_table_row(table);
	fw_table_cell(table, "%s", summary->row.run);
	fw_table_cell(table, "%s", summary->row.workflow);
	fw_table_cell(table, "%s", fw_format_ms(text, total->time_ms));
	fw_table_cell(table, "%s%s", fw_format_joules_interval(text, total->joules, total->joules_low, total->joules_high),
	              total->modelled ? " m" : "");
	fw_table_cell(table, "%s", fw_format_watts(text, energy.average_w));
	fw_table_number(table, total->units);
	fw_table_cell(table, "%s", fw_format_joules(text, energy.joules_per_unit));
	fw_table_number(table, score);
	fw_table_cell(table, "%s", fw_format_grams(text, energy.sci_gco2e_per_unit));
}

void fw_summaries_print_energy(const struct fw_summary *summaries, size_t count, bool colour, struct fw_buffer *out)
{
	fw_cleanup_free double *scores = scores_of(summaries, count);
	struct fw_table *table = fw_table_new();
	int64_t modelled = 0, measured = 0;
	bool mixed = false;

	for (size_t i = 0; i < FW_COUNT_OF(columns); i++)
		fw_table_column(table, columns[i].title, columns[i].align);
	for (size_t i = 0; i < count; i++) {
		print_run(table, &summaries[i], scores[i]);
		modelled += summaries[i].total.modelled;
		measured += summaries[i].total.measured;
		mixed = mixed || (summaries[i].total.modelled > 0 && summaries[i].total.measured > 0);
	}
	fw_table_print(table, colour, out);
	fw_table_free(table);
	fw_buffer_text(out, "  score = 100 x (least joules per unit among them) / (joules per unit of this one).\n");
	fw_modelled_footnote(modelled, measured, mixed, out);
	if (modelled > 0 && measured > 0)
		fw_buffer_text(out, "  note: a score of modelled joules against measured ones says little.\n");
}

json_t *fw_summaries_energy_to_json(const struct fw_summary *summaries, size_t count)
{
	fw_cleanup_free double *scores = scores_of(summaries, count);
	json_t *runs = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *run = fw_summary_to_json(&summaries[i]);

		json_object_set_new(run, "efficiency_score", fw_json_real(scores[i]));
		json_array_append_new(runs, run);
	}
	return json_pack("{s:o}", "runs", runs);
}
