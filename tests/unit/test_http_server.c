/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <poll.h>

#include "base/memory.h"
#include "tests/unit/http_client.h"

struct fixture {
	struct fw_loop *loop;
	struct fw_http_server *server;
	uint16_t port;
	struct fw_http_request *parked;
	int requests, gone, too_large;
	uint64_t large_bytes;
	bool refuse_peers, free_in_request;
};

static bool accept_peer(void *context, int fd)
{
	struct fixture *fixture = context;
	unsigned uid = 0;

	assert_ok(fw_http_peer_uid(fd, &uid, NULL), NULL);
	assert_int_equal(uid, getuid());
	return !fixture->refuse_peers;
}

/* /park waits, /quiet has no body, everything else is echoed. */
static void on_request(void *context, struct fw_http_request *request)
{
	struct fixture *fixture = context;
	struct fw_str body = fw_http_body(request);

	fixture->requests++;
	if (fixture->free_in_request) {
		fw_http_server_free(fixture->server);
		fixture->server = NULL;
	} else if (strcmp(fw_http_path(request), "/park") == 0) {
		fixture->parked = request;
	} else if (strcmp(fw_http_path(request), "/quiet") == 0) {
		fw_http_reply(request, 200, NULL, 0, NULL, NULL, 0);
	} else {
		fw_http_reply(request, 200, NULL, 0, "text/plain", body.text, body.length);
	}
}

static void on_too_large(void *context, struct fw_http_request *request)
{
	struct fixture *fixture = context;

	fixture->too_large++;
	fixture->large_bytes = fw_http_body_bytes(request);
	fw_http_reply(request, 413, NULL, 0, NULL, NULL, 0);
}

static void on_gone(void *context, struct fw_http_request *request)
{
	struct fixture *fixture = context;

	assert_ptr_equal(request, fixture->parked);
	fixture->parked = NULL;
	fixture->gone++;
}

static struct fixture *fixture_new(void)
{
	static const struct fw_http_limits limits = {.header_bytes = 4096, .body_bytes = 100000, .connections = 3,
		.head_ns = 50 * FW_NS_PER_MS};
	static const struct fw_http_service service = {.accept = accept_peer, .request = on_request, .too_large = on_too_large, .gone = on_gone};
	struct fixture *fixture = fw_alloc(sizeof *fixture);

	assert_ok(fw_loop_new(&fixture->loop, NULL), NULL);
	int fd = listen_on_loopback(&fixture->port);

	assert_ok(fw_http_server_new(fixture->loop, fd, &limits, &service, fixture, &fixture->server, NULL), NULL);
	return fixture;
}

static void fixture_free(struct fixture *fixture)
{
	fw_http_server_free(fixture->server);
	fw_loop_free(fixture->loop);
	free(fixture);
}

static void serves_many_requests_on_one_connection(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	for (int i = 0; i < 100; i++) {
		client_send(&client, "POST /echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi");
		assert_int_equal(client_answer(&client), 200);
		assert_true(client_body_is(&client, "hi"));
	}
	client_close(&client);
	fixture_free(fixture);
}

static void answers_requests_sent_ahead_in_order(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	client_send(&client, "GET /park HTTP/1.1\r\n\r\nPOST /e HTTP/1.1\r\nContent-Length: 1\r\n\r\n2");
	turn_until(fixture->loop, fixture->parked);
	client_send(&client, "POST /e HTTP/1.1\r\nContent-Length: 1\r\n\r\n3");
	turn(fixture->loop, FW_NS_PER_MS);
	assert_int_equal(fixture->requests, 1);
	fw_http_reply(fixture->parked, 200, NULL, 0, NULL, "1", 1);
	for (const char *body = "123"; *body; body++) {
		assert_int_equal(client_answer(&client), 200);
		assert_int_equal(client.body[0], *body);
	}
	client_close(&client);
	fixture_free(fixture);
}

static void an_answer_does_not_wait_for_that_of_a_parked_request_behind_it(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	client_send(&client, "POST /e HTTP/1.1\r\nContent-Length: 1\r\n\r\n1GET /park HTTP/1.1\r\n\r\n");
	assert_int_equal(client_answer(&client), 200);
	assert_true(client_body_is(&client, "1"));
	assert_non_null(fixture->parked);
	fw_http_reply(fixture->parked, 200, NULL, 0, NULL, "2", 1);
	assert_int_equal(client_answer(&client), 200);
	assert_true(client_body_is(&client, "2"));
	client_close(&client);
	fixture_free(fixture);
}

static void tells_when_a_parked_peer_went_away(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	client_send(&client, "GET /park HTTP/1.1\r\n\r\n");
	turn_until(fixture->loop, fixture->parked);
	client_close(&client);
	turn_until(fixture->loop, fixture->gone == 1);
	fixture_free(fixture);
}

static void reads_a_body_past_the_limit_and_answers_413(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);
	fw_cleanup_free char *bytes = fw_alloc(1 << 20);

	(void)state;
	client_send(&client, "POST /e HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n");
	client_send_bytes(&client, bytes, 1 << 20);
	assert_int_equal(client_answer(&client), 413);
	assert_int_equal(fixture->large_bytes, 1 << 20);
	client_send(&client, "POST /e HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
	assert_int_equal(client_answer(&client), 200);
	assert_int_equal(fixture->requests, 1);
	client_close(&client);
	fixture_free(fixture);
}

/* A body that is too long to be read to its end is judged as any that is too large, and its connection is closed. */
static void judges_a_body_that_it_does_not_read(void **state)
{
	static const char *const heads[] = {"POST /e HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n",
	                                    "POST /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n"};
	struct fixture *fixture = fixture_new();

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(heads); i++) {
		struct client client = client_of(fixture->loop, fixture->port);

		client_send(&client, heads[i]);
		assert_int_equal(client_answer(&client), 413);
		client_close(&client);
	}
	assert_int_equal(fixture->too_large, 2);
	assert_true(fixture->large_bytes > (uint64_t)64 << 20);
	assert_int_equal(fixture->requests, 0);
	fixture_free(fixture);
}

static void says_continue_before_a_body_that_waits_for_it(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	client_send(&client, "POST /e HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	assert_int_equal(client_answer(&client), 100);
	client_send(&client, "ok");
	assert_int_equal(client_answer(&client), 200);
	client_close(&client);
	fixture_free(fixture);
}

static void answers_garbage_once_and_closes(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	client_send(&client, "\x16\x03\x01 not HTTP\r\n\r\n");
	assert_int_equal(client_answer(&client), 400);
	assert_int_equal(client_answer(&client), 0);
	assert_int_equal(fixture->requests, 0);
	client_close(&client);
	fixture_free(fixture);
}

static void writes_a_large_answer_to_a_slow_reader(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);
	size_t length = 8 << 20, received = 0;
	fw_cleanup_free char *bytes = fw_alloc(length);

	(void)state;
	client_send(&client, "GET /park HTTP/1.1\r\nConnection: close\r\n\r\n");
	turn_until(fixture->loop, fixture->parked);
	fw_http_reply(fixture->parked, 200, NULL, 0, NULL, bytes, length);
	for (uint64_t until = fw_monotonic_ns() + DEADLINE_NS; fw_monotonic_ns() < until;) {
		ssize_t rc = recv(client.fd, bytes, length, MSG_DONTWAIT);

		if (rc == 0)
			break;
		received += rc > 0 ? (size_t)rc : 0;
		turn(fixture->loop, 0);
	}
	assert_true(received > length);
	client_close(&client);
	fixture_free(fixture);
}

/* Whether an answer waits for it: on a machine that is busy the deadline may come before the last byte. */
static bool has_been_told(const struct client *client)
{
	struct pollfd told = {client->fd, POLLIN, 0};

	return poll(&told, 1, 0) > 0;
}

/* A head that comes byte by byte holds its connection until the deadline, and others are served meanwhile. */
static void ends_a_head_that_does_not_end(void **state)
{
	static const char text[] = "GET / HTTP/1.1\r\nX: ";
	struct fixture *fixture = fixture_new();
	struct client slow = client_of(fixture->loop, fixture->port), other = client_of(fixture->loop, fixture->port);
	uint64_t began = fw_monotonic_ns();
	char byte[2] = "";

	(void)state;
	for (size_t i = 0; i + 1 < sizeof text && !has_been_told(&slow); i++) {
		byte[0] = text[i];
		client_send(&slow, byte);
		turn(fixture->loop, FW_NS_PER_MS / 10);
	}
	client_send(&other, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(client_answer(&other), 200);
	assert_int_equal(client_answer(&slow), 408);
	assert_int_equal(client_answer(&slow), 0);
	assert_true(fw_monotonic_ns() - began >= 50 * FW_NS_PER_MS);
	assert_int_equal(fixture->requests, 1);
	client_send(&other, "GET / HTTP/1.1\r\n\r\n"); /* one that only rests is kept */
	assert_int_equal(client_answer(&other), 200);
	client_close(&slow);
	client_close(&other);
	fixture_free(fixture);
}

/* The deadline is the head's: a body may take as long as a function works. */
static void waits_for_a_body_past_the_deadline_of_its_head(void **state)
{
	static const char *const pieces[] = {"POST / HTTP/1.1\r\nContent-Length: 2\r\n", "\r\na", "b"};
	static const uint64_t pauses_ns[] = {FW_NS_PER_MS, 80 * FW_NS_PER_MS, 0};
	struct fixture *fixture = fixture_new();
	int status = 408;

	(void)state;
	for (unsigned attempt = 0; attempt < 100 && status == 408; attempt++) { /* the head itself may be late on a busy machine */
		struct client client = client_of(fixture->loop, fixture->port);

		for (size_t i = 0; i < 3 && !has_been_told(&client); i++) {
			client_send(&client, pieces[i]);
			turn(fixture->loop, pauses_ns[i]);
		}
		status = client_answer(&client);
		assert_true(status == 408 || client_body_is(&client, "ab"));
		client_close(&client);
	}
	assert_int_equal(status, 200);
	fixture_free(fixture);
}

/* A peer that sends without end and reads nothing is stopped by its own socket; what it asked is answered when it reads. */
static void does_not_read_on_while_answers_are_not_taken(void **state)
{
	static const char request[] = "GET / HTTP/1.1\r\n\r\n";
	enum { MOST = 64 << 20, PIECE = 3000 };
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);
	fw_cleanup_free char *piece = fw_alloc((sizeof request - 1) * PIECE + 1);
	size_t sent = 0, stalled = 0, at = 0, length = (sizeof request - 1) * PIECE;

	(void)state;
	for (size_t i = 0; i < PIECE; i++)
		memcpy(piece + i * (sizeof request - 1), request, sizeof request - 1);
	while (sent < MOST && stalled < 200) {
		ssize_t rc = send(client.fd, piece + at, length - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		stalled = rc > 0 ? 0 : stalled + 1;
		sent += rc > 0 ? (size_t)rc : 0;
		at = (at + (rc > 0 ? (size_t)rc : 0)) % length;
		turn(fixture->loop, rc > 0 ? 0 : FW_NS_PER_MS / 10);
	}
	assert_true(sent < MOST);
	for (size_t i = 0; i < sent / (sizeof request - 1); i++)
		assert_int_equal(client_answer(&client), 200);
	assert_int_equal(fixture->requests, sent / (sizeof request - 1));
	client_close(&client);
	fixture_free(fixture);
}

static void keeps_two_of_the_largest_bodies_at_once(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client clients[3];
	fw_cleanup_free char *bytes = fw_alloc(100000);

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		clients[i] = client_of(fixture->loop, fixture->port);
		client_send(&clients[i], "POST /quiet HTTP/1.1\r\nContent-Length: 100000\r\n\r\n");
		client_send_bytes(&clients[i], bytes, 99999);
		turn(fixture->loop, FW_NS_PER_MS);
	}
	for (size_t i = 3; i-- > 0;) {
		client_send(&clients[i], "x");
		assert_int_equal(client_answer(&clients[i]), i == 2 ? 413 : 200);
	}
	client_send(&clients[2], "POST /e HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"); /* the others have theirs back */
	assert_int_equal(client_answer(&clients[2]), 200);
	for (size_t i = 0; i < 3; i++)
		client_close(&clients[i]);
	fixture_free(fixture);
}

static void closes_connections_past_their_number(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client clients[4];

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		clients[i] = client_of(fixture->loop, fixture->port);
		turn(fixture->loop, FW_NS_PER_MS);
	}
	assert_int_equal(client_answer(&clients[3]), 0);
	client_send(&clients[2], "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(client_answer(&clients[2]), 200);
	for (size_t i = 0; i < 4; i++)
		client_close(&clients[i]);
	fixture_free(fixture);
}

static void closes_a_peer_that_the_service_refuses(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	fixture->refuse_peers = true;
	assert_int_equal(client_answer(&client), 0);
	client_close(&client);
	fixture_free(fixture);
}

static void may_be_freed_inside_a_request(void **state)
{
	struct fixture *fixture = fixture_new();
	struct client client = client_of(fixture->loop, fixture->port);

	(void)state;
	fixture->free_in_request = true;
	client_send(&client, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(client_answer(&client), 0);
	client_close(&client);
	fixture_free(fixture);
}

FW_TESTS(serves_many_requests_on_one_connection, answers_requests_sent_ahead_in_order,
         an_answer_does_not_wait_for_that_of_a_parked_request_behind_it, tells_when_a_parked_peer_went_away,
         reads_a_body_past_the_limit_and_answers_413, judges_a_body_that_it_does_not_read,
         says_continue_before_a_body_that_waits_for_it,
         answers_garbage_once_and_closes, writes_a_large_answer_to_a_slow_reader, ends_a_head_that_does_not_end,
         waits_for_a_body_past_the_deadline_of_its_head, does_not_read_on_while_answers_are_not_taken,
         keeps_two_of_the_largest_bodies_at_once, closes_connections_past_their_number,
         closes_a_peer_that_the_service_refuses, may_be_freed_inside_a_request)
