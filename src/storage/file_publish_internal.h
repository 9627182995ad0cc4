/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of publication share: one attempt on its way from the worker's hands to its place.
 */
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include "base/map.h"
#include "storage/file_internal.h"

enum { FW_PUBLISH_SYNC_ONE_BY_ONE = 16 }; /* above this many files one syncfs() is cheaper */

struct fw_publishing {
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
	size_t seen; /* files and directories made ours so far */
};

/* file_take.c: `path` is below the output, `name` the entry itself in parent_fd. */
int fw_take_refuse(struct fw_error **err, const char *output, const char *path, const char *what);
int fw_take_fail_open(struct fw_error **err, const char *path); /* by errno */
const char *fw_take_forbidden(const struct stat *stat); /* the kind of a thing that cannot be published, or NULL */
int fw_take_over(int fd, const char *name, mode_t mode, struct fw_error **err);
int fw_take_open(int parent_fd, const char *name, bool directory, int *fd, struct fw_error **err);
int fw_take_directory(struct fw_publishing *publishing, const char *path, int parent_fd, const char *name,
                      struct fw_error **err);
int fw_take_file(struct fw_publishing *publishing, const char *path, int parent_fd, const char *name, int64_t *bytes,
                 struct fw_error **err);

/* file_output.c: `names` are what the answer declares, in its order; NULL: every regular file. */
int fw_publish_output(struct fw_publishing *publishing, int directory_fd, const char *const *names, size_t count,
                      struct fw_error **err);
