/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/memory.h"
#include "report/width.h"
#include "tests/unit/support.h"

static void wide_characters_take_two_columns_and_combining_ones_none(void **state)
{
	(void)state;
	assert_int_equal(fw_display_width(""), 0);
	assert_int_equal(fw_display_width("plain"), 5);
	assert_int_equal(fw_display_width("µs · …"), 6);
	assert_int_equal(fw_display_width("日本"), 4);
	assert_int_equal(fw_display_width("e\u0301"), 1);
	assert_int_equal(fw_display_width("🚀"), 2);
	assert_int_equal(fw_display_width("a\xff\xfe" "b"), 4); /* no UTF-8: a sign each */
}

static void a_cut_is_never_within_a_character(void **state)
{
	(void)state;
	assert_int_equal(fw_display_cut("日本語", 4), 6);
	assert_int_equal(fw_display_cut("日本語", 5), 6); /* the third would need two columns */
	assert_int_equal(fw_display_cut("äöü", 2), 4);
	assert_int_equal(fw_display_cut("abc", 9), 3);
	assert_int_equal(fw_display_cut("e\u0301x", 1), 3);
}

static void a_line_says_where_it_was_cut(void **state)
{
	static const struct {
		const char *text;
		size_t columns;
		const char *expected;
	} cases[] = {{"short", 5, "short"},   {"longer", 5, "long…"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"},
	             {"two\nlines\t.", 20, "two lines ."}, {"äöüß", 3, "äö…"},   {"x", 0, ""}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		fw_cleanup_free char *line = fw_display_line(cases[i].text, cases[i].columns);

		assert_string_equal(line, cases[i].expected);
		assert_true(fw_display_width(line) <= cases[i].columns);
	}
}

static void the_end_of_a_text_is_folded_at_words(void **state)
{
	static const char head[] = "a head that stays as wide as it is\n";
	fw_cleanup_buffer struct fw_buffer text;

	(void)state;
	fw_buffer_init(&text, 1 << 16);
	fw_buffer_text(&text, head);
	fw_buffer_text(&text, "  one two three four\n  five\n  wordwithoutanend x\n");
	fw_display_fold(&text, strlen(head), 14);
	assert_string_equal(text.data, "a head that stays as wide as it is\n  one two\n    three four\n  five\n  wordwithouta\n    nend x\n");
	fw_display_fold(&text, 0, 0);
	assert_int_equal(strlen(text.data), text.length);
	assert_true(text.length > strlen(head));
}

FW_TESTS(wide_characters_take_two_columns_and_combining_ones_none, a_cut_is_never_within_a_character,
         a_line_says_where_it_was_cut, the_end_of_a_text_is_folded_at_words)
