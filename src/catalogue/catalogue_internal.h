/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables as they are kept: parsed once at the start, texts borrowed from the CSV that stays open.
 */
#pragma once

#include "base/csv.h"
#include "catalogue/catalogue.h"

struct fw_processor_row {
	const char *pattern, *vendor; /* "" matches everything */
	double family, model;         /* NAN matches everything */
	struct fw_processor processor;
};

struct fw_catalogue {
	struct fw_csv *prices_csv, *processors_csv, *grid_csv, *memory_csv, *machines_csv;
	FW_VECTOR(struct fw_price) prices;
	FW_VECTOR(struct fw_processor_row) processors;
	FW_VECTOR(struct fw_grid) grids;
	struct fw_memory_power memory;
};

/* One table from its text, for the loader and the fuzzer. */
int fw_catalogue_load_prices(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                             struct fw_error **err);
int fw_catalogue_load_grid(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                           struct fw_error **err);
int fw_catalogue_load_memory(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                             struct fw_error **err);
int fw_catalogue_load_machines(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                               struct fw_error **err);
/* After the machines: a processor carries what the making of its machine emitted. */
int fw_catalogue_load_processors(struct fw_catalogue *catalogue, const char *name, const char *text, size_t length,
                                 struct fw_error **err);
