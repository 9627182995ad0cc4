/* SPDX-License-Identifier: Apache-2.0
 *
 * Where records of CSV begin, found in one pass over bytes that come in pieces of any size. A quote opens a quoted cell
 * only where a cell begins, within one a doubled quote is a quote, and a newline outside quotes ends the record (RFC 4180;
 * a quote elsewhere is a character like another, as for Python's csv module). The state between two bytes is one of
 * four, so that a scan can go on from any place whose state is known.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/byte_mask.h"

enum fw_csv_state {
	FW_CSV_START,  /* a cell begins: at the start, after a delimiter or the end of a line */
	FW_CSV_CELL,   /* in a cell without quotes, or behind the closing quote of one with */
	FW_CSV_QUOTED, /* between quotes */
	FW_CSV_QUOTE,  /* after a quote that closes, unless another follows */
};

struct fw_csv_scan {
	fw_byte_mask_fn *mask;
	uint8_t delimiter;
	enum fw_csv_state state;
	int64_t offset; /* of the next byte */
	int64_t opened; /* where the last quoted cell began; -1: not seen */
	int64_t wanted; /* stop at the first record that begins here or later; INT64_MAX: at none */
	int64_t nul;    /* of a NUL byte, which ends the scan; -1: none so far */
};

void fw_csv_scan_init(struct fw_csv_scan *scan, char delimiter, int64_t offset, enum fw_csv_state state);
/* Takes bytes until all are taken, or a record begins at `wanted` or later, or at a NUL. Returns how many; *found says
 * whether it is the record: it begins at scan->offset. */
size_t fw_csv_scan_feed(struct fw_csv_scan *scan, const uint8_t *bytes, size_t length, bool *found);
