/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "record/event.h"
#include "tests/unit/support.h"

static int decode(const char *text, struct fw_answer *answer, struct fw_error **err)
{
	return fw_answer_decode(text, strlen(text), answer, err);
}

static void refuse(int code, const char *text, const char *message)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_answer answer;

	assert_error_is(decode(text, &answer, &err), &err, code, message);
}

static void reads_what_a_function_tells(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_answer answer;
	(void)state;

	assert_ok(decode("{\"outputs\": {\"frames\": [\"0003-000.png\", \"b/0.png\"], \"none\": []},"
	                 " \"phases\": {\"read_ms\": 12.1, \"write_ms\": 3}, \"units\": 12,"
	                 " \"metrics\": {\"accuracy\": 0.81}, \"result\": {\"any\": \"JSON\"}}", &answer, &err), err);
	assert_int_equal(answer.outputs.count, 2);
	assert_string_equal(answer.outputs.items[0].name, "frames");
	assert_string_equal(answer.outputs.items[0].objects.items[1], "b/0.png");
	assert_int_equal(answer.outputs.items[1].objects.count, 0);
	assert_true(answer.read_ms > 12 && answer.read_ms < 12.2);
	assert_true(isnan(answer.compute_ms));
	assert_true(answer.write_ms > 2.9 && answer.units > 11.9);
	assert_non_null(json_object_get(answer.metrics, "accuracy"));
	assert_non_null(json_object_get(answer.result, "any"));
	fw_answer_done(&answer);
}

static void nothing_to_tell_is_an_answer_too(void **state)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_answer answer;
	(void)state;

	assert_ok(decode("{}", &answer, &err), err);
	assert_true(isnan(answer.units) && !answer.metrics && !answer.result);
	fw_answer_done(&answer);
}

static void names_cannot_leave_the_output(void **state)
{
	(void)state;
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": [\"a\", \"b\", \"../x\"]}}",
	       "answer: outputs.frames[2]: \"../x\" leaves the output's directory");
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": [\"/etc/passwd\"]}}", "outputs.frames[0]: \"/etc/passwd\" leaves");
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": [\"a/../../b\"]}}", "\"a/../../b\" leaves the output's directory");
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": [\"\"]}}", "outputs.frames[0]: \"\" is empty");
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": [\"a\\u001b[31m\"]}}", "contains a control character");
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": [\"a\", \"a\"]}}", "outputs.frames[1]: \"a\" is named twice");
	refuse(FW_E_INVALID, "{\"outputs\": {\"../up\": [\"a\"]}}", "outputs: \"../up\" cannot be the name of an output");
}

static void wrong_types_and_unknown_keys_are_told(void **state)
{
	(void)state;
	refuse(FW_E_INVALID, "null", "answer");
	refuse(FW_E_INVALID, "{\"output\": {}}", "did you mean 'outputs'?");
	refuse(FW_E_INVALID, "{\"outputs\": []}", "answer: outputs: must be an object");
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": \"x\"}}", "answer: outputs.frames: must be a list of file names");
	refuse(FW_E_INVALID, "{\"outputs\": {\"frames\": [7]}}", "answer: outputs.frames[0]: must be a file name");
	refuse(FW_E_INVALID, "{\"phases\": {\"think_ms\": 1}}", "think_ms");
	refuse(FW_E_INVALID, "{\"phases\": {\"read_ms\": -1}}", "answer: phases.read_ms: must be zero or more");
	refuse(FW_E_INVALID, "{\"units\": -2}", "answer: units: must be zero or more");
	refuse(FW_E_INVALID, "{\"metrics\": {\"a\": \"1\"}}", "answer: metrics: \"a\" must be a number");
	refuse(FW_E_INVALID, "{\"units\": 1, \"units\": 2}", "answer");
	refuse(FW_E_INVALID, "{} {}", "answer");
}

static void the_number_and_length_of_names_are_bounded(void **state)
{
	fw_cleanup_buffer struct fw_buffer text;
	(void)state;

	fw_buffer_init(&text, 8 << 20);
	fw_buffer_text(&text, "{\"outputs\": {\"frames\": [\"0\"");
	for (int i = 1; i <= FW_ANSWER_MAX_OBJECTS; i++)
		fw_buffer_printf(&text, ",\"%d\"", i);
	fw_buffer_text(&text, "]}}");
	refuse(FW_E_LIMIT, text.data, "answer: outputs.frames: more than 100000 objects in one answer");

	fw_buffer_clear(&text);
	fw_buffer_text(&text, "{\"outputs\": {\"frames\": [\"");
	for (int i = 0; i <= FW_OBJECT_NAME_MAX_BYTES; i++)
		fw_buffer_text(&text, "n");
	fw_buffer_text(&text, "\"]}}");
	refuse(FW_E_INVALID, text.data, "n\"... is longer than 512 bytes");
}

FW_TESTS(reads_what_a_function_tells, nothing_to_tell_is_an_answer_too, names_cannot_leave_the_output,
         wrong_types_and_unknown_keys_are_told, the_number_and_length_of_names_are_bounded)
