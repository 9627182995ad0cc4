/* SPDX-License-Identifier: Apache-2.0
 *
 * The request parser (parser.h). The head is collected up to its empty line and then cut into texts in place; the body
 * goes straight to its buffer. A request whose length could be read in two ways is refused: no smuggling.
 */
#include "http/parser.h"

#include <string.h>
#include <strings.h>

void fw_http_message_init(struct fw_http_message *message, size_t header_bytes, size_t body_bytes)
{
	*message = (struct fw_http_message){0};
	fw_buffer_init(&message->head, header_bytes);
	fw_buffer_init(&message->body, body_bytes);
	fw_buffer_init(&message->line, FW_HTTP_MAX_TRAILER_BYTES);
}

void fw_http_message_done(struct fw_http_message *message)
{
	fw_buffer_done(&message->head);
	fw_buffer_done(&message->body);
	fw_buffer_done(&message->line);
}

void fw_http_message_clear(struct fw_http_message *message)
{
	enum { KEPT_BYTES = 65536 }; /* larger buffers are given back between requests */

	if (message->body.capacity > KEPT_BYTES) {
		size_t maximum = message->body.maximum;

		fw_buffer_done(&message->body);
		fw_buffer_init(&message->body, maximum);
	}
	fw_buffer_clear(&message->head);
	fw_buffer_clear(&message->body);
	fw_buffer_clear(&message->line);
	message->phase = FW_HTTP_HEAD;
	message->field_count = 0;
	message->trailer_count = 0;
	message->body_bytes = 0;
	message->remaining = 0;
	message->keep_alive = false;
	message->wants_continue = false;
	message->method = message->path = NULL;
}

static void refuse(struct fw_http_message *message, int status)
{
	message->phase = FW_HTTP_BAD;
	message->status = status;
}

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!is_token_char(*text))
			return false;
	return true;
}

/* Cuts a line off, without its CR LF; NULL when there is a stray CR, LF or NUL in it. */
static char *cut_line(char **rest, const char *end)
{
	char *line = *rest;
	char *stop = memchr(line, '\r', (size_t)(end - line));

	if (!stop || stop + 1 >= end || stop[1] != '\n' || memchr(line, '\n', (size_t)(stop - line)) ||
	    memchr(line, '\0', (size_t)(stop - line)))
		return NULL;
	*stop = '\0';
	*rest = stop + 2;
	return line;
}

static int parse_request_line(struct fw_http_message *message, char *line, bool *http_1_0)
{
	char *path = strchr(line, ' ');
	char *version = path ? strchr(path + 1, ' ') : NULL;

	if (!version)
		return 400;
	*path++ = '\0';
	*version++ = '\0';
	if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
		return strncmp(version, "HTTP/", 5) == 0 ? 505 : 400;
	*http_1_0 = version[7] == '0';
	if (!is_token(line) || path[0] != '/')
		return 400;
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c <= ' ' || (unsigned char)*c >= 127) /* other bytes are sent as %XX */
			return 400;
	message->method = line;
	message->path = path;
	return 0;
}

static bool parse_field(char *line, struct fw_http_line *field)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return false;
	*colon = '\0';
	if (!is_token(line))
		return false;
	char *value = colon + 1 + strspn(colon + 1, " \t");
	size_t length = strlen(value);

	while (length && (value[length - 1] == ' ' || value[length - 1] == '\t'))
		value[--length] = '\0';
	for (const char *c = value; *c; c++)
		if ((*c > 0 && *c < ' ' && *c != '\t') || *c == 127)
			return false;
	*field = (struct fw_http_line){line, value};
	return true;
}

/* Value of a field that may come once; *twice is set when it comes again with another value. */
static const char *single_field(const struct fw_http_message *message, const char *name, bool *twice)
{
	const char *found = NULL;

	for (size_t i = 0; i < message->field_count; i++) {
		if (strcasecmp(message->fields[i].name, name) != 0)
			continue;
		if (found && strcmp(found, message->fields[i].value) != 0)
			*twice = true;
		found = message->fields[i].value;
	}
	return found;
}

static void complete(struct fw_http_message *message)
{
	message->phase = FW_HTTP_COMPLETE;
}

/* A body that is not even read to its end. */
static void refuse_body(struct fw_http_message *message, uint64_t bytes)
{
	message->body_bytes = bytes;
	refuse(message, 413);
}

/* How the body is delimited: RFC 9112 section 6, without what only proxies need. */
static void choose_body(struct fw_http_message *message, bool http_1_0)
{
	bool twice = false;
	const char *coding = single_field(message, "Transfer-Encoding", &twice);
	const char *length = single_field(message, "Content-Length", &twice);
	uint64_t bytes = 0;

	if (twice || (coding && length) || (coding && http_1_0))
		return refuse(message, 400);
	if (coding) {
		if (strcasecmp(coding, "chunked") != 0)
			return refuse(message, 501);
		message->phase = FW_HTTP_CHUNK_SIZE;
		return;
	}
	if (length && !fw_str_to_u64(fw_str_of(length), &bytes))
		return refuse(message, 400);
	if (bytes > FW_HTTP_MAX_DRAIN_BYTES)
		return refuse_body(message, bytes);
	message->remaining = bytes;
	message->phase = FW_HTTP_FIXED;
	if (bytes == 0)
		complete(message);
}

static void parse_head(struct fw_http_message *message)
{
	char *rest = message->head.data;
	const char *end = rest + message->head.length;
	bool http_1_0 = false, twice = false;
	char *line = cut_line(&rest, end);
	int status = line ? parse_request_line(message, line, &http_1_0) : 400;

	if (status)
		return refuse(message, status);
	for (;;) {
		line = cut_line(&rest, end);
		if (!line)
			return refuse(message, 400);
		if (!*line)
			break;
		if (message->field_count == FW_HTTP_MAX_FIELDS)
			return refuse(message, 431);
		if (!parse_field(line, &message->fields[message->field_count]))
			return refuse(message, 400);
		message->field_count++;
	}
	const char *connection = single_field(message, "Connection", &twice);

	message->keep_alive = http_1_0 ? connection && strcasecmp(connection, "keep-alive") == 0
	                               : !connection || !strcasestr(connection, "close");
	choose_body(message, http_1_0);
	const char *expect = single_field(message, "Expect", &twice);

	message->wants_continue = expect && strcasecmp(expect, "100-continue") == 0 && message->phase < FW_HTTP_COMPLETE;
}

/* Collects up to the empty line. Looks only at new bytes and the three before them. */
static size_t feed_head(struct fw_http_message *message, const char *bytes, size_t length)
{
	size_t before = message->head.length;
	size_t room = message->head.maximum - before;
	size_t taken = length < room ? length : room;

	if (before == 0 && length >= 1 && (bytes[0] == '\r' || bytes[0] == '\n'))
		return 1; /* RFC 9112 2.2: empty lines before a request are ignored */
	if (taken == 0 || fw_buffer_append(&message->head, bytes, taken) != FW_OK) {
		refuse(message, 431);
		return length;
	}
	size_t from = before > 3 ? before - 3 : 0;
	const char *stop = memmem(message->head.data + from, message->head.length - from, "\r\n\r\n", 4);

	if (!stop) {
		if (message->head.length == message->head.maximum)
			refuse(message, 431);
		return taken;
	}
	size_t head_length = (size_t)(stop - message->head.data) + 4;

	message->head.length = head_length;
	message->head.data[head_length] = '\0';
	parse_head(message);
	return head_length - before;
}

static void take_body(struct fw_http_message *message, const char *bytes, size_t length)
{
	message->body_bytes += length;
	message->remaining -= length;
	if (!message->body.failed)
		(void)fw_buffer_append(&message->body, bytes, length); /* past the limit it stays failed: too large */
	if (message->body_bytes > FW_HTTP_MAX_DRAIN_BYTES)
		refuse_body(message, message->body_bytes);
}

static size_t feed_body(struct fw_http_message *message, const char *bytes, size_t length)
{
	size_t taken = length < message->remaining ? length : (size_t)message->remaining;

	take_body(message, bytes, taken);
	if (message->remaining == 0 && message->phase != FW_HTTP_BAD) {
		if (message->phase == FW_HTTP_FIXED)
			complete(message);
		else
			message->phase = FW_HTTP_CHUNK_END;
	}
	return taken;
}

static void end_chunk_size(struct fw_http_message *message, const char *text)
{
	uint64_t size = 0;
	size_t digits = strspn(text, "0123456789abcdefABCDEF");

	/* an extension may follow behind ';' and is ignored */
	if (digits == 0 || digits > 15 || (text[digits] && text[digits] != ';'))
		return refuse(message, 400);
	for (size_t i = 0; i < digits; i++)
		size = size * 16 + (uint64_t)(text[i] <= '9' ? text[i] - '0' : (text[i] | 32) - 'a' + 10);
	if (size > FW_HTTP_MAX_DRAIN_BYTES)
		return refuse_body(message, message->body_bytes + size);
	message->remaining = size;
	message->phase = size ? FW_HTTP_CHUNK_DATA : FW_HTTP_TRAILER;
	fw_buffer_clear(&message->line);
}

/* Trailers gather as lines in `line`; the empty one ends the request. Those past the maximum are dropped. */
static void end_trailer(struct fw_http_message *message, size_t line_start)
{
	char *rest = message->line.data;
	const char *end = rest + message->line.length;

	if (message->line.length - line_start != 2)
		return;
	for (char *line = cut_line(&rest, end); line && *line; line = cut_line(&rest, end)) {
		struct fw_http_line trailer;

		if (!parse_field(line, &trailer))
			return refuse(message, 400);
		if (message->trailer_count == FW_HTTP_MAX_TRAILERS)
			return refuse(message, 431);
		message->trailers[message->trailer_count++] = trailer;
	}
	complete(message);
}

/* One line at a time: chunk size, the line end behind a chunk, a trailer. */
static size_t feed_line(struct fw_http_message *message, const char *bytes, size_t length)
{
	const char *newline = memchr(bytes, '\n', length);
	size_t taken = newline ? (size_t)(newline - bytes) + 1 : length;
	struct fw_buffer *line = &message->line;

	if (fw_buffer_append(line, bytes, taken) != FW_OK ||
	    (message->phase != FW_HTTP_TRAILER && line->length > FW_HTTP_MAX_LINE)) {
		refuse(message, 400);
		return taken;
	}
	if (!newline)
		return taken;
	if (line->length < 2 || line->data[line->length - 2] != '\r' || memchr(line->data, '\0', line->length)) {
		refuse(message, 400);
		return taken;
	}
	if (message->phase == FW_HTTP_TRAILER) {
		const char *previous = memrchr(line->data, '\n', line->length - 1);

		end_trailer(message, previous ? (size_t)(previous - line->data) + 1 : 0);
		return taken;
	}
	line->data[line->length - 2] = '\0';
	if (message->phase == FW_HTTP_CHUNK_SIZE)
		end_chunk_size(message, line->data);
	else if (line->length == 2)
		message->phase = FW_HTTP_CHUNK_SIZE;
	else
		refuse(message, 400);
	if (message->phase != FW_HTTP_TRAILER)
		fw_buffer_clear(line);
	return taken;
}

size_t fw_http_message_feed(struct fw_http_message *message, const char *bytes, size_t length)
{
	size_t taken = 0;

	while (taken < length && message->phase < FW_HTTP_COMPLETE) {
		const char *next = bytes + taken;
		size_t left = length - taken;

		if (message->phase == FW_HTTP_HEAD)
			taken += feed_head(message, next, left);
		else if (message->phase == FW_HTTP_FIXED || message->phase == FW_HTTP_CHUNK_DATA)
			taken += feed_body(message, next, left);
		else
			taken += feed_line(message, next, left);
	}
	return taken;
}

bool fw_http_message_too_large(const struct fw_http_message *message)
{
	return message->body.failed;
}

static const char *find(const struct fw_http_line *lines, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcasecmp(lines[i].name, name) == 0)
			return lines[i].value;
	return NULL;
}

const char *fw_http_message_field(const struct fw_http_message *message, const char *name)
{
	return find(message->fields, message->field_count, name);
}

const char *fw_http_message_trailer(const struct fw_http_message *message, const char *name)
{
	return find(message->trailers, message->trailer_count, name);
}
