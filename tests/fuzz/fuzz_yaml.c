/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as YAML: every node's range lies in the text, the limits hold, what is refused has an error that can be
 * shown. Source: src/base/yaml.c, yaml_build.c, yaml_node.c, yaml_json.c.
 */
#include <stdlib.h>

#include "base/yaml.h"

static size_t look_at(const struct fw_yaml_document *document, const struct fw_yaml_node *node, size_t size, int depth)
{
	struct fw_yaml_mark mark = fw_yaml_mark(document, node);
	enum fw_yaml_kind kind = fw_yaml_kind(node);
	size_t seen = 1;

	if (mark.start > mark.end || mark.end > size || mark.line == 0 || mark.column == 0 || depth > FW_YAML_MAX_DEPTH)
		abort();
	for (size_t i = 0; kind == FW_YAML_SEQUENCE && i < fw_yaml_count(node); i++)
		seen += look_at(document, fw_yaml_item(node, i), size, depth + 1);
	for (size_t i = 0; kind == FW_YAML_MAPPING && i < fw_yaml_count(node); i++) {
		if (!fw_yaml_text(fw_yaml_key(node, i)))
			abort();
		seen += look_at(document, fw_yaml_key(node, i), size, depth + 1);
		seen += look_at(document, fw_yaml_value(node, i), size, depth + 1);
	}
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_yaml struct fw_yaml_document *document = NULL;
	fw_cleanup_error struct fw_error *err = NULL;

	if (fw_yaml_load("fuzz", (const char *)data, size, &document, &err) != FW_OK) {
		free(fw_error_describe(err));
		return 0;
	}
	if (look_at(document, fw_yaml_root(document), size, 0) > FW_YAML_MAX_NODES)
		abort();
	json_decref(fw_yaml_to_json(fw_yaml_root(document)));
	return 0;
}
