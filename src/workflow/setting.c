/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings: what the file and the overrides say together, as one tree. Each setting remembers the place that said it, so
 * that an error found much later still points at the line of the file or names the override.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

void fw_setting_free(struct fw_setting *setting)
{
	if (!setting)
		return;
	for (size_t i = 0; i < setting->entries.count; i++) {
		free(setting->entries.items[i].key);
		fw_setting_free(setting->entries.items[i].value);
	}
	free(setting->entries.items);
	free(setting->text);
	json_decref(setting->json);
	free(setting);
}

struct fw_setting *fw_setting_new_map(const struct fw_override *override)
{
	struct fw_setting *setting = fw_alloc(sizeof *setting);

	setting->kind = FW_SETTING_MAP;
	setting->override = override;
	return setting;
}

static int add_items(struct fw_setting *list, struct fw_error **err)
{
	for (size_t i = 0; i < fw_yaml_count(list->node); i++) {
		struct fw_setting *value = NULL;
		int rc = fw_setting_new(list->document, fw_yaml_item(list->node, i), list->override, &value, err);

		if (rc != FW_OK)
			return rc;
		FW_PUSH(&list->entries, (struct fw_setting_entry){.value = value});
	}
	return FW_OK;
}

static int add_pairs(struct fw_setting *map, struct fw_error **err)
{
	for (size_t i = 0; i < fw_yaml_count(map->node); i++) {
		const struct fw_yaml_node *key = fw_yaml_key(map->node, i);
		struct fw_setting *value = NULL;

		if (!key || !fw_yaml_text(key))
			return fw_yaml_fail(err, map->document, key ? key : map->node, FW_E_INVALID, "a key must be text");
		int rc = fw_setting_new(map->document, fw_yaml_value(map->node, i), map->override, &value, err);
		if (rc != FW_OK)
			return rc;
		FW_PUSH(&map->entries, (struct fw_setting_entry){fw_strdup(fw_yaml_text(key)), key, value});
	}
	return FW_OK;
}

static enum fw_setting_kind kind_of_json(const json_t *json)
{
	switch (json_typeof(json)) {
	case JSON_TRUE:
	case JSON_FALSE:
		return FW_SETTING_BOOLEAN;
	case JSON_INTEGER:
		return FW_SETTING_INTEGER;
	case JSON_REAL:
		return FW_SETTING_REAL;
	case JSON_STRING:
		return FW_SETTING_TEXT;
	default:
		return FW_SETTING_NULL;
	}
}

int fw_setting_new(const struct fw_yaml_document *document, const struct fw_yaml_node *node,
                   const struct fw_override *override, struct fw_setting **setting, struct fw_error **err)
{
	struct fw_setting *made FW_CLEANUP(fw_setting_free) = fw_setting_new_map(override);
	int rc = FW_OK;

	made->document = document;
	made->node = node;
	switch (fw_yaml_kind(node)) {
	case FW_YAML_MAPPING:
		rc = add_pairs(made, err);
		break;
	case FW_YAML_SEQUENCE:
		made->kind = FW_SETTING_LIST;
		rc = add_items(made, err);
		break;
	default:
		if (fw_yaml_is_beyond(node)) {
			rc = fw_setting_fail(err, made, FW_E_INVALID, "%.40s%s is a number too large to be held", fw_yaml_text(node),
			                     strlen(fw_yaml_text(node)) > 40 ? "…" : "");
			rc = fw_error_hint(err, rc, "whole numbers have 64 bits, others up to 1.8e308; in quotes it is text");
		}
		made->json = fw_yaml_to_json(node);
		made->kind = kind_of_json(made->json);
		made->text = fw_strdup(fw_yaml_text(node) ? fw_yaml_text(node) : "");
	}
	if (rc != FW_OK)
		return rc;
	*setting = FW_TAKE(made);
	return FW_OK;
}

struct fw_setting *fw_setting_get(const struct fw_setting *map, const char *key)
{
	if (!map || map->kind != FW_SETTING_MAP)
		return NULL;
	for (size_t i = 0; i < map->entries.count; i++)
		if (strcmp(map->entries.items[i].key, key) == 0)
			return map->entries.items[i].value;
	return NULL;
}

void fw_setting_put(struct fw_setting *map, const char *key, struct fw_setting *value)
{
	for (size_t i = 0; i < map->entries.count; i++)
		if (strcmp(map->entries.items[i].key, key) == 0) {
			fw_setting_free(map->entries.items[i].value);
			map->entries.items[i].value = value;
			map->entries.items[i].key_node = NULL;
			return;
		}
	FW_PUSH(&map->entries, (struct fw_setting_entry){fw_strdup(key), NULL, value});
}

json_t *fw_setting_json(const struct fw_setting *setting)
{
	json_t *json = NULL;

	if (setting->kind == FW_SETTING_MAP) {
		json = json_object();
		for (size_t i = 0; i < setting->entries.count; i++)
			json_object_set_new(json, setting->entries.items[i].key, fw_setting_json(setting->entries.items[i].value));
		return json;
	}
	if (setting->kind == FW_SETTING_LIST) {
		json = json_array();
		for (size_t i = 0; i < setting->entries.count; i++)
			json_array_append_new(json, fw_setting_json(setting->entries.items[i].value));
		return json;
	}
	return json_incref(setting->json);
}

char *fw_setting_found(const struct fw_setting *setting)
{
	switch (setting->kind) {
	case FW_SETTING_NULL:
		return fw_strdup("nothing");
	case FW_SETTING_BOOLEAN:
		return fw_printf("the truth value %.40s", setting->text);
	case FW_SETTING_INTEGER:
	case FW_SETTING_REAL:
		return fw_printf("the number %.40s", setting->text);
	case FW_SETTING_TEXT:
		return fw_printf("text '%.40s'%s", setting->text, strlen(setting->text) > 40 ? "…" : "");
	case FW_SETTING_LIST:
		return fw_strdup("a list");
	default:
		return fw_strdup("a mapping");
	}
}

int fw_override_fail(struct fw_error **err, const struct fw_override *override, size_t offset, int code,
                     const char *message)
{
	return fw_error_at_offset(err, fw_fail(err, code, "%s", message), override->origin ? override->origin : "override",
	                          override->text, strlen(override->text), offset);
}

static int fail_at(struct fw_error **err, const struct fw_setting *setting, const struct fw_yaml_node *node, int code,
                   const char *message)
{
	const struct fw_override *override = setting->override;

	if (!override)
		return fw_yaml_fail(err, setting->document, node, code, "%s", message);
	size_t value = strcspn(override->text, "=") + 1;
	return fw_override_fail(err, override, node ? value + fw_yaml_mark(setting->document, node).start : 0, code, message);
}

/* Where a part of an override's name begins. */
static size_t offset_of_part(const char *override, const char *part)
{
	struct fw_str rest = {override, strcspn(override, "=")}, name;

	while (fw_str_next_field(&rest, '.', &name))
		if (fw_str_is(name, part))
			return (size_t)(name.text - override);
	return 0;
}

int fw_setting_fail(struct fw_error **err, const struct fw_setting *setting, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fw_cleanup_free char *message = fw_vprintf(format, arguments);
	va_end(arguments);
	return fail_at(err, setting, setting->node, code, message);
}

int fw_setting_fail_key(struct fw_error **err, const struct fw_setting_entry *entry, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fw_cleanup_free char *message = fw_vprintf(format, arguments);
	va_end(arguments);
	if (!entry->key_node && entry->value->override)
		return fw_override_fail(err, entry->value->override, offset_of_part(entry->value->override->text, entry->key),
		                        code, message);
	return fail_at(err, entry->value, entry->key_node, code, message);
}
