/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges of objects that are elsewhere, as files of a directory here. Whoever asks for the same range shares one file,
 * also while it is still being fetched. It stays as long as somebody holds it, then until others need its space: all of it
 * when the disk is full, whereupon what did not fit is fetched once more.
 * All on the loop's thread.
 */
#pragma once

#include <stdint.h>

#include "storage/storage.h"

struct fw_staging;
struct fw_staging_entry; /* one range */

struct fw_staging_options {
	const char *directory; /* absolute; made here and removed with all that is in it */
	int64_t max_bytes;     /* of all files; what is held or on its way may pass it */
	/* Writes the range to fd, from its beginning, and says so with fw_staging_fetched(), now or later. */
	void (*fetch)(void *context, const struct fw_storage_range *range, int fd, struct fw_staging_entry *entry);
	/* Nobody waits for it any more: nothing is written from here on, and nothing said. */
	void (*give_up)(void *context, const struct fw_staging_entry *entry);
	void *context;
};

int fw_staging_new(const struct fw_staging_options *options, struct fw_staging **staging, struct fw_error **err);
/* Nothing is fetched any more: who still waits is told FW_E_CANCELLED. What is held is gone. */
void fw_staging_free(struct fw_staging *staging);

/* done may be called at once. */
void fw_staging_ask(struct fw_staging *staging, const struct fw_storage_range *range, fw_storage_stage_fn *done,
                    void *context);
/* Who asked with this context, and was not answered yet, is not called any more. */
void fw_staging_forget(struct fw_staging *staging, const void *context);
void fw_staging_release(struct fw_staged *staged);
void fw_staging_fetched(struct fw_staging_entry *entry, int rc, int64_t bytes, const struct fw_error *err);

const char *fw_staging_directory(const struct fw_staging *staging);
int64_t fw_staging_bytes(const struct fw_staging *staging); /* of all files, whole or on their way */
