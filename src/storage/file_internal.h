/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the directory storage share.
 */
#pragma once

#include "storage/storage.h"

struct fw_file_storage {
	struct fw_storage base;
	struct fw_loop *loop;
	struct fw_pool *pool;
	char *root;  /* absolute */
	int root_fd;
};

/* Blocking; pool thread. */
int fw_file_list(struct fw_file_storage *storage, const char *pattern, struct fw_storage_objects *objects,
                 struct fw_error **err);
int fw_file_publish(struct fw_file_storage *storage, const struct fw_publication *publication,
                    struct fw_storage_objects *objects, uint32_t **output_of, struct fw_error **err);
