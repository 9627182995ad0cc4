/* SPDX-License-Identifier: Apache-2.0
 *
 * The scan of CSV: the same records as a reader of another make finds, whatever the pieces and the instruction set, and
 * whatever place it is taken up from.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/csv_index.h"
#include "tests/unit/csv_world.h"
#include "tests/unit/support.h"

static struct csv_shape random_shape(uint64_t *chance, size_t records)
{
	return (struct csv_shape){
		.delimiter = ",;\t|"[below(chance, 4)],
		.quotes = below(chance, 4) != 0,
		.mark = below(chance, 4) == 0,
		.header = below(chance, 2) == 0,
		.records = below(chance, records + 1),
		.long_cell = 1000,
	};
}

static void masks_are_the_same_on_every_instruction_set(void **state)
{
	uint64_t chance = 5, fast[16], portable[16];
	uint8_t bytes[16 * FW_BYTE_BLOCK + 1];

	(void)state;
	for (int turn = 0; turn < 2000; turn++) {
		size_t blocks = below(&chance, 17), shift = below(&chance, 2);
		uint8_t wanted = (uint8_t)below(&chance, 256), low = wanted & 0xf0;

		for (size_t i = 0; i < sizeof bytes; i++) /* near the wanted one, where a carry would tell */
			bytes[i] = below(&chance, 4) ? (uint8_t)(low + below(&chance, 16)) : (uint8_t)below(&chance, 256);
		uint64_t any = fw_byte_mask()(bytes + shift, blocks, wanted, fast);

		assert_true(fw_byte_mask_portable(bytes + shift, blocks, wanted, portable) == any);
		for (size_t i = 0; i < blocks * FW_BYTE_BLOCK; i++) {
			uint64_t bit = bytes[shift + i] == wanted;

			assert_true((fast[i / 64] >> (i % 64) & 1) == bit && (portable[i / 64] >> (i % 64) & 1) == bit);
		}
	}
}

/* Every record that the scan finds, fed in pieces of up to `largest` bytes. */
static void check_records(const struct fw_buffer *text, char delimiter, size_t largest, fw_byte_mask_fn *mask,
                          uint64_t *chance)
{
	const uint8_t *bytes = (const uint8_t *)text->data;
	struct fw_csv_scan scan;
	size_t at = 0, record = 0;
	bool closed = true, found = false;

	fw_csv_scan_init(&scan, delimiter, 0, FW_CSV_START);
	scan.mask = mask;
	scan.wanted = 1;
	while (at < text->length) {
		size_t piece = 1 + below(chance, largest);

		piece = piece < text->length - at ? piece : text->length - at;
		at += fw_csv_scan_feed(&scan, bytes + at, piece, &found);
		if (!found)
			continue;
		record = csv_record_end(text->data, text->length, record, delimiter, &closed);
		assert_true(closed);
		assert_int_equal(at, record);
		scan.wanted = scan.offset + 1;
	}
	bool ended = record == text->length;

	record = csv_record_end(text->data, text->length, record, delimiter, &closed);
	assert_true(ended || record == text->length); /* the last one, without its newline */
	assert_int_equal(scan.state == FW_CSV_QUOTED, !closed);
}

static void the_scan_finds_the_records_of_another_reader(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 300; seed++) {
		uint64_t chance = seed;
		struct csv_shape shape = random_shape(&chance, 80);
		fw_cleanup_buffer struct fw_buffer text;

		fw_buffer_init(&text, 1 << 24);
		csv_append(&text, &shape, &chance);
		if (below(&chance, 8) == 0)
			fw_buffer_text(&text, ",\"left open\nfor ever");
		check_records(&text, shape.delimiter, 1 + below(&chance, 3000), fw_byte_mask(), &chance);
		check_records(&text, shape.delimiter, 1 + below(&chance, 3000), fw_byte_mask_portable, &chance);
	}
}

static void any_place_is_found_again_from_the_index(void **state)
{
	(void)state;
	for (uint64_t seed = 0; seed < 6; seed++) {
		uint64_t chance = seed;
		struct csv_shape shape = {.delimiter = ',', .quotes = seed != 1, .mark = seed % 2, .header = seed % 3, .records = 20000,
		                          .long_cell = seed == 2 ? 400000 : 2000};
		struct fw_range_format format = {FW_RANGE_CSV, ',', shape.header};
		fw_cleanup_buffer struct fw_buffer text, encoded;
		struct fw_csv_pass pass;
		struct fw_csv_index index = {0};
		struct fw_error *err = NULL;
		size_t record = 0;
		bool closed = true, found;

		fw_buffer_init(&text, 1 << 26);
		fw_buffer_init(&encoded, 1 << 20);
		csv_append(&text, &shape, &chance);
		const uint8_t *bytes = (const uint8_t *)text.data;
		fw_csv_pass_init(&pass, "x", (int64_t)text.length, &format, NULL, 0);
		assert_int_equal(fw_csv_pass_feed(&pass, bytes, text.length / 2), FW_OK);
		assert_int_equal(fw_csv_pass_feed(&pass, bytes + text.length / 2, text.length - text.length / 2), FW_OK);
		assert_int_equal(fw_csv_pass_end(&pass), FW_OK);
		fw_csv_index_encode(&pass.index, &encoded);
		assert_ok(fw_csv_index_decode(encoded.data, encoded.length, (int64_t)text.length, &index, &err), err);
		record = (size_t)index.data;
		for (int64_t place = index.data + 1; place < index.bytes; place += 1 + (int64_t)below(&chance, 60000)) {
			struct fw_csv_scan scan;

			while ((int64_t)record < place)
				record = csv_record_end(text.data, text.length, record, ',', &closed);
			fw_csv_index_scan(&index, ',', place - 1, &scan);
			assert_true(scan.offset < place && (place - scan.offset <= FW_CSV_STEP || scan.offset == index.data));
			scan.wanted = place;
			fw_csv_scan_feed(&scan, bytes + scan.offset, text.length - (size_t)scan.offset, &found);
			assert_int_equal(scan.offset, record);
		}
		fw_csv_index_done(&index);
		fw_csv_pass_done(&pass);
	}
}

/* ---- what the pass says of the beginning and the end ---- */

static int pass_over(const char *text, size_t length, bool header, struct fw_csv_pass *pass)
{
	struct fw_range_format format = {FW_RANGE_CSV, ',', header};
	int rc = FW_OK;

	fw_csv_pass_init(pass, "t.csv", (int64_t)length, &format, NULL, 0);
	for (size_t i = 0; i < length && rc == FW_OK; i++)
		rc = fw_csv_pass_feed(pass, (const uint8_t *)text + i, 1);
	return rc == FW_OK ? fw_csv_pass_end(pass) : rc;
}

static void headers_are_told_from_data(void **state)
{
	static const struct {
		const char *text;
		bool header;
		const char *found;
		int64_t data;
	} cases[] = {
		{"a,b\n1,2\n", true, "a,b", 4},
		{"a,b\r\n1,2\r\n", true, "a,b", 5},
		{"a,b\n1,2\n", false, NULL, 0},
		{"\xef\xbb\xbf" "a,b\n1,2\n", true, "a,b", 7},
		{"\xef\xbb\xbf" "1,2\n", false, NULL, 3},
		{"\"a\nb\",c\n1,2\n", true, "\"a\nb\",c", 8},
		{"a,b", true, "a,b", 3},
		{"a,b\n", true, "a,b", 4},
		{"\n1\n", true, "", 1},
		{"", true, NULL, 0},
		{"\xef\xbb\xbf", true, NULL, 3},
		{"1", false, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_csv_pass pass;

		assert_int_equal(pass_over(cases[i].text, strlen(cases[i].text), cases[i].header, &pass), FW_OK);
		assert_int_equal(pass.index.data, cases[i].data);
		if (cases[i].found)
			assert_string_equal(pass.index.header, cases[i].found);
		else
			assert_null(pass.index.header);
		fw_csv_pass_done(&pass);
	}
}

static void what_is_no_csv_is_refused_with_its_byte(void **state)
{
	char long_line[FW_RANGE_HEADER_MAX_BYTES + 100];
	static const struct {
		const char *text;
		size_t length; /* 0: of the text */
		const char *message;
	} cases[] = {
		{"a,b\n1,\"2\n3,4\n", 0, "object t.csv: the quote at byte 6 is not closed before the end"},
		{"a,b\n\"x\"\"\"\"y\"\n\"z\"\"\n", 0, "object t.csv: the quote at byte 13 is not closed before the end"},
		{"a,\"b\n1,2\n", 0, "object t.csv: the quote at byte 2 is not closed before the end"},
		{"a,b\n1,\0,3\n", 10, "object t.csv: byte 6 is NUL: this is no CSV"},
		{"a\0,b\n", 5, "object t.csv: byte 1 is NUL: this is no CSV"},
		{"pr\xe9nom\nx\n", 0, "object t.csv: its header is not UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_csv_pass pass;
		size_t length = cases[i].length ? cases[i].length : strlen(cases[i].text);

		assert_int_equal(pass_over(cases[i].text, length, true, &pass), FW_E_INVALID);
		assert_string_equal(fw_error_message(pass.error), cases[i].message);
		fw_csv_pass_done(&pass);
	}
	struct fw_csv_pass pass;

	memset(long_line, 'x', sizeof long_line);
	assert_int_equal(pass_over(long_line, sizeof long_line, true, &pass), FW_E_INVALID);
	assert_non_null(strstr(fw_error_message(pass.error), "the header does not end within 65536 bytes"));
	fw_csv_pass_done(&pass);
	assert_int_equal(pass_over(long_line, sizeof long_line, false, &pass), FW_OK);
	fw_csv_pass_done(&pass);
}

static void a_foreign_or_damaged_index_is_refused(void **state)
{
	static const char *const texts[] = {
		"", "{}", "[]", "{\"version\":1,\"bytes\":10,\"data\":0,\"states\":\"0\"}", "{\"version\":2,\"bytes\":10,\"data\":0,\"states\":\"\"}",
		"{\"version\":1,\"bytes\":11,\"data\":0,\"states\":\"\"}", "{\"version\":1,\"bytes\":10,\"data\":11,\"states\":\"\"}",
		"{\"version\":1,\"bytes\":10,\"data\":0,\"states\":\"\",\"more\":1}",
	};
	struct fw_csv_index index = {0};
	struct fw_error *err = NULL;

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(texts); i++)
		assert_int_equal(fw_csv_index_decode(texts[i], strlen(texts[i]), 10, &index, NULL), FW_E_INVALID);
	const char *good = "{\"version\":1,\"bytes\":10,\"data\":2,\"states\":\"\",\"header\":\"a\"}";
	assert_ok(fw_csv_index_decode(good, strlen(good), 10, &index, &err), err);
	assert_string_equal(index.header, "a");
	fw_csv_index_done(&index);
}

FW_TESTS(masks_are_the_same_on_every_instruction_set, the_scan_finds_the_records_of_another_reader,
         any_place_is_found_again_from_the_index, headers_are_told_from_data, what_is_no_csv_is_refused_with_its_byte,
         a_foreign_or_damaged_index_is_refused)
