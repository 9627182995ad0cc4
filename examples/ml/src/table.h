/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of numbers whose first one stands apart: the label of a digit before its pixels, an eigenvalue before its vector.
 * They come from text (a row a line, cells apart by tabs) and go between stages as NumPy's .npy, float64, so that other
 * programs read them too. What is wrong with bytes is told in words, with row and byte; nothing is left to free then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ml_table {
	size_t rows, columns; /* columns of `rest` */
	double *first, *rest; /* rest[row * columns + column] */
};

struct ml_problem {
	char text[256];
};

enum { ML_CLASSES = 10 };

void ml_table_free(struct ml_table *table);

/* Text whose first cells are digits 0 to 9; every row has as many cells as the first one, two at least. */
bool ml_table_parse_digits(const char *text, size_t length, struct ml_table *table, struct ml_problem *problem);
/* What ml_table_write() wrote. */
bool ml_table_parse_npy(const char *bytes, size_t length, struct ml_table *table, struct ml_problem *problem);

bool ml_table_read_digits(const char *path, struct ml_table *table, struct ml_problem *problem);
bool ml_table_read(const char *path, struct ml_table *table, struct ml_problem *problem);
bool ml_table_write(const struct ml_table *table, const char *path, struct ml_problem *problem);

void ml_problem_write(struct ml_problem *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define ml_problem_is(problem, ...) (ml_problem_write(problem, __VA_ARGS__), false)
