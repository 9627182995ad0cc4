/* SPDX-License-Identifier: Apache-2.0
 *
 * What has changed since a run began. A resumed run whose parts were made by different functions would be neither the
 * one nor the other, so a change is refused, and told as a person would: which value of which stage, or which package.
 */
#include <string.h>

#include "backend/driver_internal.h"

enum { SHOWN_CHANGES = 3, SHOWN_VALUE = 60 };

struct changes {
	FW_VECTOR(char *) paths;
	FW_VECTOR(char *) texts; /* "stages.a.params.n was 1, is 2" */
};

static void changes_done(struct changes *changes)
{
	for (size_t i = 0; i < changes->paths.count; i++) {
		free(changes->paths.items[i]);
		free(changes->texts.items[i]);
	}
	free(changes->paths.items);
	free(changes->texts.items);
}

static char *shown(const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	char *cut = text ? fw_printf("%.*s%s", SHOWN_VALUE, text, strlen(text) > SHOWN_VALUE ? "..." : "") : fw_strdup("absent");

	free(text);
	return cut;
}

static void add_change(struct changes *changes, const char *path, const json_t *before, const json_t *after)
{
	fw_cleanup_free char *was = shown(before);
	fw_cleanup_free char *is = shown(after);

	FW_PUSH(&changes->paths, fw_strdup(path));
	FW_PUSH(&changes->texts, fw_printf("%s was %s, is %s", path, was, is));
}

static void compare(struct changes *changes, const char *path, const json_t *before, const json_t *after);

static void compare_member(struct changes *changes, const char *path, const char *key, const json_t *before,
                           const json_t *after)
{
	fw_cleanup_free char *below = *path ? fw_printf("%s.%s", path, key) : fw_strdup(key);

	compare(changes, below, json_object_get(before, key), json_object_get(after, key));
}

static void compare(struct changes *changes, const char *path, const json_t *before, const json_t *after)
{
	const char *key;
	json_t *value;

	if (before && after && json_equal(before, after))
		return;
	if (!json_is_object(before) || !json_is_object(after)) {
		add_change(changes, path, before, after);
		return;
	}
	json_object_foreach ((json_t *)(uintptr_t)before, key, value)
		compare_member(changes, path, key, before, after);
	json_object_foreach ((json_t *)(uintptr_t)after, key, value)
		if (!json_object_get(before, key))
			compare_member(changes, path, key, before, after);
}

/* The first stage, in the order of execution, that a change is about; "STAGE" when it is about none. */
static const char *first_stage(const struct fw_workflow *workflow, const struct changes *changes)
{
	for (size_t i = 0; i < workflow->order.count; i++) {
		const char *name = workflow->stages.items[workflow->order.items[i]].name;
		fw_cleanup_free char *prefix = fw_printf("stages.%s.", name);

		for (size_t c = 0; c < changes->paths.count; c++)
			if (strncmp(changes->paths.items[c], prefix, strlen(prefix)) == 0)
				return name;
	}
	return "STAGE";
}

static int hint(struct fw_error **err, int rc, const char *stage)
{
	return fw_error_hint(err, rc, "undo the change, or accept it with --from %s: that stage and what follows it run again",
	                     stage);
}

static int workflow_changed(const struct fw_driver *driver, struct fw_error **err)
{
	const struct fw_run_row *row = &driver->row;
	fw_cleanup_json json_t *before = NULL;
	__attribute__((cleanup(changes_done))) struct changes changes = {0};
	fw_cleanup_buffer struct fw_buffer text;

	int rc = fw_json_load("workflow of the run", row->workflow_text, strlen(row->workflow_text), &before, err);

	if (rc != FW_OK)
		return rc;
	fw_buffer_init(&text, 64 << 10);
	compare(&changes, "", before, driver->workflow->effective);
	for (size_t i = 0; i < changes.texts.count && i < SHOWN_CHANGES; i++)
		fw_buffer_printf(&text, "%s%s", i ? "; " : "", changes.texts.items[i]);
	if (changes.texts.count > SHOWN_CHANGES)
		fw_buffer_printf(&text, "; and %zu more", changes.texts.count - SHOWN_CHANGES);
	rc = fw_fail(err, FW_E_USAGE, "cannot resume: %s has changed since the run began: %s", driver->workflow->path,
	             text.length ? text.data : "stages are in another order");
	return hint(err, rc, first_stage(driver->workflow, &changes));
}

static const char *first_user(const struct fw_workflow *workflow, const char *package)
{
	for (size_t i = 0; i < workflow->order.count; i++) {
		const struct fw_stage *stage = &workflow->stages.items[workflow->order.items[i]];

		if (stage->function.path && strcmp(stage->function.path, package) == 0)
			return stage->name;
	}
	return "STAGE";
}

static int packages_changed(const struct fw_driver *driver, struct fw_error **err)
{
	const json_t *before = json_object_get(driver->row.environment, "packages");
	const char *path;
	json_t *digest;

	json_object_foreach (driver->packages, path, digest) {
		const char *was = json_string_value(json_object_get(before, path));

		if (was && strcmp(was, json_string_value(digest)) == 0)
			continue;
		int rc = fw_fail(err, FW_E_USAGE, "cannot resume: package %s has changed since the run began: digest was %.12s, is %.12s",
		                 path, was ? was : "absent", json_string_value(digest));

		return hint(err, rc, first_user(driver->workflow, path));
	}
	return FW_OK;
}

static bool same_stages(const json_t *before, const struct fw_workflow *workflow)
{
	const char *name;
	json_t *value;
	size_t i = 0;

	json_object_foreach ((json_t *)(uintptr_t)before, name, value)
		if (i >= workflow->stages.count || strcmp(workflow->stages.items[i++].name, name) != 0)
			return false;
	return i == workflow->stages.count;
}

static int check_stages(const struct fw_driver *driver, struct fw_error **err)
{
	const char *text = driver->row.workflow_text;
	fw_cleanup_json json_t *before = NULL;
	int rc = fw_json_load("workflow of the run", text, strlen(text), &before, err);

	if (rc != FW_OK || same_stages(json_object_get(before, "stages"), driver->workflow))
		return rc;
	rc = fw_fail(err, FW_E_USAGE, "cannot resume: stages of %s were added, removed, renamed or put in another order",
	             driver->workflow->path);
	return fw_error_hint(err, rc, "that is another workflow: flexwatt run %s", driver->workflow->path);
}

int fw_driver_check_unchanged(const struct fw_driver *driver, struct fw_error **err)
{
	const struct fw_run_row *row = &driver->row;

	if (strcmp(row->storage, driver->workflow->storage) != 0)
		return fw_fail(err, FW_E_USAGE, "cannot resume: the run's storage is %s, not %s", row->storage,
		               driver->workflow->storage);
	if (driver->options.from_stage)
		return check_stages(driver, err);
	if (strcmp(row->workflow_digest, driver->workflow->digest) != 0)
		return workflow_changed(driver, err);
	return packages_changed(driver, err);
}
