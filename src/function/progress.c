/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress for people who watch: at most ten a second, sent on a connection of its own and never waited for, so that a
 * function may call it in its inner loop and from several threads. What comes too fast is dropped, except the last step.
 */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "function/sdk.h"

enum { INTERVAL_NS = 100 * 1000 * 1000, FINISH_MS = 1000 };

static atomic_flag sending = ATOMIC_FLAG_INIT;

static void drain(struct fw_invocation *invocation, int timeout_ms)
{
	struct fw_sdk_http *http = invocation->progress_http;
	struct fw_sdk_reply reply;

	while (invocation->progress_unread > 0 && http->fd >= 0) {
		struct pollfd waiting = {http->fd, POLLIN, 0};

		if (poll(&waiting, 1, timeout_ms) <= 0)
			return;
		invocation->progress_unread--;
		if (fw_sdk_http_receive(http, &reply) != FW_OK)
			break;
	}
	invocation->progress_unread = 0;
}

static void send_progress(struct fw_invocation *invocation, double done, double total, const char *note)
{
	struct fw_sdk_buffer body = {.max = 4096};
	struct fw_sdk_request request = {.method = "POST", .path = "/flexwatt/1/progress"};

	drain(invocation, 0);
	if (invocation->progress_unread > 0) /* the host is busy: it need not hear all of it */
		return;
	fw_sdk_append_text(&body, "{\"done\":");
	fw_sdk_append_number(&body, done);
	fw_sdk_append_text(&body, ",\"total\":");
	fw_sdk_append_number(&body, total);
	if (note) {
		fw_sdk_append_text(&body, ",\"note\":");
		fw_sdk_append_quoted(&body, note);
	}
	fw_sdk_append_text(&body, "}");
	request.body = (struct fw_sdk_text){body.bytes, body.length};
	if (!body.full && fw_sdk_http_send(invocation->progress_http, &request) == FW_OK)
		invocation->progress_unread++;
	fw_sdk_buffer_done(&body);
}

void fw_progress(struct fw_invocation *invocation, double done, double total, const char *note)
{
	if (!invocation->staged || !__builtin_isfinite(done) || !__builtin_isfinite(total))
		return;
	if (atomic_flag_test_and_set(&sending)) /* another thread is telling just now */
		return;
	uint64_t now = fw_sdk_now_ns();
	bool last = total > 0 && done >= total;
	if (last || invocation->progress_ns == 0 || now - invocation->progress_ns >= INTERVAL_NS) {
		if (last && invocation->progress_unread > 0)
			drain(invocation, FINISH_MS);
		invocation->progress_ns = now;
		send_progress(invocation, done, total, note);
	}
	atomic_flag_clear(&sending);
}

void fw_sdk_progress_finish(struct fw_invocation *invocation)
{
	drain(invocation, FINISH_MS);
	if (invocation->progress_unread > 0) { /* a reply that comes later must not be taken for another's */
		fw_sdk_http_done(invocation->progress_http);
		invocation->progress_unread = 0;
	}
}
