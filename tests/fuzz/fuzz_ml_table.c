/* SPDX-License-Identifier: Apache-2.0
 *
 * The ML application's tables: behind a first byte, `t` for text of digits or another for NumPy's format. What is taken has rows and
 * finite numbers (text), labels 0 to 9; what is not tells why. Source: examples/ml/src/table.c.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "examples/ml/src/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_digits(const struct ml_table *table)
{
	for (size_t row = 0; row < table->rows; row++) {
		require(table->first[row] >= 0 && table->first[row] < ML_CLASSES);
		for (size_t i = 0; i < table->columns; i++)
			require(isfinite(table->rest[row * table->columns + i]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ml_problem problem = {0};
	struct ml_table table = {0};

	if (size == 0)
		return 0;
	bool digits = data[0] == 't';
	const char *bytes = (const char *)data + 1;
	if (digits ? ml_table_parse_digits(bytes, size - 1, &table, &problem) : ml_table_parse_npy(bytes, size - 1, &table, &problem)) {
		require(table.rows > 0 && table.columns > 0 && !problem.text[0]);
		require(table.rows * table.columns <= size);
		if (digits)
			check_digits(&table);
	} else {
		require(problem.text[0] && !table.first && !table.rest);
	}
	ml_table_free(&table);
	return 0;
}
