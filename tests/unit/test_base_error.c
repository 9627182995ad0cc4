/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/support.h"

static void assert_described(struct fw_error *error, const char *expected)
{
	fw_cleanup_free char *described = fw_error_describe(error);

	assert_string_equal(described, expected);
}

static void a_failure_returns_its_code_and_says_why(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	assert_int_equal(fw_fail(&err, FW_E_LIMIT, "more than %d", 3), FW_E_LIMIT);
	assert_int_equal(fw_error_code(err), FW_E_LIMIT);
	assert_string_equal(fw_error_message(err), "more than 3");
}

static void nobody_needs_to_ask_for_the_error(void **state)
{
	(void)state;
	assert_int_equal(fw_fail(NULL, FW_E_IO, "x"), FW_E_IO);
	assert_int_equal(fw_fail_errno(NULL, ENOENT, "x"), FW_E_ABSENT);
	assert_int_equal(fw_error_wrap(NULL, FW_E_IO, "x"), FW_E_IO);
	assert_int_equal(fw_error_hint(NULL, FW_E_IO, "x"), FW_E_IO);
	assert_int_equal(fw_error_at(NULL, FW_E_IO, "f", 1, 1, NULL, 0), FW_E_IO);
}

static void an_errno_gives_its_reason_and_its_code(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	assert_int_equal(fw_fail_errno(&err, EACCES, "open %s", "/x"), FW_E_PERMISSION);
	assert_string_equal(fw_error_message(err), "open /x: Permission denied");
}

static void a_later_failure_replaces_an_earlier_one(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	fw_fail(&err, FW_E_IO, "first");
	fw_fail(&err, FW_E_ABSENT, "second");
	assert_string_equal(fw_error_message(err), "second");
}

static void wrapping_puts_what_was_attempted_in_front(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	int rc = fw_fail(&err, FW_E_ABSENT, "no stage named '%s'", "splt");
	rc = fw_error_wrap(&err, rc, "stage '%s'", "extract");
	assert_int_equal(fw_error_wrap(&err, rc, "run video"), FW_E_ABSENT);
	assert_described(err, "run video: stage 'extract': no stage named 'splt'");
}

static void the_last_hint_wins(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	int rc = fw_fail(&err, FW_E_USAGE, "no");
	rc = fw_error_hint(&err, rc, "try this");
	fw_error_hint(&err, rc, "try %s", "that");
	assert_described(err, "no\n  hint: try that");
}

static void the_first_position_wins(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	int rc = fw_fail(&err, FW_E_INVALID, "no");
	rc = fw_error_at(&err, rc, "inner.yaml", 3, 4, NULL, 0);
	fw_error_at(&err, rc, "outer.yaml", 1, 1, NULL, 0);
	assert_described(err, "no  inner.yaml:3:4");
}

static void the_caret_stands_below_the_column(void **state)
{
	static const char line[] = "  memory: lots\nnext: line\n";
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	int rc = fw_fail(&err, FW_E_INVALID, "not a number");
	rc = fw_error_at(&err, rc, "w.yaml", 7, 11, line, sizeof line - 1);
	fw_error_hint(&err, rc, "write 1024");
	assert_described(err, "not a number  w.yaml:7:11\n"
	                      "    memory: lots\n"
	                      "            ^\n"
	                      "  hint: write 1024");
}

static void tabs_and_characters_of_many_bytes_keep_the_caret_in_place(void **state)
{
	static const char line[] = "\tπ: \t§x";
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	int rc = fw_fail(&err, FW_E_INVALID, "no");
	fw_error_at(&err, rc, "f", 1, 7, line, sizeof line - 1);
	assert_described(err, "no  f:1:7\n  \tπ: \t§x\n  \t   \t ^");
}

static void an_offset_finds_its_line_and_column_in_characters(void **state)
{
	static const char text[] = "one\nπ = x\n";
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	fw_error_at_offset(&err, fw_fail(&err, FW_E_INVALID, "no"), "f", text, sizeof text - 1, 9);
	assert_described(err, "no  f:2:5\n  π = x\n      ^");
}

static void an_offset_behind_the_end_points_at_the_end(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	fw_error_at_offset(&err, fw_fail(&err, FW_E_INVALID, "no"), "f", "ab", 2, 99);
	assert_described(err, "no  f:1:3\n  ab\n    ^");
}

static void a_long_line_is_cut_around_the_column(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;
	char line[501];

	(void)state;
	memset(line, 'a', 500);
	line[300] = 'X';
	fw_error_at(&err, fw_fail(&err, FW_E_INVALID, "no"), "f", 1, 301, line, 500);
	fw_cleanup_free char *described = fw_error_describe(err);
	char *shown = strchr(described, '\n') + 1, *caret = strchr(shown, '\n') + 1;
	size_t ellipsis = strlen("…");

	assert_int_equal(caret - shown - 1, 2 + 98 + 2 * (long)ellipsis);
	assert_int_equal(strchr(shown, 'X') - shown - ((long)ellipsis - 1), strchr(caret, '^') - caret);
}

static void a_long_line_is_cut_at_its_end_alone_when_the_column_is_in_front(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;
	char line[501];

	(void)state;
	memset(line, 'a', 500);
	fw_error_at(&err, fw_fail(&err, FW_E_INVALID, "no"), "f", 1, 1, line, 500);
	fw_cleanup_free char *described = fw_error_describe(err);

	assert_non_null(strstr(described, "\n  aaaa"));
	assert_non_null(strstr(described, "aaa…\n  ^"));
}

static void no_quoted_byte_can_steer_the_terminal(void **state)
{
	static const char line[] = "a\x1b[31mb\r";
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	int rc = fw_fail(&err, FW_E_INVALID, "bad \x1b[2J");
	fw_error_at(&err, rc, "f", 1, 1, line, sizeof line - 1);
	assert_described(err, "bad ?[2J  f:1:1\n  a?[31mb\n  ^");
}

static void every_code_has_a_name_a_text_and_an_exit_status(void **state)
{
	(void)state;
	assert_string_equal(fw_code_name(FW_E_USAGE), "FW_E_USAGE");
	assert_string_equal(fw_code_text(FW_E_NO_SPACE), "no space left");
	assert_int_equal(fw_code_exit_status(FW_OK), 0);
	assert_int_equal(fw_code_exit_status(FW_E_FUNCTION), 1);
	assert_int_equal(fw_code_exit_status(FW_E_CANCELLED), 130);
	assert_int_equal(fw_code_exit_status(-999), 3);
}

static void errnos_are_sorted_by_what_a_user_can_do(void **state)
{
	static const struct {
		int errnum, code;
	} cases[] = {{ENOENT, FW_E_ABSENT},  {EROFS, FW_E_PERMISSION},     {ENOSPC, FW_E_NO_SPACE},
	             {EBUSY, FW_E_BUSY},     {EMFILE, FW_E_ENVIRONMENT},   {ENAMETOOLONG, FW_E_LIMIT},
	             {EEXIST, FW_E_CONFLICT}, {ETIMEDOUT, FW_E_TIMEOUT},   {EIO, FW_E_IO}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(fw_code_from_errno(cases[i].errnum), cases[i].code);
}

FW_TESTS(a_failure_returns_its_code_and_says_why, nobody_needs_to_ask_for_the_error, an_errno_gives_its_reason_and_its_code,
         a_later_failure_replaces_an_earlier_one, wrapping_puts_what_was_attempted_in_front, the_last_hint_wins,
         the_first_position_wins, the_caret_stands_below_the_column,
         tabs_and_characters_of_many_bytes_keep_the_caret_in_place, an_offset_finds_its_line_and_column_in_characters,
         an_offset_behind_the_end_points_at_the_end, a_long_line_is_cut_around_the_column,
         a_long_line_is_cut_at_its_end_alone_when_the_column_is_in_front, no_quoted_byte_can_steer_the_terminal,
         every_code_has_a_name_a_text_and_an_exit_status, errnos_are_sorted_by_what_a_user_can_do)
