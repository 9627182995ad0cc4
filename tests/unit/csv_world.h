/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of ranges share: texts drawn by chance with all that CSV may hold, a reader of records that was written
 * apart from the scan, and a storage in memory that answers in pieces drawn by chance.
 */
#pragma once

#include "base/buffer.h"
#include "base/loop.h"
#include "storage/range.h"
#include "storage/storage.h"

uint64_t next_random(uint64_t *chance);
uint64_t below(uint64_t *chance, uint64_t limit);

struct csv_shape {
	char delimiter;
	bool quotes;       /* cells with quotes, rightly and wrongly placed */
	bool mark, header; /* byte order mark; a first record that names columns */
	size_t records;
	size_t long_cell; /* longest of the rare long ones */
};
/* Appends a text of that shape; the last line may lack its newline. */
void csv_append(struct fw_buffer *text, const struct csv_shape *shape, uint64_t *chance);

/* Where the record ends that begins at `at`: behind its newline, or at the end. *closed: its quotes are. */
size_t csv_record_end(const char *text, size_t length, size_t at, char delimiter, bool *closed);

/* Objects "0", "1", ... */
struct memory_storage {
	struct fw_storage base;
	struct fw_loop *loop;
	struct fw_str *objects;
	size_t count;
	uint64_t chance;
	unsigned reads;     /* how often read() was called */
	int64_t bytes_read;
	int fails;          /* what stat() answers with, FW_OK: nothing */
	unsigned stats;     /* how often stat() was called */
	unsigned changes_from; /* that stat() and all after it see other versions; 0: none does */
};
void memory_storage_init(struct memory_storage *storage, struct fw_loop *loop, struct fw_str *objects, size_t count);
