/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP client on the loop: libcurl multi underneath, no thread of its own, connections kept for the next call. Bodies
 * stream both ways through buffers of fixed size, so that memory does not depend on their length. Every call has
 * deadlines. It retries nothing and follows no redirect: who calls knows what may be repeated.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"

struct fw_http_client;
struct fw_http_call;

struct fw_http_client_options {
	const char *ca_file;  /* PEM, instead of the system's; NULL: the system's */
	bool no_proxy;        /* true: never through a proxy. Else as the environment says (http_proxy, no_proxy, ...) */
};
/* options may be NULL. */
int fw_http_client_new(struct fw_loop *loop, const struct fw_http_client_options *options,
                       struct fw_http_client **client, struct fw_error **err);
/* Calls in flight end without a callback. Not from inside a callback of the client. */
void fw_http_client_free(struct fw_http_client *client);
FW_DEFINE_CLEANUP(struct fw_http_client *, fw_http_client_free)

/* The next bytes of the request's body: writes up to `room` into `bytes`, returns how many; -1 ends the call (the body
 * cannot be read). Exactly body_bytes are asked for; 0 before that ends the call as well. */
typedef ssize_t fw_http_source_fn(void *context, char *bytes, size_t room);
/* Some bytes of the answer's body, in order; status and fields are known. False ends the call (FW_E_CANCELLED). */
typedef bool fw_http_sink_fn(void *context, struct fw_http_call *call, const char *bytes, size_t length);
/* Once, on the loop, never from inside fw_http_call(). rc is FW_OK when a whole answer came, whatever its status. The call
 * is gone afterwards. FW_E_TIMEOUT, FW_E_IO (no connection, cut, shorter than its Content-Length), FW_E_CANCELLED. */
typedef void fw_http_done_fn(void *context, struct fw_http_call *call, int rc, const struct fw_error *err);

struct fw_http_question {
	const char *method;         /* "GET" */
	const char *url;            /* sent as it is: dots and slashes of its path stay */
	const char *const *fields;  /* "Name: value", copied; NULL when there are none */
	size_t field_count;
	int64_t body_bytes;         /* -1: no body */
	fw_http_source_fn *source;  /* NULL without a body */
	fw_http_sink_fn *sink;      /* NULL: the body is thrown away */
	uint64_t connect_ms;        /* name, connection, TLS */
	uint64_t idle_ms;           /* without a byte moving either way; told by an average of some seconds, so up to six late */
	uint64_t total_ms;          /* the whole call; 0: as long as bytes move */
};
/* Names, url and fields are copied. `context` is given to source, sink and done. */
struct fw_http_call *fw_http_call(struct fw_http_client *client, const struct fw_http_question *question,
                                  fw_http_done_fn *done, void *context);
/* No callback any more. Not from inside its own source or sink (they end the call by what they return). */
void fw_http_call_cancel(struct fw_http_call *call);

/* In sink and done. 0 when no answer came. */
int fw_http_call_status(const struct fw_http_call *call);
/* By name in any case; NULL when absent. Valid until done returns. */
const char *fw_http_call_field(const struct fw_http_call *call, const char *name);
/* Bytes of the request's body that were sent, and of the answer's body that came. */
int64_t fw_http_call_sent(const struct fw_http_call *call);
int64_t fw_http_call_received(const struct fw_http_call *call);
