/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (libcrypto), as lower-case hexadecimal text.
 */
#pragma once

#include <stddef.h>

#include "base/error.h"

enum { FW_DIGEST_TEXT = 65 };

struct fw_digest;

struct fw_digest *fw_digest_new(void);
void fw_digest_add(struct fw_digest *digest, const void *bytes, size_t length);
void fw_digest_finish(struct fw_digest *digest, char text[FW_DIGEST_TEXT]); /* frees it */
void fw_digest_free(struct fw_digest *digest); /* one that is not finished */

void fw_digest_of(const void *bytes, size_t length, char text[FW_DIGEST_TEXT]);
/* Of a file, or of a directory: names, executable bits and contents in sorted order, links by
 * their target. Anything else inside (device, socket, FIFO) is refused. */
int fw_digest_tree(int dirfd, const char *path, char text[FW_DIGEST_TEXT], struct fw_error **err);
