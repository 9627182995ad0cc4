/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/api.h"

#include "base/memory.h"
#include "record/event.h"
#include "tests/unit/http_client.h"

#define ID "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
#define NEXT "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"

struct fixture {
	struct fw_loop *loop;
	struct fw_api *api;
	struct client client;
	uint16_t port;
	int nexts, answers, errors, init_errors, progresses;
	char body[256];
	struct fw_error_document document;
	double done, total;
	char note[64];
	struct fw_stage_request *staging;
};

static void on_next(void *context)
{
	((struct fixture *)context)->nexts++;
}

static void on_answer(void *context, struct fw_str body)
{
	struct fixture *fixture = context;

	fixture->answers++;
	snprintf(fixture->body, sizeof fixture->body, "%.*s", (int)body.length, body.text);
}

static void on_error(void *context, const struct fw_error_document *document, struct fw_str body, bool during_init)
{
	struct fixture *fixture = context;

	(void)body;
	fixture->document = *document;
	if (during_init)
		fixture->init_errors++;
	else
		fixture->errors++;
}

static void on_progress(void *context, double done, double total, const char *note)
{
	struct fixture *fixture = context;

	fixture->progresses++;
	fixture->done = done;
	fixture->total = total;
	snprintf(fixture->note, sizeof fixture->note, "%s", note);
}

static void on_stage_in(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request)
{
	struct fixture *fixture = context;

	if (strcmp(uri, "s3://b/later") == 0)
		fixture->staging = request;
	else if (strcmp(uri, "s3://b/k") == 0)
		fw_stage_request_answer(request, "/staged/k", offset, length < 0 ? 7 : length);
	else
		fw_stage_request_refuse(request, FW_E_PERMISSION, "not yours");
}

static struct fixture *fixture_for(uid_t uid)
{
	static const struct fw_api_owner owner = {on_next, on_answer, on_error, on_progress, on_stage_in};
	struct fixture *fixture = fw_alloc(sizeof *fixture);

	assert_ok(fw_loop_new(&fixture->loop, NULL), NULL);
	int fd = listen_on_loopback(&fixture->port);

	assert_ok(fw_api_new(fixture->loop, fd, uid, &owner, fixture, &fixture->api, NULL), NULL);
	fixture->client = client_of(fixture->loop, fixture->port);
	return fixture;
}

static struct fixture *fixture_new(void)
{
	return fixture_for(getuid());
}

static void fixture_free(struct fixture *fixture)
{
	client_close(&fixture->client);
	fw_api_free(fixture->api);
	fw_loop_free(fixture->loop);
	free(fixture);
}

static void send_event(struct fixture *fixture)
{
	fw_api_send(fixture->api, &(struct fw_api_event){
		.request_id = ID, .deadline_ms = 1542409706888, .arn = "arn:aws:lambda:eu-central-1:000000000000:function:f",
		.trace_id = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0", .body = FW_STR("{\"a\":1}")});
}

static void ask_next(struct fixture *fixture)
{
	int before = fixture->nexts;

	client_send(&fixture->client, NEXT);
	turn_until(fixture->loop, fixture->nexts == before + 1);
}

/* Up to an event received by the worker. */
static void begin(struct fixture *fixture)
{
	ask_next(fixture);
	send_event(fixture);
	assert_int_equal(client_answer(&fixture->client), 200);
}

static int post(struct fixture *fixture, const char *path, const char *fields, const char *body)
{
	fw_cleanup_free char *text = fw_printf("POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s", path, fields,
	                                       strlen(body), body);

	client_send(&fixture->client, text);
	return client_answer(&fixture->client);
}

#define INVOCATION "/2018-06-01/runtime/invocation/"

static void gives_an_event_with_its_headers_and_takes_the_answer(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	assert_true(client_body_is(&fixture->client, "{\"a\":1}"));
	assert_true(client_head_has(&fixture->client, "\r\nLambda-Runtime-Aws-Request-Id: " ID "\r\n"));
	assert_true(client_head_has(&fixture->client, "\r\nLambda-Runtime-Deadline-Ms: 1542409706888\r\n"));
	assert_true(client_head_has(&fixture->client, "\r\nLambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:"));
	assert_true(client_head_has(&fixture->client, "\r\nLambda-Runtime-Trace-Id: Root=1-"));
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "\"done\""), 202);
	assert_true(client_body_is(&fixture->client, "{\"status\":\"OK\"}\n"));
	assert_string_equal(fixture->body, "\"done\"");
	ask_next(fixture);
	fixture_free(fixture);
}

static void takes_a_chunked_answer_with_trailers(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	client_send(&fixture->client, "POST " INVOCATION ID "/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
	            "Lambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n\r\n"
	            "2\r\n{}\r\n0\r\n\r\n");
	assert_int_equal(client_answer(&fixture->client), 202);
	assert_string_equal(fixture->body, "{}");
	fixture_free(fixture);
}

static void a_stream_that_failed_in_its_trailer_is_an_error(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	client_send(&fixture->client, "POST " INVOCATION ID "/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
	            "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
	            "2\r\n{}\r\n0\r\nLambda-Runtime-Function-Error-Type: Function.Broke\r\n\r\n");
	assert_int_equal(client_answer(&fixture->client), 202);
	assert_int_equal(fixture->answers, 0);
	assert_string_equal(fixture->document.type, "Function.Broke");
	fixture_free(fixture);
}

static void takes_an_error_with_its_document(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	assert_int_equal(post(fixture, INVOCATION ID "/error", "Lambda-Runtime-Function-Error-Type: Function.Other\r\n",
	                      "{\"errorType\":\"Bad\",\"errorMessage\":\"no luck\",\"stackTrace\":[]}"), 202);
	assert_string_equal(fixture->document.type, "Bad");
	assert_string_equal(fixture->document.message, "no luck");
	fixture_free(fixture);
}

static void keeps_only_error_type_headers_of_lambdas_form(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	assert_int_equal(post(fixture, INVOCATION ID "/error", "Lambda-Runtime-Function-Error-Type: unhandled\r\n", "x"), 202);
	assert_string_equal(fixture->document.type, "Function.Unknown");
	assert_string_equal(fixture->document.message, "x");
	ask_next(fixture);
	send_event(fixture);
	assert_int_equal(client_answer(&fixture->client), 200);
	post(fixture, INVOCATION ID "/error", "Lambda-Runtime-Function-Error-Type: Function.MyOwn\r\n", "{}");
	assert_string_equal(fixture->document.type, "Function.MyOwn");
	fixture_free(fixture);
}

static void refuses_a_second_answer(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "1"), 202);
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "2"), 403);
	assert_true(client_body_has(&fixture->client, "\"errorType\":\"InvalidStateTransition\""));
	assert_int_equal(post(fixture, INVOCATION ID "/error", "", "{}"), 403);
	assert_int_equal(fixture->answers, 1);
	assert_int_equal(fixture->errors, 0);
	assert_string_equal(fixture->body, "1");
	fixture_free(fixture);
}

static void refuses_an_answer_to_another_invocation(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "0"), 400); /* none ran yet */
	begin(fixture);
	assert_int_equal(post(fixture, INVOCATION "another/response", "", "1"), 400);
	assert_true(client_body_has(&fixture->client, "\"errorType\":\"InvalidRequestID\""));
	assert_true(client_body_has(&fixture->client, "\"errorMessage\":\"Invalid request ID\""));
	assert_int_equal(fixture->answers, 0);
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "1"), 202);
	fixture_free(fixture);
}

static void refuses_an_old_id_while_the_worker_waits(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client other;

	(void)state;
	begin(fixture);
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "1"), 202);
	ask_next(fixture);
	other = client_of(fixture->loop, fixture->port);
	client_send(&other, "POST " INVOCATION ID "/response HTTP/1.1\r\nContent-Length: 1\r\n\r\n2");
	assert_int_equal(client_answer(&other), 400);
	client_send(&other, NEXT); /* one waits already */
	assert_int_equal(client_answer(&other), 403);
	client_close(&other);
	assert_int_equal(fixture->answers, 1);
	fixture_free(fixture);
}

static void refuses_to_give_an_event_before_the_answer(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	client_send(&fixture->client, NEXT);
	assert_int_equal(client_answer(&fixture->client), 403);
	assert_true(client_body_has(&fixture->client, "State transition from Running to Ready failed for runtime."));
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "1"), 202);
	fixture_free(fixture);
}

static void an_answer_past_six_megabytes_is_413_and_the_callers_error(void **state)
{
	struct fixture *fixture = fixture_new();
	size_t length = 7 << 20;
	fw_cleanup_free char *bytes = fw_alloc(length);
	char head[128];

	(void)state;
	begin(fixture);
	memset(bytes, 'x', length);
	snprintf(head, sizeof head, "POST " INVOCATION ID "/response HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", length);
	client_send(&fixture->client, head);
	client_send_bytes(&fixture->client, bytes, length);
	assert_int_equal(client_answer(&fixture->client), 413);
	assert_true(client_body_has(&fixture->client, "\"errorType\":\"RequestEntityTooLarge\""));
	assert_true(client_body_has(&fixture->client, "Exceeded maximum allowed payload size (6291556 bytes)."));
	assert_string_equal(fixture->document.type, "Function.ResponseSizeTooLarge");
	assert_string_equal(fixture->document.message,
	                    "Response payload size (7340032 bytes) exceeded maximum allowed payload size (6291556 bytes).");
	ask_next(fixture); /* the worker goes on */
	fixture_free(fixture);
}

static void takes_an_answer_of_exactly_the_limit(void **state)
{
	struct fixture *fixture = fixture_new();
	size_t length = FW_PAYLOAD_MAX_BYTES;
	fw_cleanup_free char *bytes = fw_alloc(length);
	char head[128];

	(void)state;
	begin(fixture);
	snprintf(head, sizeof head, "POST " INVOCATION ID "/response HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", length);
	client_send(&fixture->client, head);
	client_send_bytes(&fixture->client, bytes, length);
	assert_int_equal(client_answer(&fixture->client), 202);
	assert_int_equal(fixture->answers, 1);
	fixture_free(fixture);
}

static void refuses_an_unknown_response_mode(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	assert_int_equal(post(fixture, INVOCATION ID "/response", "Lambda-Runtime-Function-Response-Mode: odd\r\n", "1"), 400);
	assert_true(client_body_has(&fixture->client, "\"errorType\":\"InvalidFunctionResponseMode\""));
	assert_int_equal(fixture->answers, 0);
	fixture_free(fixture);
}

static void takes_one_init_error_and_gives_no_event_after_it(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	assert_int_equal(post(fixture, "/2018-06-01/runtime/init/error", "",
	                      "{\"errorType\":\"Runtime.ImportModuleError\",\"errorMessage\":\"no module\"}"), 202);
	assert_int_equal(fixture->init_errors, 1);
	assert_string_equal(fixture->document.type, "Runtime.ImportModuleError");
	assert_int_equal(post(fixture, "/2018-06-01/runtime/init/error", "", "{}"), 403);
	client_send(&fixture->client, NEXT);
	assert_int_equal(client_answer(&fixture->client), 403);
	fixture_free(fixture);
}

static void refuses_restore_and_unknown_calls(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	client_send(&fixture->client, "GET /2018-06-01/runtime/restore/next HTTP/1.1\r\n\r\n");
	assert_int_equal(client_answer(&fixture->client), 403);
	assert_int_equal(post(fixture, "/2018-06-01/runtime/restore/error", "", "{}"), 403);
	assert_int_equal(post(fixture, "/2018-06-01/runtime/invocation/next", "", "{}"), 404);
	assert_int_equal(post(fixture, "/elsewhere", "", "{}"), 404);
	client_send(&fixture->client, "GET /flexwatt/1/future/abc HTTP/1.1\r\n\r\n");
	assert_int_equal(client_answer(&fixture->client), 404);
	assert_int_equal(fixture->nexts, 0);
	fixture_free(fixture);
}

static void a_worker_that_dropped_its_wait_may_ask_again(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	ask_next(fixture);
	assert_true(fw_api_is_waiting(fixture->api));
	client_close(&fixture->client);
	turn_until(fixture->loop, !fw_api_is_waiting(fixture->api));
	fixture->client = client_of(fixture->loop, fixture->port);
	begin(fixture);
	fixture_free(fixture);
}

static void an_answer_cut_off_midway_is_none(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	begin(fixture);
	client_send(&fixture->client, "POST " INVOCATION ID "/response HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf");
	turn(fixture->loop, FW_NS_PER_MS);
	client_close(&fixture->client);
	turn(fixture->loop, FW_NS_PER_MS);
	assert_int_equal(fixture->answers, 0);
	fixture->client = client_of(fixture->loop, fixture->port);
	assert_int_equal(post(fixture, INVOCATION ID "/response", "", "whole"), 202);
	assert_string_equal(fixture->body, "whole");
	fixture_free(fixture);
}

static void stages_in_what_its_owner_gives_out(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	assert_int_equal(post(fixture, "/flexwatt/1/stage-in", "", "{\"uri\":\"s3://b/k\"}"), 403); /* nothing runs */
	begin(fixture);
	assert_int_equal(post(fixture, "/flexwatt/1/stage-in", "", "{\"uri\":\"s3://b/k\",\"offset\":3,\"length\":4}"), 200);
	assert_true(client_body_is(&fixture->client, "{\"path\":\"/staged/k\",\"offset\":3,\"length\":4}"));
	assert_int_equal(post(fixture, "/flexwatt/1/stage-in", "", "{\"uri\":\"s3://b/k\"}"), 200);
	assert_true(client_body_is(&fixture->client, "{\"path\":\"/staged/k\",\"offset\":0,\"length\":7}"));
	assert_int_equal(post(fixture, "/flexwatt/1/stage-in", "", "{\"uri\":\"file:/etc/shadow\"}"), 403);
	assert_true(client_body_is(&fixture->client, "{\"errorMessage\":\"not yours\",\"errorType\":\"Storage.NotPermitted\"}"));
	assert_int_equal(post(fixture, "/flexwatt/1/stage-in", "", "garbage"), 400);
	fixture_free(fixture);
}

/* What was asked for may come after the worker has gone, or its host. */
static void an_answer_that_comes_too_late_goes_nowhere(void **state)
{
	static const char later[] = "POST /flexwatt/1/stage-in HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\n"
								"{\"uri\":\"s3://b/later\"}";

	(void)state;
	for (int gone = 0; gone < 2; gone++) {
		struct fixture *fixture = fixture_new();

		begin(fixture);
		client_send(&fixture->client, later);
		turn_until(fixture->loop, fixture->staging);
		struct fw_stage_request *request = fixture->staging;

		if (gone == 0) {
			client_close(&fixture->client);
			turn(fixture->loop, 10 * FW_NS_PER_MS);
			fw_stage_request_answer(request, "/staged/later", 0, 1);
			fixture->client = client_of(fixture->loop, fixture->port);
		}
		fixture_free(fixture);
		if (gone == 1)
			fw_stage_request_refuse(request, FW_E_CANCELLED, "it is over");
	}
}

static void passes_progress_on_while_an_invocation_runs(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	assert_int_equal(post(fixture, "/flexwatt/1/progress", "", "{\"done\":1}"), 403);
	begin(fixture);
	assert_int_equal(post(fixture, "/flexwatt/1/progress", "", "{\"done\":1,\"total\":4,\"note\":\"a\\u001bb\"}"), 202);
	assert_true(fixture->done == 1 && fixture->total == 4);
	assert_string_equal(fixture->note, "a?b");
	assert_int_equal(post(fixture, "/flexwatt/1/progress", "", "[]"), 400);
	assert_int_equal(fixture->progresses, 1);
	fixture_free(fixture);
}

static void does_not_serve_another_users_process(void **state)
{
	struct fixture *fixture = fixture_for(getuid() + 1);

	(void)state;
	assert_int_equal(client_answer(&fixture->client), 0);
	fixture_free(fixture);
}

FW_TESTS(gives_an_event_with_its_headers_and_takes_the_answer, takes_a_chunked_answer_with_trailers,
         a_stream_that_failed_in_its_trailer_is_an_error, takes_an_error_with_its_document,
         keeps_only_error_type_headers_of_lambdas_form, refuses_a_second_answer, refuses_an_answer_to_another_invocation,
         refuses_an_old_id_while_the_worker_waits, refuses_to_give_an_event_before_the_answer,
         an_answer_past_six_megabytes_is_413_and_the_callers_error, takes_an_answer_of_exactly_the_limit,
         refuses_an_unknown_response_mode, takes_one_init_error_and_gives_no_event_after_it,
         refuses_restore_and_unknown_calls, a_worker_that_dropped_its_wait_may_ask_again, an_answer_cut_off_midway_is_none,
         stages_in_what_its_owner_gives_out, an_answer_that_comes_too_late_goes_nowhere, passes_progress_on_while_an_invocation_runs,
         does_not_serve_another_users_process)
