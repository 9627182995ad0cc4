/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds the tree of a YAML document: anchors and aliases, merge keys, duplicate keys, and the limits. Every limit is
 * checked before what it bounds is made, so that a file which would expand to billions of nodes fails at the
 * first alias that goes too far, in memory of the order of its own text.
 */
#include <string.h>

#include "base/yaml_internal.h"

static int fail_at(struct fw_error **err, const struct fw_yaml_builder *builder, size_t offset, int rc)
{
	return fw_yaml_error_at(err, rc, builder->document, offset);
}

static int count_nodes(struct fw_yaml_builder *builder, size_t nodes, size_t offset, struct fw_error **err)
{
	if (nodes > FW_YAML_MAX_NODES - builder->expanded)
		return fail_at(err, builder, offset,
		               fw_fail(err, FW_E_LIMIT, "more than %d nodes, with every alias written out",
		                       FW_YAML_MAX_NODES));
	builder->expanded += nodes;
	return FW_OK;
}

static int check_depth(const struct fw_yaml_builder *builder, unsigned height, size_t offset, struct fw_error **err)
{
	if (builder->depth + height > FW_YAML_MAX_DEPTH)
		return fail_at(err, builder, offset,
		               fw_fail(err, FW_E_LIMIT, "nested deeper than %d levels", FW_YAML_MAX_DEPTH));
	return FW_OK;
}

static bool is_key_next(const struct fw_yaml_node *parent)
{
	return parent && parent->kind == FW_YAML_MAPPING && parent->children.count % 2 == 0;
}

/* Puts a node into the innermost open collection, or makes it the root. */
static int attach(struct fw_yaml_builder *builder, struct fw_yaml_node *node, size_t offset, struct fw_error **err)
{
	struct fw_yaml_node *parent = builder->depth > 0 ? builder->stack[builder->depth - 1] : NULL;

	if (is_key_next(parent) && !node->text)
		return fail_at(err, builder, offset, fw_fail(err, FW_E_INVALID, "a key must be text"));
	if (parent)
		FW_PUSH(&parent->children, node);
	else
		builder->document->root = node;
	return FW_OK;
}

static struct fw_yaml_node *make_node(struct fw_yaml_builder *builder, struct fw_yaml_item item,
                                      enum fw_yaml_kind kind)
{
	struct fw_yaml_node *node = fw_alloc(sizeof *node);

	node->kind = kind;
	node->size = 1;
	node->start = item.start;
	node->end = item.end;
	node->tag = fw_strdup(item.tag);
	FW_PUSH(&builder->document->nodes, node);
	if (item.anchor)
		fw_map_set(builder->anchors, item.anchor, node);
	return node;
}

static bool means_null(struct fw_str text)
{
	return text.length == 0 || fw_str_is(text, "~") || fw_str_is(text, "null") || fw_str_is(text, "Null") ||
	       fw_str_is(text, "NULL");
}

int fw_yaml_build_scalar(struct fw_yaml_builder *builder, struct fw_yaml_item item, struct fw_str text, bool plain,
                         struct fw_error **err)
{
	int rc = count_nodes(builder, 1, item.start, err);

	if (rc != FW_OK)
		return rc;
	if (text.length > 0 && memchr(text.text, '\0', text.length))
		return fail_at(err, builder, item.start, fw_fail(err, FW_E_INVALID, "text must not hold a NUL character"));

	const struct fw_yaml_node *parent = builder->depth > 0 ? builder->stack[builder->depth - 1] : NULL;
	bool written = item.end > item.start;
	bool null = plain && !item.tag && means_null(text) && !(is_key_next(parent) && written);
	struct fw_yaml_node *node = make_node(builder, item, null ? FW_YAML_NULL : FW_YAML_SCALAR);
	node->plain = plain;
	if (!null)
		node->text = fw_strndup(text.length > 0 ? text.text : "", text.length);
	return attach(builder, node, item.start, err);
}

int fw_yaml_build_alias(struct fw_yaml_builder *builder, struct fw_yaml_item item, const char *anchor,
                        struct fw_error **err)
{
	struct fw_yaml_node *node = fw_map_get(builder->anchors, anchor);

	if (!node)
		return fail_at(err, builder, item.start,
		               fw_fail(err, FW_E_INVALID, "no anchor '&%s' stands before this alias", anchor));
	if (node->open)
		return fail_at(err, builder, item.start, fw_fail(err, FW_E_INVALID, "alias '*%s' contains itself", anchor));
	int rc = count_nodes(builder, node->size, item.start, err);
	if (rc == FW_OK)
		rc = check_depth(builder, node->height, item.start, err);
	return rc == FW_OK ? attach(builder, node, item.start, err) : rc;
}

int fw_yaml_build_open(struct fw_yaml_builder *builder, struct fw_yaml_item item, enum fw_yaml_kind kind,
                       struct fw_error **err)
{
	int rc = count_nodes(builder, 1, item.start, err);

	if (rc == FW_OK)
		rc = check_depth(builder, 1, item.start, err);
	if (rc != FW_OK)
		return rc;
	struct fw_yaml_node *node = make_node(builder, item, kind);
	rc = attach(builder, node, item.start, err);
	if (rc != FW_OK)
		return rc;
	node->open = true;
	builder->stack[builder->depth++] = node;
	return FW_OK;
}

/* Fills `keys` with the mapping's own keys, each once. */
static int collect_keys(struct fw_yaml_builder *builder, const struct fw_yaml_node *mapping, struct fw_map *keys,
                        struct fw_error **err)
{
	for (size_t i = 0; i < mapping->children.count; i += 2) {
		struct fw_yaml_node *key = mapping->children.items[i];
		const struct fw_yaml_node *first = fw_map_get(keys, key->text);

		if (first) {
			struct fw_yaml_mark mark = fw_yaml_mark(builder->document, first);

			return fail_at(err, builder, key->start,
			               fw_fail(err, FW_E_INVALID, "key '%s' is given twice (first at line %zu, column %zu)",
			                       key->text, mark.line, mark.column));
		}
		fw_map_set(keys, key->text, key);
	}
	return FW_OK;
}

/* Appends the pairs whose keys are not there yet: what stands in the mapping, or came first, wins. */
static int merge_pairs(struct fw_yaml_builder *builder, struct fw_yaml_node *mapping, const struct fw_yaml_node *source,
                       struct fw_map *keys, size_t offset, struct fw_error **err)
{
	if (source->kind != FW_YAML_MAPPING)
		return fail_at(err, builder, offset,
		               fw_fail(err, FW_E_INVALID, "'<<' merges a mapping or a list of mappings, not %s",
		                       fw_yaml_kind_name(source->kind)));
	for (size_t i = 0; i < source->children.count; i += 2) {
		struct fw_yaml_node *key = source->children.items[i], *value = source->children.items[i + 1];

		if (fw_map_has(keys, key->text))
			continue;
		int rc = count_nodes(builder, key->size + value->size, offset, err);
		if (rc != FW_OK)
			return rc;
		fw_map_set(keys, key->text, key);
		FW_PUSH(&mapping->children, key);
		FW_PUSH(&mapping->children, value);
	}
	return FW_OK;
}

/* Takes the pair "<<: ..." out and gives its value; NULL when there is none. A quoted "<<" is a key like others. */
static struct fw_yaml_node *take_merge(struct fw_yaml_node *mapping, size_t *offset)
{
	for (size_t i = 0; i < mapping->children.count; i += 2) {
		const struct fw_yaml_node *key = mapping->children.items[i];
		struct fw_yaml_node *value = mapping->children.items[i + 1];

		if (!key->plain || strcmp(key->text, "<<") != 0)
			continue;
		*offset = key->start;
		mapping->children.count -= 2;
		memmove(&mapping->children.items[i], &mapping->children.items[i + 2],
		        (mapping->children.count - i) * sizeof(struct fw_yaml_node *));
		return value;
	}
	return NULL;
}

static int merge(struct fw_yaml_builder *builder, struct fw_yaml_node *mapping, struct fw_map *keys,
                 struct fw_error **err)
{
	size_t offset = 0;
	const struct fw_yaml_node *value = take_merge(mapping, &offset);
	int rc = FW_OK;

	if (value && value->kind != FW_YAML_SEQUENCE)
		return merge_pairs(builder, mapping, value, keys, offset, err);
	for (size_t i = 0; value && rc == FW_OK && i < value->children.count; i++)
		rc = merge_pairs(builder, mapping, value->children.items[i], keys, offset, err);
	return rc;
}

static void map_free_cleanup(struct fw_map **map)
{
	fw_map_free(*map);
}

static int finish_mapping(struct fw_yaml_builder *builder, struct fw_yaml_node *mapping, struct fw_error **err)
{
	__attribute__((cleanup(map_free_cleanup))) struct fw_map *keys = fw_map_new();
	int rc = collect_keys(builder, mapping, keys, err);

	return rc == FW_OK ? merge(builder, mapping, keys, err) : rc;
}

int fw_yaml_build_close(struct fw_yaml_builder *builder, size_t end, struct fw_error **err)
{
	struct fw_yaml_node *node = builder->stack[--builder->depth];
	size_t count = node->children.count;

	/* An alias stands elsewhere in the text: it cannot say where this collection ends. */
	node->end = end;
	if (end == 0)
		node->end = node->start;
	for (size_t i = 0; i < count && end == 0; i++)
		if (node->children.items[i]->end > node->end)
			node->end = node->children.items[i]->end;
	int rc = node->kind == FW_YAML_MAPPING ? finish_mapping(builder, node, err) : FW_OK;

	for (size_t i = 0; i < node->children.count; i++) {
		const struct fw_yaml_node *child = node->children.items[i];

		node->size += child->size;
		if (child->height > node->height)
			node->height = child->height;
	}
	node->height++;
	node->open = false;
	return rc;
}
