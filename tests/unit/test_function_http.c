/* SPDX-License-Identifier: Apache-2.0
 *
 * The SDK's reading of HTTP replies, whole and cut at every byte.
 */
#include "tests/unit/function_host.h"

#include <stdlib.h>
#include <string.h>

#include "function/sdk.h"

static int parse(const char *text, size_t length, bool ended, struct fw_sdk_reply *reply, char *copy, size_t *used)
{
	memcpy(copy, text, length);
	return fw_sdk_http_parse(copy, length, ended, reply, used);
}

static void a_reply_is_whole_only_at_its_last_byte(void **state)
{
	static const char *const replies[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	};

	(void)state;
	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		size_t length = strlen(replies[i]), used = 0;
		char *copy = malloc(length);
		struct fw_sdk_reply reply;

		for (size_t cut = 0; cut < length; cut++)
			assert_int_equal(parse(replies[i], cut, false, &reply, copy, &used), 0);
		assert_int_equal(parse(replies[i], length, false, &reply, copy, &used), 1);
		assert_int_equal(used, length);
		assert_int_equal(reply.status, 200);
		assert_int_equal(reply.body.length, 5);
		assert_memory_equal(reply.body.bytes, "hello", 5);
		assert_false(reply.close);
		free(copy);
	}
}

static void a_body_without_length_ends_with_the_connection(void **state)
{
	const char *text = "HTTP/1.0 200 OK\r\n\r\nhello";
	struct fw_sdk_reply reply;
	char copy[64];
	size_t used;

	(void)state;
	assert_int_equal(parse(text, strlen(text), false, &reply, copy, &used), 0);
	assert_int_equal(parse(text, strlen(text), true, &reply, copy, &used), 1);
	assert_int_equal(reply.body.length, 5);
	assert_true(reply.close);
}

static void headers_are_found_whatever_their_case(void **state)
{
	const char *text = "HTTP/1.1 202 Accepted\r\nlambda-runtime-AWS-request-id:  8476a536  \r\nContent-Length: 0\r\n\r\n";
	struct fw_sdk_reply reply;
	char copy[128];
	size_t used;

	(void)state;
	assert_int_equal(parse(text, strlen(text), false, &reply, copy, &used), 1);
	struct fw_sdk_text id = fw_sdk_http_header(&reply, "Lambda-Runtime-Aws-Request-Id");
	assert_int_equal(id.length, 8);
	assert_memory_equal(id.bytes, "8476a536", 8);
	assert_null(fw_sdk_http_header(&reply, "Lambda-Runtime").bytes);
}

static void what_is_not_http_is_refused(void **state)
{
	static const char *const bad[] = {
		"SSH-2.0-OpenSSH\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct fw_sdk_reply reply;
		char copy[256];
		size_t used;

		if (parse(bad[i], strlen(bad[i]), false, &reply, copy, &used) != -1)
			fail_msg("accepted: %s", bad[i]);
	}
}

static void only_numeric_addresses_with_a_port_are_taken(void **state)
{
	static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:", ":9001", "127.0.0.1:0", "127.0.0.1:70000", "host.example:1",
	                                  "127.0.0.1:9001/x"};
	struct fw_sdk_http http;

	(void)state;
	assert_int_equal(fw_sdk_http_init(&http, "169.254.100.1:9001"), FW_OK);
	assert_int_equal(fw_sdk_http_init(&http, "localhost:9001"), FW_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(fw_sdk_http_init(&http, bad[i]), FW_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reply_is_whole_only_at_its_last_byte),
		cmocka_unit_test(a_body_without_length_ends_with_the_connection),
		cmocka_unit_test(headers_are_found_whatever_their_case),
		cmocka_unit_test(what_is_not_http_is_refused),
		cmocka_unit_test(only_numeric_addresses_with_a_port_are_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
