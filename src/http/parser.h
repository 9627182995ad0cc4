/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP/1.1 request from bytes that arrive in any pieces. Strict where leniency lets two readers disagree (line ends,
 * lengths, chunked coding), bounded everywhere. No sockets here: tests and fuzzers feed it directly.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
	FW_HTTP_MAX_FIELDS = 64,
	FW_HTTP_MAX_TRAILERS = 8,
	FW_HTTP_MAX_LINE = 256,         /* chunk sizes */
	FW_HTTP_MAX_TRAILER_BYTES = 16384,
};

/* A body past its limit is read and thrown away up to here, so that its sender gets to read the refusal. */
#define FW_HTTP_MAX_DRAIN_BYTES ((uint64_t)64 << 20)

enum fw_http_phase {
	FW_HTTP_HEAD,
	FW_HTTP_FIXED,        /* body of known length */
	FW_HTTP_CHUNK_SIZE,
	FW_HTTP_CHUNK_DATA,
	FW_HTTP_CHUNK_END,    /* line end behind a chunk */
	FW_HTTP_TRAILER,
	FW_HTTP_COMPLETE,
	FW_HTTP_BAD,          /* answer `status` and close */
};

struct fw_http_line { /* a field */
	const char *name, *value;
};

struct fw_http_message {
	enum fw_http_phase phase;
	int status;                /* of FW_HTTP_BAD */
	struct fw_buffer head;     /* texts below point into it */
	const char *method, *path;
	struct fw_http_line fields[FW_HTTP_MAX_FIELDS];
	size_t field_count;
	struct fw_http_line trailers[FW_HTTP_MAX_TRAILERS]; /* texts in `line` */
	size_t trailer_count;
	bool keep_alive;
	bool wants_continue;       /* Expect: 100-continue, the body not yet sent */
	struct fw_buffer body;
	uint64_t body_bytes;       /* as sent, also past the limit */
	uint64_t remaining;        /* of the body or of the chunk */
	struct fw_buffer line;     /* chunk sizes and trailers */
};

void fw_http_message_init(struct fw_http_message *message, size_t header_bytes, size_t body_bytes);
void fw_http_message_done(struct fw_http_message *message);
/* For the next request of the connection. */
void fw_http_message_clear(struct fw_http_message *message);

/* Takes bytes until the request is complete or bad; returns how many were taken. */
size_t fw_http_message_feed(struct fw_http_message *message, const char *bytes, size_t length);

bool fw_http_message_too_large(const struct fw_http_message *message);
/* By name in any case, or NULL. Never mixed: a trailer must not pass for a field. */
const char *fw_http_message_field(const struct fw_http_message *message, const char *name);
const char *fw_http_message_trailer(const struct fw_http_message *message, const char *name);
