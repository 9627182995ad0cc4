/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 4180 tables. Cells are cut in place in one copy of the text: a cell is never longer than its spelling, so quotes
 * are undone and NULs written over separators without moving anything else. The header fixes the number of columns.
 */
#include "base/csv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/str.h"

enum { MOST_COLUMNS = 1024 };

struct fw_csv {
	char *name;
	char *source; /* as given, for errors */
	char *text;   /* cut into cells */
	size_t length;
	size_t columns;
	FW_VECTOR(const char *) cells; /* the header's first */
	FW_VECTOR(size_t) offsets;     /* of each cell in the source */
};

struct cursor {
	struct fw_csv *csv;
	size_t at;
};

static int fail_at(const struct fw_csv *csv, int rc, size_t offset, struct fw_error **err)
{
	return fw_error_at_offset(err, rc, csv->name, csv->source, csv->length, offset);
}

static bool ends_cell(const struct cursor *cursor)
{
	char c = cursor->at < cursor->csv->length ? cursor->csv->source[cursor->at] : '\n';

	return c == ',' || c == '\n' || c == '\r';
}

/* Reads "a ""quoted"" cell"; the cursor stands on its first quote. */
static int read_quoted(struct cursor *cursor, char *out, struct fw_error **err)
{
	const struct fw_csv *csv = cursor->csv;
	size_t open = cursor->at++;

	for (;; cursor->at++) {
		if (cursor->at >= csv->length)
			return fail_at(csv, fw_fail(err, FW_E_INVALID, "a quoted cell does not end"), open, err);
		if (csv->source[cursor->at] == '"' && csv->source[++cursor->at] != '"')
			break;
		*out++ = csv->source[cursor->at];
	}
	*out = '\0';
	if (!ends_cell(cursor))
		return fail_at(csv, fw_fail(err, FW_E_INVALID, "a quoted cell goes on behind its quote"), cursor->at, err);
	return FW_OK;
}

static int read_bare(struct cursor *cursor, char *out, struct fw_error **err)
{
	const struct fw_csv *csv = cursor->csv;

	for (; !ends_cell(cursor); cursor->at++) {
		if (csv->source[cursor->at] == '"')
			return fail_at(csv, fw_fail(err, FW_E_INVALID, "a quote inside a cell that does not start with one"),
			               cursor->at, err);
		*out++ = csv->source[cursor->at];
	}
	*out = '\0';
	return FW_OK;
}

static int read_cell(struct cursor *cursor, struct fw_error **err)
{
	struct fw_csv *csv = cursor->csv;
	char *out = csv->text + cursor->at;

	FW_PUSH(&csv->cells, out);
	FW_PUSH(&csv->offsets, cursor->at);
	if (cursor->at < csv->length && csv->source[cursor->at] == '"')
		return read_quoted(cursor, out, err);
	return read_bare(cursor, out, err);
}

static void skip_line_end(struct cursor *cursor)
{
	const struct fw_csv *csv = cursor->csv;

	if (cursor->at < csv->length && csv->source[cursor->at] == '\r')
		cursor->at++;
	if (cursor->at < csv->length && csv->source[cursor->at] == '\n')
		cursor->at++;
}

static int read_record(struct cursor *cursor, struct fw_error **err)
{
	struct fw_csv *csv = cursor->csv;
	size_t first = csv->cells.count, start = cursor->at;
	int rc = read_cell(cursor, err);

	while (rc == FW_OK && cursor->at < csv->length && csv->source[cursor->at] == ',') {
		cursor->at++;
		rc = read_cell(cursor, err);
	}
	if (rc != FW_OK)
		return rc;
	size_t count = csv->cells.count - first;
	if (count > MOST_COLUMNS)
		return fail_at(csv, fw_fail(err, FW_E_LIMIT, "more than %d columns", MOST_COLUMNS), start, err);
	if (csv->columns == 0)
		csv->columns = count;
	if (count != csv->columns)
		return fail_at(csv, fw_fail(err, FW_E_INVALID, "a row of %zu cells below a header of %zu", count, csv->columns),
		               start, err);
	skip_line_end(cursor);
	return FW_OK;
}

/* Comments and empty lines in front of the header. */
static void skip_comments(struct cursor *cursor)
{
	const struct fw_csv *csv = cursor->csv;

	while (cursor->at < csv->length && strchr("#\r\n", csv->source[cursor->at])) {
		const char *newline = memchr(csv->source + cursor->at, '\n', csv->length - cursor->at);

		cursor->at = newline ? (size_t)(newline - csv->source) + 1 : csv->length;
	}
}

static int check_header(const struct fw_csv *csv, struct fw_error **err)
{
	for (size_t i = 0; i < csv->columns; i++) {
		if (csv->cells.items[i][0] == '\0')
			return fail_at(csv, fw_fail(err, FW_E_INVALID, "column %zu has no name", i + 1), csv->offsets.items[i], err);
		for (size_t j = 0; j < i; j++)
			if (strcmp(csv->cells.items[i], csv->cells.items[j]) == 0)
				return fail_at(csv, fw_fail(err, FW_E_INVALID, "column '%s' is named twice", csv->cells.items[i]),
				               csv->offsets.items[i], err);
	}
	return FW_OK;
}

static int read_table(struct fw_csv *csv, struct fw_error **err)
{
	bool marked = fw_str_starts((struct fw_str){csv->source, csv->length}, "\xef\xbb\xbf"); /* a byte order mark */
	struct cursor cursor = {csv, marked ? 3 : 0};
	const char *nul = memchr(csv->source, '\0', csv->length);

	if (nul)
		return fail_at(csv, fw_fail(err, FW_E_INVALID, "a NUL character"), (size_t)(nul - csv->source), err);
	skip_comments(&cursor);
	if (cursor.at == csv->length)
		return fail_at(csv, fw_fail(err, FW_E_INVALID, "no header line"), cursor.at, err);
	int rc = read_record(&cursor, err);
	if (rc == FW_OK)
		rc = check_header(csv, err);
	while (rc == FW_OK && cursor.at < csv->length)
		rc = read_record(&cursor, err);
	return rc;
}

int fw_csv_load(const char *name, const char *text, size_t length, struct fw_csv **csv, struct fw_error **err)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *made = fw_alloc(sizeof *made);

	made->name = fw_strdup(name);
	made->source = fw_alloc(length + 1);
	made->text = fw_alloc(length + 1);
	made->length = length;
	if (length > 0)
		memcpy(made->source, text, length);
	int rc = read_table(made, err);
	if (rc == FW_OK)
		*csv = FW_TAKE(made);
	return rc;
}

void fw_csv_free(struct fw_csv *csv)
{
	if (!csv)
		return;
	free(csv->name);
	free(csv->source);
	free(csv->text);
	free(csv->cells.items);
	free(csv->offsets.items);
	free(csv);
}

size_t fw_csv_rows(const struct fw_csv *csv)
{
	return csv->cells.count / csv->columns - 1;
}

/* Index of a cell among all, or SIZE_MAX. */
static size_t cell_index(const struct fw_csv *csv, size_t row, const char *column)
{
	for (size_t i = 0; i < csv->columns; i++)
		if (row < fw_csv_rows(csv) && strcmp(csv->cells.items[i], column) == 0)
			return (row + 1) * csv->columns + i;
	return SIZE_MAX;
}

const char *fw_csv_cell(const struct fw_csv *csv, size_t row, const char *column)
{
	size_t index = cell_index(csv, row, column);

	return index == SIZE_MAX ? NULL : csv->cells.items[index];
}

int fw_csv_number(const struct fw_csv *csv, size_t row, const char *column, double *value, struct fw_error **err)
{
	size_t index = cell_index(csv, row, column);

	if (index == SIZE_MAX)
		return fw_fail(err, FW_E_ABSENT, "%s: no cell '%s' in row %zu", csv->name, column, row + 1);
	struct fw_str cell = fw_str_trim(fw_str_of(csv->cells.items[index]));
	if (cell.length == 0) {
		*value = NAN;
		return FW_OK;
	}
	if (!fw_str_to_double(cell, value))
		return fail_at(csv, fw_fail(err, FW_E_INVALID, "%s: '%s' is not a number", column, csv->cells.items[index]),
		               csv->offsets.items[index], err);
	return FW_OK;
}
