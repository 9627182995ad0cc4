/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures of a measurement: one table says what each is called, its unit and how a repetition gives it. JSON is that
 * table; the text shows a choice.
 */
#include "report/measured.h"

#include <math.h>
#include <string.h>

#include "analysis/efficiency.h"
#include "report/measured_internal.h"

enum { LAMBDA_LEAST_MB = 128, LAMBDA_MOST_MB = 10240 };

void fw_measured_init(struct fw_measured *measured)
{
	*measured = (struct fw_measured){.memory_mb = FW_NULL_INT};
}

void fw_measured_done(struct fw_measured *measured)
{
	for (size_t i = 0; i < measured->ones.count; i++)
		fw_record_done(&measured->ones.items[i].record);
	for (size_t i = 0; i < measured->notes.count; i++)
		free(measured->notes.items[i]);
	free(measured->ones.items);
	free(measured->notes.items);
	free(measured->title);
}

struct fw_measured_one *fw_measured_add(struct fw_measured *measured)
{
	struct fw_measured_one one = {.peak_w = NAN, .peak_over_s = NAN};

	fw_record_init(&one.record);
	FW_PUSH(&measured->ones, one);
	return &measured->ones.items[measured->ones.count - 1];
}

void fw_measured_note(struct fw_measured *measured, char *note)
{
	FW_PUSH(&measured->notes, note);
}

/* ---- money and carbon ---- */

static double largest_peak_mb(const struct fw_measured *measured)
{
	double peak = NAN;

	for (size_t i = 0; i < measured->ones.count; i++)
		peak = fmax(peak, measured->ones.items[i].record.memory_peak_mb);
	return peak;
}

static void choose_memory(int64_t wanted_mb, struct fw_measured *measured)
{
	double peak_mb = largest_peak_mb(measured);

	measured->memory_was_chosen = wanted_mb == 0;
	if (wanted_mb > 0)
		measured->memory_mb = wanted_mb;
	else if (peak_mb <= LAMBDA_MOST_MB)
		measured->memory_mb = (int64_t)fmax(ceil(peak_mb), LAMBDA_LEAST_MB);
	else
		fw_measured_note(measured, isnan(peak_mb)
		                               ? fw_strdup("no price: the peak of its memory is not known (--memory MB)")
		                               : fw_printf("no price: Lambda has at most %d MB", LAMBDA_MOST_MB));
	if (wanted_mb > 0 && peak_mb > (double)wanted_mb)
		fw_measured_note(measured, fw_printf("with %lld MB it would not run on Lambda: its peak was %.0f MB",
		                                     (long long)wanted_mb, ceil(peak_mb)));
}

/* On Lambda the share of a CPU comes with the memory. */
static void note_slower(struct fw_measured *measured)
{
	double used = fw_measured_figure(measured, "cpu_percent").mean / 100;
	double had = (double)measured->memory_mb / 1769;

	if (used > had * 1.05)
		fw_measured_note(measured, fw_printf("Lambda gives %.2f vCPU at %lld MB: this used %.2f CPUs and would take longer "
		                                     "there; %.0f MB have as much",
		                                     had, (long long)measured->memory_mb, used, ceil(used * 1769)));
}

static void note_mixed(struct fw_measured *measured)
{
	size_t modelled = fw_measured_modelled_among(measured);

	if (modelled > 0)
		fw_measured_note(measured, fw_printf("no mean of energy and carbon: %zu of %zu repetitions are modelled, for no energy "
		                                     "counter could be read in them",
		                                     modelled, measured->ones.count));
}

int fw_measured_price(const struct fw_catalogue *catalogue, const struct fw_processor *processor, int64_t memory_mb,
                      struct fw_measured *measured, struct fw_error **err)
{
	int rc = FW_OK;

	note_mixed(measured);
	if (measured->is_command)
		choose_memory(memory_mb, measured);
	if (measured->memory_mb != FW_NULL_INT)
		note_slower(measured);
	for (size_t i = 0; rc == FW_OK && i < measured->ones.count; i++) {
		struct fw_record *record = &measured->ones.items[i].record;

		record->memory_mb = measured->memory_mb;
		if (measured->is_command)
			rc = fw_cost_fill(catalogue, measured->region, "as if on Lambda", 0, record, err);
		if (rc == FW_OK)
			rc = fw_carbon_fill(catalogue, measured->region, processor, record, err);
	}
	return rc;
}

/* ---- figures ---- */

static double best_j(const struct fw_measured_one *one)
{
	struct fw_energy_sum sum;

	return fw_energy_best(&one->record, &sum) ? sum.joules : NAN;
}

static double best_low_j(const struct fw_measured_one *one)
{
	struct fw_energy_sum sum;

	return fw_energy_best(&one->record, &sum) ? sum.low : NAN;
}

static double best_high_j(const struct fw_measured_one *one)
{
	struct fw_energy_sum sum;

	return fw_energy_best(&one->record, &sum) ? sum.high : NAN;
}

static double best_dynamic_j(const struct fw_measured_one *one)
{
	struct fw_energy_sum sum;

	return fw_energy_best(&one->record, &sum) ? sum.dynamic_j : NAN;
}

static double average_w(const struct fw_measured_one *one)
{
	struct fw_energy_sum sum;

	return fw_energy_best(&one->record, &sum) ? fw_energy_watts(&sum, one->record.duration_ms / 1000) : NAN;
}

/* Software carbon intensity, R being one execution. */
static double sci_gco2e(const struct fw_measured_one *one)
{
	return fw_sci(one->record.operational_gco2e, one->record.embodied_gco2e, 1);
}

static double peak_w(const struct fw_measured_one *one)
{
	return one->peak_w;
}

static double peak_over_s(const struct fw_measured_one *one)
{
	return one->peak_over_s;
}

static double per_cycle_j(const struct fw_measured_one *one)
{
	return fw_energy_per_count(&one->record, one->record.cycles);
}

static double per_instruction_j(const struct fw_measured_one *one)
{
	return fw_energy_per_count(&one->record, one->record.instructions);
}

const struct fw_measured_figure fw_measured_figures[] = {
	{"wall_ms", "ms", "duration_ms", NULL, false},
	{"cpu_user_ms", "ms", "cpu_user_ms", NULL, false},
	{"cpu_system_ms", "ms", "cpu_system_ms", NULL, false},
	{"cpu_percent", "%", "cpu_percent", NULL, false},
	{"memory_peak_mb", "MiB", "memory_peak_mb", NULL, false},
	{"memory_peak_high_mb", "MiB", "memory_peak_high_mb", NULL, false},
	{"memory_uss_mb", "MiB", "memory_uss_mb", NULL, false},
	{"memory_pss_mb", "MiB", "memory_pss_mb", NULL, false},
	{"faults_minor", "count", "faults_minor", NULL, false},
	{"faults_major", "count", "faults_major", NULL, false},
	{"switches_voluntary", "count", "switches_voluntary", NULL, false},
	{"switches_involuntary", "count", "switches_involuntary", NULL, false},
	{"disk_read_bytes", "bytes", "disk_read_bytes", NULL, false},
	{"disk_written_bytes", "bytes", "disk_written_bytes", NULL, false},
	{"network_sent_bytes", "bytes", "network_sent_bytes", NULL, false},
	{"network_received_bytes", "bytes", "network_received_bytes", NULL, false},
	{"cycles", "count", "cycles", NULL, false},
	{"instructions", "count", "instructions", NULL, false},
	{"cache_misses", "count", "cache_misses", NULL, false},
	{"joules", "J", NULL, best_j, true},
	{"joules_low", "J", NULL, best_low_j, true},
	{"joules_high", "J", NULL, best_high_j, true},
	{"joules_dynamic", "J", NULL, best_dynamic_j, true},
	{"joules_per_cycle", "J", NULL, per_cycle_j, true},
	{"joules_per_instruction", "J", NULL, per_instruction_j, true},
	{"average_w", "W", NULL, average_w, true},
	{"peak_w", "W", NULL, peak_w, true},
	{"peak_over_s", "s", NULL, peak_over_s, false},
	{"total_usd", "USD", "total_usd", NULL, false},
	{"operational_gco2e", "gCO2e", "operational_gco2e", NULL, true},
	{"operational_low_gco2e", "gCO2e", "operational_low_gco2e", NULL, true},
	{"operational_high_gco2e", "gCO2e", "operational_high_gco2e", NULL, true},
	{"embodied_gco2e", "gCO2e", "embodied_gco2e", NULL, false},
	{"sci_gco2e", "gCO2e/execution", NULL, sci_gco2e, true},
};
const size_t fw_measured_figure_count = FW_COUNT_OF(fw_measured_figures);

double fw_measured_value(const struct fw_measured_figure *figure, const struct fw_measured_one *one)
{
	if (figure->get)
		return figure->get(one);
	const struct fw_field *field = fw_record_field(figure->field);
	const void *member = (const char *)&one->record + field->offset;

	if (field->kind == FW_FIELD_REAL)
		return *(const double *)member;
	return *(const int64_t *)member == FW_NULL_INT ? (double)NAN : (double)*(const int64_t *)member;
}

size_t fw_measured_modelled_among(const struct fw_measured *measured)
{
	size_t known = 0, modelled = 0;

	for (size_t i = 0; i < measured->ones.count; i++) {
		struct fw_energy_sum sum;

		if (!fw_energy_best(&measured->ones.items[i].record, &sum))
			continue;
		known++;
		modelled += sum.modelled;
	}
	return modelled < known ? modelled : 0;
}

struct fw_mean fw_measured_mean(const struct fw_measured *measured, const struct fw_measured_figure *figure)
{
	size_t count = measured->ones.count;
	bool is_mixed = figure->of_energy && fw_measured_modelled_among(measured) > 0;
	fw_cleanup_free double *values = fw_alloc_array(count ? count : 1, sizeof *values);

	for (size_t i = 0; i < count; i++)
		values[i] = is_mixed ? (double)NAN : fw_measured_value(figure, &measured->ones.items[i]);
	return fw_mean_of(values, count);
}

struct fw_mean fw_measured_figure(const struct fw_measured *measured, const char *name)
{
	for (size_t i = 0; i < fw_measured_figure_count; i++)
		if (strcmp(fw_measured_figures[i].name, name) == 0)
			return fw_measured_mean(measured, &fw_measured_figures[i]);
	return fw_mean_of(NULL, 0);
}
