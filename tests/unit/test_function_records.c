/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading lines and records of a range without loading it.
 */
#include "tests/unit/function_host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "function/reader.h"

struct fixture {
	struct fw_invocation invocation;
	struct fw_object object;
	struct fw_reader *reader;
	char path[64];
	int fd;
};

static struct fixture *open_on(const char *text, size_t length)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	fixture->fd = memfd_create("object", MFD_CLOEXEC);
	assert_int_equal(write(fixture->fd, text, length), length);
	snprintf(fixture->path, sizeof fixture->path, "/proc/self/fd/%d", fixture->fd);
	fixture->object = (struct fw_object){.uri = "file:/t.csv", .path = fixture->path, .bytes = (int64_t)length, .length = -1};
	return fixture;
}

static struct fixture *range_of(const char *text, int64_t offset, int64_t length, const char *header)
{
	struct fixture *fixture = open_on(text, strlen(text));

	fixture->object.offset = fixture->object.start = offset;
	fixture->object.length = length;
	fixture->object.header = header;
	fixture->object.delimiter = ',';
	fixture->reader = fw_read_open(&fixture->invocation, &fixture->object);
	assert_non_null(fixture->reader);
	return fixture;
}

static void close_fixture(struct fixture *fixture)
{
	fw_sdk_inputs_close(&fixture->invocation);
	fw_sdk_arena_done(&fixture->invocation.arena);
	close(fixture->fd);
	free(fixture);
}

/* "[a|b][c]": what the records are. */
static const char *records_of(struct fixture *fixture, char delimiter)
{
	static char found[4096];
	struct fw_record record;
	int rc;

	*found = '\0';
	fixture->object.delimiter = delimiter;
	struct fw_reader *reader = fw_read_open(&fixture->invocation, &fixture->object);
	while ((rc = fw_next_record(reader, &record)) == FW_OK)
		for (size_t i = 0; i < record.count; i++)
			snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s%s", i ? "|" : "[", record.cells[i],
			         i + 1 == record.count ? "]" : "");
	snprintf(found + strlen(found), sizeof found - strlen(found), "%s", rc == FW_END ? "" : fixture->invocation.error_message);
	return found;
}

static void records_lose_their_quotes_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		char delimiter;
		const char *records;
	} cases[] = {
		{"a,b\n1,2\n", ',', "[a|b][1|2]"},
		{"a,b\r\n1,2", ',', "[a|b][1|2]"},
		{"\"a,b\",\"x\ny\"\n", ',', "[a,b|x\ny]"},
		{"\"say \"\"hi\"\"\",\"\"\n", ',', "[say \"hi\"|]"},
		{"5\" pipe,a\"b\"\n", ',', "[5\" pipe|a\"b\"]"},
		{"\"a\"tail, \"b\"\n", ',', "[atail| \"b\"]"},
		{"\n\r\n1\n\n", ',', "[1]"},
		{"\"\"\n,\n", ',', "[][|]"},
		{"a;b,c\n", ';', "[a|b,c]"},
		{"a\tb\n", '\t', "[a|b]"},
		{"a,b", '\0', "[a|b]"},
		{"x\ry\n", ',', "[x][y]"},
		{"\xef\xbb\xbf" "a,b\n", ',', "[a|b]"},
		{"", ',', ""},
		{"a\n\"open", ',', "[a]file:/t.csv: a quote of the record at byte 2 is not closed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *fixture = open_on(cases[i].text, strlen(cases[i].text));

		assert_string_equal(records_of(fixture, cases[i].delimiter), cases[i].records);
		close_fixture(fixture);
	}
}

static void a_nul_is_no_end_of_a_cell(void **state)
{
	struct fixture *fixture = open_on("1,2\n3,12\0abc\n", 13);

	(void)state;
	assert_string_equal(records_of(fixture, ','), "[1|2]file:/t.csv: byte 8 is NUL: this is no CSV");
	close_fixture(fixture);
}

static void a_range_ends_where_it_ends(void **state)
{
	struct fixture *fixture = range_of("h\n1\n2\n3\n", 4, 2, "h");
	struct fw_record record;
	const char *line;
	size_t length;

	(void)state;
	assert_int_equal(fw_next_record(fixture->reader, &record), FW_OK);
	assert_string_equal(record.cells[0], "2");
	assert_int_equal(record.offset, 4);
	assert_int_equal(fw_next_record(fixture->reader, &record), FW_END);
	fw_read_close(fixture->reader);
	struct fw_reader *lines = fw_read_open(&fixture->invocation, &fixture->object);
	assert_int_equal(fw_next_line(lines, &line, &length), FW_OK);
	assert_string_equal(line, "2");
	assert_int_equal(fw_next_line(lines, &line, &length), FW_END);
	close_fixture(fixture);
}

static void lines_of_any_length_come_whole(void **state)
{
	size_t size = 3 * FW_READER_STEP + 7, length = 0;
	char *text = malloc(size);
	const char *line;

	(void)state;
	memset(text, 'x', size);
	memcpy(text, "a\r\n\n", 4);
	text[FW_READER_STEP] = text[size - 3] = '\n';
	struct fixture *fixture = open_on(text, size);
	struct fw_reader *reader = fw_read_open(&fixture->invocation, &fixture->object);
	const size_t lengths[] = {1, 0, FW_READER_STEP - 4, size - 4 - FW_READER_STEP, 2};

	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		assert_int_equal(fw_next_line(reader, &line, &length), FW_OK);
		assert_int_equal(length, lengths[i]);
		assert_int_equal(strlen(line), length);
	}
	assert_int_equal(fw_next_line(reader, &line, &length), FW_END);
	assert_true(fixture->invocation.read_ns > 0);
	close_fixture(fixture);
	free(text);
}

static void records_longer_than_the_window_come_whole(void **state)
{
	size_t size = 5 * FW_READER_STEP;
	char *text = malloc(size);
	struct fw_record record;

	(void)state;
	memset(text, 'x', size);
	memcpy(text, "1,\"", 3);
	memset(text + size / 2, '"', 2);
	memcpy(text + size - 6, "\",z\n9\n", 6);
	struct fixture *fixture = open_on(text, size);
	struct fw_reader *reader = fw_read_open(&fixture->invocation, &fixture->object);

	assert_int_equal(fw_next_record(reader, &record), FW_OK);
	assert_int_equal(record.count, 3);
	assert_int_equal(strlen(record.cells[1]), size - 6 - 3 - 1);
	assert_string_equal(record.cells[2], "z");
	assert_int_equal(fw_next_record(reader, &record), FW_OK);
	assert_int_equal(record.offset, size - 2);
	close_fixture(fixture);
	free(text);
}

static void columns_are_found_by_the_header(void **state)
{
	struct fixture *fixture = range_of("id,\"a, b\",c\n1,2.5,\n", 12, 8, "id,\"a, b\",c");
	struct fw_record record;
	double number = 0;

	(void)state;
	assert_int_equal(fw_column(fixture->reader, "a, b"), 1);
	assert_int_equal(fw_next_record(fixture->reader, &record), FW_OK);
	assert_int_equal(fw_cell_number(fixture->reader, &record, 1, &number), FW_OK);
	assert_true(number == 2.5);
	assert_int_equal(fw_cell_number(fixture->reader, &record, 2, &number), FW_OK);
	assert_true(isnan(number));
	assert_int_equal(fw_column(fixture->reader, "d"), FW_ERROR);
	assert_string_equal(fixture->invocation.error_type, "Data.Column");
	assert_string_equal(fixture->invocation.error_message, "file:/t.csv has no column 'd'; its columns are id, a, b, c");
	close_fixture(fixture);
}

static void what_is_no_number_is_named_with_object_byte_and_column(void **state)
{
	static const struct {
		const char *text;
		int column;
		const char *message;
	} cases[] = {
		{"a,b\n1,2\n3,x y\n", 1, "file:/t.csv: the record at byte 8: column 'b': 'x y' is not a number"},
		{"a,b\n1,2\n3\n", 1, "file:/t.csv: the record at byte 8 has 1 cells and no column 'b'"},
		{"a,b\n1,2\n3,nan\n", 1, "file:/t.csv: the record at byte 8: column 'b': 'nan' is not a number"},
		{"a,b\n1,2\n3,0x1F\n", 1, "file:/t.csv: the record at byte 8: column 'b': '0x1F' is not a number"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture *fixture = range_of(cases[i].text, 4, (int64_t)strlen(cases[i].text) - 4, "a,b");
		struct fw_record record;
		double number;

		assert_int_equal(fw_next_record(fixture->reader, &record), FW_OK);
		assert_int_equal(fw_cell_number(fixture->reader, &record, cases[i].column, &number), FW_OK);
		assert_int_equal(fw_next_record(fixture->reader, &record), FW_OK);
		assert_int_equal(fw_cell_number(fixture->reader, &record, cases[i].column, &number), FW_ERROR);
		assert_string_equal(fixture->invocation.error_message, cases[i].message);
		close_fixture(fixture);
	}
}

static void a_file_that_is_shorter_than_its_range_is_an_error(void **state)
{
	struct fixture *fixture = range_of("h\n1\n", 2, 10, "h");
	struct fw_record record;

	(void)state;
	assert_int_equal(fw_next_record(fixture->reader, &record), FW_OK);
	assert_int_equal(fw_next_record(fixture->reader, &record), FW_ERROR);
	assert_string_equal(fixture->invocation.error_message, "file:/t.csv ends at byte 4, 8 bytes before its range");
	close_fixture(fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_lose_their_quotes_and_nothing_else),
		cmocka_unit_test(a_nul_is_no_end_of_a_cell),
		cmocka_unit_test(a_range_ends_where_it_ends),
		cmocka_unit_test(lines_of_any_length_come_whole),
		cmocka_unit_test(records_longer_than_the_window_come_whole),
		cmocka_unit_test(columns_are_found_by_the_header),
		cmocka_unit_test(what_is_no_number_is_named_with_object_byte_and_column),
		cmocka_unit_test(a_file_that_is_shorter_than_its_range_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
