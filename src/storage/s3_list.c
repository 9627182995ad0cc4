/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing a bucket by glob. What stands before the first wildcard is asked for as prefix, and folded at the next '/' where
 * nothing below can match. Where no directory is named, the top is listed first and then what lies below those of its
 * prefixes that may match: so what runs have left is never paged through.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/s3_internal.h"

struct listing {
	struct fw_s3_job job;
	struct fw_s3_storage *storage;
	char *pattern;
	fw_storage_list_fn *done;
	void *context;
	struct fw_storage_objects objects;
	bool deep;               /* what matches may be below what is asked for first */
	FW_VECTOR(char *) below; /* prefixes still to list */
	struct fw_error *error;  /* found in a page */
};

static void listing_free(struct listing *listing)
{
	fw_s3_job_remove(&listing->job);
	fw_storage_objects_done(&listing->objects);
	for (size_t i = 0; i < listing->below.count; i++)
		free(listing->below.items[i]);
	free(listing->below.items);
	fw_error_free(listing->error);
	free(listing->pattern);
	free(listing);
}

static void finish(struct listing *listing, int rc, struct fw_error *error)
{
	if (rc == FW_OK)
		fw_storage_objects_sort(&listing->objects, 0);
	listing->done(listing->context, rc, &listing->objects, error);
	fw_error_free(error);
	listing_free(listing);
}

static void cancel(struct fw_s3_job *job)
{
	struct fw_error *error = NULL;
	int rc = fw_s3_cancelled(&error);

	finish((struct listing *)job, rc, error);
}

static int take_object(struct listing *listing, const char *key, const struct fw_s3_item *item, struct fw_error **err)
{
	size_t length = strlen(key);

	if (!fw_glob_match(listing->pattern, key) || length == 0 || key[length - 1] == '/' || strncmp(key, "runs/", 5) == 0)
		return FW_OK;
	if (!fw_is_utf8(key)) {
		fw_cleanup_free char *shown = fw_utf8_shown(key);
		int rc = fw_fail(err, FW_E_INVALID, "the name of object %s is not UTF-8", shown);

		return fw_error_hint(err, rc, "copy it to another key");
	}
	if (listing->objects.list.count == FW_STORAGE_MAX_OBJECTS)
		return fw_fail(err, FW_E_LIMIT, "more than %d objects match %s", FW_STORAGE_MAX_OBJECTS, listing->pattern);
	FW_PUSH(&listing->objects.list, (struct fw_storage_object){fw_strdup(key), item->bytes, fw_s3_version(item->etag)});
	return FW_OK;
}

/* "top/": what the pattern says of the top may be said of it, and it is not that of the runs. */
static bool may_match_below(const char *pattern, const char *prefix)
{
	fw_cleanup_free char *wanted = fw_strndup(pattern, strcspn(pattern, "/"));
	fw_cleanup_free char *top = fw_strndup(prefix, strcspn(prefix, "/"));

	return strcmp(prefix, "runs/") != 0 && (strstr(wanted, "**") || fw_glob_match(wanted, top));
}

static int add_below(struct listing *listing, const char *prefix)
{
	if (listing->below.count == FW_STORAGE_MAX_OBJECTS)
		return fw_fail(&listing->error, FW_E_LIMIT, "more than %d directories to look for %s in", FW_STORAGE_MAX_OBJECTS,
		               listing->pattern);
	FW_PUSH(&listing->below, fw_strdup(prefix));
	return FW_OK;
}

static bool page(void *context, const struct fw_s3_item *items, size_t count)
{
	struct listing *listing = context;
	size_t skip = strlen(listing->storage->prefix);
	int rc = FW_OK;

	for (size_t i = 0; i < count && rc == FW_OK; i++) {
		const char *key = items[i].key + skip;

		if (!items[i].common_prefix)
			rc = take_object(listing, key, &items[i], &listing->error);
		else if (listing->deep && may_match_below(listing->pattern, key))
			rc = add_below(listing, key);
	}
	return rc == FW_OK;
}

static void listed(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err);

static void ask(struct listing *listing, const char *prefix, const char *delimiter)
{
	fw_cleanup_free char *key = fw_s3_key(listing->storage, prefix);

	fw_s3_list(listing->storage->s3, &(struct fw_s3_list){key, delimiter, page}, listed, listing);
}

static void listed(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct listing *listing = context;

	(void)answer;
	if (listing->error) {
		struct fw_error *error = FW_TAKE(listing->error);

		finish(listing, fw_error_code(error), error);
	} else if (rc != FW_OK) {
		finish(listing, rc, fw_error_copy(err));
	} else if (listing->below.count > 0) {
		fw_cleanup_free char *next = listing->below.items[--listing->below.count];

		ask(listing, next, NULL);
	} else {
		finish(listing, FW_OK, NULL);
	}
}

void fw_s3_storage_list(struct fw_storage *base, const char *pattern, fw_storage_list_fn *done, void *context)
{
	struct fw_s3_storage *storage = (struct fw_s3_storage *)base;
	struct listing *listing = fw_alloc(sizeof *listing);
	fw_cleanup_free char *literal = fw_strndup(pattern, strcspn(pattern, "*?[\\"));

	*listing = (struct listing){.storage = storage, .pattern = fw_strdup(pattern), .done = done, .context = context};
	fw_s3_job_add(&storage->jobs, &listing->job, cancel);
	listing->deep = strchr(pattern + strlen(literal), '/') || strstr(pattern, "**");
	if (storage->cancelled)
		cancel(&listing->job);
	else
		ask(listing, literal, listing->deep && strchr(literal, '/') ? NULL : "/");
}
