/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON, read strictly: one value, no duplicate keys, bounded depth, errors with line and column. jansson underneath;
 * no other file includes its header. json_t is the house's JSON value.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

enum { FW_JSON_MAX_DEPTH = 64 };

/* `source` names the text in errors. The caller json_decref()s. */
int fw_json_load(const char *source, const char *text, size_t length, json_t **json, struct fw_error **err);
/* Compact, keys in the order of insertion, reals in their shortest exact spelling (not finite: null). Newly allocated. */
char *fw_json_dump(const json_t *json);
int fw_json_append(const json_t *json, struct fw_buffer *out);
/* A JSON string literal with its quotes. */
int fw_json_quote(struct fw_str text, struct fw_buffer *out);
/* A number; null when it is not finite. New reference. */
json_t *fw_json_real(double value);
/* Resolves an RFC 6901 pointer or a dotted path ("a.b.0"); NULL when absent. Borrowed. */
const json_t *fw_json_at(const json_t *json, const char *path);

/* Reads object members by table and refuses unknown keys with a suggestion.
 * Kinds: 's' string (char ** newly allocated), 'i' int64_t, 'n' double from integer or real, 'b' bool, 'o' json_t * borrowed.
 * Optional members absent or null leave the target alone. An earlier string in a target is freed: start with NULL.
 * Nothing is written unless the whole object is accepted. */
struct fw_json_member {
	const char *key;
	char kind;
	bool required;
	void *target;
};
int fw_json_read(const json_t *object, const char *what, const struct fw_json_member *members, size_t count,
                 bool allow_unknown, struct fw_error **err);

static inline void fw_json_cleanup(json_t **json)
{
	json_decref(*json);
}
#define fw_cleanup_json __attribute__((cleanup(fw_json_cleanup)))
