/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a figure is less than it could be. Notes are of the first repetition: the machine does not change between them.
 */
#include "cli/measure_notes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "energy/attribution.h"

/* The model stands in for counters that work: they are updated too seldom for this, or at all. */
static void note_slow(const struct fw_energy_here *here, bool tells_slow, struct fw_measured *measured)
{
	struct fw_counter_look *looks = fw_alloc_array(FW_ATTRIBUTION_POOLS, sizeof *looks);
	size_t count = fw_energy_manager_look(here->manager, looks, FW_ATTRIBUTION_POOLS);
	const double seconds = measured->ones.items[0].record.duration_ms / 1000;
	size_t roots = 0;

	for (size_t i = 0; i < count; i++) {
		roots += looks[i].domain->is_root;
		if (tells_slow && looks[i].domain->is_root && !looks[i].is_unknown && seconds < looks[i].least_s)
			fw_measured_note(measured, fw_printf("%s (%s) is not among the joules: it tells nothing of less than %.3g s",
			                                     looks[i].domain->name, looks[i].domain->source, looks[i].least_s));
	}
	free(looks);
	if (roots > 0)
		return;
	const struct fw_monitor_report *reports;

	count = fw_energy_manager_monitors(here->manager, &reports);
	for (size_t i = 0; i < count; i++)
		if (reports[i].works && reports[i].ops->domains)
			fw_measured_note(measured, fw_printf("modelled, for the counters of %s are in no total: %s", reports[i].ops->name,
			                                     reports[i].detail));
}

/* Counters that are there and do not serve: what stands in is no more than a model. */
static void note_counters(const struct fw_energy_here *here, bool tells_slow, struct fw_measured *measured)
{
	const struct fw_monitor_report *reports;
	size_t count = fw_energy_manager_monitors(here->manager, &reports);
	struct fw_energy_sum best;

	if (measured->ones.count == 0 || !fw_energy_best(&measured->ones.items[0].record, &best) || !best.modelled)
		return;
	for (size_t i = 0; i < count; i++)
		if (reports[i].ops->domains && (reports[i].rc == FW_E_PERMISSION || reports[i].rc == FW_E_IO))
			fw_measured_note(measured, fw_printf("modelled, for the counters of %s do not serve: %s%s%s", reports[i].ops->name,
			                                     reports[i].detail, reports[i].hint ? "; " : "",
			                                     reports[i].hint ? reports[i].hint : ""));
	note_slow(here, tells_slow, measured);
}

/* A figure without an end: which part of it is to blame. */
static void note_ends(struct fw_measured *measured)
{
	struct fw_energy_sum best;

	if (measured->ones.count == 0)
		return;
	const struct fw_record *record = &measured->ones.items[0].record;

	if (!fw_energy_best(record, &best) || !isnan(best.high))
		return;
	for (size_t i = 0; i < record->energy.count; i++)
		if (isnan(record->energy.items[i].high) && strcmp(record->energy.items[i].source, best.source) == 0)
			fw_measured_note(measured, fw_printf("no upper end: nothing bounds what %s %s used while it was unknown",
			                                     record->energy.items[i].source, record->energy.items[i].domain));
}

void fw_measure_note(const struct fw_energy_here *here, bool tells_slow, struct fw_measured *measured)
{
	note_counters(here, tells_slow, measured);
	note_ends(measured);
}
