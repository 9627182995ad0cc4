/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/csv_index.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum { MARK = 3, HEAD_MAX = FW_RANGE_HEADER_MAX_BYTES + MARK + 2 };

static const uint8_t byte_order_mark[MARK] = {0xef, 0xbb, 0xbf};

/* ---- the index ---- */

static size_t step_count(int64_t bytes)
{
	return bytes > 0 ? (size_t)((bytes - 1) / FW_CSV_STEP) : 0;
}

void fw_csv_index_done(struct fw_csv_index *index)
{
	free(index->header);
	free(index->states);
	*index = (struct fw_csv_index){0};
}

void fw_csv_index_scan(const struct fw_csv_index *index, char delimiter, int64_t before, struct fw_csv_scan *scan)
{
	int64_t step = before / FW_CSV_STEP;

	if (step * FW_CSV_STEP > index->data && (size_t)step <= step_count(index->bytes))
		fw_csv_scan_init(scan, delimiter, step * FW_CSV_STEP, (enum fw_csv_state)(index->states[step - 1] - '0'));
	else
		fw_csv_scan_init(scan, delimiter, index->data, FW_CSV_START);
}

void fw_csv_index_encode(const struct fw_csv_index *index, struct fw_buffer *out)
{
	fw_buffer_printf(out, "{\"version\":1,\"bytes\":%lld,\"data\":%lld,\"states\":\"%s\"", (long long)index->bytes,
	                 (long long)index->data, index->states);
	if (index->header) {
		fw_buffer_text(out, ",\"header\":");
		fw_json_quote(fw_str_of(index->header), out);
	}
	fw_buffer_text(out, "}\n");
}

static bool is_sound(const struct fw_csv_index *index, int64_t version, int64_t bytes)
{
	size_t states = strlen(index->states);

	return version == 1 && index->bytes == bytes && index->data >= 0 && index->data <= bytes &&
	       states == step_count(bytes) && strspn(index->states, "0123") == states;
}

int fw_csv_index_decode(const char *text, size_t length, int64_t bytes, struct fw_csv_index *index, struct fw_error **err)
{
	fw_cleanup_json json_t *json = NULL;
	struct fw_csv_index read = {0};
	int64_t version = 0;
	const struct fw_json_member members[] = {
		{"version", 'i', true, &version}, {"bytes", 'i', true, &read.bytes},       {"data", 'i', true, &read.data},
		{"states", 's', true, &read.states}, {"header", 's', false, &read.header},
	};
	int rc = fw_json_load("index of a CSV object", text, length, &json, err);

	if (rc == FW_OK)
		rc = fw_json_read(json, "index of a CSV object", members, FW_COUNT_OF(members), false, err);
	if (rc == FW_OK && !is_sound(&read, version, bytes))
		rc = fw_fail(err, FW_E_INVALID, "index of a CSV object: it is of another object");
	if (rc == FW_OK)
		*index = read;
	else
		fw_csv_index_done(&read);
	return rc;
}

/* ---- the pass ---- */

void fw_csv_pass_init(struct fw_csv_pass *pass, const char *name, int64_t bytes, const struct fw_range_format *format,
                      int64_t *cuts, size_t cut_count)
{
	*pass = (struct fw_csv_pass){.name = name, .format = *format, .cuts = cuts, .cut_count = cut_count};
	pass->index.bytes = bytes;
	pass->index.states = fw_alloc(step_count(bytes) + 1);
	fw_buffer_init(&pass->head, HEAD_MAX);
}

void fw_csv_pass_done(struct fw_csv_pass *pass)
{
	fw_csv_index_done(&pass->index);
	fw_buffer_done(&pass->head);
	fw_error_free(pass->error);
}

static int fail_nul(struct fw_csv_pass *pass, int64_t offset)
{
	int rc = fw_fail(&pass->error, FW_E_INVALID, "object %s: byte %lld is NUL: this is no CSV", pass->name,
	                 (long long)offset);

	return fw_error_hint(&pass->error, rc, "a binary file, or text in UTF-16: CSV is read as UTF-8");
}

static int fail_open_quote(struct fw_csv_pass *pass)
{
	int rc = fw_fail(&pass->error, FW_E_INVALID, "object %s: the quote at byte %lld is not closed before the end",
	                 pass->name, (long long)pass->scan.opened);

	return fw_error_hint(&pass->error, rc, "a quote within a quoted cell is doubled");
}

/* Cuts that nothing needs to be read for: they fall where the data begin, or before. */
static void pass_by_cuts(struct fw_csv_pass *pass)
{
	while (pass->cut < pass->cut_count && pass->cuts[pass->cut] <= pass->scan.offset)
		pass->cuts[pass->cut++] = pass->scan.offset;
	pass->scan.wanted = pass->cut < pass->cut_count ? pass->cuts[pass->cut] : INT64_MAX;
}

/* Bytes behind the header, up to the next step at most. Returns how many were taken. */
static size_t scan_piece(struct fw_csv_pass *pass, const uint8_t *bytes, size_t length)
{
	int64_t until = (pass->scan.offset / FW_CSV_STEP + 1) * FW_CSV_STEP;
	bool found = false;

	if ((int64_t)length > until - pass->scan.offset)
		length = (size_t)(until - pass->scan.offset);
	size_t taken = fw_csv_scan_feed(&pass->scan, bytes, length, &found);

	if (found)
		pass_by_cuts(pass);
	if (pass->scan.offset == until && until < pass->index.bytes)
		pass->index.states[until / FW_CSV_STEP - 1] = (char)('0' + pass->scan.state);
	return taken;
}

static int scan_data(struct fw_csv_pass *pass, const uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at < length && pass->scan.nul < 0;)
		at += scan_piece(pass, bytes + at, length - at);
	return pass->scan.nul < 0 ? FW_OK : fail_nul(pass, pass->scan.nul);
}

/* The first carriage return outside quotes, or -1. */
static int64_t lone_return(const char *text, char delimiter)
{
	enum fw_csv_state state = FW_CSV_START;

	for (size_t i = 0; text[i]; i++) {
		bool quote = text[i] == '"';

		if (state == FW_CSV_QUOTED)
			state = quote ? FW_CSV_QUOTE : FW_CSV_QUOTED;
		else if (text[i] == '\r')
			return (int64_t)i;
		else if (quote && state != FW_CSV_CELL)
			state = FW_CSV_QUOTED;
		else
			state = text[i] == delimiter ? FW_CSV_START : FW_CSV_CELL;
	}
	return -1;
}

/* To some readers it ends a line: they would take what follows for a record. */
static int fail_return(struct fw_csv_pass *pass, int64_t offset)
{
	int rc = fw_fail(&pass->error, FW_E_INVALID, "object %s: byte %lld is a carriage return within the header", pass->name,
	                 (long long)offset);

	return fw_error_hint(&pass->error, rc, "end lines in LF or CRLF, or write header: false");
}

static int keep_header(struct fw_csv_pass *pass, const uint8_t *bytes, size_t length)
{
	if (length > 0 && bytes[length - 1] == '\n')
		length--;
	if (length > 0 && bytes[length - 1] == '\r')
		length--;
	pass->index.header = fw_strndup((const char *)bytes, length);
	int64_t lone = lone_return(pass->index.header, pass->format.delimiter);

	if (lone >= 0)
		return fail_return(pass, bytes - (const uint8_t *)pass->head.data + lone);
	if (fw_is_utf8(pass->index.header))
		return FW_OK;
	int rc = fw_fail(&pass->error, FW_E_INVALID, "object %s: its header is not UTF-8", pass->name);

	return fw_error_hint(&pass->error, rc, "convert it, or write header: false");
}

/* The first record, which is all of the head when it ends there. */
static int find_header(struct fw_csv_pass *pass, size_t start)
{
	const uint8_t *head = (const uint8_t *)pass->head.data;
	size_t length = pass->head.length - start;
	bool found = false;

	pass->scan.wanted = pass->scan.offset + 1;
	size_t taken = fw_csv_scan_feed(&pass->scan, head + start, length, &found);

	if (pass->scan.nul >= 0)
		return fail_nul(pass, pass->scan.nul);
	if (!found && (int64_t)pass->head.length < pass->index.bytes) {
		int rc = fw_fail(&pass->error, FW_E_INVALID, "object %s: the header does not end within %d bytes", pass->name,
		                 FW_RANGE_HEADER_MAX_BYTES);

		return fw_error_hint(&pass->error, rc, "if the first line is data, write header: false");
	}
	if (!found && pass->scan.state == FW_CSV_QUOTED)
		return fail_open_quote(pass);
	return keep_header(pass, head + start, taken);
}

static int begin(struct fw_csv_pass *pass)
{
	const uint8_t *head = (const uint8_t *)pass->head.data;
	size_t length = pass->head.length, mark = 0;
	int rc = FW_OK;

	pass->begun = true;
	if (length >= MARK && memcmp(head, byte_order_mark, MARK) == 0)
		mark = MARK;
	fw_csv_scan_init(&pass->scan, pass->format.delimiter, (int64_t)mark, FW_CSV_START);
	if (pass->format.header && length > mark)
		rc = find_header(pass, mark);
	if (rc != FW_OK)
		return rc;
	pass->index.data = pass->scan.offset;
	pass->scan.state = FW_CSV_START;
	pass->scan.opened = -1;
	memset(pass->index.states, '0', step_count(pass->index.bytes));
	pass_by_cuts(pass);
	return length > 0 ? scan_data(pass, head + pass->index.data, length - (size_t)pass->index.data) : FW_OK;
}

int fw_csv_pass_feed(struct fw_csv_pass *pass, const uint8_t *bytes, size_t length)
{
	if (pass->begun)
		return scan_data(pass, bytes, length);
	size_t room = HEAD_MAX - pass->head.length, taken = length < room ? length : room;

	fw_buffer_append(&pass->head, bytes, taken);
	if (pass->head.length < HEAD_MAX && (int64_t)pass->head.length < pass->index.bytes)
		return FW_OK;
	int rc = begin(pass);

	return rc == FW_OK ? scan_data(pass, bytes + taken, length - taken) : rc;
}

int fw_csv_pass_end(struct fw_csv_pass *pass)
{
	int rc = pass->begun ? FW_OK : begin(pass);

	if (rc == FW_OK && pass->scan.state == FW_CSV_QUOTED)
		rc = fail_open_quote(pass);
	while (rc == FW_OK && pass->cut < pass->cut_count)
		pass->cuts[pass->cut++] = pass->index.bytes;
	return rc;
}
