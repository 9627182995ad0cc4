/* SPDX-License-Identifier: Apache-2.0
 *
 * Aligned tables. Every cell is kept until the widths are known; a table that people read is small.
 */
#include "report/table.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "report/width.h"

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

static size_t line_width(const struct fw_table *table)
{
	size_t width = 0;

	for (size_t c = 0; c < table->columns.count; c++)
		width += table->columns.items[c].left_out ? 0 : 2 + column_width(table, c);
	return width;
}

void fw_table_fit(struct fw_table *table, size_t width, const char *const titles[], size_t count)
{
	for (size_t i = 0; i < count && width > 0 && line_width(table) > width; i++)
		for (size_t c = 0; c < table->columns.count; c++)
			if (strcmp(table->columns.items[c].title, titles[i]) == 0)
				table->columns.items[c].left_out = true;
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

static void print_padded(struct fw_buffer *out, const char *text, size_t width, enum fw_align align, bool last)
{
	int padding = (int)(width - fw_display_width(text));

	if (align == FW_RIGHT)
		fw_buffer_printf(out, "%*s%s", padding, "", text);
	else if (last)
		fw_buffer_text(out, text);
	else
		fw_buffer_printf(out, "%s%*s", text, padding, "");
}

void fw_table_print(const struct fw_table *table, bool colour, struct fw_buffer *out)
{
	size_t columns = table->columns.count;
	fw_cleanup_free size_t *widths = fw_alloc_array(columns ? columns : 1, sizeof *widths);

	for (size_t c = 0; c < columns; c++)
		widths[c] = column_width(table, c);
	fw_buffer_text(out, colour ? "\033[2m" : "");
	for (size_t c = 0; c < columns; c++) {
		if (table->columns.items[c].left_out)
			continue;
		fw_buffer_text(out, "  ");
		print_padded(out, table->columns.items[c].title, widths[c], table->columns.items[c].align, c + 1 == columns);
	}
	fw_buffer_text(out, colour ? "\033[0m\n" : "\n");
	for (size_t r = 0; r < table->rows.count; r++) {
		const struct row *row = &table->rows.items[r];

		for (size_t c = 0; c < row->cells.count && c < columns; c++) {
			if (table->columns.items[c].left_out)
				continue;
			fw_buffer_text(out, "  ");
			print_padded(out, row->cells.items[c], widths[c], table->columns.items[c].align,
			             c + 1 == row->cells.count);
		}
		fw_buffer_text(out, "\n");
	}
	print_left_out(table, out);
}
