/* SPDX-License-Identifier: Apache-2.0
 *
 * A worker that sends anything: bytes, through the server, to the Runtime API's state machine. An invocation is never ended
 * twice, and never without an event. Sources: src/http, src/runtime/api.c, src/runtime/error_document.c, src/base.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <event2/event.h>

#include "http/connection.h"
#include "runtime/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct fw_api *api;
	bool running; /* an event is out and not yet answered */
	bool init_failed;
};

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void on_next(void *context)
{
	struct run *run = context;

	require(!run->running && !run->init_failed);
	run->running = true;
	fw_api_send(run->api, &(struct fw_api_event){.request_id = "1", .deadline_ms = 1, .arn = "a", .trace_id = "t",
	                                              .body = FW_STR("{}")});
}

static void on_answer(void *context, struct fw_str body)
{
	struct run *run = context;

	(void)body;
	require(run->running);
	run->running = false;
}

static void on_error(void *context, const struct fw_error_document *document, struct fw_str body, bool during_init)
{
	struct run *run = context;

	(void)body;
	require(document->type[0] != '\0' && run->running != during_init);
	run->running = false;
	run->init_failed = run->init_failed || during_init;
}

static void on_progress(void *context, double done, double total, const char *note)
{
	(void)done;
	(void)total;
	require(((struct run *)context)->running && !strchr(note, '\x1b'));
}

static void on_stage_in(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request)
{
	require(((struct run *)context)->running);
	if (strncmp(uri, "file:", 5) == 0)
		fw_stage_request_answer(request, "/data/a", offset, length);
	else
		fw_stage_request_refuse(request, FW_E_PERMISSION, uri);
}

/* A socket that nobody connects to: the API wants one. */
static int listener(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	require(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0 && listen(fd, 1) == 0);
	return fd;
}

static void turn(struct fw_loop *loop, int times)
{
	while (times--)
		event_base_loop(fw_loop_base(loop), EVLOOP_NONBLOCK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fw_api_owner owner = {on_next, on_answer, on_error, on_progress, on_stage_in};
	static struct fw_loop *loop;
	struct run run = {0};
	int ends[2];

	if (!loop)
		require(fw_loop_new(&loop, NULL) == FW_OK);
	require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	require(fw_api_new(loop, listener(), (uid_t)-1, &owner, &run, &run.api, NULL) == FW_OK);
	fw_http_connection_new(fw_api_server(run.api), ends[0]);
	for (size_t at = 0; at < size;) { /* half of it, the other half: two reads */
		ssize_t rc = send(ends[1], data + at, at == 0 ? (size + 1) / 2 : size - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (rc <= 0)
			break;
		at += (size_t)rc;
		turn(loop, 2);
	}
	turn(loop, 4);
	close(ends[1]);
	turn(loop, 2);
	fw_api_free(run.api);
	return 0;
}
