/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <string.h>

#include "base/memory.h"
#include "tests/unit/support.h"

static json_t *load(const char *text)
{
	json_t *json = NULL;
	fw_cleanup_error struct fw_error *err = NULL;

	assert_ok(fw_json_load("e.json", text, strlen(text), &json, &err), err);
	return json;
}

static void assert_refused(const char *text, int code, const char *expected)
{
	json_t *json = NULL;
	struct fw_error *err = NULL;

	assert_error_is(fw_json_load("e.json", text, strlen(text), &json, &err), &err, code, expected);
	assert_null(json);
}

static void assert_round(const char *text, const char *expected)
{
	fw_cleanup_json json_t *json = load(text);
	fw_cleanup_free char *dumped = fw_json_dump(json);

	assert_string_equal(dumped, expected);
}

static void values_of_every_kind_survive_in_their_order(void **state)
{
	(void)state;
	assert_round("{\"b\": [1, 2.5, true, false, null], \"a\": {\"c\": \"x\"}}",
	             "{\"b\":[1,2.5,true,false,null],\"a\":{\"c\":\"x\"}}");
	assert_round(" 3 ", "3");
}

static void integers_are_exact(void **state)
{
	(void)state;
	assert_round("[9007199254740993,9223372036854775807,-9223372036854775808]",
	             "[9007199254740993,9223372036854775807,-9223372036854775808]");
	assert_refused("[9223372036854775808]", FW_E_INVALID, "too big integer");
}

static void reals_are_written_as_short_as_they_can_be(void **state)
{
	(void)state;
	assert_round("[0.1, 1.0, 1e300, 0.30000000000000004, -2.5e-7]", "[0.1,1.0,1e+300,0.30000000000000004,-2.5e-07]");
}

static void text_is_escaped_where_json_wants_it(void **state)
{
	(void)state;
	assert_round("\"a\\\"b\\\\c\\n\\u0001\\u007f π/\"", "\"a\\\"b\\\\c\\n\\u0001\\u007f π/\"");
}

static void bytes_that_are_not_text_are_replaced_when_quoted(void **state)
{
	fw_cleanup_buffer struct fw_buffer out;

	(void)state;
	fw_buffer_init(&out, 100);
	assert_int_equal(fw_json_quote((struct fw_str){"a\xff\0\xe2\x82", 5}, &out), FW_OK);
	assert_string_equal(out.data, "\"a\xef\xbf\xbd\\u0000\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void a_buffer_too_small_is_told(void **state)
{
	fw_cleanup_json json_t *json = load("[\"long enough\"]");
	fw_cleanup_buffer struct fw_buffer out;

	(void)state;
	fw_buffer_init(&out, 5);
	assert_int_equal(fw_json_append(json, &out), FW_E_LIMIT);
}

static void an_error_points_at_the_token(void **state)
{
	(void)state;
	assert_refused("{\"a\": 1,\n \"π\": oops}", FW_E_INVALID, "e.json:2:7\n   \"π\": oops}\n        ^");
	assert_refused("[1,]", FW_E_INVALID, "e.json:1:4");
	assert_refused("[1", FW_E_INVALID, "e.json:1:3");
	assert_refused("", FW_E_INVALID, "e.json:1:1");
}

static void duplicate_keys_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"a\": 1, \"a\": 2}", FW_E_INVALID, "duplicate object key");
}

static void a_second_value_is_refused(void **state)
{
	(void)state;
	assert_refused("1 2", FW_E_INVALID, "end of file expected");
}

static void nul_characters_and_bad_utf8_are_refused(void **state)
{
	(void)state;
	assert_refused("\"a\\u0000b\"", FW_E_INVALID, "\\u0000");
	assert_refused("\"\xff\"", FW_E_INVALID, "unable to decode");
}

static void nesting_is_allowed_to_the_limit_and_refused_beyond(void **state)
{
	char text[200] = {0};

	(void)state;
	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	json_decref(load(text));
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	assert_refused(text, FW_E_LIMIT, "nested deeper than 64 levels  e.json:1:65");
}

static void brackets_in_text_are_not_nesting(void **state)
{
	char text[200] = "\"\\\"";

	(void)state;
	memset(text + 3, '[', 100);
	text[103] = '"';
	json_decref(load(text));
}

static void members_are_found_by_pointer_and_by_path(void **state)
{
	fw_cleanup_json json_t *json = load("{\"a\": {\"b\": [10, {\"c/d~\": 20}]}}");

	(void)state;
	assert_ptr_equal(fw_json_at(json, ""), json);
	assert_int_equal(json_integer_value(fw_json_at(json, "a.b.0")), 10);
	assert_int_equal(json_integer_value(fw_json_at(json, "/a/b/1/c~1d~0")), 20);
	assert_null(fw_json_at(json, "a.b.2"));
	assert_null(fw_json_at(json, "a.b.-1"));
	assert_null(fw_json_at(json, "a.x.y"));
	assert_null(fw_json_at(json, "a.b.0.z"));
}

struct target {
	char *name;
	int64_t count;
	double rate;
	bool on;
	json_t *any;
};

static int read_target(const char *text, struct target *target, bool allow_unknown, struct fw_error **err)
{
	const struct fw_json_member members[] = {
		{"name", 's', true, &target->name}, {"count", 'i', false, &target->count}, {"rate", 'n', false, &target->rate},
		{"on", 'b', false, &target->on},    {"any", 'o', false, &target->any},
	};
	fw_cleanup_json json_t *json = load(text);

	return fw_json_read(json, "answer", members, FW_COUNT_OF(members), allow_unknown, err);
}

static void an_object_is_read_by_table(void **state)
{
	struct target target = {.name = fw_strdup("old"), .count = 7};
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	assert_ok(read_target("{\"name\": \"x\", \"count\": null, \"rate\": 2, \"on\": true}", &target, false, &err), err);
	assert_string_equal(target.name, "x");
	assert_int_equal(target.count, 7);
	assert_true(target.rate == 2);
	assert_true(target.on);
	assert_null(target.any);
	free(target.name);
}

static void a_refused_object_changes_nothing(void **state)
{
	struct target target = {.count = 7};
	struct fw_error *err = NULL;

	(void)state;
	assert_error_is(read_target("{\"name\": \"x\", \"count\": 1, \"on\": 1}", &target, false, &err), &err, FW_E_INVALID,
	                "answer: 'on' must be true or false");
	assert_null(target.name);
	assert_int_equal(target.count, 7);
}

static void missing_and_unknown_members_are_refused(void **state)
{
	struct target target = {0};
	struct fw_error *err = NULL;

	(void)state;
	assert_error_is(read_target("{}", &target, false, &err), &err, FW_E_INVALID, "answer: 'name' is missing");
	assert_error_is(read_target("{\"name\": \"x\", \"cuont\": 1}", &target, false, &err), &err, FW_E_INVALID,
	                "unknown member 'cuont'\n  hint: did you mean 'count'?");
	assert_error_is(read_target("[]", &target, false, &err), &err, FW_E_INVALID, "answer: must be an object");
}

static void unknown_members_pass_where_allowed(void **state)
{
	struct target target = {0};
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	assert_ok(read_target("{\"name\": \"x\", \"more\": 1}", &target, true, &err), err);
	free(target.name);
}

FW_TESTS(values_of_every_kind_survive_in_their_order, integers_are_exact, reals_are_written_as_short_as_they_can_be,
         text_is_escaped_where_json_wants_it, bytes_that_are_not_text_are_replaced_when_quoted,
         a_buffer_too_small_is_told, an_error_points_at_the_token, duplicate_keys_are_refused, a_second_value_is_refused,
         nul_characters_and_bad_utf8_are_refused, nesting_is_allowed_to_the_limit_and_refused_beyond,
         brackets_in_text_are_not_nesting, members_are_found_by_pointer_and_by_path, an_object_is_read_by_table,
         a_refused_object_changes_nothing, missing_and_unknown_members_are_refused, unknown_members_pass_where_allowed)
