/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 4180 records from bytes, for our own dated tables: header names the columns, '#' lines before it are comments.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

struct fw_csv;

/* `name` is shown in errors with line and column. Every row has as many cells as the header, else FW_E_INVALID. */
int fw_csv_load(const char *name, const char *text, size_t length, struct fw_csv **csv, struct fw_error **err);
void fw_csv_free(struct fw_csv *csv);
FW_DEFINE_CLEANUP(struct fw_csv *, fw_csv_free)

size_t fw_csv_rows(const struct fw_csv *csv);
/* Borrowed; NULL when there is no such column. */
const char *fw_csv_cell(const struct fw_csv *csv, size_t row, const char *column);
/* Strict number; an empty cell gives NAN. */
int fw_csv_number(const struct fw_csv *csv, size_t row, const char *column, double *value, struct fw_error **err);
