/* SPDX-License-Identifier: Apache-2.0
 *
 * Most bytes need no look of their own: 64 at a time are reduced to masks, and the parity of the quotes (a prefix xor)
 * says which lie between quotes. That is right as long as every quote that the parity takes for an opening one stands
 * where a cell begins, or behind a closing one (then both are a quote within the cell). A block where one does not is
 * taken byte by byte, and so are the ends of pieces.
 */
#include "storage/csv_scan.h"

#include <stdlib.h>

enum { BATCH_BLOCKS = 64 };

struct batch {
	uint64_t quotes[BATCH_BLOCKS], newlines[BATCH_BLOCKS], returns[BATCH_BLOCKS], delimiters[BATCH_BLOCKS];
};

void fw_csv_scan_init(struct fw_csv_scan *scan, char delimiter, int64_t offset, enum fw_csv_state state)
{
	*scan = (struct fw_csv_scan){.mask = fw_byte_mask(), .delimiter = (uint8_t)delimiter, .state = state,
	                             .offset = offset, .opened = -1, .wanted = INT64_MAX, .nul = -1};
}

/* ---- byte by byte ---- */

static bool ends_cell(const struct fw_csv_scan *scan, uint8_t byte)
{
	return byte == scan->delimiter || byte == '\n' || byte == '\r';
}

static enum fw_csv_state next_state(const struct fw_csv_scan *scan, uint8_t byte)
{
	switch (scan->state) {
	case FW_CSV_QUOTED:
		return byte == '"' ? FW_CSV_QUOTE : FW_CSV_QUOTED;
	case FW_CSV_QUOTE:
	case FW_CSV_START:
		if (byte == '"')
			return FW_CSV_QUOTED;
		break;
	case FW_CSV_CELL:
		break;
	}
	return ends_cell(scan, byte) ? FW_CSV_START : FW_CSV_CELL;
}

/* True when the scan ends behind (a record) or before (a NUL) this byte. */
static bool take_byte(struct fw_csv_scan *scan, uint8_t byte, bool *found)
{
	if (byte == '\0') {
		scan->nul = scan->offset;
		return true;
	}
	enum fw_csv_state state = next_state(scan, byte);

	if (state == FW_CSV_QUOTED && scan->state == FW_CSV_START)
		scan->opened = scan->offset;
	scan->state = state;
	scan->offset++;
	*found = byte == '\n' && state == FW_CSV_START && scan->offset >= scan->wanted;
	return *found;
}

static bool take_bytes(struct fw_csv_scan *scan, const uint8_t *bytes, size_t length, bool *found)
{
	for (size_t i = 0; i < length; i++)
		if (take_byte(scan, bytes[i], found))
			return true;
	return false;
}

/* ---- 64 at once ---- */

/* Bit k: the number of bits up to and with k is odd. */
static uint64_t prefix_xor(uint64_t bits)
{
	for (unsigned shift = 1; shift < 64; shift *= 2)
		bits ^= bits << shift;
	return bits;
}

static int64_t highest(uint64_t bits)
{
	return 63 - __builtin_clzll(bits);
}

static enum fw_csv_state state_after(const struct fw_csv_scan *scan, uint8_t last)
{
	return last == '"' ? FW_CSV_QUOTE : ends_cell(scan, last) ? FW_CSV_START : FW_CSV_CELL;
}

/* False when the block must be taken byte by byte: a stray quote, or a record that begins where one is wanted. */
static bool take_block(struct fw_csv_scan *scan, const struct batch *batch, size_t i, uint8_t last)
{
	uint64_t quotes = batch->quotes[i], inside = prefix_xor(quotes);
	uint64_t cells = batch->newlines[i] | batch->returns[i] | batch->delimiters[i];
	bool behind_quote = scan->state == FW_CSV_QUOTE, before_cell = scan->state == FW_CSV_START;

	if (scan->state == FW_CSV_QUOTED)
		inside = ~inside;
	uint64_t opening = quotes & inside;
	uint64_t may_open = (cells & ~inside) << 1 | before_cell, doubled = quotes << 1 | behind_quote;

	if (opening & ~(may_open | doubled))
		return false;
	if (scan->offset + FW_BYTE_BLOCK >= scan->wanted) {
		uint64_t records = batch->newlines[i] & ~inside;
		int64_t before = scan->wanted - 1 - scan->offset; /* newlines that come too early */

		if (before > 0)
			records &= ~(uint64_t)0 << before;
		if (records)
			return false;
	}
	opening &= ~doubled;
	if (opening)
		scan->opened = scan->offset + highest(opening);
	scan->state = inside >> 63 ? FW_CSV_QUOTED : state_after(scan, last);
	scan->offset += FW_BYTE_BLOCK;
	return true;
}

/* Blocks without a quote, none of which can hold a record that is wanted. */
static void skip_blocks(struct fw_csv_scan *scan, const uint8_t *bytes, size_t blocks)
{
	scan->offset += (int64_t)(blocks * FW_BYTE_BLOCK);
	if (scan->state != FW_CSV_QUOTED)
		scan->state = state_after(scan, bytes[blocks * FW_BYTE_BLOCK - 1]);
}

static bool take_batch(struct fw_csv_scan *scan, const uint8_t *bytes, size_t blocks, bool *found)
{
	struct batch batch;

	if (scan->mask(bytes, blocks, '\0', batch.quotes))
		return take_bytes(scan, bytes, blocks * FW_BYTE_BLOCK, found);
	bool quoted = scan->mask(bytes, blocks, '"', batch.quotes) != 0;
	bool wanted = scan->offset + (int64_t)(blocks * FW_BYTE_BLOCK) >= scan->wanted;

	if (!quoted && (!wanted || scan->state == FW_CSV_QUOTED)) {
		skip_blocks(scan, bytes, blocks);
		return false;
	}
	scan->mask(bytes, blocks, '\n', batch.newlines);
	scan->mask(bytes, blocks, '\r', batch.returns);
	scan->mask(bytes, blocks, scan->delimiter, batch.delimiters);
	for (size_t i = 0; i < blocks; i++) {
		const uint8_t *block = bytes + i * FW_BYTE_BLOCK;

		if (!take_block(scan, &batch, i, block[FW_BYTE_BLOCK - 1]) && take_bytes(scan, block, FW_BYTE_BLOCK, found))
			return true;
	}
	return false;
}

size_t fw_csv_scan_feed(struct fw_csv_scan *scan, const uint8_t *bytes, size_t length, bool *found)
{
	int64_t began = scan->offset;
	size_t at = 0;

	*found = false;
	while (length - at >= FW_BYTE_BLOCK) {
		size_t blocks = (length - at) / FW_BYTE_BLOCK;

		blocks = blocks < BATCH_BLOCKS ? blocks : BATCH_BLOCKS;
		if (take_batch(scan, bytes + at, blocks, found))
			return (size_t)(scan->offset - began);
		at += blocks * FW_BYTE_BLOCK;
	}
	take_bytes(scan, bytes + at, length - at, found);
	return (size_t)(scan->offset - began);
}
