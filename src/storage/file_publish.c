/* SPDX-License-Identifier: Apache-2.0
 *
 * Publication of an attempt in a directory storage: check what the function left, make it ours, make it durable, and let
 * it appear by one rename. Until the rename nothing is visible; when anything is wrong the attempt is thrown away.
 * A worker that lives on may have kept descriptors: a file that is still open for writing is published as a copy. Where
 * the worker has our own uid it could open whatever we keep, so that all of it is copied, into a directory of our own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/tree.h"
#include "storage/file_publish_internal.h"

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
static int take_directory(struct fw_publishing *publishing, const struct fw_publication *publication, int directory_fd,
                          struct fw_error **err)
{
	struct stray stray = {publication};

	if (publishing->fresh_fd >= 0)
		return FW_OK;
	int rc = fw_take_over(directory_fd, publication->directory, 0755, err);

	return rc == FW_OK ? fw_tree_walk(directory_fd, ".", remove_stray, &stray, err) : rc;
}

static int check_outputs(struct fw_publishing *publishing, const struct fw_publication *publication, int directory_fd,
                         struct fw_error **err)
{
	int rc = take_directory(publishing, publication, directory_fd, err);

	for (size_t i = 0; rc == FW_OK && i < publication->output_count; i++) {
		const struct fw_publication_output *output = &publication->outputs[i];

		publishing->output = output->output;
		publishing->output_index = (uint32_t)i;
		rc = fw_publish_output(publishing, directory_fd, output->names, output->count, err);
	}
	if (rc == FW_OK && !publishing->storage->passing && publishing->seen > FW_PUBLISH_SYNC_ONE_BY_ONE &&
	    syncfs(directory_fd) < 0)
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
	fw_cleanup_fd int fd = storage->passing ? -1 : openat(storage->root_fd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fsync(fd);
	return FW_OK;
}

static int write_result(const struct fw_publishing *publishing, int directory_fd,
                        const struct fw_publication *publication, struct fw_error **err)
{
	fw_cleanup_fd int fd = -1;

	if (!publication->result)
		return FW_OK;
	int rc = fw_write_file(directory_fd, FW_RESULT_NAME, publication->result, publication->result_length, 0644, err);

	if (rc == FW_OK)
		rc = fw_take_open(directory_fd, FW_RESULT_NAME, false, &fd, err);
	if (rc == FW_OK && !publishing->storage->passing && fdatasync(fd) < 0)
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
static int publish(struct fw_publishing *publishing, const struct fw_publication *publication, char **fresh,
                   struct fw_error **err)
{
	fw_cleanup_fd int directory_fd = -1, fresh_fd = -1;
	struct stat stat = {.st_uid = geteuid()};
	int rc = FW_OK;

	if (publication->directory) {
		directory_fd = open(publication->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (directory_fd < 0 || fstat(directory_fd, &stat) < 0)
			return fw_take_fail_open(err, publication->directory);
	}
	if (stat.st_uid == geteuid())
		rc = make_fresh(publishing->storage, &publication->key, fresh, &fresh_fd, err);
	publishing->fresh_fd = fresh_fd;
	if (rc == FW_OK && directory_fd >= 0)
		rc = check_outputs(publishing, publication, directory_fd, err);
	if (rc == FW_OK)
		rc = write_result(publishing, fresh_fd >= 0 ? fresh_fd : directory_fd, publication, err);
	return rc == FW_OK ? appear(publishing->storage, publication, *fresh ? *fresh : publication->directory,
	                            publishing->prefix, err)
	                   : rc;
}

int fw_file_publish(struct fw_file_storage *storage, const struct fw_publication *publication,
                    struct fw_storage_objects *objects, uint32_t **output_of, bool *published_itself, struct fw_error **err)
{
	fw_cleanup_free char *prefix = fw_attempt_prefix(&publication->key);
	fw_cleanup_free char *fresh = NULL;
	struct fw_publishing publishing = {.storage = storage, .prefix = prefix, .objects = objects, .fresh_fd = -1};
	int rc = publish(&publishing, publication, &fresh, err);

	*published_itself = rc == FW_OK && !fresh;
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
