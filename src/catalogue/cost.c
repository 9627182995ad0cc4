/* SPDX-License-Identifier: Apache-2.0
 *
 * What an invocation costs on AWS Lambda: duration x memory, a request, ephemeral storage above 512 MB. Rounded up to a
 * millisecond each invocation, as the bill does, never on a mean.
 */
#include <math.h>
#include <stdlib.h>

#include "catalogue/catalogue.h"

int64_t fw_billed_ms(double duration_ms, double init_ms)
{
	/* Times are decimal fractions of milliseconds: a sum may lie a rounding error above the whole number it means. */
	double billed = ceil(duration_ms + (isnan(init_ms) ? 0 : init_ms) - 1e-7);

	return billed < 1 ? 1 : billed > 1e15 ? (int64_t)1e15 : (int64_t)billed;
}

int fw_cost_fill(const struct fw_catalogue *catalogue, const char *region, const char *basis, int64_t tmp_mb,
                 struct fw_record *record, struct fw_error **err)
{
	const char *architecture = record->architecture ? record->architecture : "x86_64";
	struct fw_price price;
	double seconds, tmp_gb = tmp_mb > 512 ? (double)(tmp_mb - 512) / 1024 : 0;
	int rc;

	if (isnan(record->duration_ms) || record->duration_ms < 0 || record->memory_mb == FW_NULL_INT)
		return FW_OK; /* what never ran to an end that is known has no price */
	if ((rc = fw_catalogue_price(catalogue, region, architecture, &price, err)) != FW_OK)
		return rc;
	if (record->billed_ms == FW_NULL_INT)
		record->billed_ms = fw_billed_ms(record->duration_ms, record->init_ms);
	seconds = (double)record->billed_ms / 1000;
	record->duration_usd = seconds * ((double)record->memory_mb / 1024) * price.usd_per_gb_second;
	record->request_usd = price.usd_per_request;
	record->storage_usd = tmp_gb > 0 ? seconds * tmp_gb * price.usd_per_tmp_gb_second : 0;
	record->total_usd = record->duration_usd + record->request_usd + record->storage_usd;
	free(record->price_basis);
	record->price_basis = fw_printf("%s, %s, prices of %s", basis, architecture, price.date);
	fw_record_set_text(&record->price_region, region);
	return FW_OK;
}
