/* SPDX-License-Identifier: Apache-2.0
 *
 * The SDK's JSON slices.
 */
#include "tests/unit/function_host.h"

#include <stdlib.h>
#include <string.h>

#include "function/sdk.h"

static struct fw_sdk_text text_of(const char *text)
{
	return (struct fw_sdk_text){text, strlen(text)};
}

static void well_formed_json_is_accepted_and_the_rest_refused(void **state)
{
	static const char *const good[] = {"0", "-1.5e+3", "\"a\\u00e9\\n\"", "[]", "{}", " {\"a\" : [1, {\"b\":null}], \"c\":true} "};
	static const char *const bad[] = {"", " ", "01", "1.", ".5", "+1", "nul", "\"a", "\"\\x\"", "\"\\u12g4\"", "[1,]", "[,1]",
	                                  "{\"a\"}", "{\"a\":1,}", "{a:1}", "[1 2]", "[1]]", "\"\n\"", "{\"a\":1 \"b\":2}", "1 2"};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (!fw_sdk_json_check(text_of(good[i])))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (fw_sdk_json_check(text_of(bad[i])))
			fail_msg("accepted: %s", bad[i]);
}

static void depth_is_bounded(void **state)
{
	char deep[512];

	(void)state;
	memset(deep, '[', 64);
	memset(deep + 64, ']', 64);
	assert_true(fw_sdk_json_check((struct fw_sdk_text){deep, 128}));
	memset(deep, '[', 65);
	memset(deep + 65, ']', 65);
	assert_false(fw_sdk_json_check((struct fw_sdk_text){deep, 130}));
}

static void members_are_found_by_their_decoded_name(void **state)
{
	struct fw_sdk_text object = text_of("{\"x\":[{\"a\":9}], \"\\u0061\" : 3 ,\"b\":\"}\"}"), value;

	(void)state;
	assert_true(fw_sdk_json_member(object, "a", &value));
	assert_int_equal(value.length, 1);
	assert_true(fw_sdk_json_member(object, "b", &value));
	assert_memory_equal(value.bytes, "\"}\"", 3);
	assert_false(fw_sdk_json_member(object, "c", &value));
	assert_false(fw_sdk_json_member(text_of("[\"a\",1]"), "a", &value));
}

static void strings_are_decoded_to_utf8(void **state)
{
	struct fw_sdk_arena arena = {0};

	(void)state;
	assert_string_equal(fw_sdk_json_string(&arena, text_of("\"\\u00e9 \\ud83d\\ude00 \\t\\/\\\\ \\ud83d.\"")),
	                    "\xc3\xa9 \xf0\x9f\x98\x80 \t/\\ \xef\xbf\xbd.");
	assert_null(fw_sdk_json_string(&arena, text_of("\"a\\u0000b\"")));
	assert_null(fw_sdk_json_string(&arena, text_of("12")));
	fw_sdk_arena_done(&arena);
}

static void numbers_keep_their_whole_value(void **state)
{
	int64_t integer;
	double number;

	(void)state;
	assert_true(fw_sdk_json_integer(text_of("9007199254740993"), &integer));
	assert_int_equal(integer, 9007199254740993);
	assert_true(fw_sdk_json_integer(text_of("3.0"), &integer));
	assert_int_equal(integer, 3);
	assert_false(fw_sdk_json_integer(text_of("3.5"), &integer));
	assert_false(fw_sdk_json_integer(text_of("\"3\""), &integer));
	assert_true(fw_sdk_json_number(text_of("-0.25e1"), &number));
	assert_true(number > -2.51 && number < -2.49);
	assert_false(fw_sdk_json_number(text_of("1e999"), &number));
}

static void quoted_text_is_always_valid_json(void **state)
{
	struct fw_sdk_buffer buffer = {.max = 1024};

	(void)state;
	fw_sdk_append_quoted(&buffer, "a\"b\\c\n\x01 \xc3\xa9 \xff\xc3 \xed\xa0\x80.");
	assert_string_equal(buffer.bytes, "\"a\\\"b\\\\c\\u000a\\u0001 \xc3\xa9 \\ufffd\\ufffd \\ufffd\\ufffd\\ufffd.\"");
	assert_true(fw_sdk_json_check((struct fw_sdk_text){buffer.bytes, buffer.length}));
	fw_sdk_buffer_done(&buffer);
}

static void a_full_buffer_says_so_and_keeps_what_it_has(void **state)
{
	struct fw_sdk_buffer buffer = {.max = 8};

	(void)state;
	fw_sdk_append_text(&buffer, "1234");
	fw_sdk_append_text(&buffer, "56789");
	fw_sdk_append_text(&buffer, "5");
	assert_true(buffer.full);
	assert_string_equal(buffer.bytes, "1234");
	fw_sdk_buffer_done(&buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_json_is_accepted_and_the_rest_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(members_are_found_by_their_decoded_name),
		cmocka_unit_test(strings_are_decoded_to_utf8),
		cmocka_unit_test(numbers_keep_their_whole_value),
		cmocka_unit_test(quoted_text_is_always_valid_json),
		cmocka_unit_test(a_full_buffer_says_so_and_keeps_what_it_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
