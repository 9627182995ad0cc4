/* SPDX-License-Identifier: Apache-2.0
 *
 * Aligned tables for a terminal or a pipe: columns as wide as their widest cell, by display width, not bytes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

struct fw_table;

enum fw_align { FW_LEFT, FW_RIGHT };

struct fw_table *fw_table_new(void);
void fw_table_free(struct fw_table *table);
void fw_table_column(struct fw_table *table, const char *title, enum fw_align align);
/* Starts a row; cells follow in order, copied. Missing cells are empty. */
void fw_table_row(struct fw_table *table);
void fw_table_cell(struct fw_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Three significant digits, more where they stand before the point; NAN is a dash. */
void fw_table_number(struct fw_table *table, double value);
/* After the last row: where lines would be wider than `width` (0: any will do), leaves out columns with these titles, in that
 * order, until they are not. What is left out is told below the table. */
void fw_table_fit(struct fw_table *table, size_t width, const char *const titles[], size_t count);
/* Before fw_table_fit(): cells on the left may be broken into lines, so that `width` is kept; fit leaves a column out only where
 * no room would be left to read. */
void fw_table_wrap(struct fw_table *table);
/* Two blanks before each line and between columns; colour dims the titles. */
void fw_table_print(const struct fw_table *table, bool colour, struct fw_buffer *out);
