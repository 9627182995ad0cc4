/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading and writing of tables. The text is walked once to count its rows and cells and once to take its numbers; whole ones, which
 * pixels are, are taken without strtod(). Bad rows and bad cells are told where they begin.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table.h"

#define NPY_MAGIC "\x93NUMPY\x01\x00"
#define NPY_SHAPE "{'descr': '<f8', 'fortran_order': False, 'shape': (%zu, %zu), }"

enum {
	NPY_HEADER = 128, /* with all before the numbers, padded with blanks */
	NPY_START = 10,   /* of the text: magic, version and the text's length before it */
	CELL_MAX = 48,
};

static const size_t most_numbers = SIZE_MAX / 2 / sizeof(double);

void ml_problem_write(struct ml_problem *problem, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problem->text, sizeof problem->text, format, arguments);
	va_end(arguments);
}

void ml_table_free(struct ml_table *table)
{
	free(table->first);
	free(table->rest);
	*table = (struct ml_table){0};
}

static bool make_table(size_t rows, size_t columns, struct ml_table *table, struct ml_problem *problem)
{
	if (columns == 0 || rows == 0 || rows > most_numbers / columns)
		return ml_problem_is(problem, "%zu rows of %zu columns cannot be", rows, columns + 1);
	*table = (struct ml_table){rows, columns, calloc(rows, sizeof(double)), calloc(rows * columns, sizeof(double))};
	if (table->first && table->rest)
		return true;
	ml_table_free(table);
	return ml_problem_is(problem, "no memory for %zu rows of %zu columns", rows, columns + 1);
}

/* ---- text ---- */

struct place { /* where the reader is */
	const char *text, *at, *end;
	size_t row, column;
};

static bool cell_is_bad(const struct place *place, const char *end, const char *what, struct ml_problem *problem)
{
	int shown = end - place->at > 20 ? 20 : (int)(end - place->at);
	char cell[32];

	for (int i = 0; i < shown; i++)
		cell[i] = place->at[i] >= ' ' && place->at[i] < 0x7f ? place->at[i] : '?';
	cell[shown] = '\0';
	return ml_problem_is(problem, "row %zu, column %zu, byte %zu: '%s' %s", place->row + 1, place->column + 1,
	                     (size_t)(place->at - place->text), cell, what);
}

static bool take_any(const struct place *place, const char *end, double *number)
{
	char cell[CELL_MAX], *stop;
	size_t length = (size_t)(end - place->at);

	if (length == 0 || length >= sizeof cell)
		return false;
	memcpy(cell, place->at, length);
	cell[length] = '\0';
	if (strspn(cell, "0123456789+-.eE") != length) /* no blanks, hexadecimals, infinities */
		return false;
	*number = strtod(cell, &stop);
	return stop == cell + length && isfinite(*number);
}

static bool take_cell(struct place *place, const char *end, double *number, struct ml_problem *problem)
{
	const char *at = place->at;
	uint32_t whole = 0;

	while (at < end && at - place->at < 9 && *at >= '0' && *at <= '9')
		whole = whole * 10 + (uint32_t)(*at++ - '0');
	*number = whole;
	if ((at < end || at == place->at) && !take_any(place, end, number))
		return cell_is_bad(place, end, "is no number", problem);
	return true;
}

static const char *end_of(const char *at, const char *end, char mark)
{
	const char *found = at < end ? memchr(at, mark, (size_t)(end - at)) : NULL;

	return found ? found : end;
}

static bool take_label(struct place *place, const char *end, double *label, struct ml_problem *problem)
{
	if (!take_cell(place, end, label, problem))
		return false;
	if (*label < 0 || *label >= ML_CLASSES || *label != floor(*label))
		return cell_is_bad(place, end, "is no label: those are 0 to 9", problem);
	return true;
}

static bool take_row(struct place *place, const char *end, struct ml_table *table, struct ml_problem *problem)
{
	double *numbers = table->rest + place->row * table->columns;

	for (place->column = 0; place->column <= table->columns; place->column++) {
		const char *stop = end_of(place->at, end, '\t');

		if (!(place->column ? take_cell(place, stop, &numbers[place->column - 1], problem)
		                    : take_label(place, stop, &table->first[place->row], problem)))
			return false;
		place->at = stop + (stop < end);
	}
	return true;
}

/* Rows, and how many cells each of them has: a table that is made afterwards is a few times the text at most. */
static bool measure(const char *text, size_t length, size_t *rows, size_t *cells, struct ml_problem *problem)
{
	const char *end = text + length, *line_end;

	*rows = *cells = 0;
	for (const char *line = text; line < end; line = line_end + 1) {
		size_t count = 1;

		line_end = end_of(line, end, '\n');
		for (const char *at = line; at < line_end; at++)
			count += *at == '\t';
		if (*rows && count != *cells)
			return ml_problem_is(problem, "row %zu, byte %zu: %zu cells, the first row has %zu", *rows + 1, (size_t)(line - text), count,
			                     *cells);
		*cells = count;
		++*rows;
	}
	if (*rows == 0)
		return ml_problem_is(problem, "byte 0: it is empty: it must have a row a line, a label and pixels apart by tabs");
	if (*cells < 2)
		return ml_problem_is(problem, "row 1, byte 0: one cell: a row is a label and pixels apart by tabs");
	return true;
}

bool ml_table_parse_digits(const char *text, size_t length, struct ml_table *table, struct ml_problem *problem)
{
	struct place place = {text, text, text + length, 0, 0};
	struct ml_table made = {0};
	size_t rows, cells;

	if (!measure(text, length, &rows, &cells, problem))
		return false;
	if (!make_table(rows, cells - 1, &made, problem))
		return false;
	for (; place.row < rows; place.row++) {
		const char *line_end = end_of(place.at, place.end, '\n');
		const char *end = line_end > place.at && line_end[-1] == '\r' ? line_end - 1 : line_end;

		if (!take_row(&place, end, &made, problem)) {
			ml_table_free(&made);
			return false;
		}
		place.at = line_end + 1;
	}
	*table = made;
	return true;
}

/* ---- NumPy's format ---- */

static void write_header(const struct ml_table *table, char header[NPY_HEADER])
{
	char text[NPY_HEADER];
	int length = snprintf(text, sizeof text, NPY_SHAPE, table->rows, table->columns + 1);

	memset(header, ' ', NPY_HEADER);
	memcpy(header, NPY_MAGIC, sizeof NPY_MAGIC - 1);
	header[NPY_START - 2] = NPY_HEADER - NPY_START;
	header[NPY_START - 1] = 0;
	memcpy(header + NPY_START, text, (size_t)length);
	header[NPY_HEADER - 1] = '\n';
}

static bool read_shape(const char *text, struct ml_table *shape)
{
	const char *found = strchr(text, '(');
	char *end = NULL;

	if (!found)
		return false;
	shape->rows = strtoul(found + 1, &end, 10);
	shape->columns = *end == ',' ? strtoul(end + 1, NULL, 10) : 0;
	return shape->columns >= 2 && shape->columns-- < most_numbers; /* the whole header is compared afterwards */
}

bool ml_table_parse_npy(const char *bytes, size_t length, struct ml_table *table, struct ml_problem *problem)
{
	char text[NPY_HEADER + 1] = "", expected[NPY_HEADER];
	struct ml_table shape = {0}, made = {0};

	if (length >= NPY_HEADER)
		memcpy(text, bytes + NPY_START, NPY_HEADER - NPY_START);
	if (!read_shape(text, &shape))
		return ml_problem_is(problem, "byte 0: no table of ours (.npy of float64)");
	write_header(&shape, expected);
	if (memcmp(expected, bytes, NPY_HEADER) != 0)
		return ml_problem_is(problem, "byte 0: no table of ours (.npy of float64)");
	if (shape.rows == 0 || shape.columns >= most_numbers / shape.rows ||
	    (length - NPY_HEADER) / sizeof(double) != shape.rows * (shape.columns + 1) || length % sizeof(double))
		return ml_problem_is(problem, "byte %zu: it ends here, and should have %zu rows of %zu numbers", length, shape.rows,
		                     shape.columns + 1);
	if (!make_table(shape.rows, shape.columns, &made, problem))
		return false;
	for (size_t row = 0; row < made.rows; row++) {
		const char *at = bytes + NPY_HEADER + row * (made.columns + 1) * sizeof(double);

		memcpy(&made.first[row], at, sizeof(double));
		memcpy(&made.rest[row * made.columns], at + sizeof(double), made.columns * sizeof(double));
	}
	*table = made;
	return true;
}

bool ml_table_write(const struct ml_table *table, const char *path, struct ml_problem *problem)
{
	char header[NPY_HEADER];
	FILE *file = fopen(path, "wxe");

	if (!file)
		return ml_problem_is(problem, "%s: %s", path, strerror(errno));
	write_header(table, header);
	fwrite(header, 1, sizeof header, file);
	for (size_t row = 0; row < table->rows; row++) {
		fwrite(&table->first[row], sizeof(double), 1, file);
		fwrite(&table->rest[row * table->columns], sizeof(double), table->columns, file);
	}
	bool bad = ferror(file) != 0;
	if (fclose(file) != 0 || bad)
		return ml_problem_is(problem, "%s: %s", path, strerror(errno));
	return true;
}

/* ---- files ---- */

typedef bool parse_fn(const char *bytes, size_t length, struct ml_table *table, struct ml_problem *problem);

static bool read_file(const char *path, parse_fn *parse, struct ml_table *table, struct ml_problem *problem)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat found;
	char *bytes = MAP_FAILED;
	bool done;

	if (fd < 0 || fstat(fd, &found) < 0) {
		ml_problem_write(problem, "%s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	if (found.st_size > 0)
		bytes = mmap(NULL, (size_t)found.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (found.st_size == 0)
		return parse("", 0, table, problem);
	if (bytes == MAP_FAILED)
		return ml_problem_is(problem, "%s", strerror(errno));
	done = parse(bytes, (size_t)found.st_size, table, problem);
	munmap(bytes, (size_t)found.st_size);
	return done;
}

bool ml_table_read_digits(const char *path, struct ml_table *table, struct ml_problem *problem)
{
	return read_file(path, ml_table_parse_digits, table, problem);
}

bool ml_table_read(const char *path, struct ml_table *table, struct ml_problem *problem)
{
	return read_file(path, ml_table_parse_npy, table, problem);
}
