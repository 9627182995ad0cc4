/* SPDX-License-Identifier: Apache-2.0 */
#include "base/csv.h"

#include <math.h>
#include <string.h>

#include "tests/unit/support.h"

static struct fw_csv *load(const char *text)
{
	struct fw_csv *csv = NULL;
	fw_cleanup_error struct fw_error *err = NULL;

	assert_ok(fw_csv_load("t.csv", text, strlen(text), &csv, &err), err);
	return csv;
}

static void assert_refused(const char *text, int code, const char *expected)
{
	struct fw_csv *csv = NULL;
	struct fw_error *err = NULL;

	assert_error_is(fw_csv_load("t.csv", text, strlen(text), &csv, &err), &err, code, expected);
	assert_null(csv);
}

static void the_header_names_the_columns(void **state)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *csv = load("name,watts\na,5\nb,7\n");

	(void)state;
	assert_int_equal(fw_csv_rows(csv), 2);
	assert_string_equal(fw_csv_cell(csv, 0, "watts"), "5");
	assert_string_equal(fw_csv_cell(csv, 1, "name"), "b");
}

static void what_is_not_there_is_null(void **state)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *csv = load("name\na\n");

	(void)state;
	assert_null(fw_csv_cell(csv, 0, "nope"));
	assert_null(fw_csv_cell(csv, 1, "name"));
}

static void comments_and_empty_lines_may_precede_the_header(void **state)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *csv = load("# source, year\n\n# more\na,b\n#1,2\n");

	(void)state;
	assert_int_equal(fw_csv_rows(csv), 1);
	assert_string_equal(fw_csv_cell(csv, 0, "a"), "#1");
}

static void quoted_cells_hold_commas_quotes_and_newlines(void **state)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *csv = load("a,b\r\n\"x, \"\"y\"\"\nz\",\"\"\r\n1,2");

	(void)state;
	assert_int_equal(fw_csv_rows(csv), 2);
	assert_string_equal(fw_csv_cell(csv, 0, "a"), "x, \"y\"\nz");
	assert_string_equal(fw_csv_cell(csv, 0, "b"), "");
	assert_string_equal(fw_csv_cell(csv, 1, "b"), "2");
}

static void a_byte_order_mark_is_not_part_of_a_name(void **state)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *csv = load("\xef\xbb\xbf" "a\n1\n");

	(void)state;
	assert_string_equal(fw_csv_cell(csv, 0, "a"), "1");
}

static void numbers_are_strict_and_empty_cells_are_nan(void **state)
{
	FW_CLEANUP(fw_csv_free) struct fw_csv *csv = load("a,b,c\n2.5,,3W\n");
	struct fw_error *err = NULL;
	double value = 0;

	(void)state;
	assert_ok(fw_csv_number(csv, 0, "a", &value, &err), err);
	assert_true(value == 2.5);
	assert_ok(fw_csv_number(csv, 0, "b", &value, &err), err);
	assert_true(isnan(value));
	assert_error_is(fw_csv_number(csv, 0, "c", &value, &err), &err, FW_E_INVALID,
	                "c: '3W' is not a number  t.csv:2:6\n  2.5,,3W\n       ^");
	assert_error_is(fw_csv_number(csv, 0, "d", &value, &err), &err, FW_E_ABSENT, "no cell 'd' in row 1");
}

static void a_row_of_another_width_is_refused(void **state)
{
	(void)state;
	assert_refused("a,b\n1,2\n1,2,3\n", FW_E_INVALID, "a row of 3 cells below a header of 2  t.csv:3:1");
	assert_refused("a,b\n1,2\n\n", FW_E_INVALID, "a row of 1 cells");
}

static void bad_quotes_are_refused_where_they_stand(void **state)
{
	(void)state;
	assert_refused("a,b\n1,\"x\n", FW_E_INVALID, "a quoted cell does not end  t.csv:2:3");
	assert_refused("a\n\"x\"y\n", FW_E_INVALID, "goes on behind its quote  t.csv:2:4");
	assert_refused("a\nx\"y\n", FW_E_INVALID, "a quote inside a cell that does not start with one  t.csv:2:2");
}

static void a_header_needs_different_names(void **state)
{
	(void)state;
	assert_refused("a,b,a\n", FW_E_INVALID, "column 'a' is named twice  t.csv:1:5");
	assert_refused("a,,c\n", FW_E_INVALID, "column 2 has no name");
	assert_refused("# nothing\n", FW_E_INVALID, "no header line");
}

static void foreign_bytes_are_bounded(void **state)
{
	struct fw_csv *csv = NULL;
	struct fw_error *err = NULL;
	char commas[3001];

	(void)state;
	memset(commas, ',', 3000);
	commas[3000] = '\0';
	assert_refused(commas, FW_E_LIMIT, "more than 1024 columns");
	assert_error_is(fw_csv_load("t.csv", "a\0b", 3, &csv, &err), &err, FW_E_INVALID, "a NUL character  t.csv:1:2");
}

FW_TESTS(the_header_names_the_columns, what_is_not_there_is_null, comments_and_empty_lines_may_precede_the_header,
         quoted_cells_hold_commas_quotes_and_newlines, a_byte_order_mark_is_not_part_of_a_name,
         numbers_are_strict_and_empty_cells_are_nan, a_row_of_another_width_is_refused,
         bad_quotes_are_refused_where_they_stand, a_header_needs_different_names, foreign_bytes_are_bounded)
