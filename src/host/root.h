/* SPDX-License-Identifier: Apache-2.0
 *
 * The directory that stands for "/": every reader of /proc, /sys and cgroups starts here, so that tests give a fixture
 * tree and containers the host's.
 */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

struct fw_root {
	int fd;
};

int fw_root_open(const char *path, struct fw_root *root, struct fw_error **err); /* "/" normally */
void fw_root_close(struct fw_root *root);

/* path is relative: "proc/stat". Reads at most `maximum` bytes. */
int fw_root_read(const struct fw_root *root, const char *path, struct fw_buffer *buffer, struct fw_error **err);
