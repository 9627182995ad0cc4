/* SPDX-License-Identifier: Apache-2.0
 *
 * A measurement as people read it and as programs do. One line a theme; "±" is half a 95 % confidence interval over the
 * repetitions, brackets are the interval of the figure itself.
 */
#include <math.h>
#include <string.h>

#include "energy/monitor.h"
#include "report/format.h"
#include "report/measured_internal.h"

struct page {
	const struct fw_measured *measured;
	const char *dim, *plain;
	struct fw_buffer *out;
};

typedef char *format_fn(char out[FW_FORMAT_SIZE], double value);

static char *format_count(char out[FW_FORMAT_SIZE], double value)
{
	snprintf(out, FW_FORMAT_SIZE, isnan(value) ? "–" : "%.0f", value);
	return out;
}

static char *format_percent(char out[FW_FORMAT_SIZE], double value)
{
	return fw_format_percent(out, value / 100);
}

static void label(const struct page *page, const char *text)
{
	fw_buffer_printf(page->out, "  %s%-8s%s ", page->dim, text, page->plain);
}

static void spread(const struct page *page, const struct fw_mean *mean, format_fn *format)
{
	char text[FW_FORMAT_SIZE];

	if (mean->count > 1 && !isnan(mean->ci95))
		fw_buffer_printf(page->out, " ± %s", format(text, mean->ci95));
}

static void figure(const struct page *page, const char *name, format_fn *format)
{
	struct fw_mean mean = fw_measured_figure(page->measured, name);
	char text[FW_FORMAT_SIZE];

	fw_buffer_text(page->out, format(text, mean.mean));
	spread(page, &mean, format);
}

static void print_time(const struct page *page)
{
	label(page, "time");
	figure(page, "wall_ms", fw_format_ms);
	fw_buffer_text(page->out, ", user ");
	figure(page, "cpu_user_ms", fw_format_ms);
	fw_buffer_text(page->out, ", system ");
	figure(page, "cpu_system_ms", fw_format_ms);
	fw_buffer_text(page->out, "\n");
	label(page, "cpu");
	figure(page, "cpu_percent", format_percent);
	fw_buffer_text(page->out, " of one CPU\n");
}

static void print_memory(const struct page *page)
{
	if (isnan(fw_measured_figure(page->measured, "memory_peak_mb").mean))
		return;
	label(page, "memory");
	figure(page, "memory_peak_mb", fw_format_mb);
	fw_buffer_text(page->out, " peak");
	if (!isnan(fw_measured_figure(page->measured, "memory_uss_mb").mean)) {
		fw_buffer_text(page->out, ", ");
		figure(page, "memory_uss_mb", fw_format_mb);
		fw_buffer_text(page->out, " its own alone (USS), ");
		figure(page, "memory_pss_mb", fw_format_mb);
		fw_buffer_text(page->out, " with its part of the shared (PSS)");
	}
	if (!isnan(fw_measured_figure(page->measured, "faults_minor").mean)) {
		fw_buffer_text(page->out, "; faults ");
		figure(page, "faults_minor", format_count);
		fw_buffer_text(page->out, " minor, ");
		figure(page, "faults_major", format_count);
		fw_buffer_text(page->out, " major");
	}
	if (!isnan(fw_measured_figure(page->measured, "switches_voluntary").mean)) {
		fw_buffer_text(page->out, "; switches ");
		figure(page, "switches_voluntary", format_count);
		fw_buffer_text(page->out, " voluntary, ");
		figure(page, "switches_involuntary", format_count);
		fw_buffer_text(page->out, " involuntary");
	}
	fw_buffer_text(page->out, "\n");
}

/* ---- energy ---- */

static const struct fw_energy *energy_like(const struct fw_record *record, const struct fw_energy *like)
{
	for (size_t i = 0; i < record->energy.count; i++) {
		const struct fw_energy *energy = &record->energy.items[i];

		if (strcmp(energy->source, like->source) == 0 && strcmp(energy->domain, like->domain) == 0)
			return energy;
	}
	return NULL;
}

/* Of one source and domain over all repetitions; NAN where one has none. */
static struct fw_mean energy_mean(const struct fw_measured *measured, const struct fw_energy *like, size_t offset)
{
	size_t count = measured->ones.count;
	fw_cleanup_free double *values = fw_alloc_array(count, sizeof *values);

	for (size_t i = 0; i < count; i++) {
		const struct fw_energy *energy = energy_like(&measured->ones.items[i].record, like);

		values[i] = energy ? *(const double *)((const char *)energy + offset) : (double)NAN;
	}
	return fw_mean_of(values, count);
}

#define ENERGY_MEAN(measured, like, member) energy_mean(measured, like, offsetof(struct fw_energy, member))

/* Beside a figure that looks like the others and is none of them; else NULL. */
static const char *note_on(const struct fw_energy *energy)
{
	return strcmp(energy->source, fw_monitor_tdp.name) == 0
	           ? "for comparison, in no total: TDP of the whole processor x CPU use of this machine"
	           : NULL;
}

static void print_domain(const struct page *page, const struct fw_energy *energy)
{
	struct fw_mean joules = ENERGY_MEAN(page->measured, energy, joules);
	char text[FW_FORMAT_SIZE];

	fw_buffer_printf(page->out, "             %-10s %-8s %s", energy->source, energy->domain,
	                 fw_format_joules_interval(text, joules.mean, ENERGY_MEAN(page->measured, energy, low).mean,
	                                           ENERGY_MEAN(page->measured, energy, high).mean));
	spread(page, &joules, fw_format_joules);
	fw_buffer_printf(page->out, ", dynamic %s", fw_format_joules(text, ENERGY_MEAN(page->measured, energy, dynamic_j).mean));
	fw_buffer_printf(page->out, ", idle %s; %s", fw_format_joules(text, ENERGY_MEAN(page->measured, energy, idle_j).mean),
	                 energy->flags ? energy->flags : "");
	fw_buffer_printf(page->out, "%s%s\n", note_on(energy) ? "; " : "", note_on(energy) ? note_on(energy) : "");
}

static void print_energy(const struct page *page)
{
	const struct fw_record *first = &page->measured->ones.items[0].record;
	struct fw_mean joules = fw_measured_figure(page->measured, "joules"), over = fw_measured_figure(page->measured, "peak_over_s");
	struct fw_energy_sum best;
	char text[FW_FORMAT_SIZE];

	label(page, "energy");
	if (!fw_energy_best(first, &best)) {
		fw_buffer_text(page->out, "not known here: flexwatt monitors says why\n");
		return;
	}
	fw_buffer_text(page->out,
	               fw_format_joules_interval(text, joules.mean, fw_measured_figure(page->measured, "joules_low").mean,
	                                         fw_measured_figure(page->measured, "joules_high").mean));
	spread(page, &joules, fw_format_joules);
	if (fw_measured_modelled_among(page->measured) > 0)
		fw_buffer_text(page->out, ", measured in some repetitions, modelled in others\n");
	else
		fw_buffer_printf(page->out, ", %s: %s\n", best.modelled ? "modelled" : "measured", best.source);
	for (size_t i = 0; i < first->energy.count; i++)
		print_domain(page, &first->energy.items[i]);
	label(page, "power");
	figure(page, "average_w", fw_format_watts);
	fw_buffer_text(page->out, " average, ");
	figure(page, "peak_w", fw_format_watts);
	fw_buffer_printf(page->out, " peak over %s\n", fw_format_ms(text, over.mean * 1000));
}

/* ---- money and carbon ---- */

static void print_price(const struct page *page)
{
	const struct fw_record *first = &page->measured->ones.items[0].record;

	if (isnan(first->total_usd))
		return;
	label(page, "cost");
	figure(page, "total_usd", fw_format_usd);
	fw_buffer_printf(page->out, " %s, %s, %lld MB%s\n", first->price_basis, first->price_region,
	                 (long long)page->measured->memory_mb,
	                 page->measured->memory_was_chosen ? " (the smallest that fits the peak)" : "");
}

static void print_carbon(const struct page *page)
{
	const struct fw_record *first = &page->measured->ones.items[0].record;

	label(page, "carbon");
	figure(page, "operational_gco2e", fw_format_grams);
	fw_buffer_text(page->out, " operational, ");
	figure(page, "embodied_gco2e", fw_format_grams);
	fw_buffer_text(page->out, " embodied");
	if (page->measured->is_command) {
		fw_buffer_text(page->out, ", SCI ");
		figure(page, "sci_gco2e", fw_format_grams);
		fw_buffer_text(page->out, " per execution");
	}
	fw_buffer_printf(page->out, " (%s: %.0f g/kWh, %s, %lld, PUE %.2f)\n", page->measured->region,
	                 first->grid_gco2e_per_kwh, first->grid_kind ? first->grid_kind : "", (long long)first->grid_year, first->pue);
}

void fw_measured_print(const struct fw_measured *measured, bool colour, struct fw_buffer *out)
{
	struct page page = {measured, colour ? "\033[2m" : "", colour ? "\033[0m" : "", out};

	if (measured->ones.count == 0)
		return;
	fw_buffer_printf(out, "%s%s%s", colour ? "\033[1m" : "", measured->title, page.plain);
	if (measured->ones.count > 1)
		fw_buffer_printf(out, " · %zu repetitions, mean ± 95 %% confidence", measured->ones.count);
	fw_buffer_text(out, "\n");
	print_time(&page);
	print_memory(&page);
	print_energy(&page);
	print_price(&page);
	print_carbon(&page);
	for (size_t i = 0; i < measured->notes.count; i++)
		fw_buffer_printf(out, "  %snote: %s%s\n", page.dim, measured->notes.items[i], page.plain);
}

/* ---- JSON ---- */

static json_t *mean_to_json(const struct fw_mean *mean, const char *unit)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "unit", unit, "mean", fw_json_real(mean->mean), "ci95",
	                 fw_json_real(mean->ci95), "least", fw_json_real(mean->least), "most", fw_json_real(mean->most));
}

static json_t *figure_to_json(const struct fw_measured *measured, const struct fw_measured_figure *figure)
{
	struct fw_mean mean = fw_measured_mean(measured, figure);
	json_t *json = mean_to_json(&mean, figure->unit), *values = json_array();

	for (size_t i = 0; i < measured->ones.count; i++)
		json_array_append_new(values, fw_json_real(fw_measured_value(figure, &measured->ones.items[i])));
	json_object_set_new(json, "values", values);
	return json;
}

static json_t *energy_to_json(const struct fw_measured *measured, const struct fw_energy *energy)
{
	struct fw_mean joules = ENERGY_MEAN(measured, energy, joules);
	json_t *json = json_pack("{s:s, s:s, s:s?, s:s?}", "source", energy->source, "domain", energy->domain, "method",
	                         energy->method, "flags", energy->flags);

	if (note_on(energy))
		json_object_set_new(json, "note", json_string(note_on(energy)));
	json_object_set_new(json, "joules", mean_to_json(&joules, "J"));
	json_object_set_new(json, "low", fw_json_real(ENERGY_MEAN(measured, energy, low).mean));
	json_object_set_new(json, "high", fw_json_real(ENERGY_MEAN(measured, energy, high).mean));
	json_object_set_new(json, "dynamic_j", fw_json_real(ENERGY_MEAN(measured, energy, dynamic_j).mean));
	json_object_set_new(json, "idle_j", fw_json_real(ENERGY_MEAN(measured, energy, idle_j).mean));
	return json;
}

static json_t *price_to_json(const struct fw_measured *measured)
{
	const struct fw_record *first = &measured->ones.items[0].record;

	if (measured->memory_mb == FW_NULL_INT)
		return json_null();
	return json_pack("{s:I, s:b, s:s?, s:s?}", "memory_mb", (json_int_t)measured->memory_mb, "smallest_that_fits",
	                 measured->memory_was_chosen, "basis", first->price_basis, "region", first->price_region);
}

static json_t *grid_to_json(const struct fw_measured *measured)
{
	const struct fw_record *first = &measured->ones.items[0].record;

	return json_pack("{s:s, s:o, s:I, s:s?, s:o}", "region", measured->region, "gco2e_per_kwh",
	                 fw_json_real(first->grid_gco2e_per_kwh), "year", (json_int_t)first->grid_year, "kind", first->grid_kind,
	                 "pue", fw_json_real(first->pue));
}

json_t *fw_measured_to_json(const struct fw_measured *measured)
{
	json_t *figures = json_object(), *energy = json_array(), *notes = json_array();

	if (measured->ones.count == 0)
		return json_pack("{s:s, s:i, s:o, s:o, s:o}", "measured", measured->title, "repetitions", 0, "figures", figures,
		                 "energy", energy, "notes", notes);
	const struct fw_record *first = &measured->ones.items[0].record;

	for (size_t i = 0; i < fw_measured_figure_count; i++)
		json_object_set_new(figures, fw_measured_figures[i].name, figure_to_json(measured, &fw_measured_figures[i]));
	for (size_t i = 0; i < first->energy.count; i++)
		json_array_append_new(energy, energy_to_json(measured, &first->energy.items[i]));
	for (size_t i = 0; i < measured->notes.count; i++)
		json_array_append_new(notes, json_string(measured->notes.items[i]));
	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:s?, s:o}", "measured", measured->title, "repetitions",
	                 (int)measured->ones.count, "figures", figures, "energy", energy, "price", price_to_json(measured),
	                 "grid", grid_to_json(measured), "method_version", first->method_version, "notes", notes);
}
