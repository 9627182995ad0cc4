/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of CSV out of a reader's window. Cells lose their quotes where they lie, which only makes them shorter. A record
 * that reaches the window's end waits there for more bytes: its parse goes on where it stood.
 */
#include "function/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum state { START, CELL, QUOTED, QUOTE };

struct parse {
	size_t from, to; /* the next byte to be read, and where the next one of a cell goes, behind reader->at */
	size_t count;    /* cells that have begun */
	enum state state;
	bool anything; /* it is no blank line */
};

static void *grown(void *memory, size_t count, size_t size)
{
	void *larger = realloc(memory, count * size);

	if (!larger)
		abort(); /* as all small allocations of the SDK */
	return larger;
}

static void begin_cell(struct fw_reader *reader, struct parse *parse)
{
	if (parse->count + 1 >= reader->cell_capacity) {
		reader->cell_capacity = reader->cell_capacity ? 2 * reader->cell_capacity : 64;
		reader->starts = grown(reader->starts, reader->cell_capacity, sizeof *reader->starts);
		reader->cells = grown(reader->cells, reader->cell_capacity, sizeof *reader->cells);
	}
	reader->starts[parse->count++] = parse->to;
	parse->state = START;
}

/* True at the end of the record. `window` is where it begins. */
static bool take(struct fw_reader *reader, struct parse *parse, char *window, char byte, char delimiter)
{
	if (parse->state == QUOTED) {
		if (byte == '"')
			parse->state = QUOTE;
		else
			window[parse->to++] = byte;
		return false;
	}
	if (byte == '"' && parse->state != CELL) {
		if (parse->state == QUOTE)
			window[parse->to++] = '"';
		parse->state = QUOTED;
		parse->anything = true;
		return false;
	}
	if (byte == '\n' || byte == '\r')
		return true;
	parse->anything = true;
	if (byte == delimiter) {
		window[parse->to++] = '\0';
		begin_cell(reader, parse);
		return false;
	}
	parse->state = CELL;
	window[parse->to++] = byte;
	return false;
}

/* Reads on until the record ends. FW_END: nothing was left. */
static int parse_record(struct fw_reader *reader, struct parse *parse)
{
	char delimiter = reader->object.delimiter ? reader->object.delimiter : ',';

	begin_cell(reader, parse);
	for (;;) {
		size_t length = reader->end - reader->at;
		char *window = length > 0 ? reader->bytes + reader->at : NULL;

		while (parse->from < length) {
			char byte = window[parse->from++];

			if (byte == '\0')
				return fw_fail_invocation(reader->invocation, "Data.Nul", "%s: byte %lld is NUL: this is no CSV", reader->object.uri,
				                          (long long)fw_reader_place(reader, reader->at + parse->from - 1));
			if (!take(reader, parse, window, byte, delimiter))
				continue;
			window[parse->to] = '\0';
			return FW_OK;
		}
		int rc = fw_reader_more(reader);

		if (rc == FW_OK)
			continue;
		if (rc == FW_ERROR || !parse->anything)
			return rc;
		if (parse->state == QUOTED)
			return fw_fail_invocation(reader->invocation, "Data.Quote", "%s: a quote of the record at byte %lld is not closed",
			                          reader->object.uri, (long long)fw_reader_place(reader, reader->at));
		reader->bytes[reader->at + parse->to] = '\0';
		return FW_OK;
	}
}

/* A byte order mark at the start of a whole object is none of its first cell. */
static int skip_mark(struct fw_reader *reader)
{
	int rc = FW_OK;

	reader->begun = true;
	if (reader->object.start != 0 || reader->object.header)
		return FW_OK;
	while (rc == FW_OK && reader->end - reader->at < 3)
		rc = fw_reader_more(reader);
	if (rc != FW_ERROR && reader->end - reader->at >= 3 && memcmp(reader->bytes + reader->at, "\xef\xbb\xbf", 3) == 0)
		reader->at += 3;
	return rc == FW_ERROR ? rc : FW_OK;
}

int fw_next_record(struct fw_reader *reader, struct fw_record *record)
{
	int rc = reader->begun ? FW_OK : skip_mark(reader);

	while (rc == FW_OK) {
		struct parse parse = {0};

		rc = parse_record(reader, &parse);
		if (rc != FW_OK)
			return rc;
		record->offset = fw_reader_place(reader, reader->at);
		for (size_t i = 0; i < parse.count; i++)
			reader->cells[i] = reader->bytes + reader->at + reader->starts[i];
		record->cells = reader->cells;
		record->count = parse.count;
		reader->at += parse.from;
		if (parse.anything)
			return FW_OK;
	}
	return rc;
}

/* ---- columns ---- */

/* The header is a record of its own. */
static void read_columns(struct fw_reader *reader)
{
	struct fw_sdk_arena *arena = &reader->invocation->arena;
	size_t length = strlen(reader->object.header);
	struct fw_reader header = {.invocation = reader->invocation, .object = reader->object, .fd = -1};
	struct parse parse = {0};

	header.bytes = fw_sdk_copy(arena, reader->object.header, length);
	header.end = length;
	parse_record(&header, &parse);
	reader->columns = fw_sdk_take(arena, (parse.count + 1) * sizeof *reader->columns);
	for (size_t i = 0; i < parse.count; i++)
		reader->columns[i] = header.bytes + header.starts[i];
	reader->column_count = parse.count;
	free(header.starts);
	free(header.cells);
}

static int fail_column(struct fw_reader *reader, const char *name)
{
	struct fw_sdk_buffer names = {.max = 1000};

	for (size_t i = 0; reader->columns && i < reader->column_count && !names.full; i++) {
		fw_sdk_append_text(&names, i ? ", " : "");
		fw_sdk_append_text(&names, reader->columns[i]);
	}
	int rc = reader->column_count
	             ? fw_fail_invocation(reader->invocation, "Data.Column", "%s has no column '%s'; its columns are %s%s",
	                                  reader->object.uri, name, names.bytes ? names.bytes : "",
	                                  names.full && names.length ? ", ..." : names.full ? "..." : "")
	             : fw_fail_invocation(reader->invocation, "Data.Column", "%s has no column '%s': it was given without a header",
	                                  reader->object.uri, name);
	fw_sdk_buffer_done(&names);
	return rc;
}

int fw_column(struct fw_reader *reader, const char *name)
{
	if (!reader->columns && reader->object.header)
		read_columns(reader);
	for (size_t i = 0; reader->columns && i < reader->column_count; i++)
		if (strcmp(reader->columns[i], name) == 0)
			return (int)i;
	return fail_column(reader, name);
}

static const char *column_name(struct fw_reader *reader, int column)
{
	if (!reader->columns && reader->object.header)
		read_columns(reader);
	return reader->columns && (size_t)column < reader->column_count
	           ? fw_sdk_format(&reader->invocation->arena, "column '%s'", reader->columns[column])
	           : fw_sdk_format(&reader->invocation->arena, "cell %d", column + 1);
}

int fw_cell_number(struct fw_reader *reader, const struct fw_record *record, int column, double *number)
{
	if (column < 0 || (size_t)column >= record->count)
		return fw_fail_invocation(reader->invocation, "Data.Cell", "%s: the record at byte %lld has %zu cells and no %s",
		                          reader->object.uri, (long long)record->offset, record->count,
		                          column_name(reader, column < 0 ? 0 : column));
	const char *cell = record->cells[column];
	size_t length = strlen(cell);
	char *end = NULL;

	*number = (double)NAN;
	if (length == 0)
		return FW_OK;
	double value = strtod(cell, &end);
	size_t decimal = strspn(cell, " \t0123456789+-.eE"); /* strtod takes hexadecimals as well, which nobody means */

	while (*end == ' ')
		end++;
	if (end == cell || decimal < length || *end != '\0' || !isfinite(value))
		return fw_fail_invocation(reader->invocation, "Data.Cell", "%s: the record at byte %lld: %s: '%.60s' is not a number",
		                          reader->object.uri, (long long)record->offset, column_name(reader, column), cell);
	*number = value;
	return FW_OK;
}
