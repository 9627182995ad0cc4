/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory that stands for "/": every reader of /proc, /sys and cgroups starts here, so that tests give a fixture
 * tree and containers the host's.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buffer.h"
#include "base/error.h"

struct fw_root {
	int fd;
};

int fw_root_open(const char *path, struct fw_root *root, struct fw_error **err); /* "/" normally */
void fw_root_close(struct fw_root *root);

/* path is relative: "proc/stat". Reads at most `maximum` bytes. */
int fw_root_read(const struct fw_root *root, const char *path, struct fw_buffer *buffer, struct fw_error **err);

/* To be kept open and read. What is no plain file (a pipe, whose writer may never come, a device, a directory) has no value: -1
 * with EBADMSG; else -1 with errno. */
int fw_root_open_file(const struct fw_root *root, const char *path);

/* True when the root is this process's own "/": only then may system calls complete what files tell. */
bool fw_root_is_live(const struct fw_root *root);
/* True when its /sys is the running kernel's, wherever it is mounted: also a container's view of its host, never a copy. */
bool fw_root_has_sysfs(const struct fw_root *root);

/* For samplers: no allocation, no error text. Opens, reads into text[size] (NUL-terminated, cut behind a word when longer) and
 * closes.
 * Returns the length, or -1 with errno. */
ssize_t fw_root_peek(const struct fw_root *root, const char *path, char *text, size_t size);
/* The same from a kept-open descriptor, from its beginning. */
ssize_t fw_pread_text(int fd, char *text, size_t size);
