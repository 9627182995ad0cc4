/* SPDX-License-Identifier: Apache-2.0
 *
 * Publication of an attempt in a directory storage: check what the function left, make it ours, make it durable, and let
 * it appear by one rename. Until the rename nothing is visible; when anything is wrong the attempt is thrown away.
 * A worker that lives on may have kept descriptors: a file that is still open for writing is published as a copy. Where
 * the worker has our own uid it could open whatever we keep, so that all of it is copied, into a directory of our own.
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
	int fresh_fd;            /* directory that all is copied into, or -1: the attempt's own is published */
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

/* What a function did to its own files and directories is its fault (a lease on one makes it EWOULDBLOCK), anything else
 * the machine's. */
static int fail_open(struct fw_error **err, const char *path)
{
	int error_number = errno;

	if (error_number == EWOULDBLOCK)
		return fw_fail(err, FW_E_FUNCTION, "the function holds a lease on %s", path);
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

/* What its owner made unreadable is opened all the same, as root does. */
static int open_entry(int parent_fd, const char *name, bool directory, int *fd, struct fw_error **err)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (directory ? O_DIRECTORY : 0);

	*fd = openat(parent_fd, name, flags);
	if (*fd < 0 && errno == EACCES && fchmodat(parent_fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		*fd = openat(parent_fd, name, flags);
	return *fd < 0 ? fail_open(err, name) : FW_OK;
}

static void add_object(struct publishing *publishing, const char *path, int64_t bytes)
{
	publishing->output_of = fw_grow(publishing->output_of, publishing->objects->list.count,
	                                &publishing->output_of_capacity, sizeof *publishing->output_of);
	publishing->output_of[publishing->objects->list.count] = publishing->output_index;
	FW_PUSH(&publishing->objects->list,
	        (struct fw_storage_object){fw_printf("%s/%s/%s", publishing->prefix, publishing->output, path), bytes});
}

static char *path_of(const struct publishing *publishing, const char *path)
{
	return fw_printf("%s/%s", publishing->output, path);
}

/* The descriptor, not the name, is made ours: the name could be exchanged in between. */
static int check_directory(struct publishing *publishing, const char *path, int parent_fd, const char *name,
                           struct fw_error **err)
{
	fw_cleanup_free char *fresh = path_of(publishing, path);
	fw_cleanup_fd int fd = -1;
	int rc = open_entry(parent_fd, name, true, &fd, err);

	if (rc != FW_OK || publishing->fresh_fd < 0)
		return rc == FW_OK ? take_over(fd, name, 0755, err) : rc;
	return mkdirat(publishing->fresh_fd, fresh, 0755) < 0 ? fw_fail_errno(err, errno, "make %s", fresh) : FW_OK;
}

static int count_in(struct publishing *publishing, int64_t bytes, struct fw_error **err)
{
	if (publishing->seen++ == FW_PUBLISH_MAX_OBJECTS)
		return fw_fail(err, FW_E_FUNCTION, "the function left more than %d objects", FW_PUBLISH_MAX_OBJECTS);
	publishing->bytes += bytes;
	if (publishing->bytes > FW_PUBLISH_MAX_BYTES)
		return fw_fail(err, FW_E_FUNCTION, "the function left more than %lld bytes", (long long)FW_PUBLISH_MAX_BYTES);
	return FW_OK;
}

/* In the place of *fd comes a copy of what it holds now. */
static int replace_by_copy(struct publishing *publishing, const char *path, int parent_fd, const char *name, int64_t bytes,
                           int *fd, struct fw_error **err)
{
	bool fresh = publishing->fresh_fd >= 0;
	fw_cleanup_free char *target = fresh ? path_of(publishing, path) : fw_strdup(name);
	int copy = -1;

	if (!fresh && unlinkat(parent_fd, name, 0) < 0)
		return fw_fail_errno(err, errno, "replace %s", name);
	int rc = fw_file_copy(*fd, bytes, fresh ? publishing->fresh_fd : parent_fd, target, &copy, err);

	if (rc != FW_OK)
		return rc;
	close(*fd);
	*fd = copy;
	return FW_OK;
}

/* The file is ours and frozen afterwards; its size is taken when nobody can change it any more. */
static int take_file(struct publishing *publishing, const char *path, int parent_fd, const char *name, int64_t *bytes,
                     struct fw_error **err)
{
	bool fresh = publishing->fresh_fd >= 0;
	fw_cleanup_fd int fd = -1;
	struct stat stat;
	int rc = open_entry(parent_fd, name, false, &fd, err);

	if (rc == FW_OK && !fresh)
		rc = take_over(fd, name, 0644, err);
	if (rc != FW_OK)
		return rc;
	bool settled = !fresh && fw_file_is_settled(fd);

	if (fstat(fd, &stat) < 0)
		return fw_fail_errno(err, errno, "look at %s", name);
	if (forbidden_kind(&stat))
		return left_behind(err, publishing->output, path, forbidden_kind(&stat));
	*bytes = (int64_t)stat.st_size;
	rc = count_in(publishing, *bytes, err);
	if (rc == FW_OK && !settled)
		rc = replace_by_copy(publishing, path, parent_fd, name, *bytes, &fd, err);
	if (rc == FW_OK && publishing->seen <= SYNC_ONE_BY_ONE && fdatasync(fd) < 0)
		rc = fw_fail_errno(err, errno, "write %s", name);
	return rc;
}

static int check_entry(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                       struct fw_error **err)
{
	struct publishing *publishing = context;
	const char *forbidden = forbidden_kind(stat);
	int64_t bytes = 0;

	if (forbidden)
		return left_behind(err, publishing->output, path, forbidden);
	if (!fw_is_utf8(path))
		return left_behind(err, publishing->output, "(…)", "a name that is not UTF-8");
	if (S_ISDIR(stat->st_mode))
		return check_directory(publishing, path, parent_fd, name, err);
	if (publishing->declared && !fw_map_has(publishing->declared, path)) {
		if (publishing->fresh_fd < 0 && unlinkat(parent_fd, name, 0) < 0)
			return fw_fail_errno(err, errno, "remove undeclared %s", path);
		return FW_OK;
	}
	int rc = take_file(publishing, path, parent_fd, name, &bytes, err);

	if (rc != FW_OK)
		return rc;
	if (!publishing->declared)
		add_object(publishing, path, bytes);
	else
		fw_map_set(publishing->declared, path, (void *)(intptr_t)(bytes + 1));
	return FW_OK;
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
	int rc = check_directory(publishing, "", directory_fd, publishing->output, err);

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
static int take_directory(struct publishing *publishing, const struct fw_publication *publication, int directory_fd,
                          struct fw_error **err)
{
	struct stray stray = {publication};

	if (publishing->fresh_fd >= 0)
		return FW_OK;
	int rc = take_over(directory_fd, publication->directory, 0755, err);

	return rc == FW_OK ? fw_tree_walk(directory_fd, ".", remove_stray, &stray, err) : rc;
}

static int check_outputs(struct publishing *publishing, const struct fw_publication *publication, int directory_fd,
                         struct fw_error **err)
{
	int rc = take_directory(publishing, publication, directory_fd, err);

	for (size_t i = 0; rc == FW_OK && i < publication->output_count; i++) {
		publishing->output = publication->outputs[i].output;
		publishing->output_index = (uint32_t)i;
		rc = check_output(publishing, directory_fd, publication->outputs[i].names, publication->outputs[i].count, err);
	}
	if (rc == FW_OK && publishing->seen > SYNC_ONE_BY_ONE && syncfs(directory_fd) < 0)
		rc = fw_fail_errno(err, errno, "write the outputs");
	return rc;
}

static int appear(struct fw_file_storage *storage, const struct fw_publication *publication, const char *directory,
                  const char *prefix, struct fw_error **err)
{
	fw_cleanup_free char *parent = fw_printf("runs/%s/%s", publication->key.run, publication->key.stage);
	int rc = fw_make_directories(storage->root_fd, parent, 0755, err);

	if (rc != FW_OK)
		return rc;
	if (fw_rename_new(storage->root_fd, directory, storage->root_fd, prefix) < 0)
		return fw_fail_errno(err, errno, "publish %s", prefix);
	fw_cleanup_fd int fd = openat(storage->root_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fsync(fd);
	return FW_OK;
}

static int write_result(int directory_fd, const struct fw_publication *publication, struct fw_error **err)
{
	fw_cleanup_fd int fd = -1;

	if (!publication->result)
		return FW_OK;
	int rc = fw_write_file(directory_fd, FW_RESULT_NAME, publication->result, publication->result_length, 0644, err);

	if (rc == FW_OK)
		rc = open_entry(directory_fd, FW_RESULT_NAME, false, &fd, err);
	if (rc == FW_OK && fdatasync(fd) < 0)
		rc = fw_fail_errno(err, errno, "write %s", FW_RESULT_NAME);
	return rc;
}

/* Below a directory that no worker sees. */
static int make_fresh(struct fw_file_storage *storage, const struct fw_attempt_key *key, char **path, int *fd,
                      struct fw_error **err)
{
	*path = fw_printf("runs/%s/.attempts/%s-%u.%u.kept", key->run, key->stage, key->task, key->attempt);
	int rc = fw_tree_remove(storage->root_fd, *path, err);

	if (rc == FW_OK)
		rc = fw_make_directories(storage->root_fd, *path, 0755, err);
	if (rc != FW_OK)
		return rc;
	*fd = openat(storage->root_fd, *path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *fd < 0 ? fw_fail_errno(err, errno, "open %s", *path) : FW_OK;
}

/* An attempt without a directory, and one whose worker is of our own uid, are published from one made here: *fresh. */
static int publish(struct publishing *publishing, const struct fw_publication *publication, char **fresh,
                   struct fw_error **err)
{
	fw_cleanup_fd int directory_fd = -1, fresh_fd = -1;
	struct stat stat = {.st_uid = geteuid()};
	int rc = FW_OK;

	if (publication->directory) {
		directory_fd = open(publication->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (directory_fd < 0 || fstat(directory_fd, &stat) < 0)
			return fail_open(err, publication->directory);
	}
	if (stat.st_uid == geteuid())
		rc = make_fresh(publishing->storage, &publication->key, fresh, &fresh_fd, err);
	publishing->fresh_fd = fresh_fd;
	if (rc == FW_OK && directory_fd >= 0)
		rc = check_outputs(publishing, publication, directory_fd, err);
	if (rc == FW_OK)
		rc = write_result(fresh_fd >= 0 ? fresh_fd : directory_fd, publication, err);
	return rc == FW_OK ? appear(publishing->storage, publication, *fresh ? *fresh : publication->directory,
	                            publishing->prefix, err)
	                   : rc;
}

int fw_file_publish(struct fw_file_storage *storage, const struct fw_publication *publication,
                    struct fw_storage_objects *objects, uint32_t **output_of, struct fw_error **err)
{
	fw_cleanup_free char *prefix = fw_attempt_prefix(&publication->key);
	fw_cleanup_free char *fresh = NULL;
	struct publishing publishing = {.storage = storage, .prefix = prefix, .objects = objects, .fresh_fd = -1};
	int rc = publish(&publishing, publication, &fresh, err);

	if (publication->directory && (rc != FW_OK || fresh))
		fw_tree_remove(AT_FDCWD, publication->directory, NULL);
	if (rc == FW_OK) {
		*output_of = publishing.output_of;
		return FW_OK;
	}
	if (fresh)
		fw_tree_remove(storage->root_fd, fresh, NULL);
	free(publishing.output_of);
	fw_storage_objects_done(objects);
	return fw_error_wrap(err, rc, "publish %s task %u", publication->key.stage, publication->key.task);
}
