/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the SDK share: an arena for the texts of one invocation, a growing buffer, slices of JSON text, one
 * kept HTTP connection, and the invocation itself. Only libc underneath, so that a bootstrap starts in a millisecond.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flexwatt/function.h"

enum {
	FW_SDK_EVENT_MAX_BYTES = 8 << 20,  /* above what the Runtime API carries (6 MiB and 100 bytes) */
	FW_SDK_ANSWER_MAX_BYTES = 64 << 20, /* the host says no at 6 MiB, in its own words */
	FW_SDK_JSON_MAX_DEPTH = 64,
};

struct fw_sdk_text {
	const char *bytes;
	size_t length;
};

/* Memory of one invocation: given back all at once, kept for the next. */
struct fw_sdk_arena {
	struct fw_sdk_block *blocks; /* the one in use first */
	struct fw_sdk_block *spare;
};
void *fw_sdk_take(struct fw_sdk_arena *arena, size_t size); /* never NULL: the process ends when memory does */
char *fw_sdk_copy(struct fw_sdk_arena *arena, const char *bytes, size_t length);
char *fw_sdk_format(struct fw_sdk_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fw_sdk_arena_reset(struct fw_sdk_arena *arena);
void fw_sdk_arena_done(struct fw_sdk_arena *arena);

/* Grows up to its maximum; past it `full` is set and bytes are dropped. Always NUL-terminated once written to. */
struct fw_sdk_buffer {
	char *bytes;
	size_t length, capacity, max;
	bool full;
};
bool fw_sdk_reserve(struct fw_sdk_buffer *buffer, size_t more);
void fw_sdk_append(struct fw_sdk_buffer *buffer, const char *bytes, size_t length);
void fw_sdk_append_text(struct fw_sdk_buffer *buffer, const char *text);
void fw_sdk_append_quoted(struct fw_sdk_buffer *buffer, const char *text); /* a JSON string */
void fw_sdk_append_number(struct fw_sdk_buffer *buffer, double value);     /* must be finite */
void fw_sdk_append_integer(struct fw_sdk_buffer *buffer, int64_t value);
void fw_sdk_buffer_done(struct fw_sdk_buffer *buffer);

/* JSON as slices of its text: nothing is built. A text is checked once as a whole; the rest may then trust it. */
bool fw_sdk_json_check(struct fw_sdk_text text);
struct fw_sdk_each {
	const char *at, *end;
	bool object;
};
struct fw_sdk_each fw_sdk_json_each(struct fw_sdk_text container); /* what is no container has no items */
bool fw_sdk_json_next(struct fw_sdk_each *each, struct fw_sdk_text *key, struct fw_sdk_text *value);
bool fw_sdk_json_member(struct fw_sdk_text object, const char *name, struct fw_sdk_text *value);
/* NULL when it is no string, or holds a NUL character. */
char *fw_sdk_json_string(struct fw_sdk_arena *arena, struct fw_sdk_text value);
bool fw_sdk_json_number(struct fw_sdk_text value, double *number);
bool fw_sdk_json_integer(struct fw_sdk_text value, int64_t *number); /* 3 and 3.0, but not 3.5 */
const char *fw_sdk_json_kind(struct fw_sdk_text value);              /* "a string", for messages */

/* One kept connection. A reply lives in `received` until the next call. */
struct fw_sdk_http {
	char authority[64];
	struct sockaddr_in address;
	int fd; /* -1: not connected */
	struct fw_sdk_buffer received;
	size_t used; /* bytes of `received` that were the last reply; what follows belongs to the next one */
};
struct fw_sdk_reply {
	int status;
	struct fw_sdk_text head; /* header lines */
	struct fw_sdk_text body;
	bool close;              /* the host will close the connection */
};
struct fw_sdk_request {
	const char *method;
	const char *path;
	const char *headers; /* further header lines, each with its CRLF, or NULL */
	struct fw_sdk_text body;
};
int fw_sdk_http_init(struct fw_sdk_http *http, const char *authority); /* "127.0.0.1:9001" */
void fw_sdk_http_done(struct fw_sdk_http *http);
/* FW_OK, or FW_ERROR with errno: the connection is closed then. */
int fw_sdk_http_send(struct fw_sdk_http *http, const struct fw_sdk_request *request);
/* Two requests at once: their replies are received one after the other. */
int fw_sdk_http_send_both(struct fw_sdk_http *http, const struct fw_sdk_request requests[2]);
int fw_sdk_http_receive(struct fw_sdk_http *http, struct fw_sdk_reply *reply);
int fw_sdk_http_call(struct fw_sdk_http *http, const struct fw_sdk_request *request, struct fw_sdk_reply *reply);
/* 1: a whole reply (*used bytes; a chunked body is joined in place), 0: more is needed, -1: not HTTP. */
int fw_sdk_http_parse(char *bytes, size_t length, bool ended, struct fw_sdk_reply *reply, size_t *used);
struct fw_sdk_text fw_sdk_http_header(const struct fw_sdk_reply *reply, const char *name); /* bytes NULL: absent */

struct fw_sdk_input {
	struct fw_sdk_input *next;
	const char *name;
	int64_t count;            /* items of the list, futures as one each */
	int64_t given;
	struct fw_sdk_each items; /* what is left of the list */
	const char *manifest;     /* path of JSON lines instead of a list */
	FILE *manifest_file;
	struct fw_sdk_future *futures, **futures_end;
};
struct fw_sdk_output_object {
	const char *name, *path;
};
struct fw_sdk_output {
	struct fw_sdk_output *next;
	const char *name, *directory, *suffix;
	struct fw_sdk_output_object *objects;
	size_t count, capacity;
	int64_t ordinal;
};
struct fw_sdk_metric {
	struct fw_sdk_metric *next;
	const char *name;
	double value;
};

struct fw_invocation {
	struct fw_sdk_http *http;
	bool asked; /* `next` was sent behind the last answer */
	struct fw_sdk_http *progress_http; /* its own connection: the other may be waiting for an input */
	struct fw_sdk_arena arena;
	struct fw_sdk_buffer event_bytes;
	struct fw_sdk_text event;
	bool staged; /* the event is version 1 */
	const char *request_id, *handler;
	int64_t deadline_ms, task, workers, attempt;
	struct fw_sdk_text params;
	struct fw_sdk_input *inputs;
	struct fw_reader *readers; /* open ones */
	struct fw_sdk_output *outputs;
	struct fw_sdk_metric *metrics;
	uint64_t started_ns, read_ns, write_ns, write_since_ns;
	unsigned write_depth;
	double units;
	bool has_units;
	struct fw_sdk_text result;
	const char *error_type, *error_message;
	uint64_t progress_ns; /* when the last one was sent */
	int progress_unread;  /* replies not yet read */
};

uint64_t fw_sdk_now_ns(void);
/* Reads the event; FW_ERROR: recorded in the invocation. */
int fw_sdk_event_read(struct fw_invocation *invocation);
void fw_sdk_inputs_close(struct fw_invocation *invocation);
/* The answer's, or the error document's, bytes. */
void fw_sdk_answer(struct fw_invocation *invocation, uint64_t ended_ns, struct fw_sdk_buffer *out);
void fw_sdk_error_document(const char *type, const char *message, struct fw_sdk_buffer *out);
/* Waits for the replies to what was sent, so that no progress arrives after the answer. */
void fw_sdk_progress_finish(struct fw_invocation *invocation);
