/* SPDX-License-Identifier: Apache-2.0
 *
 * Listing a directory by glob. Only the directories that can match are entered; runs/ never is. A link to a file is an
 * object when it stays inside the storage, else it is refused: what a run reads must not depend on what lies elsewhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/tree.h"
#include "storage/file_internal.h"

struct listing {
	struct fw_file_storage *storage;
	const char *pattern;
	char literal[PATH_MAX]; /* leading components without wildcards, "" when none */
	struct fw_storage_objects *objects;
};

/* "videos/2026/ *.mp4" starts at "videos/2026". */
static void literal_directory(const char *pattern, char literal[PATH_MAX])
{
	size_t wildcard = strcspn(pattern, "*?[");
	size_t length = 0;

	for (size_t i = 0; i < wildcard && i < PATH_MAX - 1; i++)
		if (pattern[i] == '/')
			length = i;
	memcpy(literal, pattern, length);
	literal[length] = '\0';
}

static int leaves(const struct fw_file_storage *storage, const char *what, const char *name, struct fw_error **err)
{
	int rc = fw_fail(err, FW_E_INVALID, "%s %s is a link that leaves the storage", what, name);

	return fw_error_hint(err, rc, "copy it into %s, or make the directory that holds all the files the storage (--storage DIR)",
	                     storage->root);
}

static int link_size(struct listing *listing, const char *key, int64_t *bytes, struct fw_error **err)
{
	fw_cleanup_free char *path = fw_printf("%s/%s", listing->storage->root, key);
	fw_cleanup_free char *target = realpath(path, NULL);
	struct stat stat_of;

	if (!target || stat(target, &stat_of) < 0)
		return fw_error_hint(err, fw_fail_errno(err, errno, "object %s is a link to what cannot be read", key),
		                     "remove the link, or mend it: it may lead to a file inside the storage");
	if (!fw_path_is_below(target, listing->storage->root))
		return leaves(listing->storage, "object", key, err);
	*bytes = S_ISREG(stat_of.st_mode) ? (int64_t)stat_of.st_size : -1;
	return FW_OK;
}

static int visit(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                 struct fw_error **err)
{
	struct listing *listing = context;
	fw_cleanup_free char *key =
		listing->literal[0] ? fw_printf("%s/%s", listing->literal, path) : fw_printf("%s", path);
	int64_t bytes = (int64_t)stat->st_size;

	(void)parent_fd;
	(void)name;
	if (S_ISDIR(stat->st_mode))
		return strcmp(key, "runs") == 0 ? FW_TREE_SKIP : FW_OK;
	if (!fw_glob_match(listing->pattern, key) || !(S_ISREG(stat->st_mode) || S_ISLNK(stat->st_mode)))
		return FW_OK;
	if (S_ISLNK(stat->st_mode)) {
		int rc = link_size(listing, key, &bytes, err);

		if (rc != FW_OK || bytes < 0)
			return rc;
	}
	if (!fw_is_utf8(key)) {
		fw_cleanup_free char *shown = fw_utf8_shown(key);
		int rc = fw_fail(err, FW_E_INVALID, "the name of object %s is not UTF-8", shown);

		return fw_error_hint(err, rc, "rename the file: keys are text, as on S3");
	}
	if (listing->objects->list.count == FW_STORAGE_MAX_OBJECTS)
		return fw_fail(err, FW_E_LIMIT, "more than %d objects match %s", FW_STORAGE_MAX_OBJECTS, listing->pattern);
	FW_PUSH(&listing->objects->list, (struct fw_storage_object){.key = FW_TAKE(key), .bytes = bytes});
	return FW_OK;
}

int fw_file_list(struct fw_file_storage *storage, const char *pattern, struct fw_storage_objects *objects,
                 struct fw_error **err)
{
	struct listing listing = {.storage = storage, .pattern = pattern, .objects = objects};

	literal_directory(pattern, listing.literal);
	fw_cleanup_free char *start = fw_printf("%s/%s", storage->root, listing.literal);
	fw_cleanup_free char *directory = realpath(start, NULL);

	if (!directory && (errno == ENOENT || errno == ENOTDIR))
		return FW_OK; /* an empty list: what it means is the workflow's to say */
	if (directory && !fw_path_is_below(directory, storage->root))
		return leaves(storage, "directory", listing.literal, err);
	int rc = directory ? fw_tree_walk(AT_FDCWD, directory, visit, &listing, err)
	                   : fw_fail_errno(err, errno, "open directory %s", start);

	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "list %s in %s", pattern, storage->root);
	fw_storage_objects_sort(objects, 0);
	return FW_OK;
}
