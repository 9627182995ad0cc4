/* SPDX-License-Identifier: Apache-2.0
 *
 * The event that a function receives and the answer that it gives, version 1 (DESIGN: the event and the answer).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

enum {
	FW_EVENT_VERSION = 1,
	FW_EVENT_LIST_MAX_BYTES = 128 << 10,   /* longer input lists go by manifest */
	FW_RESULT_MAX_BYTES = 256 << 10,       /* larger results go by reference */
	FW_PAYLOAD_MAX_BYTES = 6 * 1024 * 1024 + 100,
	FW_ANSWER_MAX_OBJECTS = 100000,        /* over all outputs */
	FW_ANSWER_MAX_OUTPUTS = 256,
	FW_ANSWER_MAX_METRICS = 1000,
	FW_OBJECT_NAME_MAX_BYTES = 512,        /* leaves room for the rest of a key: S3 ends at 1024 */
	FW_MANIFEST_MAX_BYTES = 1 << 30,
};

struct fw_object_ref {
	const char *uri;
	const char *path;   /* local file, or NULL */
	int64_t bytes;      /* -1 unknown */
	int64_t offset;     /* -1: the whole object */
	int64_t length;
	const char *header; /* of a range of csv that has one: the names of its columns, without the newline */
	char delimiter;     /* of a range of csv; 0: no csv */
	int64_t part, parts; /* the task does this part, from 0, of so many; parts 0: all of it */
	const char *future; /* token; then the others are unset */
};

struct fw_event_input {
	const char *name;
	FW_VECTOR(struct fw_object_ref) objects;
	const char *manifest; /* path of a JSON lines file instead of the list; made by fw_event_manifest() */
	size_t manifest_count;
	const char *manifest_sha256;
};

struct fw_event_output {
	const char *name;
	const char *directory;
	const char *suffix; /* "" when none */
};

/* Borrows everything. */
struct fw_event {
	const char *run;
	const char *stage;
	const char *handler;
	int64_t task;
	int64_t workers;
	int64_t attempt;
	FW_VECTOR(struct fw_event_input) inputs;
	FW_VECTOR(struct fw_event_output) outputs;
	const json_t *params; /* object or NULL */
};

/* True when the input's list is too long for the event: then the caller writes its manifest and sets it. */
bool fw_event_needs_manifest(const struct fw_event_input *input);
/* The event as bytes, newly allocated; NULL when it would pass FW_PAYLOAD_MAX_BYTES (then params are too large, or a
 * list that needs a manifest has none). */
char *fw_event_encode(const struct fw_event *event, size_t *length);
/* JSON lines of an input's list, newly allocated, and its digest; NULL when it would pass FW_MANIFEST_MAX_BYTES. */
char *fw_event_manifest(const struct fw_event_input *input, size_t *length, char sha256[65]);

struct fw_answer_output {
	char *name;
	FW_VECTOR(char *) objects; /* names below the output's directory */
};

struct fw_answer {
	FW_VECTOR(struct fw_answer_output) outputs;
	double read_ms, compute_ms, write_ms; /* NAN when absent */
	double units;                         /* NAN when absent */
	json_t *metrics;                      /* or NULL */
	json_t *result;                       /* or NULL */
};

/* Strict: unknown keys, wrong types, names that leave their directory and duplicates are refused, saying which. Every
 * key is optional: {} is the answer of a function that has nothing to tell. `answer` is initialised here. */
int fw_answer_decode(const char *text, size_t length, struct fw_answer *answer, struct fw_error **err);
void fw_answer_done(struct fw_answer *answer);
