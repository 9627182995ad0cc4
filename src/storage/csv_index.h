/* SPDX-License-Identifier: Apache-2.0
 *
 * What one pass over an object of CSV finds out: its header, where its data begin, that its quotes are closed, and the
 * state of the scan every 256 KiB. With it any cut can be made by reading a little: it does not depend on how many parts
 * are wanted. The cuts that are known at the time of the pass are made on the way.
 */
#pragma once

#include "base/buffer.h"
#include "storage/csv_scan.h"
#include "storage/range.h"

enum { FW_CSV_STEP = 256 << 10 };

struct fw_csv_index {
	int64_t bytes;
	int64_t data;  /* where the first record begins: behind byte order mark and header; `bytes` when there is none */
	char *header;  /* without the end of its line; NULL: none was wanted, or the object is empty */
	char *states;  /* '0' + state before the bytes FW_CSV_STEP, 2 FW_CSV_STEP, ...; meaningful behind `data` */
};
void fw_csv_index_done(struct fw_csv_index *index);
/* How the scan stands at the last step before the byte, or where the data begin. */
void fw_csv_index_scan(const struct fw_csv_index *index, char delimiter, int64_t before, struct fw_csv_scan *scan);

/* As one line of JSON and back. Decoding is strict; FW_E_INVALID: it is not of an object of that size. */
void fw_csv_index_encode(const struct fw_csv_index *index, struct fw_buffer *out);
int fw_csv_index_decode(const char *text, size_t length, int64_t bytes, struct fw_csv_index *index, struct fw_error **err);

/* The pass. */
struct fw_csv_pass {
	const char *name; /* of the object, for errors; borrowed */
	struct fw_range_format format;
	struct fw_csv_index index;
	struct fw_csv_scan scan;
	struct fw_buffer head; /* the beginning of the object, until the header is found */
	bool begun;
	int64_t *cuts; /* places in this object, ascending; each becomes the first record that begins there or later */
	size_t cut_count, cut;
	struct fw_error *error;
};
/* `cuts` is borrowed and filled. */
void fw_csv_pass_init(struct fw_csv_pass *pass, const char *name, int64_t bytes, const struct fw_range_format *format,
                      int64_t *cuts, size_t cut_count);
/* The object's next bytes. FW_OK, or FW_E_INVALID with pass->error: it is no CSV, or its header cannot be given to functions. */
int fw_csv_pass_feed(struct fw_csv_pass *pass, const uint8_t *bytes, size_t length);
/* After the last byte: the same, and all is found. */
int fw_csv_pass_end(struct fw_csv_pass *pass);
void fw_csv_pass_done(struct fw_csv_pass *pass);
