/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a figure is less than it could be. Notes are of the first repetition: the machine does not change between them.
 */
#include "cli/measure_notes.h"

#include <math.h>
#include <string.h>

/* Counters that are there and do not serve: what stands in is no more than a model. */
static void note_counters(const struct fw_energy_here *here, struct fw_measured *measured)
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

void fw_measure_note(const struct fw_energy_here *here, struct fw_measured *measured)
{
	note_counters(here, measured);
	note_ends(measured);
}
