/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the directory storage share.
 */
#pragma once

#include <stdbool.h>

#include "storage/storage.h"

struct fw_file_storage {
	struct fw_storage base;
	struct fw_pool *pool;
	struct fw_pool *removals; /* one thread; NULL without a loop */
	char *root;  /* absolute */
	int root_fd;
	bool passing; /* what is published here goes on to another storage, which makes it durable */
};

/* Blocking; pool thread. */
int fw_file_list(struct fw_file_storage *storage, const char *pattern, struct fw_storage_objects *objects,
                 struct fw_error **err);
/* *published_itself: the working directory is what was published; else it is still there, to be removed. */
int fw_file_publish(struct fw_file_storage *storage, const struct fw_publication *publication,
                    struct fw_storage_objects *objects, uint32_t **output_of, bool *published_itself, struct fw_error **err);

/* file_read.c */
void fw_file_stat(struct fw_storage *base, const char *key, fw_storage_stat_fn *done, void *context);
bool fw_file_is_still(struct fw_storage *base, const char *key, const char *version);
void fw_file_read(struct fw_storage *base, const struct fw_storage_range *range, fw_storage_sink_fn *sink,
                  fw_storage_done_fn *done, void *context);

/* file_freeze.c */
/* True when it is certain that nobody has the file, which is ours, open or mapped for writing. */
bool fw_file_is_settled(int fd);
/* The first `size` bytes of a file as a new file of that name; *fd is the new one. */
int fw_file_copy(int from_fd, int64_t size, int directory_fd, const char *name, int *fd, struct fw_error **err);
