/* SPDX-License-Identifier: Apache-2.0
 *
 * A connection (connection.h). A warm request costs one read and one write: answers are written where they are given, and
 * the loop is asked for writability only when the socket is full. While a request is parked the socket is only peeked at,
 * so that a peer that goes away is noticed and one that sends ahead waits in the kernel.
 * Invariant: between callbacks a connection is either reading or has exactly one parked request.
 */
#include "http/connection.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/memory.h"
#include "base/time.h"

enum {
	READ_BYTES = 65536,
	READS_A_TURN = 8,      /* other descriptors get their turn */
	AHEAD_BYTES = READ_BYTES, /* sent behind a parked request within the same read */
	UNREAD_BYTES = READ_BYTES, /* answers that the peer has not taken: then it is asked nothing more */
	BODIES = 2,            /* of the largest size, on all connections together */
	HEAD_BYTES = 4096,
};

struct fw_http_request {
	struct fw_http_connection *connection;
};

struct fw_http_connection {
	struct fw_http_server *server;
	struct fw_http_connection *next, **link;
	int fd;
	struct event *readable, *writable, *late;
	struct fw_http_message message;
	struct fw_http_request request;
	struct fw_buffer ahead; /* read behind the parked request */
	struct fw_buffer out;   /* what the socket did not take yet */
	size_t out_sent;
	size_t held;            /* its part of the server's body_bytes */
	unsigned depth;         /* callbacks of ours on the stack */
	bool parked;            /* the service has the request */
	bool more_read;         /* bytes behind the request that is being answered */
	bool close_after;       /* once `out` is written */
	bool closed;
};

static void destroy(struct fw_http_connection *connection)
{
	event_free(connection->readable);
	event_free(connection->writable);
	event_free(connection->late);
	close(connection->fd);
	fw_http_message_done(&connection->message);
	fw_buffer_done(&connection->ahead);
	fw_buffer_done(&connection->out);
	free(connection);
}

/* Its memory stays until the callbacks of ours that are on the stack have left it. */
static void shut(struct fw_http_connection *connection)
{
	if (connection->closed)
		return;
	connection->closed = true;
	event_del(connection->readable);
	event_del(connection->writable);
	event_del(connection->late);
	shutdown(connection->fd, SHUT_RDWR);
	*connection->link = connection->next;
	if (connection->next)
		connection->next->link = connection->link;
	connection->server->count--;
	connection->server->body_bytes -= connection->held;
}

void fw_http_connection_close(struct fw_http_connection *connection)
{
	shut(connection);
	if (connection->depth == 0)
		destroy(connection);
}

static void leave(struct fw_http_connection *connection)
{
	if (--connection->depth == 0 && connection->closed)
		destroy(connection);
}

static void peer_is_gone(struct fw_http_connection *connection)
{
	const struct fw_http_server *server = connection->server;

	if (connection->parked) {
		connection->parked = false;
		if (server->service.gone)
			server->service.gone(server->context, &connection->request);
	}
	shut(connection);
}

static void keep(struct fw_http_connection *connection, const struct iovec *parts, int count, size_t sent)
{
	for (int i = 0; i < count; i++) {
		size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;

		sent -= skip;
		(void)fw_buffer_append(&connection->out, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip);
	}
	if (connection->out.length)
		event_add(connection->writable, NULL);
}

/* Of what is kept, as much as the socket takes. False: the connection is of no use. */
static bool send_kept(struct fw_http_connection *connection)
{
	struct fw_buffer *out = &connection->out;
	ssize_t rc = send(connection->fd, out->data + connection->out_sent, out->length - connection->out_sent,
	                  MSG_NOSIGNAL | MSG_DONTWAIT);

	if (rc < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	connection->out_sent += rc > 0 ? (size_t)rc : 0;
	if (connection->out_sent < out->length) {
		event_add(connection->writable, NULL);
		return true;
	}
	fw_buffer_done(out);
	fw_buffer_init(out, SIZE_MAX / 2);
	connection->out_sent = 0;
	event_del(connection->writable);
	return true;
}

/* What the socket does not take now is kept and written as it empties. An answer behind which a request was read already
 * waits for that one's answer, if it comes in this turn: the peer is woken once. */
static void write_out(struct fw_http_connection *connection, struct iovec *parts, int count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};

	if (connection->out.length > 0 || connection->more_read) {
		keep(connection, parts, count, 0);
		if (!connection->more_read && !send_kept(connection))
			connection->close_after = true;
		return;
	}
	ssize_t rc = sendmsg(connection->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (rc < 0 && errno != EAGAIN && errno != EINTR)
		connection->close_after = true;
	else
		keep(connection, parts, count, rc > 0 ? (size_t)rc : 0);
}

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} known[] = {
		{200, "OK"}, {202, "Accepted"}, {204, "No Content"}, {400, "Bad Request"}, {401, "Unauthorized"},
		{403, "Forbidden"}, {404, "Not Found"}, {405, "Method Not Allowed"}, {408, "Request Timeout"}, {409, "Conflict"},
		{413, "Payload Too Large"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"}, {501, "Not Implemented"}, {503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < FW_COUNT_OF(known); i++)
		if (known[i].status == status)
			return known[i].reason;
	return "Unknown";
}

static void write_field(struct fw_buffer *head, const char *name, const char *value)
{
	fw_buffer_text(head, name);
	fw_buffer_text(head, ": ");
	fw_buffer_text(head, value);
	fw_buffer_text(head, "\r\n");
}

static void write_answer(struct fw_http_connection *connection, int status, const struct fw_http_field *fields,
                         size_t field_count, const char *content_type, const void *body, size_t length)
{
	fw_cleanup_buffer struct fw_buffer head;

	fw_buffer_init(&head, SIZE_MAX / 2); /* ours alone */
	fw_buffer_printf(&head, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", status, reason_of(status), length);
	if (content_type)
		write_field(&head, "Content-Type", content_type);
	for (size_t i = 0; i < field_count; i++)
		if (!strpbrk(fields[i].value, "\r\n"))
			write_field(&head, fields[i].name, fields[i].value);
	fw_buffer_text(&head, connection->close_after ? "Connection: close\r\n\r\n" : "\r\n");
	struct iovec parts[2] = {{head.data, head.length}, {(void *)(uintptr_t)body, length}};

	write_out(connection, parts, length ? 2 : 1);
}

static void answer_large(struct fw_http_connection *connection)
{
	const struct fw_http_server *server = connection->server;

	if (server->service.too_large)
		server->service.too_large(server->context, &connection->request);
	else
		fw_http_reply(&connection->request, 413, NULL, 0, NULL, NULL, 0);
}

/* Refuses what was no request, or one with a body that nobody will read; the peer's remaining bytes are of no interest. */
static void answer_bad(struct fw_http_connection *connection)
{
	connection->close_after = true;
	if (connection->message.status != 413)
		return write_answer(connection, connection->message.status, NULL, 0, NULL, NULL, 0);
	connection->parked = true;
	answer_large(connection);
}

static void dispatch(struct fw_http_connection *connection)
{
	const struct fw_http_server *server = connection->server;

	connection->parked = true;
	connection->close_after = !connection->message.keep_alive;
	if (!fw_http_message_too_large(&connection->message))
		server->service.request(server->context, &connection->request);
	else
		answer_large(connection);
}

static void say_continue(struct fw_http_connection *connection)
{
	static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec part = {(void *)(uintptr_t)line, sizeof line - 1};

	connection->message.wants_continue = false;
	write_out(connection, &part, 1);
}

/* A peer that asks and asks and reads no answer is not read either. */
static bool is_congested(const struct fw_http_connection *connection)
{
	return connection->out.length - connection->out_sent > UNREAD_BYTES;
}

static bool may_read(const struct fw_http_connection *connection)
{
	return !connection->closed && !connection->parked && !connection->close_after && !is_congested(connection);
}

/* Many connections with a large body each: those past what the server keeps are too large, as one alone can be. */
static void count_body(struct fw_http_connection *connection)
{
	struct fw_http_server *server = connection->server;
	struct fw_buffer *body = &connection->message.body;

	server->body_bytes += body->length - connection->held;
	connection->held = body->length;
	if (server->body_bytes <= BODIES * server->limits.body_bytes)
		return;
	fw_buffer_done(body);
	body->failed = true;
	server->body_bytes -= connection->held;
	connection->held = 0;
}

/* Takes bytes for as long as requests are answered at once; returns how many. */
static size_t feed(struct fw_http_connection *connection, const char *bytes, size_t length)
{
	size_t taken = 0;

	while (taken < length && may_read(connection)) {
		taken += fw_http_message_feed(&connection->message, bytes + taken, length - taken);
		connection->more_read = taken < length;
		count_body(connection);
		if (connection->message.wants_continue)
			say_continue(connection);
		if (connection->message.phase == FW_HTTP_BAD)
			answer_bad(connection);
		else if (connection->message.phase == FW_HTTP_COMPLETE)
			dispatch(connection);
	}
	connection->more_read = false;
	return taken;
}

static void feed_ahead(struct fw_http_connection *connection)
{
	size_t length = connection->ahead.length;

	if (!length)
		return;
	fw_cleanup_free char *bytes = fw_buffer_take(&connection->ahead);
	size_t taken = feed(connection, bytes, length);

	(void)fw_buffer_append(&connection->ahead, bytes + taken, length - taken);
}

static void close_if_written(struct fw_http_connection *connection)
{
	if (!connection->closed && connection->close_after && !connection->parked && connection->out.length == 0)
		shut(connection);
}

/* A parked peer is only peeked at. Bytes sent ahead stop the watching until the answer: they are not a goodbye. */
static void look_at_parked(struct fw_http_connection *connection)
{
	char byte;
	ssize_t rc = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (rc > 0)
		event_del(connection->readable);
	else if (rc == 0 || (errno != EAGAIN && errno != EINTR))
		peer_is_gone(connection);
}

static void read_requests(struct fw_http_connection *connection)
{
	char bytes[READ_BYTES];

	feed_ahead(connection);
	for (int i = 0; i < READS_A_TURN && may_read(connection); i++) {
		ssize_t rc = recv(connection->fd, bytes, sizeof bytes, MSG_DONTWAIT);

		if (rc == 0 || (rc < 0 && errno != EAGAIN && errno != EINTR))
			return peer_is_gone(connection);
		if (rc < 0)
			return;
		size_t taken = feed(connection, bytes, (size_t)rc);

		(void)fw_buffer_append(&connection->ahead, bytes + taken, (size_t)rc - taken);
		if ((size_t)rc < sizeof bytes)
			return; /* emptied: the next read would only say so */
	}
}

/* A head that comes byte by byte must not hold its connection for ever. A body may: a function streams while it works. */
static void watch_head(struct fw_http_connection *connection)
{
	if (connection->closed)
		return; /* its server may be gone */
	uint64_t ns = connection->server->limits.head_ns;
	struct timeval limit = {(time_t)(ns / FW_NS_PER_S), (suseconds_t)(ns % FW_NS_PER_S / 1000)};
	bool begun = may_read(connection) && connection->message.phase == FW_HTTP_HEAD && connection->message.head.length > 0;
	bool watched = event_pending(connection->late, EV_TIMEOUT, NULL);

	if (begun && !watched)
		event_add(connection->late, &limit);
	else if (!begun && watched)
		event_del(connection->late);
}

static void on_late(evutil_socket_t fd, short what, void *context)
{
	struct fw_http_connection *connection = context;

	(void)fd;
	(void)what;
	connection->depth++;
	connection->message.status = 408;
	answer_bad(connection);
	close_if_written(connection);
	leave(connection);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct fw_http_connection *connection = context;

	(void)fd;
	(void)what;
	connection->depth++;
	if (connection->parked)
		look_at_parked(connection);
	else if (connection->close_after || is_congested(connection))
		event_del(connection->readable); /* its answers are still to be written */
	else
		read_requests(connection);
	watch_head(connection);
	close_if_written(connection);
	leave(connection);
}

static void read_again(struct fw_http_connection *connection)
{
	event_add(connection->readable, NULL);
	if (connection->ahead.length || connection->close_after)
		event_active(connection->readable, EV_READ, 0);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
	struct fw_http_connection *connection = context;

	(void)fd;
	(void)what;
	connection->depth++;
	bool congested = is_congested(connection);

	if (!send_kept(connection))
		peer_is_gone(connection);
	else if (congested && !is_congested(connection))
		read_again(connection);
	close_if_written(connection);
	leave(connection);
}

static struct event *make_event(struct fw_http_connection *connection, short what, event_callback_fn callback)
{
	struct event *event = event_new(fw_loop_base(connection->server->loop), connection->fd, what, callback, connection);

	if (!event)
		fw_memory_exhausted();
	return event;
}

void fw_http_connection_new(struct fw_http_server *server, int fd)
{
	struct fw_http_connection *connection = fw_alloc(sizeof *connection);

	*connection = (struct fw_http_connection){
		.server = server,
		.next = server->first,
		.link = &server->first,
		.fd = fd,
		.request = {connection},
	};
	connection->readable = make_event(connection, EV_READ | EV_PERSIST, on_readable);
	connection->writable = make_event(connection, EV_WRITE, on_writable);
	connection->late = make_event(connection, EV_TIMEOUT, on_late);
	fw_http_message_init(&connection->message, server->limits.header_bytes, server->limits.body_bytes);
	fw_buffer_init(&connection->ahead, AHEAD_BYTES);
	fw_buffer_init(&connection->out, SIZE_MAX / 2); /* answers are ours, one at a time */
	if (server->first)
		server->first->link = &connection->next;
	server->first = connection;
	server->count++;
	event_add(connection->readable, NULL);
}

void fw_http_reply(struct fw_http_request *request, int status, const struct fw_http_field *fields, size_t field_count,
                   const char *content_type, const void *body, size_t length)
{
	struct fw_http_connection *connection = request->connection;

	write_answer(connection, status, fields, field_count, content_type, body, length);
	connection->parked = false;
	fw_http_message_clear(&connection->message);
	count_body(connection);
	if (connection->depth)
		return; /* read_requests() goes on */
	read_again(connection);
}

const char *fw_http_method(const struct fw_http_request *request)
{
	return request->connection->message.method;
}

const char *fw_http_path(const struct fw_http_request *request)
{
	return request->connection->message.path;
}

const char *fw_http_header(const struct fw_http_request *request, const char *name)
{
	return fw_http_message_field(&request->connection->message, name);
}

const char *fw_http_trailer(const struct fw_http_request *request, const char *name)
{
	return fw_http_message_trailer(&request->connection->message, name);
}

struct fw_str fw_http_body(const struct fw_http_request *request)
{
	return fw_buffer_str(&request->connection->message.body);
}

uint64_t fw_http_body_bytes(const struct fw_http_request *request)
{
	return request->connection->message.body_bytes;
}
