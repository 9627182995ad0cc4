/* SPDX-License-Identifier: Apache-2.0
 *
 * The SDK against a scripted host: what a function sees, what the host gets.
 */
#include "tests/unit/function_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n";
static const char *const response = "POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n";
static const char *const error = "POST /2018-06-01/runtime/invocation/id-1/error HTTP/1.1\r\n";

/* Copies each object of "in" into "out" and tells what it saw of it. */
static int copy_handler(struct fw_invocation *invocation)
{
	struct fw_object object;
	int rc;

	while ((rc = fw_next_input(invocation, "in", &object)) == FW_OK) {
		char line[512];
		int length = snprintf(line, sizeof line, "%s|%s|%lld|%lld|%lld|%lld", object.uri, object.path, (long long)object.bytes,
		                      (long long)object.offset, (long long)object.length, (long long)object.index);

		const char *path = fw_output_path(invocation, "out", NULL);
		if (fw_write_output(invocation, path, line, (size_t)length) != FW_OK)
			return FW_ERROR;
		fw_units(invocation, 1);
	}
	return rc == FW_END ? FW_OK : rc;
}

static int told_handler(struct fw_invocation *invocation)
{
	fw_metric(invocation, "accuracy", 0.5);
	fw_metric(invocation, "accuracy", 0.81);
	fw_output_drop(invocation, fw_output_path(invocation, "out", ".txt"));
	fw_output_named(invocation, "out", "mine");
	fw_log(invocation, "task %lld of %lld", (long long)fw_task(invocation), (long long)fw_workers(invocation));
	return fw_result(invocation, "{\"any\":[1]}");
}

static int failing_handler(struct fw_invocation *invocation)
{
	return fw_fail_invocation(invocation, "Video.Corrupt", "%s: \"moov\" is missing", "a.mp4");
}

static int silent_handler(struct fw_invocation *invocation)
{
	(void)invocation;
	return 7;
}

static int params_handler(struct fw_invocation *invocation)
{
	char line[256];

	snprintf(line, sizeof line, "[\"%s\",%g,%lld,%d,\"%s\",%s]", fw_param_text(invocation, "name", "none"),
	         fw_param_number(invocation, "fps", 2), (long long)fw_param_integer(invocation, "chunk", 10),
	         fw_param_bool(invocation, "fast", 0), fw_param_text(invocation, "absent", "fallback"),
	         fw_param_json(invocation, "list"));
	return fw_result(invocation, line);
}

static int progress_handler(struct fw_invocation *invocation)
{
	for (int i = 1; i <= 100000; i++)
		fw_progress(invocation, i, 100000, "counting");
	return FW_OK;
}

static int plain_handler(struct fw_invocation *invocation)
{
	struct fw_object object;
	size_t length;
	const char *text = fw_event_text(invocation, &length);

	if (fw_next_input(invocation, "in", &object) != FW_END || fw_input_count(invocation, "in") != 0 || length != strlen(text))
		return FW_ERROR;
	return fw_result(invocation, text);
}

static void assert_has(const char *text, const char *part)
{
	if (!text)
		fail_msg("expected '%s', got nothing", part);
	else if (!strstr(text, part))
		fail_msg("expected '%s' in: %s", part, text);
}

static char *event_for(struct function_host *host, const char *handler, const char *inputs, const char *params)
{
	static char event[8192];

	snprintf(event, sizeof event,
	         "{\"flexwatt\":1,\"run\":\"r\",\"stage\":\"s\",\"handler\":\"%s\",\"task\":3,\"workers\":8,\"attempt\":2,"
	         "\"inputs\":{%s},\"outputs\":{\"out\":{\"directory\":\"%s\",\"suffix\":\".txt\"}},\"params\":{%s}}",
	         handler, inputs, host->directory, params);
	return event;
}

static const char *answer_to(struct function_host *host, const char *event, const char *start)
{
	host_expect(host, next);
	host_give(host, event);
	const char *body = host_expect(host, start);
	host_reply(host, "202 Accepted", "{\"status\":\"OK\"}");
	return body;
}

static void objects_go_in_and_come_out_in_order(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "copy", HANDLERS({"copy", copy_handler}));
	const char *body = answer_to(&host, event_for(&host, "copy",
		"\"in\":[{\"uri\":\"file:/x/a\",\"path\":\"/x/a\",\"bytes\":5},"
		"{\"path\":\"/x/b\",\"bytes\":9000000,\"offset\":1048576,\"length\":1024}]", ""), response);
	assert_has(body, "\"outputs\":{\"out\":[\"0003-000.txt\",\"0003-001.txt\"]}");
	assert_has(body, "\"phases\":{\"read_ms\":");
	assert_has(body, "\"units\":2");
	assert_string_equal(host_file(&host, "0003-000.txt"), "file:/x/a|/x/a|5|0|-1|0");
	assert_string_equal(host_file(&host, "0003-001.txt"), "/x/b|/x/b|9000000|1048576|1024|1");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void objects_that_are_not_local_are_staged_in_when_their_turn_comes(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "copy", HANDLERS({"copy", copy_handler}));
	host_expect(&host, next);
	host_give(&host, event_for(&host, "copy", "\"in\":[{\"uri\":\"s3://b/k\",\"bytes\":9,\"offset\":2,\"length\":4}]", ""));
	assert_string_equal(host_expect(&host, "POST /flexwatt/1/stage-in "), "{\"uri\":\"s3://b/k\",\"offset\":2,\"length\":4}");
	host_reply(&host, "200 OK", "{\"path\":\"/tmp/k\",\"offset\":0,\"length\":4}");
	host_expect(&host, response);
	assert_string_equal(host_file(&host, "0003-000.txt"), "s3://b/k|/tmp/k|9|0|4|0");
	assert_int_equal(host_end(&host), 1); /* no reply came to the answer */
}

static void a_refused_stage_in_fails_the_invocation_with_the_hosts_reason(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "copy", HANDLERS({"copy", copy_handler}));
	host_expect(&host, next);
	host_give(&host, event_for(&host, "copy", "\"in\":[{\"uri\":\"s3://b/k\"}]", ""));
	host_expect(&host, "POST /flexwatt/1/stage-in ");
	host_reply(&host, "404 Not Found", "{\"errorType\":\"Storage.NoSuchKey\",\"errorMessage\":\"s3://b/k: no such key\"}");
	const char *body = host_expect(&host, error);
	assert_has(host.request, "Lambda-Runtime-Function-Error-Type: Storage.NoSuchKey\r\n");
	assert_has(body, "s3://b/k: no such key");
	host_reply(&host, "202 Accepted", "{}");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void futures_are_waited_for_after_what_is_ready(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "copy", HANDLERS({"copy", copy_handler}));
	host_expect(&host, next);
	host_give(&host, event_for(&host, "copy", "\"in\":[{\"future\":\"t1\"},{\"path\":\"/x/ready\"},{\"future\":\"t2\"}]", ""));
	host_expect(&host, "GET /flexwatt/1/future/t1 ");
	assert_has(host_file(&host, "0003-000.txt"), "/x/ready|");
	host_reply(&host, "200 OK", "{\"objects\":[{\"path\":\"/x/1a\"},{\"path\":\"/x/1b\"}]}");
	host_expect(&host, "GET /flexwatt/1/future/t2 ");
	host_reply(&host, "200 OK", "{\"objects\":[]}");
	assert_has(host_expect(&host, response), "\"0003-002.txt\"]");
	assert_has(host_file(&host, "0003-002.txt"), "/x/1b|");
	host_reply(&host, "202 Accepted", "{}");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void a_manifest_is_read_line_by_line(void **state)
{
	struct function_host host;
	char inputs[256];

	(void)state;
	host_start(&host, "copy", HANDLERS({"copy", copy_handler}));
	host_write_file(&host, "list", "{\"path\":\"/x/a\",\"bytes\":1}\n{\"path\":\"/x/b\",\"bytes\":2}\n");
	snprintf(inputs, sizeof inputs, "\"in\":{\"manifest\":\"%s/list\",\"count\":2,\"sha256\":\"\"}", host.directory);
	assert_has(answer_to(&host, event_for(&host, "copy", inputs, ""), response), "\"units\":2");
	assert_has(host_file(&host, "0003-001.txt"), "/x/b|/x/b|2|");
	snprintf(inputs, sizeof inputs, "\"in\":{\"manifest\":\"%s/none\",\"count\":2,\"sha256\":\"\"}", host.directory);
	assert_has(answer_to(&host, event_for(&host, "copy", inputs, ""), error), "/none: No such file or directory");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void metrics_results_and_names_reach_the_answer(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, NULL, HANDLERS({"told", told_handler}, {"copy", copy_handler}));
	const char *body = answer_to(&host, event_for(&host, "told", "", ""), response);
	assert_has(body, "\"outputs\":{\"out\":[\"mine\"]}");
	assert_has(body, "\"metrics\":{\"accuracy\":0.81},\"result\":{\"any\":[1]}}");
	assert_null(strstr(body, "units"));
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
	assert_string_equal(host_stderr(&host), "task 3 of 8\n");
}

static void a_failure_is_posted_as_error_and_the_next_invocation_starts_afresh(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "fails", HANDLERS({"fails", failing_handler}, {"told", told_handler}, {"silent", silent_handler}));
	const char *body = answer_to(&host, event_for(&host, "fails", "", ""), error);
	assert_string_equal(body, "{\"errorMessage\":\"a.mp4: \\\"moov\\\" is missing\",\"errorType\":\"Video.Corrupt\",\"stackTrace\":[]}");
	assert_has(host.request, "Lambda-Runtime-Function-Error-Type: Video.Corrupt\r\n");
	answer_to(&host, event_for(&host, "told", "", ""), response);
	body = answer_to(&host, event_for(&host, "silent", "", ""), error);
	assert_has(body, "\"errorType\":\"Function.Error\"");
	assert_has(body, "handler 'silent' returned 7");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void an_unknown_handler_is_an_init_error(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "sharpn", HANDLERS({"copy", copy_handler}, {"told", told_handler}));
	const char *body = host_expect(&host, "POST /2018-06-01/runtime/init/error HTTP/1.1\r\n");
	assert_has(body, "this function has no handler 'sharpn'; it has: copy, told");
	host_reply(&host, "202 Accepted", "{}");
	assert_int_equal(host_end(&host), 1);
}

static void an_event_for_an_unknown_handler_fails_alone(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "copy", HANDLERS({"copy", copy_handler}));
	assert_has(answer_to(&host, event_for(&host, "other", "", ""), error), "Runtime.HandlerNotFound");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void parameters_have_types_and_fallbacks(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "params", HANDLERS({"params", params_handler}));
	const char *body = answer_to(&host, event_for(&host, "params", "",
		"\"name\":\"n\",\"fps\":0.5,\"chunk\":5,\"fast\":true,\"absent\":null,\"list\":[1,2]"), response);
	assert_has(body, "\"result\":[\"n\",0.5,5,1,\"fallback\",[1,2]]");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void a_parameter_of_the_wrong_type_fails_the_invocation(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "params", HANDLERS({"params", params_handler}));
	const char *body = answer_to(&host, event_for(&host, "params", "", "\"chunk\":\"five\""), error);
	assert_has(body, "\"errorType\":\"Function.Parameter\"");
	assert_has(body, "parameter 'chunk' is a string (\\\"five\\\"): expected a whole number");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void progress_is_told_seldom_and_its_last_step_always(void **state)
{
	struct function_host host;
	struct function_host progress;
	const char *body = "";
	int told = 0;

	(void)state;
	host_start(&host, "progress", HANDLERS({"progress", progress_handler}));
	host_expect(&host, next);
	host_give(&host, event_for(&host, "progress", "", ""));
	progress = host;
	progress.connection = -1;
	progress.length = progress.taken = 0;
	progress.request[0] = '\0';
	while (!strstr(body, "\"done\":100000,")) {
		body = host_expect(&progress, "POST /flexwatt/1/progress ");
		assert_has(body, "\"total\":100000,\"note\":\"counting\"}");
		host_reply(&progress, "202 Accepted", "{}");
		told++;
	}
	assert_in_range(told, 2, 20);
	host_expect(&host, response);
	host_reply(&host, "202 Accepted", "{}");
	host_expect(&host, next);
	host_hang_up(&progress);
	assert_int_equal(host_end(&host), 0);
}

static void a_plain_event_is_answered_with_the_result_alone(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "plain", HANDLERS({"plain", plain_handler}, {"copy", copy_handler}));
	assert_string_equal(answer_to(&host, "{\"key\": \"value\"}", response), "{\"key\": \"value\"}");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void events_that_cannot_be_understood_are_refused(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "copy", HANDLERS({"copy", copy_handler}));
	assert_has(answer_to(&host, "{\"flexwatt\":2}", error), "Runtime.EventVersion");
	assert_has(answer_to(&host, "not JSON", error), "Runtime.MalformedEvent");
	assert_has(answer_to(&host, "{\"flexwatt\":1,\"outputs\":{\"out\":{}}}", error), "Runtime.MalformedEvent");
	assert_has(answer_to(&host, "{\"flexwatt\":1,\"inputs\":{\"in\":7}}", error), "Runtime.MalformedEvent");
	assert_has(answer_to(&host, "{\"flexwatt\":1,\"inputs\":{\"other\":[]}}", error), "no input 'in'");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void a_connection_that_the_host_closed_is_made_anew(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "plain", HANDLERS({"plain", plain_handler}));
	answer_to(&host, "1", response);
	host_expect(&host, next);
	host_hang_up(&host);
	assert_string_equal(answer_to(&host, "2", response), "2");
	host_expect(&host, next);
	assert_int_equal(host_end(&host), 0);
}

static void the_answer_and_the_next_question_come_together_and_so_may_their_replies(void **state)
{
	struct function_host host;

	(void)state;
	host_start(&host, "plain", HANDLERS({"plain", plain_handler}));
	host_expect(&host, next);
	host_give(&host, "1");
	assert_string_equal(host_expect(&host, response), "1");
	host_expect(&host, next); /* before the answer's reply */
	host_send(&host, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}"
	                 "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\nContent-Length: 1\r\n\r\n2");
	assert_string_equal(host_expect(&host, response), "2");
	host_reply(&host, "202 Accepted\r\nConnection: close", "{}");
	host_hang_up(&host);
	host_expect(&host, next); /* asked anew: a host that closes has not taken it */
	assert_int_equal(host_end(&host), 0);
}

static void outside_of_a_host_the_program_says_what_it_is(void **state)
{
	(void)state;
	unsetenv("AWS_LAMBDA_RUNTIME_API");
	assert_int_equal(fw_functions_main(HANDLERS({"copy", copy_handler})), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_go_in_and_come_out_in_order),
		cmocka_unit_test(objects_that_are_not_local_are_staged_in_when_their_turn_comes),
		cmocka_unit_test(a_refused_stage_in_fails_the_invocation_with_the_hosts_reason),
		cmocka_unit_test(futures_are_waited_for_after_what_is_ready),
		cmocka_unit_test(a_manifest_is_read_line_by_line),
		cmocka_unit_test(metrics_results_and_names_reach_the_answer),
		cmocka_unit_test(a_failure_is_posted_as_error_and_the_next_invocation_starts_afresh),
		cmocka_unit_test(an_unknown_handler_is_an_init_error),
		cmocka_unit_test(an_event_for_an_unknown_handler_fails_alone),
		cmocka_unit_test(parameters_have_types_and_fallbacks),
		cmocka_unit_test(a_parameter_of_the_wrong_type_fails_the_invocation),
		cmocka_unit_test(progress_is_told_seldom_and_its_last_step_always),
		cmocka_unit_test(a_plain_event_is_answered_with_the_result_alone),
		cmocka_unit_test(events_that_cannot_be_understood_are_refused),
		cmocka_unit_test(a_connection_that_the_host_closed_is_made_anew),
		cmocka_unit_test(the_answer_and_the_next_question_come_together_and_so_may_their_replies),
		cmocka_unit_test(outside_of_a_host_the_program_says_what_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
