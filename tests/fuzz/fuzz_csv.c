/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a table: every cell of an accepted one can be read, what is refused has an error that can be shown.
 * Source: src/base/csv.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *csv = NULL;
	fw_cleanup_error struct fw_error *err = NULL;

	if (fw_csv_load("fuzz", (const char *)data, size, &csv, &err) != FW_OK) {
		free(fw_error_describe(err));
		return 0;
	}
	for (size_t row = 0; row < fw_csv_rows(csv); row++) {
		const char *cell = fw_csv_cell(csv, row, "a");
		fw_cleanup_error struct fw_error *not_a_number = NULL;
		double value;

		if (cell && strlen(cell) > size)
			abort();
		fw_csv_number(csv, row, "a", &value, &not_a_number);
	}
	return 0;
}
