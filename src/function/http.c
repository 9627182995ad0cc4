/* SPDX-License-Identifier: Apache-2.0
 *
 * The SDK's HTTP/1.1 client: one kept TCP connection to the Runtime API, one writev out and usually one read in. There is
 * no timeout: `next` may wait for hours, and it is the host that ends a function. A kept connection that the host has
 * closed meanwhile is noticed before a request is sent, so that no answer is posted twice.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "function/sdk.h"

enum { READ_BYTES = 32 << 10 };

int fw_sdk_http_init(struct fw_sdk_http *http, const char *authority)
{
	char host[48];
	const char *colon = strrchr(authority, ':');
	size_t length = colon ? (size_t)(colon - authority) : 0;
	char *end = NULL;

	*http = (struct fw_sdk_http){.fd = -1, .received = {.max = FW_SDK_EVENT_MAX_BYTES}};
	if (length == 0 || length >= sizeof host || strlen(authority) >= sizeof http->authority)
		return FW_ERROR;
	memcpy(host, authority, length);
	host[length] = '\0';
	memcpy(http->authority, authority, strlen(authority) + 1);
	unsigned long port = strtoul(colon + 1, &end, 10);
	http->address.sin_family = AF_INET;
	http->address.sin_port = htons((uint16_t)port);
	const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	if (*end || port == 0 || port > 65535 || inet_pton(AF_INET, numeric, &http->address.sin_addr) != 1)
		return FW_ERROR;
	return FW_OK;
}

static void disconnect(struct fw_sdk_http *http)
{
	if (http->fd >= 0)
		close(http->fd);
	http->fd = -1;
	http->received.length = http->used = 0;
}

void fw_sdk_http_done(struct fw_sdk_http *http)
{
	disconnect(http);
	fw_sdk_buffer_done(&http->received);
}

static int fail(struct fw_sdk_http *http, int error)
{
	disconnect(http);
	errno = error;
	return FW_ERROR;
}

static int connect_to_host(struct fw_sdk_http *http)
{
	int one = 1;

	http->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (http->fd < 0)
		return FW_ERROR;
	while (connect(http->fd, (struct sockaddr *)&http->address, sizeof http->address) < 0)
		if (errno != EINTR)
			return fail(http, errno);
	setsockopt(http->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return FW_OK;
}

/* Readable although nothing was asked: closed, or out of step. */
static bool is_stale(const struct fw_sdk_http *http)
{
	char byte;

	return recv(http->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static int send_all(struct fw_sdk_http *http, struct iovec *parts, size_t count)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};

	while (message.msg_iovlen > 0) {
		ssize_t sent = sendmsg(http->fd, &message, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return fail(http, errno);
		for (size_t left = (size_t)sent; message.msg_iovlen > 0;) {
			size_t step = left < message.msg_iov->iov_len ? left : message.msg_iov->iov_len;

			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + step;
			message.msg_iov->iov_len -= step;
			left -= step;
			if (message.msg_iov->iov_len > 0)
				break;
			message.msg_iov++;
			message.msg_iovlen--;
		}
	}
	return FW_OK;
}

/* The head's length, 0 when it does not fit. */
static size_t write_head(const struct fw_sdk_http *http, const struct fw_sdk_request *request, char *head, size_t size)
{
	int length = snprintf(head, size, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", request->method, request->path, http->authority,
	                      request->headers ? request->headers : "");
	if (length > 0 && (size_t)length < size && request->body.bytes)
		length += snprintf(head + length, size - (size_t)length,
		                   "Content-Type: application/json\r\nContent-Length: %zu\r\n", request->body.length);
	if (length < 0 || (size_t)length + 3 > size)
		return 0;
	head[length] = '\r';
	head[length + 1] = '\n';
	return (size_t)length + 2;
}

static int send_requests(struct fw_sdk_http *http, const struct fw_sdk_request *requests, size_t count)
{
	char heads[2][1024];
	struct iovec parts[4];
	size_t part_count = 0;

	if (http->fd >= 0 && is_stale(http))
		disconnect(http);
	if (http->fd < 0 && connect_to_host(http) != FW_OK)
		return FW_ERROR;
	for (size_t i = 0; i < count; i++) {
		const struct fw_sdk_text *body = &requests[i].body;
		size_t length = write_head(http, &requests[i], heads[i], sizeof heads[i]);

		if (length == 0)
			return fail(http, EMSGSIZE);
		parts[part_count++] = (struct iovec){heads[i], length};
		if (body->length)
			parts[part_count++] = (struct iovec){(void *)body->bytes, body->length};
	}
	return send_all(http, parts, part_count);
}

int fw_sdk_http_send(struct fw_sdk_http *http, const struct fw_sdk_request *request)
{
	return send_requests(http, request, 1);
}

int fw_sdk_http_send_both(struct fw_sdk_http *http, const struct fw_sdk_request requests[2])
{
	return send_requests(http, requests, 2);
}

/* 1: a whole reply, 0: more is needed, -1: the connection is of no use, errno says why. */
static int read_more(struct fw_sdk_http *http, struct fw_sdk_reply *reply)
{
	struct fw_sdk_buffer *received = &http->received;

	if (!fw_sdk_reserve(received, READ_BYTES)) {
		errno = EMSGSIZE;
		return -1;
	}
	ssize_t count = read(http->fd, received->bytes + received->length, received->capacity - received->length - 1);
	if (count < 0)
		return errno == EINTR ? 0 : -1;
	received->length += (size_t)count;
	received->bytes[received->length] = '\0';
	int whole = fw_sdk_http_parse(received->bytes, received->length, count == 0, reply, &http->used);
	errno = received->length ? EBADMSG : ECONNRESET;
	return whole == 0 && count == 0 ? -1 : whole;
}

/* What came behind the last reply comes first. */
static void drop_last_reply(struct fw_sdk_http *http)
{
	struct fw_sdk_buffer *received = &http->received;

	received->full = false;
	received->length -= http->used;
	if (received->length)
		memmove(received->bytes, received->bytes + http->used, received->length + 1);
	http->used = 0;
}

int fw_sdk_http_receive(struct fw_sdk_http *http, struct fw_sdk_reply *reply)
{
	struct fw_sdk_buffer *received = &http->received;

	drop_last_reply(http);
	int whole = fw_sdk_http_parse(received->bytes, received->length, false, reply, &http->used);
	errno = EBADMSG;
	while (whole == 0)
		whole = read_more(http, reply);
	if (whole < 0)
		return fail(http, errno);
	if (reply->close) {
		close(http->fd);
		http->fd = -1;
		http->used = received->length;
	}
	return FW_OK;
}

int fw_sdk_http_call(struct fw_sdk_http *http, const struct fw_sdk_request *request, struct fw_sdk_reply *reply)
{
	if (fw_sdk_http_send(http, request) != FW_OK)
		return FW_ERROR;
	return fw_sdk_http_receive(http, reply);
}
