/* SPDX-License-Identifier: Apache-2.0
 *
 * What a recomputation changed, for people and as JSON.
 */
#include <math.h>
#include <string.h>

#include "energy/books.h"
#include "report/format.h"
#include "report/recomputed.h"
#include "report/table.h"

enum { MOST_PRINTED = 40 };

static const struct {
	const char *name;
	size_t offset;
} figures[] = {
	{"joules", offsetof(struct fw_energy, joules)},       {"low", offsetof(struct fw_energy, low)},
	{"high", offsetof(struct fw_energy, high)},           {"dynamic_j", offsetof(struct fw_energy, dynamic_j)},
	{"idle_j", offsetof(struct fw_energy, idle_j)},
};

static double figure_of(const struct fw_energy *row, size_t figure)
{
	return *(const double *)(const void *)((const char *)row + figures[figure].offset);
}

static const char *joules(char *out, double value)
{
	return isnan(value) ? "none" : fw_format_joules(out, value);
}

static void print_row(struct fw_table *table, const struct fw_recomputed_row *change, size_t figure)
{
	const struct fw_energy *named = change->after.source ? &change->after : &change->before;
	double before = figure_of(&change->before, figure), after = figure_of(&change->after, figure);
	char old[FW_FORMAT_SIZE], new[FW_FORMAT_SIZE];

	fw_table_row(table);
	fw_table_cell(table, "%s/%lld.%lld", change->stage, (long long)change->task, (long long)change->attempt);
	fw_table_cell(table, "%s %s", named->source, named->domain);
	fw_table_cell(table, "%s", figures[figure].name);
	fw_table_cell(table, "%s", joules(old, before));
	fw_table_cell(table, "%s", joules(new, after));
	if (before > 0 && !isnan(after))
		fw_table_cell(table, "%+.2f %%", (after / before - 1) * 100);
}

static bool differs(double before, double after)
{
	return isnan(before) != isnan(after) || before < after || before > after;
}

static void print_changes(const struct fw_recomputed *recomputed, bool colour, struct fw_buffer *out)
{
	static const struct {
		const char *title;
		enum fw_align align;
	} columns[] = {{"invocation", FW_LEFT}, {"source", FW_LEFT}, {"figure", FW_LEFT}, {"old", FW_RIGHT}, {"new", FW_RIGHT}, {"change", FW_RIGHT}};
	struct fw_table *table = fw_table_new();
	size_t printed = 0, more = 0;

	for (size_t i = 0; i < FW_COUNT_OF(columns); i++)
		fw_table_column(table, columns[i].title, columns[i].align);
	for (size_t i = 0; i < recomputed->changes.count; i++)
		for (size_t figure = 0; figure < FW_COUNT_OF(figures); figure++) {
			const struct fw_recomputed_row *change = &recomputed->changes.items[i];

			if (!differs(figure_of(&change->before, figure), figure_of(&change->after, figure)))
				continue;
			if (printed++ < MOST_PRINTED)
				print_row(table, change, figure);
			else
				more++;
		}
	if (printed > 0)
		fw_table_print(table, colour, out);
	else
		fw_buffer_text(out, "  the figures are the same; their method or flags are not\n");
	fw_table_free(table);
	if (more > 0)
		fw_buffer_printf(out, "  and %zu more: --json tells all of them\n", more);
}

void fw_recomputed_print(const struct fw_recomputed *recomputed, bool colour, struct fw_buffer *out)
{
	fw_buffer_printf(out, "%s · %zu figures of %zu invocations attributed again by %s", recomputed->row.run, recomputed->rows,
	                 recomputed->invocations, FW_LEDGER_METHOD);
	if (recomputed->method_before)
		fw_buffer_printf(out, ", before by %s", recomputed->method_before);
	fw_buffer_text(out, "\n");
	if (recomputed->changes.count == 0)
		fw_buffer_text(out, "  nothing changed\n");
	else
		print_changes(recomputed, colour, out);
	if (recomputed->changes.count > 0)
		fw_buffer_printf(out, "  %zu figures of %zu invocations changed%s\n", recomputed->changes.count,
		                 recomputed->records.count, recomputed->saved ? " and are stored" : "; nothing was stored");
	if (recomputed->missing > 0)
		fw_buffer_printf(out, "  note: of %zu invocations no readings are stored: they stay as they are\n", recomputed->missing);
	if (recomputed->is_cut_short)
		fw_buffer_text(out, "  note: more was read than was kept\n");
}

/* ---- JSON ---- */

static json_t *energy_to_json(const struct fw_energy *row)
{
	if (!row->source)
		return json_null();
	json_t *json = json_pack("{s:s?, s:s?}", "method", row->method, "flags", row->flags);

	for (size_t i = 0; i < FW_COUNT_OF(figures); i++)
		json_object_set_new(json, figures[i].name, fw_json_real(figure_of(row, i)));
	return json;
}

static json_t *change_to_json(const struct fw_recomputed_row *change)
{
	const struct fw_energy *named = change->after.source ? &change->after : &change->before;

	return json_pack("{s:s, s:I, s:I, s:s, s:s, s:o, s:o}", "stage", change->stage, "task", (json_int_t)change->task,
	                 "attempt", (json_int_t)change->attempt, "source", named->source, "domain", named->domain, "old",
	                 energy_to_json(&change->before), "new", energy_to_json(&change->after));
}

json_t *fw_recomputed_to_json(const struct fw_recomputed *recomputed)
{
	json_t *changes = json_array();

	for (size_t i = 0; i < recomputed->changes.count; i++)
		json_array_append_new(changes, change_to_json(&recomputed->changes.items[i]));
	return json_pack("{s:s, s:s, s:s?, s:I, s:I, s:I, s:b, s:o, s:b, s:O?}", "run", recomputed->row.run, "method",
	                 FW_LEDGER_METHOD, "method_before", recomputed->method_before, "invocations",
	                 (json_int_t)recomputed->invocations, "figures", (json_int_t)recomputed->rows, "without_readings",
	                 (json_int_t)recomputed->missing, "cut_short", recomputed->is_cut_short, "changes", changes, "stored",
	                 recomputed->saved, "energy", recomputed->books);
}
