/* SPDX-License-Identifier: Apache-2.0
 *
 * A window of an object's bytes that slides and grows: what was handed out stays in one piece until the next call. What
 * lines (reader.c) and records (records.c) share.
 */
#pragma once

#include "function/sdk.h"

enum {
	FW_READER_STEP = 256 << 10,
	FW_READER_MAX_BYTES = 1 << 30, /* of one line or record */
};

struct fw_reader {
	struct fw_invocation *invocation;
	struct fw_reader *next, **place; /* in the invocation's list */
	struct fw_object object;
	int fd;
	char *bytes;      /* always room for a NUL behind `end` */
	size_t at, end;   /* not yet handed out */
	size_t capacity;
	int64_t offset;   /* in the file, of bytes[end] */
	int64_t left;     /* of the range; -1: to the end of the file */
	bool begun;
	size_t *starts;   /* of the cells of a record */
	const char **cells;
	size_t cell_capacity;
	char **columns;   /* of the header, once asked for */
	size_t column_count;
};

/* More bytes behind bytes[end]; those from `at` on are moved to the front. FW_OK, FW_END, FW_ERROR (recorded). */
int fw_reader_more(struct fw_reader *reader);
/* Where bytes[i] lies in the object. */
int64_t fw_reader_place(const struct fw_reader *reader, size_t i);
