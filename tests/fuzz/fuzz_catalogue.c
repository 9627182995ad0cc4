/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the tables of the catalogue: what is accepted is possible, what is refused says why. The first byte
 * chooses the table. Sources: src/catalogue/load.c, src/base.
 */
#include <stdlib.h>
#include <string.h>

#include "catalogue/catalogue_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char machines[] = "kind,embodied_kgco2e,life_years,year,source\nserver,1000,4,2023,s\n";

static void check(const struct fw_catalogue *catalogue)
{
	for (size_t i = 0; i < catalogue->prices.count; i++)
		if (!(catalogue->prices.items[i].usd_per_gb_second > 0))
			abort();
	for (size_t i = 0; i < catalogue->grids.count; i++)
		if (!(catalogue->grids.items[i].pue >= 1))
			abort();
	for (size_t i = 0; i < catalogue->processors.count; i++) {
		const struct fw_processor *p = &catalogue->processors.items[i].processor;

		if (!(p->threads > 0) || !(p->low_w_per_vcpu_max <= p->high_w_per_vcpu_max))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int (*const loaders[])(struct fw_catalogue *, const char *, const char *, size_t, struct fw_error **) = {
		fw_catalogue_load_prices, fw_catalogue_load_grid, fw_catalogue_load_memory, fw_catalogue_load_machines,
		fw_catalogue_load_processors};

	if (size == 0)
		return 0;
	FW_CLEANUP(fw_catalogue_close) struct fw_catalogue *catalogue = fw_alloc(sizeof *catalogue);
	fw_cleanup_error struct fw_error *err = NULL;
	unsigned which = data[0] % FW_COUNT_OF(loaders);

	if (loaders[which] == fw_catalogue_load_processors &&
	    fw_catalogue_load_machines(catalogue, "machines", machines, sizeof machines - 1, NULL) != FW_OK)
		abort();
	if (loaders[which](catalogue, "table", (const char *)data + 1, size - 1, &err) == FW_OK)
		check(catalogue);
	else if (strlen(fw_error_message(err)) == 0)
		abort();
	return 0;
}
