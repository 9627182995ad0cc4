/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two kinds of package share: the limits, and how an entry is written into the cache.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

enum {
	FW_PACKAGE_MAX_MB = 250, /* unpacked, as on Lambda */
	FW_PACKAGE_MAX_ENTRIES = 100000,
};

struct fw_package_copy {
	int root_fd;
	int64_t bytes;
	size_t entries;
	size_t files; /* written */
};

/* Counts one entry and `bytes` more of content; FW_E_LIMIT past the limits. */
int fw_package_count(struct fw_package_copy *copy, size_t entries, int64_t bytes, struct fw_error **err);
/* Writes all of it to a file of the cache. */
int fw_package_write(int fd, const char *bytes, size_t length, struct fw_error **err);
/* The end of a file: its mode (readable by all, executable when it was for anybody, never set-user-ID), and its bytes on
 * the disk, of the first few at once, of many later and together. */
int fw_package_finish(struct fw_package_copy *copy, int fd, mode_t mode, struct fw_error **err);
/* FW_E_INVALID unless a link at `path` (inside the package) can lead only to something inside it. */
int fw_package_check_link(const char *path, const char *target, struct fw_error **err);

/* Unpacks a zip below copy->root_fd. The bytes are a stranger's. */
int fw_package_unzip(const void *bytes, size_t length, struct fw_package_copy *copy, struct fw_error **err);
