/* SPDX-License-Identifier: Apache-2.0
 *
 * An object of CSV behind three bytes: format, number of cuts, size of pieces. The pass finds the same in pieces, in one
 * piece and byte by byte, with any instruction set; each cut is where the scan that is taken up from the index finds it;
 * what the index says survives being written. Sources: src/storage/csv_index.c, csv_scan.c, byte_mask.c.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/csv_index.h"

enum { CUTS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static int pass_over(struct fw_csv_pass *pass, const struct fw_range_format *format, const uint8_t *bytes, size_t length,
                     size_t piece, int64_t *cuts, size_t count)
{
	int rc = FW_OK;

	for (size_t i = 0; i < count; i++)
		cuts[i] = (int64_t)(length * (i + 1) / (count + 1));
	fw_csv_pass_init(pass, "object", (int64_t)length, format, cuts, count);
	for (size_t at = 0; at < length && rc == FW_OK; at += piece)
		rc = fw_csv_pass_feed(pass, bytes + at, piece < length - at ? piece : length - at);
	return rc == FW_OK ? fw_csv_pass_end(pass) : rc;
}

static bool same_text(const char *a, const char *b)
{
	return !a || !b ? a == b : strcmp(a, b) == 0;
}

static void check_index(const struct fw_csv_index *index, const struct fw_range_format *format, const uint8_t *bytes,
                        const int64_t *cuts, size_t count)
{
	struct fw_buffer text;
	struct fw_csv_index again = {0};

	fw_buffer_init(&text, 1 << 24);
	fw_csv_index_encode(index, &text);
	require(fw_csv_index_decode(text.data, text.length, index->bytes, &again, NULL) == FW_OK);
	require(again.data == index->data && same_text(again.header, index->header) && same_text(again.states, index->states));
	for (size_t i = 0; i < count; i++) {
		int64_t target = (int64_t)((size_t)index->bytes * (i + 1) / (count + 1));
		struct fw_csv_scan scan;
		bool found = false;

		if (target <= index->data)
			continue;
		fw_csv_index_scan(&again, format->delimiter, target - 1, &scan);
		scan.mask = fw_byte_mask_portable;
		scan.wanted = target;
		fw_csv_scan_feed(&scan, bytes + scan.offset, (size_t)(index->bytes - scan.offset), &found);
		require(cuts[i] == (found ? scan.offset : index->bytes));
		require(cuts[i] >= target && (cuts[i] == index->bytes || bytes[cuts[i] - 1] == '\n'));
	}
	fw_csv_index_done(&again);
	fw_buffer_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int64_t cuts[2][CUTS_MAX];
	struct fw_csv_pass passes[2];

	if (size < 3)
		return 0;
	struct fw_range_format format = {FW_RANGE_CSV, ",;\t|"[data[0] >> 1 & 3], data[0] & 1};
	size_t count = data[1] % CUTS_MAX, piece = data[2] + (size_t)1;
	int first = pass_over(&passes[0], &format, data + 3, size - 3, size, cuts[0], count);
	int second = pass_over(&passes[1], &format, data + 3, size - 3, piece, cuts[1], count);

	require(first == second && (first == FW_OK || first == FW_E_INVALID));
	if (first == FW_OK) {
		require(memcmp(cuts[0], cuts[1], count * sizeof *cuts[0]) == 0);
		require(passes[0].index.data == passes[1].index.data);
		require(same_text(passes[0].index.header, passes[1].index.header));
		check_index(&passes[0].index, &format, data + 3, cuts[0], count);
	} else {
		require(strcmp(fw_error_message(passes[0].error), fw_error_message(passes[1].error)) == 0);
	}
	fw_csv_pass_done(&passes[0]);
	fw_csv_pass_done(&passes[1]);
	return 0;
}
