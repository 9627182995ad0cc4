/* SPDX-License-Identifier: Apache-2.0
 *
 * Grams of CO2e of an invocation, operational and embodied apart (SCI, ISO/IEC 21031: (E x I + M) per unit).
 * E is the energy of the record, idle share included, times PUE; I the location-based average of the grid;
 * M = making x (time / life) x (vCPUs held / threads of the machine).
 */
#include <math.h>
#include <string.h>

#include "catalogue/catalogue.h"

#define JOULES_PER_KWH 3.6e6
#define SECONDS_PER_YEAR (365.25 * 86400)

/* Adds the energy of one domain of one source; false where there is none. */
static bool sum_source(const struct fw_record *record, const char *source, const char *domain, struct fw_energy_sum *sum)
{
	bool found = false;

	for (size_t i = 0; i < record->energy.count; i++) {
		const struct fw_energy *energy = &record->energy.items[i];

		if (!energy->source || !energy->domain || strcmp(energy->source, source) != 0 ||
		    strcmp(energy->domain, domain) != 0 || isnan(energy->joules))
			continue;
		found = true;
		sum->joules += energy->joules;
		sum->low += energy->low; /* NAN stays NAN: an unknown end is not zero */
		sum->high += energy->high;
		sum->dynamic_j += energy->dynamic_j;
		sum->idle_j += energy->idle_j;
		sum->modelled = sum->modelled || fw_record_has_flag(energy->flags, "modelled");
	}
	return found;
}

/* In the order in which one of several is taken as the machine's: as the domains are chosen that count in its total. */
static const char *const measured[] = {"perf", "ebpf+rapl", "rapl", "hwmon"};

/* Memory that this source does not count, and another one does. */
static void add_memory_of_others(const struct fw_record *record, const char *source, struct fw_energy_sum *sum)
{
	if (sum->modelled)
		return;
	for (size_t i = 0; i < FW_COUNT_OF(measured); i++)
		if (strcmp(measured[i], source) != 0 && sum_source(record, measured[i], "dram", sum))
			return;
}

/* All that computes: the packages, or the board that holds them, or both parts of a package. Memory, a GPU or the cores alone
 * are no machine, and a sum of what is left after a counter has failed would pass for one. */
static bool sum_machine(const struct fw_record *record, const char *source, struct fw_energy_sum *sum)
{
	struct fw_energy_sum whole = {.source = source}, inside = whole;

	if (!sum_source(record, source, "package", &whole)) {
		if (sum_source(record, source, "psys", &whole)) {
			*sum = whole;
			return true;
		}
		if (!sum_source(record, source, "core", &inside) || !sum_source(record, source, "uncore", &inside))
			return false;
		whole = inside;
	}
	if (!sum_source(record, source, "dram", &whole))
		add_memory_of_others(record, source, &whole);
	*sum = whole;
	return true;
}

bool fw_energy_best(const struct fw_record *record, struct fw_energy_sum *sum)
{
	for (size_t i = 0; i <= FW_COUNT_OF(measured); i++) {
		struct fw_energy_sum found;

		if (!sum_machine(record, i < FW_COUNT_OF(measured) ? measured[i] : "model", &found))
			continue;
		if (!found.modelled) /* measured and modelled joules are never added */
			sum_source(record, "nvml", "gpu", &found);
		*sum = found;
		return true;
	}
	return false;
}

double fw_energy_watts(const struct fw_energy_sum *sum, double seconds)
{
	return seconds > 0 && sum->high - sum->low <= 2 * sum->joules ? sum->joules / seconds : NAN;
}

double fw_energy_per_count(const struct fw_record *record, int64_t count)
{
	struct fw_energy_sum sum;

	return count > 0 && fw_energy_best(record, &sum) ? sum.joules / (double)count : NAN; /* FW_NULL_INT is below 0 */
}

static double grams(double joules, const struct fw_record *record)
{
	return joules / JOULES_PER_KWH * record->pue * record->grid_gco2e_per_kwh;
}

void fw_carbon_of_energy(struct fw_record *record)
{
	struct fw_energy_sum energy;

	if (!fw_energy_best(record, &energy))
		energy.joules = energy.low = energy.high = FW_NULL_REAL;
	record->operational_gco2e = grams(energy.joules, record);
	record->operational_low_gco2e = grams(energy.low, record);
	record->operational_high_gco2e = grams(energy.high, record);
}

/* Of the vCPUs that a configuration asks for it holds no more than the machine has. */
static double held_vcpus(const struct fw_record *record)
{
	return record->cpus_visible > 0 ? fmin(record->vcpus, (double)record->cpus_visible) : record->vcpus;
}

static double embodied_grams(const struct fw_processor *processor, const struct fw_record *record)
{
	return processor->embodied_kgco2e * 1000 * (record->duration_ms / 1000) / (processor->life_years * SECONDS_PER_YEAR) *
	       (held_vcpus(record) / processor->threads);
}

int fw_carbon_fill(const struct fw_catalogue *catalogue, const char *region, const struct fw_processor *processor,
                   struct fw_record *record, struct fw_error **err)
{
	struct fw_processor by_name;
	struct fw_grid grid;
	int rc = fw_catalogue_grid(catalogue, region, &grid, err);

	if (rc != FW_OK)
		return rc;
	record->grid_gco2e_per_kwh = grid.gco2e_per_kwh;
	record->grid_year = grid.year;
	record->pue = grid.pue;
	fw_record_set_text(&record->grid_kind, grid.kind);
	fw_carbon_of_energy(record);
	if (!processor) {
		fw_catalogue_processor(catalogue, record->cpu_model, NULL, -1, -1, &by_name);
		processor = &by_name;
	}
	record->embodied_gco2e = embodied_grams(processor, record);
	return FW_OK;
}
