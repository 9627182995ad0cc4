/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP requests: what is read must not depend on the pieces in which the bytes came. Sources: src/http/parser.c, src/base.
 */
#include <stdlib.h>
#include <string.h>

#include "http/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void feed_in_pieces(struct fw_http_message *message, const char *bytes, size_t length, size_t piece)
{
	for (size_t at = 0; at < length && message->phase < FW_HTTP_COMPLETE;) {
		size_t taken = fw_http_message_feed(message, bytes + at, length - at < piece ? length - at : piece);

		require(taken > 0);
		at += taken;
	}
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_http_message whole, pieces;

	if (size == 0)
		return 0;
	fw_http_message_init(&whole, 1024, 256);
	fw_http_message_init(&pieces, 1024, 256);
	feed_in_pieces(&whole, (const char *)data + 1, size - 1, SIZE_MAX);
	feed_in_pieces(&pieces, (const char *)data + 1, size - 1, (size_t)data[0] + 1);
	require((whole.phase == FW_HTTP_COMPLETE) == (pieces.phase == FW_HTTP_COMPLETE));
	require((whole.phase == FW_HTTP_BAD) == (pieces.phase == FW_HTTP_BAD));
	if (whole.phase == FW_HTTP_COMPLETE) {
		require(same(whole.method, pieces.method) && same(whole.path, pieces.path));
		require(whole.field_count == pieces.field_count && whole.trailer_count == pieces.trailer_count);
		require(whole.body_bytes == pieces.body_bytes && whole.keep_alive == pieces.keep_alive);
		require(whole.body.failed == pieces.body.failed);
		if (!whole.body.failed)
			require(whole.body.length == whole.body_bytes && whole.body.length == pieces.body.length &&
			        memcmp(whole.body.data ? whole.body.data : "", pieces.body.data ? pieces.body.data : "",
			               whole.body.length) == 0);
		for (size_t i = 0; i < whole.field_count; i++)
			require(same(whole.fields[i].value, pieces.fields[i].value) && !strpbrk(whole.fields[i].value, "\r\n"));
	}
	fw_http_message_done(&whole);
	fw_http_message_done(&pieces);
	return 0;
}
