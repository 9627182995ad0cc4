/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables whose cells are broken into lines, so that a terminal's width is kept.
 */
#include <string.h>

#include "base/memory.h"
#include "report/table.h"
#include "report/width.h"
#include "tests/unit/support.h"

static const char *const spare[] = {"gives"};

static char *print(size_t width, const char *gives, const char *here)
{
	struct fw_table *table = fw_table_new();
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 1 << 16);
	fw_table_column(table, "name", FW_LEFT);
	fw_table_column(table, "gives", FW_LEFT);
	fw_table_column(table, "here", FW_LEFT);
	fw_table_row(table);
	fw_table_cell(table, "rapl");
	fw_table_cell(table, "%s", gives);
	fw_table_cell(table, "%s", here);
	fw_table_wrap(table);
	fw_table_fit(table, width, spare, FW_COUNT_OF(spare));
	fw_table_print(table, false, &out);
	fw_table_free(table);
	return fw_buffer_take(&out);
}

static void a_cell_goes_on_below_itself_at_a_blank(void **state)
{
	fw_cleanup_free char *text = print(49, "joules", "two packages, each with its memory and no psys");

	(void)state;
	assert_string_equal(text, "  name  gives   here\n"
	                          "  rapl  joules  two packages, each with its\n"
	                          "                memory and no psys\n");
}

static void a_column_that_leaves_no_room_to_read_is_left_out(void **state)
{
	static const char words[] = "words that take more than sixty columns, if nobody breaks them up into lines";
	fw_cleanup_free char *narrow = print(60, words, words), *wide = print(100, words, words), *any = print(0, words, words);

	(void)state;
	assert_string_equal(narrow, "  name  here\n"
	                            "  rapl  words that take more than sixty columns, if nobody\n"
	                            "        breaks them up into lines\n"
	                            "  a wider terminal shows: gives\n");
	assert_string_equal(wide, "  name  gives                                          here\n"
	                          "  rapl  words that take more than sixty columns, if    words that take more than sixty columns, if\n"
	                          "        nobody breaks them up into lines               nobody breaks them up into lines\n");
	assert_non_null(strstr(any, words));
}

static void what_has_no_blank_is_broken_where_the_line_ends(void **state)
{
	(void)state;
	assert_int_equal(fw_display_break("intel-rapl:0:0", 5), 5);
	assert_int_equal(fw_display_break("日本語", 1), 3); /* wider than the line, and yet it goes on */
	assert_int_equal(fw_display_break("one two", 3), 3);
	assert_int_equal(fw_display_break("one two", 6), 3);
	assert_int_equal(fw_display_break("one two", 7), 7);
}

static void a_paragraph_is_indented_from_its_second_line_on(void **state)
{
	fw_cleanup_buffer struct fw_buffer out;

	(void)state;
	fw_buffer_init(&out, 4096);
	fw_display_paragraph("one two three four", 9, 2, &out);
	fw_cleanup_free char *text = fw_buffer_take(&out);

	assert_string_equal(text, "one two\n  three\n  four\n");
}

FW_TESTS(a_cell_goes_on_below_itself_at_a_blank, a_column_that_leaves_no_room_to_read_is_left_out,
         what_has_no_blank_is_broken_where_the_line_ends, a_paragraph_is_indented_from_its_second_line_on)
