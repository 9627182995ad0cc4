/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a YAML tree: kinds, texts, children, and where each node stands. Lines and columns are computed when asked for,
 * from byte offsets, which alone are kept.
 */
#include <stdlib.h>
#include <string.h>

#include "base/yaml_internal.h"

void fw_yaml_free(struct fw_yaml_document *document)
{
	if (!document)
		return;
	for (size_t i = 0; i < document->nodes.count; i++) {
		struct fw_yaml_node *node = document->nodes.items[i];

		free(node->children.items);
		free(node->text);
		free(node->tag);
		free(node);
	}
	free(document->nodes.items);
	free(document->lines.items);
	free(document->name);
	free(document->text);
	free(document);
}

const struct fw_yaml_node *fw_yaml_root(const struct fw_yaml_document *document)
{
	return document->root;
}

const char *fw_yaml_name(const struct fw_yaml_document *document)
{
	return document->name;
}

enum fw_yaml_kind fw_yaml_kind(const struct fw_yaml_node *node)
{
	return node->kind;
}

const char *fw_yaml_kind_name(enum fw_yaml_kind kind)
{
	switch (kind) {
	case FW_YAML_NULL:
		return "nothing";
	case FW_YAML_SCALAR:
		return "text";
	case FW_YAML_SEQUENCE:
		return "a list";
	case FW_YAML_MAPPING:
		return "a mapping";
	}
	return "unknown";
}

/* The last line that starts at or before the offset. */
static size_t line_of(const struct fw_yaml_document *document, size_t offset)
{
	size_t low = 0, high = document->lines.count;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (document->lines.items[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

struct fw_yaml_mark fw_yaml_mark(const struct fw_yaml_document *document, const struct fw_yaml_node *node)
{
	size_t line = line_of(document, node->start), column = 1;

	for (size_t i = document->lines.items[line]; i < node->start; i++)
		column += (document->text[i] & 0xc0) != 0x80;
	return (struct fw_yaml_mark){line + 1, column, node->start, node->end};
}

int fw_yaml_error_at(struct fw_error **err, int rc, const struct fw_yaml_document *document, size_t offset)
{
	const struct fw_yaml_node there = {.start = offset};
	struct fw_yaml_mark mark = fw_yaml_mark(document, &there);
	size_t line_start = document->lines.items[mark.line - 1];

	return fw_error_at(err, rc, document->name, mark.line, mark.column, document->text + line_start,
	                   document->length - line_start);
}

const char *fw_yaml_text(const struct fw_yaml_node *node)
{
	return node->text;
}

bool fw_yaml_is_plain(const struct fw_yaml_node *node)
{
	return node->plain;
}

const char *fw_yaml_tag(const struct fw_yaml_node *node)
{
	return node->tag;
}

size_t fw_yaml_count(const struct fw_yaml_node *node)
{
	return node->kind == FW_YAML_MAPPING ? node->children.count / 2 : node->children.count;
}

const struct fw_yaml_node *fw_yaml_item(const struct fw_yaml_node *sequence, size_t index)
{
	return sequence->children.items[index];
}

const struct fw_yaml_node *fw_yaml_key(const struct fw_yaml_node *mapping, size_t index)
{
	return mapping->children.items[2 * index];
}

const struct fw_yaml_node *fw_yaml_value(const struct fw_yaml_node *mapping, size_t index)
{
	return mapping->children.items[2 * index + 1];
}

const struct fw_yaml_node *fw_yaml_get(const struct fw_yaml_node *mapping, const char *key)
{
	if (mapping->kind != FW_YAML_MAPPING)
		return NULL;
	for (size_t i = 0; i < fw_yaml_count(mapping); i++)
		if (strcmp(fw_yaml_key(mapping, i)->text, key) == 0)
			return fw_yaml_value(mapping, i);
	return NULL;
}

int fw_yaml_fail(struct fw_error **err, const struct fw_yaml_document *document, const struct fw_yaml_node *node,
                 int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fw_cleanup_free char *message = fw_vprintf(format, arguments);
	va_end(arguments);
	return fw_yaml_error_at(err, fw_fail(err, code, "%s", message), document, node ? node->start : 0);
}
