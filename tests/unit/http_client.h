/* SPDX-License-Identifier: Apache-2.0
 *
 * A scripted HTTP client on the loop's own thread: it sends exact bytes and reads one answer at a time while it lets the
 * loop turn. Every wait has a deadline.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/str.h"
#include "base/time.h"
#include "tests/unit/support.h"

struct client {
	struct fw_loop *loop;
	int fd;
	char bytes[65536]; /* of the last answer, and what came behind it */
	size_t length;
	int status;
	const char *body;
	size_t body_length;
};

static inline int listen_on_loopback(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

static inline void stop_loop(void *context)
{
	fw_loop_stop(context);
}

/* Turns the loop once, waiting at most delay_ns. */
static inline void turn(struct fw_loop *loop, uint64_t delay_ns)
{
	struct fw_timer *timer = fw_timer_new(loop, stop_loop, loop);

	fw_timer_set(timer, delay_ns);
	assert_ok(fw_loop_run(loop, NULL), NULL);
	fw_timer_free(timer);
}

#define DEADLINE_NS (100 * FW_NS_PER_S) /* only what hangs takes so long */
/* Turns the loop until the condition holds; fails the test at the deadline. */
#define turn_until(loop, condition)                                          \
	for (uint64_t until_ = fw_monotonic_ns() + DEADLINE_NS; !(condition);) { \
		if (fw_monotonic_ns() > until_)                                      \
			fail_msg("never came true: %s", #condition);                     \
		turn(loop, FW_NS_PER_MS);                                            \
	}

static inline struct client client_of(struct fw_loop *loop, uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct client client = {.loop = loop, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	assert_true(client.fd >= 0);
	assert_int_equal(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
	return client;
}

static inline void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/* All of it, the loop turning when the socket is full. */
static inline void client_send_bytes(struct client *client, const char *bytes, size_t length)
{
	uint64_t until = fw_monotonic_ns() + DEADLINE_NS;

	while (length) {
		ssize_t rc = send(client->fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (rc < 0 && errno != EAGAIN)
			fail_msg("send: %s", strerror(errno));
		if (rc > 0) {
			bytes += rc;
			length -= (size_t)rc;
		} else {
			turn(client->loop, FW_NS_PER_MS);
		}
		assert_true(fw_monotonic_ns() < until);
	}
}

static inline void client_send(struct client *client, const char *text)
{
	client_send_bytes(client, text, strlen(text));
}

/* True when a whole answer stands at the front of `bytes`. */
static inline bool client_parse(struct client *client)
{
	char *head_end = memmem(client->bytes, client->length, "\r\n\r\n", 4);
	const char *field;

	if (!head_end)
		return false;
	client->status = atoi(client->bytes + strlen("HTTP/1.1 "));
	field = memmem(client->bytes, (size_t)(head_end - client->bytes), "Content-Length: ", 16);
	client->body_length = field ? (size_t)atol(field + 16) : 0;
	client->body = head_end + 4;
	return client->length >= (size_t)(client->body - client->bytes) + client->body_length;
}

/* Reads the next answer; returns its status, 0 when the server closed instead. */
static inline int client_answer(struct client *client)
{
	uint64_t until = fw_monotonic_ns() + DEADLINE_NS;

	if (client->body) { /* what came behind the last answer */
		size_t used = (size_t)(client->body - client->bytes) + client->body_length;

		memmove(client->bytes, client->bytes + used, client->length - used);
		client->length -= used;
		client->body = NULL;
	}
	while (!client_parse(client)) {
		ssize_t rc = recv(client->fd, client->bytes + client->length, sizeof client->bytes - 1 - client->length,
		                  MSG_DONTWAIT);

		client->body = NULL;
		if (rc == 0 || (rc < 0 && errno != EAGAIN))
			return 0;
		if (rc > 0)
			client->length += (size_t)rc;
		else
			turn(client->loop, FW_NS_PER_MS);
		client->bytes[client->length] = '\0';
		if (fw_monotonic_ns() > until)
			fail_msg("no answer in time");
	}
	return client->status;
}

static inline bool client_body_is(const struct client *client, const char *text)
{
	return fw_str_is((struct fw_str){client->body, client->body_length}, text);
}

static inline bool client_body_has(const struct client *client, const char *text)
{
	return memmem(client->body, client->body_length, text, strlen(text));
}

/* Value of a field of the last answer's head, until the line's end. */
static inline bool client_head_has(const struct client *client, const char *text)
{
	return memmem(client->bytes, (size_t)(client->body - client->bytes), text, strlen(text));
}
