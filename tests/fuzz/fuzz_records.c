/* SPDX-License-Identifier: Apache-2.0
 *
 * A file of CSV behind a byte that chooses delimiter and header: every record has cells within memory, records begin one
 * behind the other, and lines and records end. Sources: src/function/reader.c, records.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "function/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void read_records(struct fw_reader *reader, size_t size)
{
	struct fw_record record;
	int64_t before = -1;
	size_t bytes = 0;

	while (fw_next_record(reader, &record) == FW_OK) {
		double number;

		require(record.count > 0 && record.offset > before);
		for (size_t i = 0; i < record.count; i++)
			bytes += strlen(record.cells[i]);
		before = record.offset;
		fw_cell_number(reader, &record, 0, &number);
	}
	require(bytes <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_invocation invocation = {0};
	char path[64], header[64] = {0};
	const char *line;
	size_t length, total = 0;
	int fd = memfd_create("records", MFD_CLOEXEC);

	if (size < 1)
		return 0;
	require(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)size - 1);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	memcpy(header, data + 1, size - 1 < 63 ? size - 1 : 63);
	struct fw_object object = {.uri = "file:/records", .path = path, .bytes = (int64_t)size - 1,
	                           .length = data[0] & 2 ? (int64_t)size - 1 : -1, .delimiter = ",;\t"[data[0] % 3],
	                           .header = data[0] & 4 ? header : NULL};
	struct fw_reader *reader = fw_read_open(&invocation, &object);

	require(reader != NULL);
	fw_column(reader, "x");
	read_records(reader, size);
	fw_read_close(reader);
	reader = fw_read_open(&invocation, &object);
	while (fw_next_line(reader, &line, &length) == FW_OK)
		total += length;
	require(total < size);
	fw_sdk_inputs_close(&invocation);
	fw_sdk_arena_done(&invocation.arena);
	close(fd);
	return 0;
}
