/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading an HTTP/1.1 reply: status, headers, a body with a length, in chunks or up to the end of the connection. It takes
 * (bytes, length) and never looks further, so that it can be fuzzed; it keeps nothing between calls.
 */
#include <string.h>
#include <strings.h>

#include "function/sdk.h"

enum { HEAD_MAX_BYTES = 64 << 10 };

struct fw_sdk_text fw_sdk_http_header(const struct fw_sdk_reply *reply, const char *name)
{
	const char *at = reply->head.bytes, *end = at + reply->head.length;
	size_t length = strlen(name);

	while (at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		const char *stop = line_end ? line_end : end;

		if ((size_t)(stop - at) > length && strncasecmp(at, name, length) == 0 && at[length] == ':') {
			at += length + 1;
			while (at < stop && (*at == ' ' || *at == '\t'))
				at++;
			while (stop > at && (stop[-1] == ' ' || stop[-1] == '\r' || stop[-1] == '\t'))
				stop--;
			return (struct fw_sdk_text){at, (size_t)(stop - at)};
		}
		at = stop + 1;
	}
	return (struct fw_sdk_text){NULL, 0};
}

static bool header_is(const struct fw_sdk_reply *reply, const char *name, const char *value)
{
	struct fw_sdk_text found = fw_sdk_http_header(reply, name);

	return found.bytes && found.length == strlen(value) && strncasecmp(found.bytes, value, found.length) == 0;
}

/* Digits only; -1 when there are none or too many. */
static int64_t take_number(struct fw_sdk_text text, unsigned base, size_t *used)
{
	int64_t number = 0;
	size_t i = 0;

	for (; i < text.length; i++) {
		char character = (char)(text.bytes[i] | 0x20);
		int digit = text.bytes[i] >= '0' && text.bytes[i] <= '9' ? text.bytes[i] - '0'
		            : base == 16 && character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;

		if (digit < 0)
			break;
		number = number * base + digit;
		if (number > FW_SDK_EVENT_MAX_BYTES)
			return -1;
	}
	*used = i;
	return i ? number : -1;
}

/* Walks the chunks; only when the last one is there are they joined. */
static int read_chunks(char *body, size_t length, bool join, size_t *joined, size_t *used)
{
	size_t at = 0, out = 0;

	for (;;) {
		char *line_end = memchr(body + at, '\n', length - at);
		size_t digits;

		if (!line_end)
			return length - at > 256 ? -1 : 0;
		int64_t size = take_number((struct fw_sdk_text){body + at, (size_t)(line_end - body) - at}, 16, &digits);
		if (size < 0)
			return -1;
		at = (size_t)(line_end - body) + 1;
		if (size == 0)
			break;
		if (length - at < (size_t)size + 2)
			return 0;
		if (memcmp(body + at + size, "\r\n", 2) != 0)
			return -1;
		if (join)
			memmove(body + out, body + at, (size_t)size);
		out += (size_t)size;
		at += (size_t)size + 2;
	}
	for (;;) { /* trailers, up to an empty line */
		char *line_end = memchr(body + at, '\n', length - at);

		if (!line_end)
			return length - at > HEAD_MAX_BYTES ? -1 : 0;
		size_t line = (size_t)(line_end - body) - at;
		bool empty = line == 0 || (line == 1 && body[at] == '\r');
		at += line + 1;
		if (empty)
			break;
	}
	*joined = out;
	*used = at;
	return 1;
}

static int read_body(char *body, size_t length, bool ended, struct fw_sdk_reply *reply, size_t *used)
{
	struct fw_sdk_text length_text = fw_sdk_http_header(reply, "Content-Length");
	size_t digits = 0;

	if (reply->status == 204 || reply->status == 304) {
		*used = 0;
		return 1;
	}
	if (header_is(reply, "Transfer-Encoding", "chunked")) {
		int whole = read_chunks(body, length, false, &reply->body.length, used);

		return whole == 1 ? read_chunks(body, length, true, &reply->body.length, used) : whole;
	}
	if (!length_text.bytes) { /* up to the end of the connection */
		reply->close = true;
		reply->body.length = *used = length;
		return ended ? 1 : 0;
	}
	int64_t size = take_number(length_text, 10, &digits);
	if (size < 0 || digits != length_text.length)
		return -1;
	if (length < (size_t)size)
		return 0;
	reply->body.length = *used = (size_t)size;
	return 1;
}

int fw_sdk_http_parse(char *bytes, size_t length, bool ended, struct fw_sdk_reply *reply, size_t *used)
{
	size_t skipped = 0, digits, body_used;

	for (;;) {
		char *start = bytes + skipped;
		size_t left = length - skipped;

		if (!start || left == 0)
			return 0;
		char *head_end = memmem(start, left, "\r\n\r\n", 4);
		if (left >= 5 && memcmp(start, "HTTP/", 5) != 0)
			return -1;
		if (!head_end)
			return left > HEAD_MAX_BYTES ? -1 : 0;
		size_t head_length = (size_t)(head_end - start) + 4;
		char *line_end = memchr(start, '\n', head_length), *blank = memchr(start, ' ', head_length);
		if (!blank || blank > line_end || memcmp(start, "HTTP/1.", 7) != 0)
			return -1;
		int64_t status = take_number((struct fw_sdk_text){blank + 1, (size_t)(line_end - blank) - 1}, 10, &digits);
		if (status < 100 || status > 599 || digits != 3)
			return -1;
		skipped += head_length;
		if (status < 200) /* 100 Continue and its like come before the reply */
			continue;
		*reply = (struct fw_sdk_reply){(int)status, {line_end + 1, (size_t)(start + head_length - line_end) - 1},
		                               {bytes + skipped, 0}, false};
		reply->close = header_is(reply, "Connection", "close") || start[7] == '0';
		int whole = read_body(bytes + skipped, length - skipped, ended, reply, &body_used);
		if (whole == 1)
			*used = skipped + body_used;
		return whole;
	}
}
