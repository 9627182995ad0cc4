/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML 1.2 with exact marks: every node knows its line, column and byte range, so that errors show a caret and edits
 * splice bytes. libfyaml underneath; no other file includes its header. Bounded: size, depth, nodes after alias
 * expansion. Duplicate keys are refused. Anchors, aliases and merge keys (<<) work.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

enum {
	FW_YAML_MAX_BYTES = 4 << 20,
	FW_YAML_MAX_DEPTH = 64,
	FW_YAML_MAX_NODES = 200000,
};

enum fw_yaml_kind { FW_YAML_NULL, FW_YAML_SCALAR, FW_YAML_SEQUENCE, FW_YAML_MAPPING };

struct fw_yaml_document;
struct fw_yaml_node; /* borrowed from its document */

struct fw_yaml_mark {
	size_t line;   /* 1-based */
	size_t column; /* 1-based, in characters */
	size_t start;  /* byte offsets into the text */
	size_t end;
};

/* `name` is shown in errors. Keeps a copy of the text. */
int fw_yaml_load(const char *name, const char *text, size_t length, struct fw_yaml_document **document,
                 struct fw_error **err);
void fw_yaml_free(struct fw_yaml_document *document);
FW_DEFINE_CLEANUP(struct fw_yaml_document *, fw_yaml_free)
#define fw_cleanup_yaml FW_CLEANUP(fw_yaml_free)

const struct fw_yaml_node *fw_yaml_root(const struct fw_yaml_document *document);
const char *fw_yaml_name(const struct fw_yaml_document *document);
enum fw_yaml_kind fw_yaml_kind(const struct fw_yaml_node *node);
const char *fw_yaml_kind_name(enum fw_yaml_kind kind); /* "a mapping", "text", ... */
struct fw_yaml_mark fw_yaml_mark(const struct fw_yaml_document *document, const struct fw_yaml_node *node);

/* An alias is the node of its anchor, with the anchor's position. Plain null, ~ and nothing are FW_YAML_NULL.
 * A quoted scalar's range includes its quotes, a block scalar's its indicator; an empty value has an empty range.
 *
 * Text of a scalar (unquoted, NUL-terminated, lives with the document); NULL when not a scalar. */
const char *fw_yaml_text(const struct fw_yaml_node *node);
bool fw_yaml_is_plain(const struct fw_yaml_node *node); /* unquoted: may mean a number, a truth value or null */
const char *fw_yaml_tag(const struct fw_yaml_node *node); /* "!Ref"; NULL when there is none */

size_t fw_yaml_count(const struct fw_yaml_node *node); /* pairs or items */
const struct fw_yaml_node *fw_yaml_item(const struct fw_yaml_node *sequence, size_t index);
const struct fw_yaml_node *fw_yaml_key(const struct fw_yaml_node *mapping, size_t index);
const struct fw_yaml_node *fw_yaml_value(const struct fw_yaml_node *mapping, size_t index);
const struct fw_yaml_node *fw_yaml_get(const struct fw_yaml_node *mapping, const char *key); /* or NULL */

/* The core schema: plain scalars become null, booleans, integers, reals; all else text, also what JSON cannot hold
 * exactly (.inf, .nan, integers beyond 64 bits, reals beyond a double). The caller json_decref()s. */
json_t *fw_yaml_to_json(const struct fw_yaml_node *node);
/* A number by the core schema that JSON cannot hold, so that it would become text. */
bool fw_yaml_is_beyond(const struct fw_yaml_node *node);

/* fw_fail() with the node's position and source line; a node of NULL stands for the whole document. */
int fw_yaml_fail(struct fw_error **err, const struct fw_yaml_document *document, const struct fw_yaml_node *node,
                 int code, const char *format, ...) __attribute__((format(printf, 5, 6)));
