/* SPDX-License-Identifier: Apache-2.0
 *
 * The Runtime API (api.h): paths, states and refusals as AWS's own documentation and interface emulator have them.
 * Invariant: `waiting` is set only in state Ready; an invocation is answered at most once, whatever is posted.
 */
#include "runtime/api.h"

#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "base/time.h"
#include "http/server.h"
#include "record/event.h"

#define BASE "/2018-06-01/runtime/"
#define OURS "/flexwatt/1/"

enum {
	ID_BYTES = 64,
	NOTE_BYTES = 1024,
	CONNECTIONS = 64,
	HEADER_BYTES = 128 << 10, /* an X-Ray cause may be large */
};

enum state { STARTED, READY, RUNNING, ANSWERED, FAILED, INIT_ERROR };

struct fw_api {
	struct fw_http_server *server;
	struct fw_api_owner owner;
	void *context;
	uid_t uid;
	enum state state;
	struct fw_http_request *waiting; /* the parked GET next */
	struct fw_stage_requests staging;
	char id[ID_BYTES];               /* of the running or last invocation */
};

/* Names as in AWS's messages. */
static const char *const state_names[] = {
	[STARTED] = "Started", [READY] = "Ready", [RUNNING] = "Running", [ANSWERED] = "InvocationResponse",
	[FAILED] = "InvocationErrorResponse", [INIT_ERROR] = "InitError",
};

static void refuse(struct fw_http_request *request, int status, const char *type, const char *message)
{
	fw_cleanup_free char *body = fw_error_document_write(type, message);

	fw_http_reply(request, status, NULL, 0, "application/json", body, strlen(body));
}

static void refuse_transition(const struct fw_api *api, struct fw_http_request *request, enum state to)
{
	fw_cleanup_free char *message = fw_printf("State transition from %s to %s failed for runtime. "
	                                          "Error: State transition is not allowed",
	                                          state_names[api->state], state_names[to]);

	refuse(request, 403, "InvalidStateTransition", message);
}

static void accept_post(struct fw_http_request *request)
{
	static const char ok[] = "{\"status\":\"OK\"}\n";

	fw_http_reply(request, 202, NULL, 0, "application/json", ok, sizeof ok - 1);
}

static bool is_method(const struct fw_http_request *request, const char *method)
{
	return strcmp(fw_http_method(request), method) == 0;
}

static void get_next(struct fw_api *api, struct fw_http_request *request)
{
	if (api->state == RUNNING || api->state == INIT_ERROR || api->waiting)
		return refuse_transition(api, request, READY);
	api->state = READY;
	api->waiting = request;
	api->owner.next(api->context);
}

/* The header, when it is of the form that AWS keeps: (Runtime|Function).Name */
static const char *type_of_header(const struct fw_http_request *request)
{
	const char *type = fw_http_header(request, "Lambda-Runtime-Function-Error-Type");
	const char *dot = type ? strchr(type, '.') : NULL;

	if (!dot || !(fw_str_starts(fw_str_of(type), "Runtime.") || fw_str_starts(fw_str_of(type), "Function.")))
		return NULL;
	const char *name = dot + 1;
	size_t letters = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

	return name[0] >= 'A' && name[0] <= 'Z' && letters > 1 && !name[letters] ? type : NULL;
}

static void fail(struct fw_api *api, struct fw_http_request *request, const char *header_type, const char *fallback,
                 bool during_init)
{
	struct fw_str body = fw_http_body(request);
	struct fw_error_document document;

	fw_error_document_read(body.text, body.length, header_type, fallback, &document);
	api->state = during_init ? INIT_ERROR : FAILED;
	api->owner.error(api->context, &document, body, during_init);
	accept_post(request);
}

static void post_init_error(struct fw_api *api, struct fw_http_request *request)
{
	if (api->state != STARTED)
		return refuse_transition(api, request, INIT_ERROR);
	fail(api, request, type_of_header(request), "Runtime.Unknown", true);
}

/* A streamed answer that failed on its way says so in its trailer. */
static void end_stream(struct fw_api *api, struct fw_http_request *request, const char *type)
{
	struct fw_error_document document;

	fw_error_document_read_trailer(fw_http_trailer(request, "Lambda-Runtime-Function-Error-Body"), type,
	                               "the function failed while it streamed its answer", &document);
	api->state = FAILED;
	api->owner.error(api->context, &document, (struct fw_str){"", 0}, false);
	accept_post(request);
}

static void post_response(struct fw_api *api, struct fw_http_request *request)
{
	const char *mode = fw_http_header(request, "Lambda-Runtime-Function-Response-Mode");
	const char *failed = fw_http_trailer(request, "Lambda-Runtime-Function-Error-Type");
	struct fw_str body = fw_http_body(request);

	if (api->state != RUNNING)
		return refuse_transition(api, request, ANSWERED);
	if (mode && strcmp(mode, "streaming") != 0)
		return refuse(request, 400, "InvalidFunctionResponseMode", "Invalid function response mode");
	if (failed && *failed)
		return end_stream(api, request, failed);
	api->state = ANSWERED;
	api->owner.answer(api->context, body);
	accept_post(request);
}

static void post_error(struct fw_api *api, struct fw_http_request *request)
{
	if (api->state != RUNNING)
		return refuse_transition(api, request, FAILED);
	fail(api, request, type_of_header(request), "Function.Unknown", false);
}

/* "<id>/response" or "<id>/error". */
static void post_invocation(struct fw_api *api, struct fw_http_request *request, struct fw_str rest)
{
	struct fw_str id;

	if (!fw_str_next_field(&rest, '/', &id) || !(fw_str_is(rest, "response") || fw_str_is(rest, "error")))
		return refuse(request, 404, "NotFound", "No such call of the Runtime API");
	if (!api->id[0] || api->state == READY || !fw_str_is(id, api->id))
		return refuse(request, 400, "InvalidRequestID", "Invalid request ID");
	if (fw_str_is(rest, "response"))
		post_response(api, request);
	else
		post_error(api, request);
}

static void lambda_call(struct fw_api *api, struct fw_http_request *request, struct fw_str path)
{
	bool get = is_method(request, "GET"), post = is_method(request, "POST");

	if (fw_str_is(path, "invocation/next") && get)
		return get_next(api, request);
	if (fw_str_is(path, "init/error") && post)
		return post_init_error(api, request);
	if ((fw_str_is(path, "restore/next") && get) || (fw_str_is(path, "restore/error") && post))
		return refuse(request, 403, "InvalidStateTransition", "Restore is not available: the worker was not restored");
	if (fw_str_starts(path, "invocation/") && post) {
		size_t skip = strlen("invocation/");

		return post_invocation(api, request, (struct fw_str){path.text + skip, path.length - skip});
	}
	refuse(request, 404, "NotFound", "No such call of the Runtime API");
}

static void post_progress(struct fw_api *api, struct fw_http_request *request)
{
	struct fw_str body = fw_http_body(request);
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_json json_t *json = NULL;
	fw_cleanup_free char *note = NULL;
	double done = 0, total = 0;
	const struct fw_json_member members[] = {
		{"done", 'n', true, &done}, {"total", 'n', false, &total}, {"note", 's', false, &note}};
	char printable[NOTE_BYTES];

	if (fw_json_load("progress", body.text, body.length, &json, &err) != FW_OK ||
	    fw_json_read(json, "progress", members, FW_COUNT_OF(members), false, &err) != FW_OK)
		return refuse(request, 400, "InvalidRequest", fw_error_message(err));
	if (api->state != RUNNING)
		return refuse(request, 403, "InvalidStateTransition", "No invocation is running");
	fw_error_text_copy(fw_str_of(note), printable, sizeof printable);
	api->owner.progress(api->context, done, total, note ? printable : NULL); /* without one the earlier stands */
	accept_post(request);
}

static void post_stage_in(struct fw_api *api, struct fw_http_request *request)
{
	struct fw_str body = fw_http_body(request);
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_json json_t *json = NULL;
	fw_cleanup_free char *uri = NULL;
	int64_t offset = 0, length = -1;
	const struct fw_json_member members[] = {
		{"uri", 's', true, &uri}, {"offset", 'i', false, &offset}, {"length", 'i', false, &length}};

	if (fw_json_load("stage-in", body.text, body.length, &json, &err) != FW_OK ||
	    fw_json_read(json, "stage-in", members, FW_COUNT_OF(members), false, &err) != FW_OK)
		return refuse(request, 400, "InvalidRequest", fw_error_message(err));
	if (api->state != RUNNING)
		return refuse(request, 403, "InvalidStateTransition", "No invocation is running");
	api->owner.stage_in(api->context, uri, offset, length, fw_stage_request_new(&api->staging, request));
}

static void our_call(struct fw_api *api, struct fw_http_request *request, struct fw_str path)
{
	bool post = is_method(request, "POST");

	if (fw_str_is(path, "progress") && post)
		return post_progress(api, request);
	if (fw_str_is(path, "stage-in") && post)
		return post_stage_in(api, request);
	if (fw_str_starts(path, "future/") && is_method(request, "GET"))
		return refuse(request, 404, "UnknownFuture", "No producer has this token");
	refuse(request, 404, "NotFound", "No such call");
}

static void on_request(void *context, struct fw_http_request *request)
{
	struct fw_api *api = context;
	struct fw_str rest = fw_str_of(fw_http_path(request)), path;

	(void)fw_str_next_field(&rest, '?', &path);
	if (fw_str_starts(path, BASE))
		return lambda_call(api, request, (struct fw_str){path.text + strlen(BASE), path.length - strlen(BASE)});
	if (fw_str_starts(path, OURS))
		return our_call(api, request, (struct fw_str){path.text + strlen(OURS), path.length - strlen(OURS)});
	refuse(request, 404, "NotFound", "No such call");
}

/* The invocation fails by it; the worker may go on. Bodies of other calls are merely refused. */
static void on_too_large(void *context, struct fw_http_request *request)
{
	struct fw_api *api = context;
	fw_cleanup_free char *expected = fw_printf(BASE "invocation/%s/response", api->id);
	bool answer = api->state == RUNNING && is_method(request, "POST") && strcmp(fw_http_path(request), expected) == 0;
	struct fw_error_document document = {.type = "Function.ResponseSizeTooLarge"};

	snprintf(document.message, sizeof document.message,
	         "Response payload size (%llu bytes) exceeded maximum allowed payload size (%d bytes).",
	         (unsigned long long)fw_http_body_bytes(request), FW_PAYLOAD_MAX_BYTES);
	if (answer)
		api->state = FAILED;
	fw_cleanup_free char *message =
		fw_printf("Exceeded maximum allowed payload size (%d bytes).", FW_PAYLOAD_MAX_BYTES);

	refuse(request, 413, "RequestEntityTooLarge", message);
	if (answer)
		api->owner.error(api->context, &document, (struct fw_str){"", 0}, false);
}

/* The worker dropped what it waited for: it may ask again. */
static void on_gone(void *context, struct fw_http_request *request)
{
	struct fw_api *api = context;

	if (api->waiting == request)
		api->waiting = NULL;
	else
		fw_stage_requests_gone(&api->staging, request);
}

static bool on_accept(void *context, int fd)
{
	const struct fw_api *api = context;
	unsigned uid = 0;

	if (api->uid == (uid_t)-1)
		return true;
	return fw_http_peer_uid(fd, &uid, NULL) == FW_OK && uid == api->uid;
}

int fw_api_new(struct fw_loop *loop, int listening_fd, uid_t uid, const struct fw_api_owner *owner, void *context,
               struct fw_api **api, struct fw_error **err)
{
	static const struct fw_http_limits limits = {
		.header_bytes = HEADER_BYTES, .body_bytes = FW_PAYLOAD_MAX_BYTES, .connections = CONNECTIONS,
		.head_ns = 10 * FW_NS_PER_S};
	static const struct fw_http_service service = {
		.accept = on_accept, .request = on_request, .too_large = on_too_large, .gone = on_gone};
	struct fw_api *made = fw_alloc(sizeof *made);

	*made = (struct fw_api){.owner = *owner, .context = context, .uid = uid};
	int rc = fw_http_server_new(loop, listening_fd, &limits, &service, made, &made->server, err);

	if (rc != FW_OK) {
		free(made);
		return rc;
	}
	*api = made;
	return FW_OK;
}

void fw_api_free(struct fw_api *api)
{
	if (!api)
		return;
	fw_stage_requests_done(&api->staging);
	fw_http_server_free(api->server);
	free(api);
}

struct fw_http_server *fw_api_server(struct fw_api *api)
{
	return api->server;
}

bool fw_api_is_waiting(const struct fw_api *api)
{
	return api->waiting;
}

void fw_api_send(struct fw_api *api, const struct fw_api_event *event)
{
	char deadline[24];
	const struct fw_http_field fields[] = {
		{"Lambda-Runtime-Aws-Request-Id", event->request_id},
		{"Lambda-Runtime-Deadline-Ms", deadline},
		{"Lambda-Runtime-Invoked-Function-Arn", event->arn},
		{"Lambda-Runtime-Trace-Id", event->trace_id},
	};
	struct fw_http_request *request = api->waiting;

	snprintf(deadline, sizeof deadline, "%llu", (unsigned long long)event->deadline_ms);
	snprintf(api->id, sizeof api->id, "%s", event->request_id);
	api->waiting = NULL;
	api->state = RUNNING;
	fw_http_reply(request, 200, fields, FW_COUNT_OF(fields), "application/json", event->body.text, event->body.length);
}
