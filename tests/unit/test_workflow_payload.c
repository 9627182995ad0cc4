/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/workflow_fixture.h"

/* Two stages: 'made' with a result, 'use' with the payload. */
static int fill(const char *payload, const char *result, json_t **filled, struct fw_error **err)
{
	fw_cleanup_free char *text = fw_printf(
		"{name: w, storage: d, function: {package: p}, stages: {made: {}, use: {payload: %s, outputs: {o: {keys: '*'}}}}}",
		payload);
	struct fw_workflow *workflow FW_CLEANUP(fw_workflow_free) = NULL;
	fw_cleanup_json json_t *value = result ? json_loads(result, JSON_DECODE_ANY, NULL) : NULL;
	json_t *results[] = {value, NULL};
	struct fw_error *reason FW_CLEANUP(fw_error_free) = NULL;

	assert_ok(fw_workflow_parse("w.yaml", text, strlen(text), NULL, false, &workflow, &reason), reason);
	return fw_payload_fill(workflow, fw_workflow_stage(workflow, "use"), results, "/attempt", filled, err);
}

static void assert_filled(const char *payload, const char *result, const char *expected)
{
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	fw_cleanup_json json_t *filled = NULL;

	assert_ok(fill(payload, result, &filled, &err), err);
	fw_cleanup_free char *text = json_dumps(filled, JSON_ENCODE_ANY | JSON_COMPACT);
	assert_string_equal(text, expected);
}

static void a_placeholder_alone_keeps_the_type(void **state)
{
	(void)state;
	assert_filled("{n: '${made.result.n}'}", "{\"n\": 3}", "{\"n\":3}");
	assert_filled("['${made.result}', 1]", "{\"list\": [1, null]}", "[{\"list\":[1,null]},1]");
	assert_filled("'${made.result.list.1.x}'", "{\"list\": [0, {\"x\": true}]}", "true");
}

static void inside_text_a_value_becomes_text(void **state)
{
	(void)state;
	assert_filled("'n=${made.result.n}, s=${made.result.s}'", "{\"n\": 3, \"s\": \"a\\\"b\"}", "\"n=3, s=a\\\"b\"");
	assert_filled("'${made.result.n}${made.result.n}'", "{\"n\": [1]}", "\"[1][1]\"");
}

static void a_filled_text_is_not_filled_again(void **state)
{
	(void)state;
	assert_filled("'${made.result.s}!'", "{\"s\": \"${made.result.s}\"}", "\"${made.result.s}!\"");
}

static void outputs_become_the_directories_of_the_attempt(void **state)
{
	(void)state;
	assert_filled("{to: '${output.o}', file: '${output.o}/x.json'}", NULL,
	              "{\"to\":\"/attempt/o\",\"file\":\"/attempt/o/x.json\"}");
}

static void two_dollars_stand_for_one(void **state)
{
	(void)state;
	assert_filled("'$${HOME} $5 $$ {x}'", NULL, "\"${HOME} $5 $$ {x}\"");
	assert_filled("'$${a}${made.result}$${b}'", "1", "\"${a}1${b}\"");
}

static void what_a_producer_did_not_give_is_named(void **state)
{
	struct fw_error *err = NULL;
	json_t *filled = NULL;

	(void)state;
	assert_error_is(fill("'${made.result.count}'", "{\"n\": 1}", &filled, &err), &err, FW_E_ABSENT,
	                "payload of stage 'use': stage 'made' gave no result.count");
	assert_error_is(fill("['x ${made.result}']", NULL, &filled, &err), &err, FW_E_ABSENT, "stage 'made' gave no result");
	assert_null(filled);
}

static void a_payload_stays_within_the_limit_of_a_request(void **state)
{
	fw_cleanup_free char *text = fw_alloc(4 << 20);
	fw_cleanup_free char *result = NULL;
	struct fw_error *err = NULL;
	json_t *filled = NULL;

	(void)state;
	memset(text, 'x', (4 << 20) - 1);
	result = fw_printf("\"%s\"", text);
	assert_error_is(fill("'${made.result} ${made.result}'", result, &filled, &err), &err, FW_E_LIMIT, "6 MB");
}

/* ---- conditions ---- */

static bool holds(const char *path, enum fw_operator operator_, const char *value, const char *result)
{
	fw_cleanup_json json_t *right = json_loads(value, JSON_DECODE_ANY, NULL);
	fw_cleanup_json json_t *left = result ? json_loads(result, JSON_DECODE_ANY, NULL) : NULL;
	char copy[32];
	struct fw_condition condition = {.path = copy, .operator_ = operator_, .value = right};

	snprintf(copy, sizeof copy, "%s", path);
	return fw_condition_holds(&condition, left);
}

static void numbers_are_compared_as_numbers(void **state)
{
	(void)state;
	assert_true(holds("n", FW_OP_GT, "9", "{\"n\": 10}"));
	assert_false(holds("n", FW_OP_GT, "10", "{\"n\": 10}"));
	assert_true(holds("n", FW_OP_GE, "10.0", "{\"n\": 10}"));
	assert_true(holds("n", FW_OP_LT, "0.5", "{\"n\": 0.25}"));
	assert_true(holds("n", FW_OP_EQ, "1", "{\"n\": 1.0}"));
	assert_true(holds("n", FW_OP_NE, "9007199254740993", "{\"n\": 9007199254740992}"));
	assert_true(holds("n", FW_OP_LE, "-1", "{\"n\": -1}"));
}

static void text_is_compared_as_text(void **state)
{
	(void)state;
	assert_true(holds("s.0", FW_OP_EQ, "\"b\"", "{\"s\": [\"b\"]}"));
	assert_true(holds("", FW_OP_LT, "\"b\"", "\"a\""));
}

static void different_types_are_only_unequal(void **state)
{
	(void)state;
	assert_false(holds("", FW_OP_EQ, "\"1\"", "1"));
	assert_true(holds("", FW_OP_NE, "\"1\"", "1"));
	assert_false(holds("", FW_OP_LT, "\"1\"", "1"));
	assert_true(holds("", FW_OP_EQ, "true", "true"));
	assert_true(holds("", FW_OP_NE, "true", "false"));
	assert_false(holds("", FW_OP_GE, "true", "true"));
}

static void what_is_not_there_never_holds(void **state)
{
	(void)state;
	assert_false(holds("x", FW_OP_NE, "1", "{}"));
	assert_false(holds("", FW_OP_NE, "1", NULL));
}

FW_TESTS(a_placeholder_alone_keeps_the_type, inside_text_a_value_becomes_text, a_filled_text_is_not_filled_again,
         outputs_become_the_directories_of_the_attempt, two_dollars_stand_for_one, what_a_producer_did_not_give_is_named,
         a_payload_stays_within_the_limit_of_a_request, numbers_are_compared_as_numbers, text_is_compared_as_text,
         different_types_are_only_unequal, what_is_not_there_never_holds)
