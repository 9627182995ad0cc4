/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP/1.1 server on a listening socket: keep-alive, chunked request bodies, long polls, limits. Our own parser and
 * connections on the loop's descriptors: evhttp neither tells that a parked peer went away, nor how large a refused body
 * was, nor gives trailers, and it costs twice the loop turns a reply.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/str.h"

struct fw_http_server;
struct fw_http_request; /* valid until answered */

struct fw_http_limits {
	size_t header_bytes;
	size_t body_bytes;  /* a larger body is read, thrown away and answered 413 by `too_large`, or plainly; so is one that
	                     * comes while other connections hold two of the largest */
	size_t connections; /* at once; more are closed as they come */
	uint64_t head_ns;   /* from a request's first byte to the end of its head: then 408, and the connection is closed */
};

struct fw_http_service {
	/* Once per connection, before its first request; false closes it. May be NULL. */
	bool (*accept)(void *context, int fd);
	/* Must answer now or later with fw_http_reply(), exactly once. */
	void (*request)(void *context, struct fw_http_request *request);
	/* The body passed the limit: answer with fw_http_reply(). May be NULL. */
	void (*too_large)(void *context, struct fw_http_request *request);
	/* The peer of a parked (unanswered) request went away: the request is gone after this call. May be NULL. */
	void (*gone)(void *context, struct fw_http_request *request);
};

/* Takes the descriptor over. */
int fw_http_server_new(struct fw_loop *loop, int listening_fd, const struct fw_http_limits *limits,
                       const struct fw_http_service *service, void *context, struct fw_http_server **server,
                       struct fw_error **err);
/* Parked requests are closed. */
void fw_http_server_free(struct fw_http_server *server);

const char *fw_http_method(const struct fw_http_request *request); /* "GET" */
const char *fw_http_path(const struct fw_http_request *request);   /* with its query */
const char *fw_http_header(const struct fw_http_request *request, const char *name); /* or NULL */
const char *fw_http_trailer(const struct fw_http_request *request, const char *name); /* or NULL */
struct fw_str fw_http_body(const struct fw_http_request *request);
uint64_t fw_http_body_bytes(const struct fw_http_request *request); /* as sent, also past the limit */

struct fw_http_field {
	const char *name, *value;
};
/* Ends the request. Written at once when the socket takes it. Fields with line ends in them are left out. */
void fw_http_reply(struct fw_http_request *request, int status, const struct fw_http_field *fields, size_t field_count,
                   const char *content_type, const void *body, size_t length);

/* uid of the process at the other end of a loopback TCP connection (NETLINK_SOCK_DIAG). */
int fw_http_peer_uid(int fd, unsigned *uid, struct fw_error **err);
/* The uid in one answer of the kernel's socket table. */
int fw_http_peer_answer(const char *bytes, size_t length, unsigned *uid, struct fw_error **err);
