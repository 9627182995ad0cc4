/* SPDX-License-Identifier: Apache-2.0 */
#include "http/parser.h"

#include <string.h>

#include "base/memory.h"
#include "tests/unit/support.h"

static void fw_message_cleanup(struct fw_http_message *message)
{
	fw_http_message_done(message);
}
#define cleanup_message __attribute__((cleanup(fw_message_cleanup)))

/* Feeds in pieces of `step` bytes; returns how many bytes were taken. */
static size_t feed(struct fw_http_message *message, const char *text, size_t step)
{
	size_t taken = 0, length = strlen(text);

	while (taken < length && message->phase < FW_HTTP_COMPLETE) {
		size_t piece = length - taken < step ? length - taken : step;

		taken += fw_http_message_feed(message, text + taken, piece);
	}
	return taken;
}

static void reads_a_request_in_pieces_of_any_size(void **state)
{
	static const char text[] = "POST /a/b?c=d HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Y: \t spaced out \r\n\r\nhello";

	(void)state;
	for (size_t step = 1; step <= sizeof text; step++) {
		cleanup_message struct fw_http_message message;

		fw_http_message_init(&message, 1024, 1024);
		assert_int_equal(feed(&message, text, step), sizeof text - 1);
		assert_int_equal(message.phase, FW_HTTP_COMPLETE);
		assert_string_equal(message.method, "POST");
		assert_string_equal(message.path, "/a/b?c=d");
		assert_string_equal(fw_http_message_field(&message, "x-y"), "spaced out");
		assert_string_equal(message.body.data, "hello");
		assert_true(message.keep_alive);
	}
}

static void decodes_chunks_and_keeps_trailers_apart(void **state)
{
	static const char text[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n"
	                           "5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\nT: late\r\n\r\n";

	(void)state;
	for (size_t step = 1; step <= sizeof text; step++) {
		cleanup_message struct fw_http_message message;

		fw_http_message_init(&message, 1024, 1024);
		feed(&message, text, step);
		assert_int_equal(message.phase, FW_HTTP_COMPLETE);
		assert_string_equal(message.body.data, "hello!");
		assert_null(fw_http_message_field(&message, "T"));
		assert_string_equal(fw_http_message_trailer(&message, "t"), "late");
	}
}

static void takes_only_its_own_bytes_of_two_requests(void **state)
{
	static const char text[] = "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n";
	cleanup_message struct fw_http_message message;

	(void)state;
	fw_http_message_init(&message, 1024, 1024);
	size_t taken = fw_http_message_feed(&message, text, strlen(text));

	assert_int_equal(taken, strlen(text) / 2);
	assert_string_equal(message.path, "/1");
	fw_http_message_clear(&message);
	fw_http_message_feed(&message, text + taken, strlen(text) - taken);
	assert_string_equal(message.path, "/2");
}

static void counts_a_body_past_its_limit_without_keeping_it(void **state)
{
	cleanup_message struct fw_http_message message;
	fw_cleanup_free char *bytes = fw_alloc(5000);

	(void)state;
	fw_http_message_init(&message, 1024, 1000);
	feed(&message, "POST / HTTP/1.1\r\nContent-Length: 5000\r\n\r\n", 64);
	assert_int_equal(fw_http_message_feed(&message, bytes, 5000), 5000);
	assert_int_equal(message.phase, FW_HTTP_COMPLETE);
	assert_true(fw_http_message_too_large(&message));
	assert_int_equal(message.body_bytes, 5000);
	assert_true(message.body.capacity <= 2048);
}

static void refuses_what_two_readers_could_read_differently(void **state)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n", 400},
		{"GET / HTTP/2.0\r\n\r\n", 505},
		{"GET /\r\n\r\n", 400},
		{"G@T / HTTP/1.1\r\n\r\n", 400},
		{"GET x HTTP/1.1\r\n\r\n", 400},
		{"GET /\xff\xfe HTTP/1.1\r\n\r\n", 400},
		{"GET /\xc3\xa4 HTTP/1.1\r\n\r\n", 400},
		{"GET /\x7f HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\nA: \x01\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", 400},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 400},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n", 413},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n", 400},
		{"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", 400},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++)
		for (size_t step = 1; step <= 64; step += 63) {
			cleanup_message struct fw_http_message message;

			fw_http_message_init(&message, 1024, 1024);
			feed(&message, cases[i].text, step);
			if (message.phase != FW_HTTP_BAD || message.status != cases[i].status)
				fail_msg("case %zu: phase %d status %d", i, message.phase, message.status);
		}
}

static void bounds_chunk_extensions_and_trailers(void **state)
{
	cleanup_message struct fw_http_message message, other;

	(void)state;
	fw_http_message_init(&message, 1024, 1024);
	feed(&message, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1", 64);
	for (int i = 0; i < FW_HTTP_MAX_LINE && message.phase < FW_HTTP_COMPLETE; i++)
		feed(&message, ";x=\"a\"", 64);
	assert_int_equal(message.phase, FW_HTTP_BAD);
	fw_http_message_init(&other, 1024, 1024);
	feed(&other, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", 64);
	for (int i = 0; i < FW_HTTP_MAX_TRAILERS + 1 && other.phase < FW_HTTP_COMPLETE; i++)
		feed(&other, "A: b\r\n", 64);
	feed(&other, "\r\n", 64);
	assert_int_equal(other.phase, FW_HTTP_BAD);
}

static void bounds_the_head(void **state)
{
	cleanup_message struct fw_http_message message;
	char field[80] = "\r\nA: ";

	(void)state;
	memset(field + 5, 'x', sizeof field - 6);
	fw_http_message_init(&message, 512, 512);
	feed(&message, "GET / HTTP/1.1", 64);
	for (int i = 0; i < 20 && message.phase == FW_HTTP_HEAD; i++)
		feed(&message, field, 64);
	assert_int_equal(message.phase, FW_HTTP_BAD);
	assert_int_equal(message.status, 431);
}

static void bounds_the_number_of_fields(void **state)
{
	cleanup_message struct fw_http_message message;

	(void)state;
	fw_http_message_init(&message, 8192, 512);
	feed(&message, "GET / HTTP/1.1\r\n", 64);
	for (int i = 0; i < FW_HTTP_MAX_FIELDS + 1; i++)
		feed(&message, "A: b\r\n", 64);
	feed(&message, "\r\n", 64);
	assert_int_equal(message.status, 431);
}

static void keeps_a_connection_as_its_version_says(void **state)
{
	static const struct {
		const char *text;
		bool kept;
	} cases[] = {
		{"GET / HTTP/1.1\r\n\r\n", true},
		{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false},
		{"GET / HTTP/1.0\r\n\r\n", false},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		cleanup_message struct fw_http_message message;

		fw_http_message_init(&message, 1024, 1024);
		feed(&message, cases[i].text, 64);
		assert_int_equal(message.keep_alive, cases[i].kept);
	}
}

FW_TESTS(reads_a_request_in_pieces_of_any_size, decodes_chunks_and_keeps_trailers_apart,
         takes_only_its_own_bytes_of_two_requests, counts_a_body_past_its_limit_without_keeping_it,
         refuses_what_two_readers_could_read_differently, bounds_chunk_extensions_and_trailers,
         bounds_the_head, bounds_the_number_of_fields,
         keeps_a_connection_as_its_version_says)
