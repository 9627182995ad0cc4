/* SPDX-License-Identifier: Apache-2.0
 *
 * Overrides of the command line and the environment: "stages.split.params.chunk_seconds=5". They are put into the settings before anything is
 * checked, so they obey the same rules as the file. "*" in front stands for every stage.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

enum { PATH_MAX_PARTS = 32 };

void fw_documents_done(struct fw_documents *documents)
{
	for (size_t i = 0; i < documents->list.count; i++)
		fw_yaml_free(documents->list.items[i]);
	free(documents->list.items);
	*documents = (struct fw_documents){0};
}

struct override {
	const struct fw_override *said;
	const char *text; /* the whole of it */
	FW_VECTOR(char *) path;
	const struct fw_yaml_document *document; /* of the value */
};

static void override_done(struct override *override)
{
	for (size_t i = 0; i < override->path.count; i++)
		free(override->path.items[i]);
	free(override->path.items);
}

static int fail_at(struct fw_error **err, const struct override *override, size_t offset, const char *reason)
{
	return fw_override_fail(err, override->said, offset, FW_E_USAGE, reason);
}

/* Points at a part of the setting's name. */
static int fail(struct fw_error **err, const struct override *override, size_t part, const char *reason)
{
	size_t offset = 0;

	for (size_t i = 0; i < part && i < override->path.count; i++)
		offset += strlen(override->path.items[i]) + 1;
	return fail_at(err, override, offset, reason);
}

static int split_name(struct override *override, size_t length, struct fw_error **err)
{
	struct fw_str rest = {override->text, length}, part;

	while (fw_str_next_field(&rest, '.', &part)) {
		if (part.length == 0)
			return fail(err, override, override->path.count, "a part of the setting's name is empty");
		if (override->path.count == PATH_MAX_PARTS)
			return fail(err, override, PATH_MAX_PARTS, "the setting's name has too many parts");
		FW_PUSH(&override->path, fw_strndup(part.text, part.length));
	}
	if (override->path.count == 0 || override->text[length - 1] == '.')
		return fail_at(err, override, length - 1, "a part of the setting's name is empty");
	return FW_OK;
}

static int read_value(struct override *override, const char *value, struct fw_documents *documents,
                      struct fw_error **err)
{
	struct fw_error *reason FW_CLEANUP(fw_error_free) = NULL;
	struct fw_yaml_document *document = NULL;
	int rc = fw_yaml_load("override", value, strlen(value), &document, &reason);

	if (rc != FW_OK) {
		size_t column = fw_error_line(reason) == 1 ? fw_error_column(reason) : 1;

		return fail_at(err, override, (size_t)(value - override->text) + column - 1, fw_error_message(reason));
	}
	FW_PUSH(&documents->list, document);
	override->document = document;
	return FW_OK;
}

static int split(struct override *override, struct fw_documents *documents, struct fw_error **err)
{
	const char *equals = strchr(override->text, '=');

	if (!equals || equals == override->text)
		return fw_error_hint(err, fail(err, override, 0, "expected SETTING=VALUE"),
		                     "for example stages.split.memory=512");
	int rc = split_name(override, (size_t)(equals - override->text), err);
	return rc == FW_OK ? read_value(override, equals + 1, documents, err) : rc;
}

static int value_of(const struct override *override, struct fw_setting **value, struct fw_error **err)
{
	return fw_setting_new(override->document, fw_yaml_root(override->document), override->said, value, err);
}

/* The item of a list by its number, counted from 0. */
static struct fw_setting **list_item(struct fw_setting *list, const char *part)
{
	uint64_t index = 0;

	if (!fw_str_to_u64(fw_str_of(part), &index) || index >= list->entries.count)
		return NULL;
	return &list->entries.items[index].value;
}

static int put(const struct override *override, struct fw_setting *parent, size_t index, struct fw_error **err)
{
	const char *part = override->path.items[index];
	struct fw_setting *value = NULL;
	struct fw_setting **item = NULL;

	if (parent->kind == FW_SETTING_LIST && !(item = list_item(parent, part)))
		return fail(err, override, index, "the list has no such item");
	int rc = value_of(override, &value, err);
	if (rc != FW_OK)
		return rc;
	if (item) {
		fw_setting_free(*item);
		*item = value;
	} else {
		fw_setting_put(parent, part, value);
	}
	return FW_OK;
}

/* What the grammar says about a place, so that a short form can be opened before something is set in it. */
struct place {
	const struct fw_grammar *object; /* of the mapping itself, or NULL */
	const struct fw_grammar *member; /* of what its names stand for, or NULL */
};

static struct place below(struct place place, const char *part)
{
	const struct fw_grammar_key *key = place.object ? fw_grammar_find(place.object, part) : NULL;

	if (place.member)
		return (struct place){.object = place.member};
	if (!key)
		return (struct place){0};
	return key->value == FW_VALUE_NAMED ? (struct place){.member = key->object} : (struct place){.object = key->object};
}

/* One step down; makes mappings that are not there yet. NULL when the setting cannot hold others. */
static struct fw_setting *descend(const struct override *override, struct fw_setting *parent, const char *part,
                                  struct place place)
{
	struct fw_setting *child = NULL;

	if (parent->kind == FW_SETTING_LIST) {
		struct fw_setting **item = list_item(parent, part);

		return item ? *item : NULL;
	}
	child = fw_setting_get(parent, part);
	if (!child) {
		child = fw_setting_new_map(override->said);
		fw_setting_put(parent, part, child);
	}
	if (place.object)
		fw_grammar_expand(place.object, child);
	if (child->kind == FW_SETTING_NULL)
		child->kind = FW_SETTING_MAP;
	return child->kind == FW_SETTING_MAP || child->kind == FW_SETTING_LIST ? child : NULL;
}

static int apply_from(const struct override *override, struct fw_setting *setting, struct place place, size_t first,
                      struct fw_error **err)
{
	for (size_t i = first; i + 1 < override->path.count; i++) {
		place = below(place, override->path.items[i]);
		setting = descend(override, setting, override->path.items[i], place);
		if (!setting) {
			fw_cleanup_free char *reason = fw_printf("'%s' is not a mapping", override->path.items[i]);

			return fw_error_hint(err, fail(err, override, i, reason), "set the whole of it");
		}
	}
	return put(override, setting, override->path.count - 1, err);
}

/* A stage that the file does not have is a mistake, never a new stage. */
static int check_stage(const struct override *override, const struct fw_setting *stages, struct fw_error **err)
{
	const char *name = override->path.items[1];
	const char **known = NULL;

	if (fw_setting_get(stages, name))
		return FW_OK;
	known = fw_alloc_array(stages->entries.count + 1, sizeof *known);
	for (size_t i = 0; i < stages->entries.count; i++)
		known[i] = stages->entries.items[i].key;
	fw_cleanup_free char *meant = fw_did_you_mean(name, known, stages->entries.count);
	free(known);
	fw_cleanup_free char *reason = fw_printf("no stage named '%s'%s", name, meant);
	return fail(err, override, 1, reason);
}

/* A number of workers for every stage means those that have a number: `auto` is a matter of the data. */
static bool is_workers_of_auto(const struct override *override, const struct fw_setting *stage)
{
	const struct fw_setting *workers = fw_setting_get(stage, "workers");

	return strcmp(override->path.items[1], "workers") == 0 && workers && workers->text &&
	       strcmp(workers->text, "auto") == 0;
}

static int apply_to_every_stage(const struct override *override, const struct fw_setting *stages, struct fw_error **err)
{
	if (override->path.count < 2)
		return fail(err, override, 0, "'*' needs a setting behind it: *.memory=512");
	for (size_t i = 0; i < stages->entries.count; i++) {
		struct fw_setting *stage = stages->entries.items[i].value;

		if (stage->kind == FW_SETTING_NULL)
			stage->kind = FW_SETTING_MAP;
		if (stage->kind != FW_SETTING_MAP)
			continue; /* the shape check says so */
		if (is_workers_of_auto(override, stage))
			continue;
		int rc = apply_from(override, stage, (struct place){.object = &fw_grammar_stage}, 1, err);
		if (rc != FW_OK)
			return rc;
	}
	return FW_OK;
}

/* "storage.region=…": a part of a bucket's URI. */
static int apply_to_bucket(const struct override *override, struct fw_setting *storage, struct fw_error **err)
{
	const char *reason = NULL, *value = strchr(override->text, '=') + 1;
	int rc = fw_override_bucket(storage, override->path.items[1], value, &reason, err);

	if (reason)
		return fail(err, override, 1, reason);
	if (rc == FW_OK)
		return FW_OK;
	fw_error_wrap(err, rc, "storage");
	return fw_error_at_offset(err, rc, override->said->origin ? override->said->origin : "override", override->text,
	                          strlen(override->text), (size_t)(value - override->text));
}

static int apply(const struct override *override, struct fw_setting *root, struct fw_error **err)
{
	const struct fw_setting *stages = fw_setting_get(root, "stages");
	bool has_stages = stages && stages->kind == FW_SETTING_MAP;
	const char *first = override->path.items[0];

	if (strcmp(first, "*") == 0)
		return has_stages ? apply_to_every_stage(override, stages, err) : FW_OK;
	if (strcmp(first, "storage") == 0 && override->path.count == 2)
		return apply_to_bucket(override, fw_setting_get(root, "storage"), err);
	if (has_stages && override->path.count > 1 && strcmp(first, "stages") == 0) {
		int rc = check_stage(override, stages, err);

		if (rc != FW_OK)
			return rc;
	}
	return apply_from(override, root, (struct place){.object = &fw_grammar_workflow}, 0, err);
}

int fw_overrides_apply(const struct fw_overrides *overrides, struct fw_setting *root, struct fw_documents *documents,
                       struct fw_error **err)
{
	for (size_t i = 0; overrides && i < overrides->settings.count; i++) {
		const struct fw_override *said = &overrides->settings.items[i];
		struct override override __attribute__((cleanup(override_done))) = {.said = said, .text = said->text};
		int rc = split(&override, documents, err);

		if (rc == FW_OK && override.path.items)
			rc = apply(&override, root, err);
		if (rc != FW_OK)
			return rc;
	}
	return FW_OK;
}
