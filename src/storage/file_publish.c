/* SPDX-License-Identifier: Apache-2.0
 *
 * Publication of an attempt in a directory storage: check what the function left, make it ours, make it durable, and let
 * it appear by one rename. Until the rename nothing is visible; when anything is wrong the attempt is thrown away.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/map.h"
#include "base/str.h"
#include "base/tree.h"
#include "storage/file_internal.h"

enum { SYNC_ONE_BY_ONE = 16 }; /* above this many files one syncfs() is cheaper */

struct publishing {
	struct fw_file_storage *storage;
	const char *output;
	struct fw_map *declared; /* names to publish, or NULL: all regular files */
	const char *prefix;      /* key of the attempt */
	uint32_t output_index;
	struct fw_storage_objects *objects;
	uint32_t *output_of;
	size_t output_of_capacity;
	int64_t bytes;
	size_t seen; /* files made ours so far */
};

static int left_behind(struct fw_error **err, const char *output, const char *path, const char *what)
{
	int rc = fw_fail(err, FW_E_FUNCTION, "output '%s': the function left %s: %s", output, what, path);

	return fw_error_hint(err, rc, "only regular files inside the output's directory can be published");
}

/* What a function did to its own directories is its fault, anything else the machine's. */
static int fail_open(struct fw_error **err, const char *path)
{
	int error_number = errno;

	if (error_number != ENOENT && error_number != ENOTDIR && error_number != ELOOP)
		return fw_fail_errno(err, error_number, "open %s", path);
	return fw_fail(err, FW_E_FUNCTION, "the function removed or replaced %s: %s", path, strerror(error_number));
}

static const char *forbidden_kind(const struct stat *stat)
{
	if (S_ISLNK(stat->st_mode))
		return "a symbolic link";
	if (S_ISFIFO(stat->st_mode))
		return "a FIFO";
	if (S_ISSOCK(stat->st_mode))
		return "a socket";
	if (S_ISCHR(stat->st_mode) || S_ISBLK(stat->st_mode))
		return "a device";
	if (S_ISREG(stat->st_mode) && stat->st_nlink != 1)
		return "a hard link";
	return NULL;
}

static int take_over(int fd, const char *name, mode_t mode, struct fw_error **err)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0 || (stat.st_uid != geteuid() && fchown(fd, geteuid(), getegid()) < 0))
		return fw_fail_errno(err, errno, "take over %s", name);
	return fchmod(fd, mode) < 0 ? fw_fail_errno(err, errno, "set the mode of %s", name) : FW_OK;
}

/* The descriptor, not the name, is made ours: the name could be exchanged in between. */
static int make_ours(int parent_fd, const char *name, bool directory, bool sync, struct fw_error **err)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (directory ? O_DIRECTORY : 0);
	fw_cleanup_fd int fd = openat(parent_fd, name, flags);

	if (fd < 0)
		return fail_open(err, name);
	int rc = take_over(fd, name, directory ? 0755 : 0644, err);

	if (rc == FW_OK && sync && fdatasync(fd) < 0)
		rc = fw_fail_errno(err, errno, "write %s", name);
	return rc;
}

static void add_object(struct publishing *publishing, const char *path, int64_t bytes)
{
	publishing->output_of = fw_grow(publishing->output_of, publishing->objects->list.count,
	                                &publishing->output_of_capacity, sizeof *publishing->output_of);
	publishing->output_of[publishing->objects->list.count] = publishing->output_index;
	FW_PUSH(&publishing->objects->list,
	        (struct fw_storage_object){fw_printf("%s/%s/%s", publishing->prefix, publishing->output, path), bytes});
}

static int check_entry(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                       struct fw_error **err)
{
	struct publishing *publishing = context;
	const char *forbidden = forbidden_kind(stat);

	if (forbidden)
		return left_behind(err, publishing->output, path, forbidden);
	if (!fw_is_utf8(path))
		return left_behind(err, publishing->output, "(…)", "a name that is not UTF-8");
	if (S_ISDIR(stat->st_mode))
		return make_ours(parent_fd, name, true, false, err);
	if (publishing->declared && !fw_map_has(publishing->declared, path)) {
		if (unlinkat(parent_fd, name, 0) < 0)
			return fw_fail_errno(err, errno, "remove undeclared %s", path);
		return FW_OK;
	}
	if (publishing->seen == FW_PUBLISH_MAX_OBJECTS)
		return fw_fail(err, FW_E_FUNCTION, "the function left more than %d objects", FW_PUBLISH_MAX_OBJECTS);
	publishing->bytes += (int64_t)stat->st_size;
	if (publishing->bytes > FW_PUBLISH_MAX_BYTES)
		return fw_fail(err, FW_E_FUNCTION, "the function left more than %lld bytes", (long long)FW_PUBLISH_MAX_BYTES);
	if (!publishing->declared)
		add_object(publishing, path, (int64_t)stat->st_size);
	else
		fw_map_set(publishing->declared, path, (void *)(intptr_t)(stat->st_size + 1));
	return make_ours(parent_fd, name, false, publishing->seen++ < SYNC_ONE_BY_ONE, err);
}

/* Declared objects keep the order of the answer: it is the ordinal that consumers are dealt by. */
static int add_declared(struct publishing *publishing, const char *const *names, size_t count, struct fw_error **err)
{
	for (size_t i = 0; i < count; i++) {
		intptr_t size = (intptr_t)fw_map_get(publishing->declared, names[i]);

		if (size == 0) {
			int rc = fw_fail(err, FW_E_FUNCTION, "output '%s': the answer declares '%s', which was not written",
			                 publishing->output, names[i]);

			return fw_error_hint(err, rc, "write the file into the directory that the event names before answering");
		}
		add_object(publishing, names[i], (int64_t)size - 1);
	}
	return FW_OK;
}

static int by_key(const void *a, const void *b)
{
	const struct fw_storage_object *left = a, *right = b;

	return strcmp(left->key, right->key);
}

static int check_output(struct publishing *publishing, int directory_fd, const char *const *names, size_t count,
                        struct fw_error **err)
{
	size_t first = publishing->objects->list.count;
	int rc = make_ours(directory_fd, publishing->output, true, false, err);

	publishing->declared = names ? fw_map_new() : NULL;
	for (size_t i = 0; names && i < count; i++)
		fw_map_set(publishing->declared, names[i], NULL);
	if (rc == FW_OK)
		rc = fw_tree_walk(directory_fd, publishing->output, check_entry, publishing, err);
	if (rc == FW_OK && names)
		rc = add_declared(publishing, names, count, err);
	else if (rc == FW_OK && publishing->objects->list.count > first)
		qsort(publishing->objects->list.items + first, publishing->objects->list.count - first,
		      sizeof publishing->objects->list.items[0], by_key);
	fw_map_free(publishing->declared);
	publishing->declared = NULL;
	return rc;
}

static bool is_output(const struct fw_publication *publication, const char *name)
{
	for (size_t i = 0; i < publication->output_count; i++)
		if (strcmp(publication->outputs[i].output, name) == 0)
			return true;
	return false;
}

struct stray {
	const struct fw_publication *publication;
};

/* What lies beside the outputs (a function's scratch) is not part of the attempt. */
static int remove_stray(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                        struct fw_error **err)
{
	const struct stray *stray = context;

	(void)path;
	if (S_ISDIR(stat->st_mode) && is_output(stray->publication, name))
		return FW_TREE_SKIP;
	int rc = fw_tree_remove(parent_fd, name, err);

	return rc == FW_OK ? FW_TREE_SKIP : rc;
}

/* From the top down: what is checked can no longer be exchanged by what the function left running. */
static int check_outputs(struct publishing *publishing, const struct fw_publication *publication, int directory_fd,
                         struct fw_error **err)
{
	struct stray stray = {publication};
	int rc = take_over(directory_fd, publication->directory, 0755, err);

	if (rc == FW_OK)
		rc = fw_tree_walk(directory_fd, ".", remove_stray, &stray, err);
	for (size_t i = 0; rc == FW_OK && i < publication->output_count; i++) {
		publishing->output = publication->outputs[i].output;
		publishing->output_index = (uint32_t)i;
		rc = check_output(publishing, directory_fd, publication->outputs[i].names, publication->outputs[i].count, err);
	}
	if (rc == FW_OK && publishing->seen > SYNC_ONE_BY_ONE && syncfs(directory_fd) < 0)
		rc = fw_fail_errno(err, errno, "write the outputs");
	return rc;
}

static int appear(struct fw_file_storage *storage, const struct fw_publication *publication, const char *prefix,
                  struct fw_error **err)
{
	fw_cleanup_free char *parent = fw_printf("runs/%s/%s", publication->key.run, publication->key.stage);
	int rc = fw_make_directories(storage->root_fd, parent, 0755, err);

	if (rc != FW_OK)
		return rc;
	if (renameat2(AT_FDCWD, publication->directory, storage->root_fd, prefix, RENAME_NOREPLACE) < 0)
		return fw_fail_errno(err, errno, "publish %s", prefix);
	fw_cleanup_fd int fd = openat(storage->root_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fsync(fd);
	return FW_OK;
}

static int write_result(int directory_fd, const struct fw_publication *publication, struct fw_error **err)
{
	if (!publication->result)
		return FW_OK;
	int rc = fw_write_file(directory_fd, FW_RESULT_NAME, publication->result, publication->result_length, 0644, err);

	return rc == FW_OK ? make_ours(directory_fd, FW_RESULT_NAME, false, true, err) : rc;
}

static int publish(struct publishing *publishing, const struct fw_publication *publication, struct fw_error **err)
{
	fw_cleanup_fd int directory_fd =
		open(publication->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = directory_fd < 0 ? fail_open(err, publication->directory)
	                          : check_outputs(publishing, publication, directory_fd, err);

	if (rc == FW_OK)
		rc = write_result(directory_fd, publication, err);
	return rc == FW_OK ? appear(publishing->storage, publication, publishing->prefix, err) : rc;
}

/* Of an attempt without outputs, for its result. */
static int make_directory(struct fw_file_storage *storage, const struct fw_attempt_key *key, char **directory,
                          struct fw_error **err)
{
	fw_cleanup_free char *path = fw_printf("runs/%s/.attempts/%s-%u.%u", key->run, key->stage, key->task, key->attempt);
	int rc = fw_make_directories(storage->root_fd, path, 0755, err);

	if (rc == FW_OK)
		*directory = fw_printf("%s/%s", storage->root, path);
	return rc;
}

int fw_file_publish(struct fw_file_storage *storage, const struct fw_publication *wanted,
                    struct fw_storage_objects *objects, uint32_t **output_of, struct fw_error **err)
{
	struct fw_publication copy = *wanted, *publication = &copy;
	fw_cleanup_free char *prefix = fw_attempt_prefix(&publication->key);
	fw_cleanup_free char *made = NULL;
	struct publishing publishing = {.storage = storage, .prefix = prefix, .objects = objects};
	int rc = publication->directory ? FW_OK : make_directory(storage, &publication->key, &made, err);

	if (made)
		publication->directory = made;
	if (rc == FW_OK)
		rc = publish(&publishing, publication, err);
	if (rc == FW_OK) {
		*output_of = publishing.output_of;
		return FW_OK;
	}
	free(publishing.output_of);
	fw_storage_objects_done(objects);
	if (publication->directory)
		fw_tree_remove(AT_FDCWD, publication->directory, NULL);
	return fw_error_wrap(err, rc, "publish %s task %u", publication->key.stage, publication->key.task);
}
