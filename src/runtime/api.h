/* SPDX-License-Identifier: Apache-2.0
 *
 * The Runtime API of one worker: AWS Lambda's state machine over HTTP, and our own calls beside it. It knows the protocol
 * and nothing of processes, clocks or records; what happens is told to its owner.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/str.h"
#include "runtime/error_document.h"
#include "runtime/stage_request.h"

struct fw_api;

/* Called on the loop's thread, with everything borrowed for the call. The API may be freed inside `next` alone. */
struct fw_api_owner {
	/* The worker waits for an event: answer with fw_api_send(), now or later. */
	void (*next)(void *context);
	/* The one accepted answer of the running invocation, before the worker is told so: be quick. */
	void (*answer)(void *context, struct fw_str body);
	/* The function failed, or, during_init, could not start: then the worker will exit. body is what it posted. */
	void (*error)(void *context, const struct fw_error_document *document, struct fw_str body, bool during_init);
	void (*progress)(void *context, double done, double total, const char *note); /* note NULL: none was sent */
	/* The worker wants a range of an object as a local file; length -1: to its end. Answer the request, now or later. */
	void (*stage_in)(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request);
};

struct fw_api_event {
	const char *request_id;
	uint64_t deadline_ms; /* since 1970 */
	const char *arn;
	const char *trace_id;
	struct fw_str body;
};

/* Takes the listening descriptor over. uid: only its processes are served; (uid_t)-1 serves all (the socket lies in a
 * network namespace of the worker's own). */
int fw_api_new(struct fw_loop *loop, int listening_fd, uid_t uid, const struct fw_api_owner *owner, void *context,
               struct fw_api **api, struct fw_error **err);
void fw_api_free(struct fw_api *api); /* NULL allowed */

bool fw_api_is_waiting(const struct fw_api *api); /* an event can be sent */
/* Writes the event to the waiting worker. */
void fw_api_send(struct fw_api *api, const struct fw_api_event *event);

/* Its server, for tests that bring a connection of their own. */
struct fw_http_server *fw_api_server(struct fw_api *api);
