/* SPDX-License-Identifier: Apache-2.0
 *
 * Sums over records.
 */
#include <math.h>

#include "catalogue/catalogue.h"

static void add(double *sum, double value)
{
	if (!isnan(value))
		*sum = isnan(*sum) ? value : *sum + value;
}

void fw_totals_add(struct fw_totals *totals, const struct fw_record *record)
{
	struct fw_energy_sum energy;

	add(&totals->usd, record->total_usd);
	add(&totals->gco2e, record->operational_gco2e);
	add(&totals->gco2e, record->embodied_gco2e);
	if (fw_energy_best(record, &energy)) {
		add(&totals->joules, energy.joules);
		totals->modelled |= energy.modelled;
	}
}
