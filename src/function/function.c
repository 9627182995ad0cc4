/* SPDX-License-Identifier: Apache-2.0
 *
 * The Runtime API loop: ask for the next event, call the handler it names, post the answer or the error, again. The order
 * of calls is AWS's; an answer is never posted twice. It ends when the host has gone.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "function/sdk.h"

#define API "/2018-06-01/runtime/"

uint64_t fw_sdk_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t fw_remaining_ms(const struct fw_invocation *invocation)
{
	struct timespec now;

	if (invocation->deadline_ms <= 0)
		return INT64_MAX;
	clock_gettime(CLOCK_REALTIME, &now);
	return invocation->deadline_ms - ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

static const struct fw_handler *find_handler(const struct fw_handler *handlers, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!handlers[i].name || strcmp(handlers[i].name, name) == 0)
			return &handlers[i];
	return NULL;
}

static char *handler_names(struct fw_sdk_arena *arena, const struct fw_handler *handlers, size_t count)
{
	char *names = fw_sdk_format(arena, "%s", "");

	for (size_t i = 0; i < count; i++)
		names = fw_sdk_format(arena, "%s%s%s", names, i ? ", " : "", handlers[i].name);
	return names;
}

/* An error document, of an invocation or of the initialisation; body and header are the caller's room. */
static struct fw_sdk_request error_request(const char *path, const char *type, const char *message, char header[160],
                                           struct fw_sdk_buffer *body)
{
	snprintf(header, 160, "Lambda-Runtime-Function-Error-Type: %.100s\r\n", type);
	fw_sdk_error_document(type, message, body);
	return (struct fw_sdk_request){"POST", path, header, {body->bytes, body->length}};
}

static int refuse_start(struct fw_sdk_http *http, const char *handler, const struct fw_handler *handlers, size_t count)
{
	struct fw_sdk_buffer body = {.max = FW_SDK_ANSWER_MAX_BYTES};
	struct fw_sdk_arena arena = {0};
	struct fw_sdk_reply reply;
	char header[160];
	const char *message = fw_sdk_format(&arena, "this function has no handler '%s'; it has: %s", handler,
	                                    handler_names(&arena, handlers, count));

	fprintf(stderr, "%s\n", message);
	struct fw_sdk_request request = error_request(API "init/error", "Runtime.HandlerNotFound", message, header, &body);
	(void)fw_sdk_http_call(http, &request, &reply);
	fw_sdk_buffer_done(&body);
	fw_sdk_arena_done(&arena);
	return 1;
}

static const char *header_text(struct fw_invocation *invocation, const struct fw_sdk_reply *reply, const char *name)
{
	struct fw_sdk_text value = fw_sdk_http_header(reply, name);

	return value.bytes ? fw_sdk_copy(&invocation->arena, value.bytes, value.length) : NULL;
}

/* One variable written again and again: setenv() would keep every value it ever had. */
static void export_trace(const char *trace)
{
	static char variable[1024];
	bool first = !variable[0];

	snprintf(variable, sizeof variable, "_X_AMZN_TRACE_ID=%s", trace);
	if (first)
		putenv(variable);
}

static const struct fw_sdk_request request_next = {.method = "GET", .path = API "invocation/next"};

/* FW_END: the host has gone. The event's bytes are taken from the connection, which is needed for other calls meanwhile. */
static int next_event(struct fw_invocation *invocation)
{
	struct fw_sdk_http *http = invocation->http;
	struct fw_sdk_reply reply;

	int rc = invocation->asked ? fw_sdk_http_receive(http, &reply) : fw_sdk_http_call(http, &request_next, &reply);
	if (rc != FW_OK) /* the host may have closed a connection that rested for long */
		rc = fw_sdk_http_call(http, &request_next, &reply);
	if (rc != FW_OK)
		return FW_END;
	if (reply.status != 200) {
		fprintf(stderr, "flexwatt: the Runtime API answered %d to next\n", reply.status);
		return FW_ERROR;
	}
	const char *deadline = header_text(invocation, &reply, "Lambda-Runtime-Deadline-Ms");
	invocation->request_id = header_text(invocation, &reply, "Lambda-Runtime-Aws-Request-Id");
	invocation->deadline_ms = deadline ? strtoll(deadline, NULL, 10) : 0;
	if (!invocation->request_id || strlen(invocation->request_id) > 200) {
		fprintf(stderr, "flexwatt: the Runtime API gave no request id\n");
		return FW_ERROR;
	}
	const char *trace = header_text(invocation, &reply, "Lambda-Runtime-Trace-Id");
	if (trace)
		export_trace(trace);
	invocation->event = reply.body;
	struct fw_sdk_buffer other = invocation->event_bytes;
	invocation->event_bytes = http->received;
	http->received = other;
	http->received.length = http->used = 0;
	return FW_OK;
}

static void call_handler(struct fw_invocation *invocation, const struct fw_handler *handlers, size_t count,
                         const char *fallback)
{
	if (fw_sdk_event_read(invocation) != FW_OK)
		return;
	const char *name = invocation->handler ? invocation->handler : fallback;
	const struct fw_handler *handler = find_handler(handlers, count, name);
	if (!handler && count == 1 && !*name)
		handler = handlers;
	if (!handler) {
		fw_fail_invocation(invocation, "Runtime.HandlerNotFound", "this function has no handler '%s'; it has: %s", name,
		                   handler_names(&invocation->arena, handlers, count));
		return;
	}
	int rc = handler->call(invocation);
	if (rc != FW_OK)
		fw_fail_invocation(invocation, "Function.Error", "handler '%s' returned %d and did not say why", name, rc);
}

/* The answer and, behind it in the same packet, the question for the next event: one round trip less an invocation. The
 * host takes them one after the other; a host that closes the connection in between is asked again. */
static int post_answer(struct fw_invocation *invocation, uint64_t ended_ns)
{
	struct fw_sdk_buffer body = {.max = FW_SDK_ANSWER_MAX_BYTES};
	struct fw_sdk_reply reply;
	char header[160];

	if (!invocation->error_type) {
		fw_sdk_answer(invocation, ended_ns, &body);
		if (body.full)
			fw_fail_invocation(invocation, "Function.ResponseSizeTooLarge", "the answer has more than %d bytes",
			                   FW_SDK_ANSWER_MAX_BYTES);
	}
	const char *verb = invocation->error_type ? "error" : "response";
	const char *path = fw_sdk_format(&invocation->arena, API "invocation/%s/%s", invocation->request_id, verb);
	struct fw_sdk_request requests[] = {{"POST", path, NULL, {body.bytes, body.length}}, request_next};
	if (invocation->error_type) {
		fw_sdk_buffer_done(&body);
		requests[0] = error_request(path, invocation->error_type, invocation->error_message, header, &body);
	}
	int rc = fw_sdk_http_send_both(invocation->http, requests);
	if (rc == FW_OK)
		rc = fw_sdk_http_receive(invocation->http, &reply);
	fw_sdk_buffer_done(&body);
	if (rc == FW_OK && !invocation->error_type && reply.status / 100 != 2)
		fprintf(stderr, "flexwatt: the Runtime API answered %d to the answer\n", reply.status);
	invocation->asked = rc == FW_OK && invocation->http->fd >= 0;
	return rc;
}

/* Memory stays for the next invocation; all else starts anew. */
static void begin_invocation(struct fw_invocation *invocation)
{
	struct fw_invocation fresh = {
		.http = invocation->http, .progress_http = invocation->progress_http, .event_bytes = invocation->event_bytes,
		.asked = invocation->asked};

	fw_sdk_arena_reset(&invocation->arena);
	fresh.arena = invocation->arena;
	*invocation = fresh;
}

static int serve(struct fw_invocation *invocation, const struct fw_handler *handlers, size_t count, const char *fallback)
{
	for (;;) {
		begin_invocation(invocation);
		int rc = next_event(invocation);
		if (rc != FW_OK)
			return rc == FW_END ? 0 : 1;
		invocation->started_ns = fw_sdk_now_ns();
		call_handler(invocation, handlers, count, fallback);
		fflush(stdout); /* a text without a line end, or a handler that buffers: it belongs to this invocation's log */
		uint64_t ended_ns = fw_sdk_now_ns();
		while (invocation->write_depth)
			fw_write_end(invocation);
		fw_sdk_inputs_close(invocation);
		fw_sdk_progress_finish(invocation);
		if (post_answer(invocation, ended_ns) != FW_OK) {
			fprintf(stderr, "flexwatt: post the answer: %s\n", strerror(errno));
			return 1;
		}
	}
}

int fw_functions_main(const struct fw_handler *handlers, size_t count)
{
	const char *authority = getenv("AWS_LAMBDA_RUNTIME_API"), *handler = getenv("_HANDLER");
	struct fw_sdk_http http, progress_http;
	struct fw_invocation invocation = {.http = &http, .progress_http = &progress_http, .event_bytes.max = FW_SDK_EVENT_MAX_BYTES};
	int status;

	if (!authority) {
		fprintf(stderr, "This is a function: it runs under flexwatt or AWS Lambda (AWS_LAMBDA_RUNTIME_API is not set).\n");
		return 2;
	}
	if (fw_sdk_http_init(&http, authority) != FW_OK || fw_sdk_http_init(&progress_http, authority) != FW_OK) {
		fprintf(stderr, "flexwatt: AWS_LAMBDA_RUNTIME_API is '%s': expected ADDRESS:PORT\n", authority);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* stdout is no terminal here: what a function prints before it crashes is to be read */
	if (handler && *handler && !find_handler(handlers, count, handler))
		status = refuse_start(&http, handler, handlers, count);
	else
		status = serve(&invocation, handlers, count, handler ? handler : "");
	fw_sdk_arena_done(&invocation.arena);
	fw_sdk_buffer_done(&invocation.event_bytes);
	fw_sdk_http_done(&http);
	fw_sdk_http_done(&progress_http);
	return status;
}
