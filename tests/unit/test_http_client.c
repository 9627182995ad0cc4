/* SPDX-License-Identifier: Apache-2.0
 *
 * The client against our own server on the same loop: bodies both ways, deadlines, cancelling, what goes wrong.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/loop.h"
#include "base/memory.h"
#include "base/time.h"
#include "http/client.h"
#include "http/server.h"
#include "tests/unit/support.h"

enum { LARGE = 3000000 };

struct world {
	struct fw_loop *loop;
	struct fw_http_server *server;
	struct fw_http_client *client;
	struct fw_timer *deadline, *act;
	char url[64];
	/* what the server saw */
	unsigned parked, gone;
	char *method, *path, *field;
	size_t body_bytes;
	/* what the caller saw */
	unsigned ended, wanted;
	int rc, status;
	char *message, *answer_field;
	int64_t sent, given, received;
	bool source_fails, sink_refuses;
	struct fw_http_call *call;
};

static void serve(void *context, struct fw_http_request *request)
{
	struct world *world = context;
	static const struct fw_http_field fields[] = {{"X-Told", "yes"}};

	free(world->method);
	free(world->path);
	free(world->field);
	world->method = fw_strdup(fw_http_method(request));
	world->path = fw_strdup(fw_http_path(request));
	world->field = fw_strdup(fw_http_header(request, "x-mine"));
	world->body_bytes = fw_http_body(request).length;
	if (strcmp(world->path, "/park") == 0) {
		world->parked++;
		if (world->act)
			fw_timer_set(world->act, 0);
		return;
	}
	if (strcmp(world->path, "/large") == 0) {
		fw_cleanup_free char *body = fw_alloc(LARGE);

		memset(body, 'x', LARGE);
		fw_http_reply(request, 200, fields, 1, "text/plain", body, LARGE);
		return;
	}
	fw_http_reply(request, strcmp(world->path, "/missing") == 0 ? 404 : 200, fields, 1, "text/plain", "hello", 5);
}

static void peer_gone(void *context, struct fw_http_request *request)
{
	struct world *world = context;

	(void)request;
	world->gone++;
	fw_loop_stop(world->loop);
}

static void too_late(void *context)
{
	(void)context;
	fail_msg("nothing came in twenty seconds");
}

static void world_init(struct world *world)
{
	static const struct fw_http_service service = {.request = serve, .gone = peer_gone};
	static const struct fw_http_limits limits = {16384, LARGE, 16, 5 * FW_NS_PER_S};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	fw_cleanup_error struct fw_error *error = NULL;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	*world = (struct world){.wanted = 1};
	assert_ok(fw_loop_new(&world->loop, &error), error);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	snprintf(world->url, sizeof world->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
	assert_ok(fw_http_server_new(world->loop, fd, &limits, &service, world, &world->server, &error), error);
	assert_ok(fw_http_client_new(world->loop, &(struct fw_http_client_options){.no_proxy = true}, &world->client, &error), error);
	world->deadline = fw_timer_new(world->loop, too_late, NULL);
}

static void world_done(struct world *world)
{
	fw_http_client_free(world->client);
	fw_http_server_free(world->server);
	fw_timer_free(world->deadline);
	fw_timer_free(world->act);
	fw_loop_free(world->loop);
	free(world->method);
	free(world->path);
	free(world->field);
	free(world->message);
	free(world->answer_field);
}

static void run(struct world *world)
{
	fw_cleanup_error struct fw_error *error = NULL;

	fw_timer_set(world->deadline, 100 * FW_NS_PER_S);
	assert_ok(fw_loop_run(world->loop, &error), error);
}

static ssize_t source(void *context, char *bytes, size_t room)
{
	struct world *world = context;
	size_t left = (size_t)(LARGE - world->given), taken = left < room ? left : room;

	if (world->source_fails && world->given > 0)
		return -1;
	memset(bytes, 'u', taken);
	world->given += (int64_t)taken;
	return (ssize_t)taken;
}

static bool sink(void *context, struct fw_http_call *call, const char *bytes, size_t length)
{
	struct world *world = context;

	(void)bytes;
	assert_int_not_equal(fw_http_call_status(call), 0);
	world->received += (int64_t)length;
	return !world->sink_refuses;
}

static void ended(void *context, struct fw_http_call *call, int rc, const struct fw_error *err)
{
	struct world *world = context;

	free(world->message);
	free(world->answer_field);
	world->rc = rc;
	world->message = fw_strdup(rc == FW_OK ? NULL : fw_error_message(err));
	world->status = fw_http_call_status(call);
	world->answer_field = fw_strdup(fw_http_call_field(call, "x-told"));
	world->sent = fw_http_call_sent(call);
	world->call = NULL;
	if (++world->ended == world->wanted)
		fw_loop_stop(world->loop);
}

static void ask(struct world *world, const char *method, const char *path, int64_t body_bytes, uint64_t idle_ms, uint64_t total_ms)
{
	fw_cleanup_free char *url = fw_printf("%s%s", world->url, path);
	static const char *const fields[] = {"X-Mine: a\r\nX-Smuggled: b"};

	world->call = fw_http_call(world->client,
	                           &(struct fw_http_question){
								   .method = method,
								   .url = url,
								   .fields = fields,
								   .field_count = 1,
								   .body_bytes = body_bytes,
								   .source = source,
								   .sink = sink,
								   .connect_ms = 5000,
								   .idle_ms = idle_ms,
								   .total_ms = total_ms,
							   },
	                           ended, world);
	assert_int_equal(world->ended, 0); /* never from inside */
}

static void an_answer_comes_with_status_fields_and_body(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	ask(&world, "GET", "/a/../b//c?d=%20", -1, 5000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.status, 200);
	assert_string_equal(world.answer_field, "yes");
	assert_int_equal(world.received, 5);
	assert_string_equal(world.path, "/a/../b//c?d=%20"); /* as it was given */
	assert_string_equal(world.field, "a  X-Smuggled: b");
	world_done(&world);
}

static void a_status_of_failure_is_an_answer(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	ask(&world, "DELETE", "/missing", -1, 5000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.status, 404);
	assert_string_equal(world.method, "DELETE");
	world_done(&world);
}

static void bodies_stream_both_ways(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	ask(&world, "PUT", "/large", LARGE, 5000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_OK);
	assert_int_equal(world.body_bytes, LARGE);
	assert_int_equal(world.sent, LARGE);
	assert_int_equal(world.received, LARGE);
	world_done(&world);
}

static void many_calls_run_side_by_side(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.wanted = 12;
	for (unsigned i = 0; i < world.wanted; i++)
		ask(&world, "GET", "/large", -1, 5000, 0);
	run(&world);
	assert_int_equal(world.ended, 12);
	assert_int_equal(world.received, 12 * LARGE);
	world_done(&world);
}

static void a_server_that_says_nothing_is_given_up(void **state)
{
	struct world world;
	uint64_t began = fw_monotonic_ns();

	(void)state;
	world_init(&world);
	ask(&world, "GET", "/park", -1, 1000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_E_TIMEOUT);
	assert_non_null(strstr(world.message, "GET 127.0.0.1:"));
	world.ended = 0;
	ask(&world, "GET", "/park", -1, 60000, 300);
	run(&world);
	assert_int_equal(world.rc, FW_E_TIMEOUT);
	assert_in_range(fw_monotonic_ns() - began, 900 * FW_NS_PER_MS, 15 * FW_NS_PER_S);
	world_done(&world);
}

static void give_up(void *context)
{
	struct world *world = context;

	fw_http_call_cancel(FW_TAKE(world->call));
}

static void a_call_that_is_cancelled_is_not_heard_of_again(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.act = fw_timer_new(world.loop, give_up, &world);
	ask(&world, "GET", "/park", -1, 60000, 0);
	run(&world); /* until the server sees that its peer has left */
	assert_int_equal(world.ended, 0);
	assert_int_equal(world.gone, 1);
	world_done(&world);
}

static void calls_in_flight_end_with_their_client(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	ask(&world, "GET", "/large", -1, 60000, 0);
	ask(&world, "PUT", "/large", LARGE, 60000, 0);
	world_done(&world);
	assert_int_equal(world.ended, 0);
}

static void a_sink_or_a_source_that_fails_ends_the_call(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	world.sink_refuses = true;
	ask(&world, "GET", "/large", -1, 5000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_E_CANCELLED);
	assert_true(world.received < LARGE);
	world.sink_refuses = false;
	world.source_fails = true;
	world.ended = 0;
	ask(&world, "PUT", "/large", LARGE, 5000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_E_IO);
	assert_non_null(strstr(world.message, "cannot be read"));
	world_done(&world);
}

static void nobody_there_and_no_url_are_told_apart(void **state)
{
	struct world world;

	(void)state;
	world_init(&world);
	snprintf(world.url, sizeof world.url, "http://127.0.0.1:1");
	ask(&world, "GET", "/", -1, 5000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_E_IO);
	world.ended = 0;
	snprintf(world.url, sizeof world.url, "file:///etc/passwd");
	ask(&world, "GET", "", -1, 5000, 0);
	run(&world);
	assert_int_equal(world.rc, FW_E_INVALID);
	assert_int_equal(world.received, 0);
	world_done(&world);
}

FW_TESTS(an_answer_comes_with_status_fields_and_body, a_status_of_failure_is_an_answer, bodies_stream_both_ways,
         many_calls_run_side_by_side, a_server_that_says_nothing_is_given_up, a_call_that_is_cancelled_is_not_heard_of_again,
         calls_in_flight_end_with_their_client, a_sink_or_a_source_that_fails_ends_the_call, nobody_there_and_no_url_are_told_apart)
