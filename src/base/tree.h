/* SPDX-License-Identifier: Apache-2.0
 *
 * Directory trees: walking, removing, measuring, making parents. Never follows a symbolic link, never leaves the tree.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

/* Called for every entry below the start, directories before their content. `path` is relative to the start,
 * `parent_fd`/`name` locate the entry for *at() calls. Return FW_OK to go on, FW_TREE_SKIP not to enter a directory. */
enum { FW_TREE_SKIP = 1, FW_TREE_MAX_DEPTH = 64 };
typedef int fw_tree_fn(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                       struct fw_error **err);
int fw_tree_walk(int dirfd, const char *path, fw_tree_fn *visit, void *context, struct fw_error **err);

/* Removes the entry and all below it; one that is not there is fine. */
int fw_tree_remove(int dirfd, const char *path, struct fw_error **err);

/* Disk that a tree takes, in bytes (allocated blocks); 0 when it is not there. */
int fw_tree_usage(int dirfd, const char *path, int64_t *bytes, struct fw_error **err);

/* Renames a file or directory to a name that nobody has; as the system call: 0, or -1 with errno (EEXIST). Filesystems that
 * do not know how (some of the network, old kernels) are served by claiming the name first. */
int fw_rename_new(int from_fd, const char *from, int to_fd, const char *to);

/* mkdir -p of a relative or absolute path; existing directories are left as they are. */
int fw_make_directories(int dirfd, const char *path, unsigned mode, struct fw_error **err);
