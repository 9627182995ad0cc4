/* SPDX-License-Identifier: Apache-2.0
 *
 * Aligned tables. Every cell is kept until the widths are known; a table that people read is small.
 */
#include "report/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/width.h"

enum { LEAST_WRAPPED = 32 }; /* columns in which a sentence can still be read */

struct column {
	char *title;
	enum fw_align align;
	bool left_out;
};

struct row {
	FW_VECTOR(char *) cells;
};

struct fw_table {
	FW_VECTOR(struct column) columns;
	FW_VECTOR(struct row) rows;
	size_t width; /* that lines are to keep; 0: any */
	bool wraps;
};

struct fw_table *fw_table_new(void)
{
	return fw_alloc(sizeof(struct fw_table));
}

void fw_table_free(struct fw_table *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < table->columns.count; i++)
		free(table->columns.items[i].title);
	for (size_t i = 0; i < table->rows.count; i++) {
		for (size_t c = 0; c < table->rows.items[i].cells.count; c++)
			free(table->rows.items[i].cells.items[c]);
		free(table->rows.items[i].cells.items);
	}
	free(table->columns.items);
	free(table->rows.items);
	free(table);
}

void fw_table_column(struct fw_table *table, const char *title, enum fw_align align)
{
	FW_PUSH(&table->columns, (struct column){fw_strdup(title), align, false});
}

void fw_table_row(struct fw_table *table)
{
	FW_PUSH(&table->rows, (struct row){0});
}

void fw_table_cell(struct fw_table *table, const char *format, ...)
{
	struct row *row = &table->rows.items[table->rows.count - 1];
	struct fw_buffer text;
	va_list arguments;

	fw_buffer_init(&text, 64 << 10);
	va_start(arguments, format);
	fw_buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	FW_PUSH(&row->cells, fw_buffer_take(&text));
	fw_buffer_done(&text);
}

void fw_table_number(struct fw_table *table, double value)
{
	if (isnan(value))
		fw_table_cell(table, "–");
	else
		fw_table_cell(table, fabs(value) >= 999.5 && fabs(value) < 1e9 ? "%.0f" : "%.3g", value);
}

static size_t column_width(const struct fw_table *table, size_t column)
{
	size_t width = fw_display_width(table->columns.items[column].title);

	for (size_t i = 0; i < table->rows.count; i++) {
		const struct row *row = &table->rows.items[i];
		size_t cell = column < row->cells.count ? fw_display_width(row->cells.items[column]) : 0;

		width = cell > width ? cell : width;
	}
	return width;
}

/* What a column must have: all of it, or what its cells may be broken to. */
static size_t least_width(const struct fw_table *table, size_t column)
{
	size_t width = column_width(table, column);
	bool is_broken = table->wraps && table->columns.items[column].align == FW_LEFT && width > LEAST_WRAPPED;

	return is_broken ? LEAST_WRAPPED : width;
}

static size_t line_width(const struct fw_table *table)
{
	size_t width = 0;

	for (size_t c = 0; c < table->columns.count; c++)
		width += table->columns.items[c].left_out ? 0 : 2 + least_width(table, c);
	return width;
}

void fw_table_wrap(struct fw_table *table)
{
	table->wraps = true;
}

void fw_table_fit(struct fw_table *table, size_t width, const char *const titles[], size_t count)
{
	table->width = width;
	for (size_t i = 0; i < count && width > 0 && line_width(table) > width; i++)
		for (size_t c = 0; c < table->columns.count; c++)
			if (strcmp(table->columns.items[c].title, titles[i]) == 0)
				table->columns.items[c].left_out = true;
}

/* Each its least, then what is left of the line from left to right in equal parts, none more than it can use. */
static size_t *share_width(const struct fw_table *table)
{
	size_t columns = table->columns.count, least = line_width(table), hungry = 0;
	size_t *widths = fw_alloc_array(columns ? columns : 1, sizeof *widths);
	size_t spare = !table->wraps || table->width == 0 ? SIZE_MAX / 2 : table->width > least ? table->width - least : 0;

	for (size_t c = 0; c < columns; c++) {
		widths[c] = table->columns.items[c].left_out ? 0 : least_width(table, c);
		hungry += widths[c] > 0 && widths[c] < column_width(table, c);
	}
	for (size_t c = 0; c < columns; c++) {
		size_t wanted = widths[c] > 0 ? column_width(table, c) - widths[c] : 0;

		if (wanted == 0 || hungry == 0)
			continue;
		size_t part = spare / hungry--;

		part = part < wanted ? part : wanted;
		widths[c] += part;
		spare -= part;
	}
	return widths;
}

static void print_left_out(const struct fw_table *table, struct fw_buffer *out)
{
	size_t count = 0;

	for (size_t c = 0; c < table->columns.count; c++)
		if (table->columns.items[c].left_out)
			fw_buffer_printf(out, "%s%s", count++ ? ", " : "  a wider terminal shows: ", table->columns.items[c].title);
	if (count)
		fw_buffer_text(out, "\n");
}

static void print_padded(struct fw_buffer *out, struct fw_str text, size_t width, enum fw_align align, bool last)
{
	fw_cleanup_free char *copy = fw_strndup(text.text, text.length);
	int padding = (int)(width - fw_display_width(copy));

	if (align == FW_RIGHT)
		fw_buffer_printf(out, "%*s%s", padding, "", copy);
	else if (last)
		fw_buffer_text(out, copy);
	else
		fw_buffer_printf(out, "%s%*s", copy, padding, "");
}

/* One line of a row: of each cell what fits, and the cell goes on behind it. True: another line is needed. */
static bool print_line(const struct fw_table *table, const size_t widths[], const char *rest[], size_t count, struct fw_buffer *out)
{
	bool goes_on = false;
	size_t last = 0;

	for (size_t c = 0; c < count; c++)
		last = !table->columns.items[c].left_out && *rest[c] ? c : last;
	for (size_t c = 0; c <= last && c < count; c++) {
		if (table->columns.items[c].left_out)
			continue;
		size_t bytes = fw_display_break(rest[c], widths[c]);

		fw_buffer_text(out, "  ");
		print_padded(out, (struct fw_str){rest[c], bytes}, widths[c], table->columns.items[c].align, c == last);
		rest[c] += bytes;
		rest[c] += strspn(rest[c], " ");
		goes_on |= *rest[c] != '\0';
	}
	fw_buffer_text(out, "\n");
	return goes_on;
}

void fw_table_print(const struct fw_table *table, bool colour, struct fw_buffer *out)
{
	size_t columns = table->columns.count;
	fw_cleanup_free size_t *widths = share_width(table);
	fw_cleanup_free const char **rest = fw_alloc_array(columns ? columns : 1, sizeof *rest);

	fw_buffer_text(out, colour ? "\033[2m" : "");
	for (size_t c = 0; c < columns; c++) {
		if (table->columns.items[c].left_out)
			continue;
		fw_buffer_text(out, "  ");
		print_padded(out, fw_str_of(table->columns.items[c].title), widths[c], table->columns.items[c].align, c + 1 == columns);
	}
	fw_buffer_text(out, colour ? "\033[0m\n" : "\n");
	for (size_t r = 0; r < table->rows.count; r++) {
		const struct row *row = &table->rows.items[r];
		size_t count = row->cells.count < columns ? row->cells.count : columns;

		for (size_t c = 0; c < count; c++)
			rest[c] = row->cells.items[c];
		while (print_line(table, widths, rest, count, out))
			;
	}
	print_left_out(table, out);
}
