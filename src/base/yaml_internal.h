/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of a YAML document, for the files that build it (yaml.c, yaml_build.c) and read it (yaml_node.c, yaml_json.c).
 * An alias is a second pointer to the node of its anchor, never a copy: memory is bounded by the text, and what the
 * aliases would expand to is counted beside it (`size`, `height`).
 */
#pragma once

#include "base/map.h"
#include "base/memory.h"
#include "base/yaml.h"

struct fw_yaml_node {
	enum fw_yaml_kind kind;
	bool plain;
	bool open;       /* a collection whose end is still to come */
	unsigned height; /* levels of collections, itself included; 0 for a scalar */
	size_t size;     /* nodes after expansion, itself included */
	size_t start;
	size_t end;
	char *text;
	char *tag;
	FW_VECTOR(struct fw_yaml_node *) children; /* of a mapping: key, value, key, value, ... */
};

struct fw_yaml_document {
	char *name;
	char *text;
	size_t length;
	FW_VECTOR(size_t) lines; /* offset of each line's first character */
	FW_VECTOR(struct fw_yaml_node *) nodes; /* all, in the order of the text: for freeing */
	struct fw_yaml_node *root;
};

/* Where a node stands in the text and how it is marked there. Texts may be NULL and are copied. */
struct fw_yaml_item {
	size_t start;
	size_t end;
	const char *anchor;
	const char *tag;
};

struct fw_yaml_builder {
	struct fw_yaml_document *document;
	struct fw_map *anchors;
	struct fw_yaml_node *stack[FW_YAML_MAX_DEPTH];
	size_t depth;
	size_t expanded; /* nodes so far, each alias counted as what it stands for */
};

int fw_yaml_build_scalar(struct fw_yaml_builder *builder, struct fw_yaml_item item, struct fw_str text, bool plain,
                         struct fw_error **err);
int fw_yaml_build_alias(struct fw_yaml_builder *builder, struct fw_yaml_item item, const char *anchor,
                        struct fw_error **err);
int fw_yaml_build_open(struct fw_yaml_builder *builder, struct fw_yaml_item item, enum fw_yaml_kind kind,
                       struct fw_error **err);
/* `end` is where the closing bracket ends; 0 for a block, which ends with its last child. */
int fw_yaml_build_close(struct fw_yaml_builder *builder, size_t end, struct fw_error **err);

/* fw_error_at() with the position of a byte of the document. */
int fw_yaml_error_at(struct fw_error **err, int rc, const struct fw_yaml_document *document, size_t offset);
