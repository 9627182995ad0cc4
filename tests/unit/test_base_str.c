/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <string.h>

#include "base/memory.h"
#include "tests/unit/support.h"

static void assert_str(struct fw_str found, const char *expected)
{
	assert_int_equal(found.length, strlen(expected));
	assert_memory_equal(found.text, expected, found.length);
}

static void views_compare_by_content(void **state)
{
	(void)state;
	assert_true(fw_str_is(fw_str_of("ab"), "ab"));
	assert_false(fw_str_is(fw_str_of("ab"), "abc"));
	assert_true(fw_str_equal(fw_str_of(NULL), FW_STR("")));
	assert_true(fw_str_starts(FW_STR("memory.stat"), "memory."));
	assert_false(fw_str_starts(FW_STR("mem"), "memory"));
	assert_true(fw_str_ends(FW_STR("a.png"), ".png"));
	assert_false(fw_str_ends(FW_STR("png"), ".png"));
}

static void white_space_is_trimmed_at_both_ends(void **state)
{
	(void)state;
	assert_str(fw_str_trim(FW_STR(" \t a b\r\n")), "a b");
	assert_str(fw_str_trim(FW_STR(" \n")), "");
}

static void lines_end_at_newlines_without_their_carriage_return(void **state)
{
	struct fw_str rest = FW_STR("a\r\n\nb"), line;

	(void)state;
	assert_true(fw_str_next_line(&rest, &line));
	assert_str(line, "a");
	assert_true(fw_str_next_line(&rest, &line));
	assert_str(line, "");
	assert_true(fw_str_next_line(&rest, &line));
	assert_str(line, "b");
	assert_false(fw_str_next_line(&rest, &line));
}

static void a_final_newline_starts_no_line(void **state)
{
	struct fw_str rest = FW_STR("a\n"), line;

	(void)state;
	assert_true(fw_str_next_line(&rest, &line));
	assert_false(fw_str_next_line(&rest, &line));
}

static void a_final_separator_ends_with_an_empty_field(void **state)
{
	struct fw_str rest = FW_STR("a,,"), field;

	(void)state;
	assert_true(fw_str_next_field(&rest, ',', &field));
	assert_str(field, "a");
	assert_true(fw_str_next_field(&rest, ',', &field));
	assert_str(field, "");
	assert_true(fw_str_next_field(&rest, ',', &field));
	assert_str(field, "");
	assert_false(fw_str_next_field(&rest, ',', &field));
}

static void words_are_separated_by_runs_of_blanks(void **state)
{
	struct fw_str rest = FW_STR("  cpu \t 12 "), word;

	(void)state;
	assert_true(fw_str_next_word(&rest, &word));
	assert_str(word, "cpu");
	assert_true(fw_str_next_word(&rest, &word));
	assert_str(word, "12");
	assert_false(fw_str_next_word(&rest, &word));
}

static void integers_are_read_to_their_last_value(void **state)
{
	uint64_t unsigned_value = 0;
	int64_t value = 0;

	(void)state;
	assert_true(fw_str_to_u64(FW_STR("18446744073709551615"), &unsigned_value));
	assert_true(unsigned_value == UINT64_MAX);
	assert_true(fw_str_to_i64(FW_STR("-9223372036854775808"), &value));
	assert_true(value == INT64_MIN);
	assert_true(fw_str_to_i64(FW_STR("9223372036854775807"), &value));
	assert_true(value == INT64_MAX);
}

static void what_is_not_wholly_an_integer_is_refused_and_changes_nothing(void **state)
{
	static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "0x1", "1.0", "--1", "18446744073709551616"};
	uint64_t unsigned_value = 7;
	int64_t value = 7;

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(bad); i++) {
		assert_false(fw_str_to_u64(fw_str_of(bad[i]), &unsigned_value));
		assert_false(fw_str_to_i64(fw_str_of(bad[i]), &value));
	}
	assert_false(fw_str_to_i64(FW_STR("9223372036854775808"), &value));
	assert_false(fw_str_to_i64(FW_STR("-9223372036854775809"), &value));
	assert_false(fw_str_to_u64(FW_STR("-1"), &unsigned_value));
	assert_int_equal(unsigned_value, 7);
	assert_int_equal(value, 7);
}

static void decimals_are_read_exactly(void **state)
{
	static const struct {
		const char *text;
		double value;
	} cases[] = {{"0.1", 0.1}, {"-2", -2}, {".5", 0.5}, {"5.", 5}, {"1e3", 1000}, {"1.5E-2", 0.015}};
	double value = 0;

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		assert_true(fw_str_to_double(fw_str_of(cases[i].text), &value));
		assert_true(value == cases[i].value);
	}
}

static void what_is_not_a_finite_decimal_is_refused(void **state)
{
	static const char *const bad[] = {"", ".", "-", "+1", " 1", "1 ", "0x1p3", "inf", "nan", "1e", "1e+", "1,5", "1e999"};
	double value = 7;

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(bad); i++)
		assert_false(fw_str_to_double(fw_str_of(bad[i]), &value));
	assert_true(value == 7);
}

static void a_number_ends_where_its_view_ends(void **state)
{
	double real = 0;
	uint64_t value = 0;

	(void)state;
	assert_true(fw_str_to_u64((struct fw_str){"123", 2}, &value));
	assert_int_equal(value, 12);
	assert_true(fw_str_to_double((struct fw_str){"1.25", 3}, &real));
	assert_true(real == 1.2);
}

static void well_formed_characters_are_decoded(void **state)
{
	static const struct {
		const char *text;
		uint32_t character;
	} cases[] = {{"a", 'a'}, {"\xcf\x80", 0x3c0}, {"\xe2\x82\xac", 0x20ac}, {"\xf0\x9f\x98\x80", 0x1f600}};
	uint32_t character = 0;

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		assert_int_equal(fw_utf8_next(cases[i].text, strlen(cases[i].text), &character), strlen(cases[i].text));
		assert_int_equal(character, cases[i].character);
	}
}

static void malformed_characters_are_told(void **state)
{
	static const char *const bad[] = {"\x80", "\xc0\x80", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
	                                  "\xff", "\xe2\x82\x41"};
	uint32_t character = 0;

	(void)state;
	assert_int_equal(fw_utf8_next("", 0, &character), 0);
	for (size_t i = 0; i < FW_COUNT_OF(bad); i++)
		assert_int_equal(fw_utf8_next(bad[i], strlen(bad[i]), &character), 0);
}

static const char *nearest(const char *word)
{
	static const char *const known[] = {"split", "extract", "memory", "cpu", "timeout"};

	return fw_nearest(word, known, FW_COUNT_OF(known));
}

static void the_nearest_word_is_suggested(void **state)
{
	(void)state;
	assert_string_equal(nearest("splt"), "split");
	assert_string_equal(nearest("memroy"), "memory");
	assert_string_equal(nearest("extracts_"), "extract");
	assert_string_equal(nearest("cpus"), "cpu");
}

static void nothing_is_suggested_for_what_resembles_nothing(void **state)
{
	char longest[200] = {0};

	(void)state;
	assert_null(nearest("frames"));
	assert_null(nearest("cat"));
	assert_null(nearest(""));
	memset(longest, 'x', sizeof longest - 1);
	assert_null(nearest(longest));
}

static void paths_that_could_leave_their_root_are_told(void **state)
{
	static const char *const bad[] = {"", "/a", "..", "a/../b", "a//b", "a/", "./a", "a/."};

	(void)state;
	assert_true(fw_path_is_inside("a"));
	assert_true(fw_path_is_inside("a/b..c/.d"));
	for (size_t i = 0; i < FW_COUNT_OF(bad); i++)
		assert_false(fw_path_is_inside(bad[i]));
}

static void a_path_is_below_whole_components_alone(void **state)
{
	(void)state;
	assert_true(fw_path_is_below("/a/b", "/a"));
	assert_true(fw_path_is_below("/a", "/a"));
	assert_true(fw_path_is_below("/a", "/"));
	assert_false(fw_path_is_below("/ab", "/a"));
	assert_false(fw_path_is_below("/", "/a"));
	assert_false(fw_path_is_below("/a", ""));
	assert_false(fw_path_is_below("/a", NULL));
}

static void bytes_that_are_no_text_are_shown_escaped(void **state)
{
	static const struct {
		const char *text, *shown;
	} cases[] = {{"caf\xc3\xa9.txt", "caf\xc3\xa9.txt"}, {"caf\xe9.txt", "caf\\xE9.txt"}, {"a\x1b[31m\n", "a\\x1B[31m\\x0A"},
	             {"\xff\xfe", "\\xFF\\xFE"},           {"", ""},                    {"\xc2\x9bm", "\\xC2\\x9Bm"}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		fw_cleanup_free char *shown = fw_utf8_shown(cases[i].text);

		assert_string_equal(shown, cases[i].shown);
	}
}

FW_TESTS(bytes_that_are_no_text_are_shown_escaped, views_compare_by_content, white_space_is_trimmed_at_both_ends,
         lines_end_at_newlines_without_their_carriage_return, a_final_newline_starts_no_line,
         a_final_separator_ends_with_an_empty_field, words_are_separated_by_runs_of_blanks,
         integers_are_read_to_their_last_value, what_is_not_wholly_an_integer_is_refused_and_changes_nothing,
         decimals_are_read_exactly, what_is_not_a_finite_decimal_is_refused, a_number_ends_where_its_view_ends,
         well_formed_characters_are_decoded, malformed_characters_are_told, the_nearest_word_is_suggested,
         nothing_is_suggested_for_what_resembles_nothing, paths_that_could_leave_their_root_are_told,
         a_path_is_below_whole_components_alone)
