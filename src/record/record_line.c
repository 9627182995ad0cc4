/* SPDX-License-Identifier: Apache-2.0
 *
 * A record on one line for the event log: written with every commit, therefore straight from the field table into the
 * buffer, without a JSON tree in between. fw_record_from_json() reads it. What is null is left out.
 */
#include "base/str.h"
#include "record/record.h"

static bool is_null(const void *member, enum fw_field_kind kind)
{
	switch (kind) {
	case FW_FIELD_TEXT:
		return *(char *const *)member == NULL;
	case FW_FIELD_INT:
		return *(const int64_t *)member == FW_NULL_INT;
	case FW_FIELD_REAL:
		break;
	}
	return !isfinite(*(const double *)member);
}

/* Without printf(), which would cost more than all the rest of a commit's line. */
static void append_digits(uint64_t number, size_t at_least, struct fw_buffer *out)
{
	char text[20];
	size_t first = sizeof text;

	while (number > 0 || sizeof text - first < at_least) {
		text[--first] = (char)('0' + number % 10);
		number /= 10;
	}
	fw_buffer_append(out, text + first, sizeof text - first);
}

static void append_int(int64_t number, struct fw_buffer *out)
{
	if (number < 0)
		fw_buffer_text(out, "-");
	append_digits(number < 0 ? 0 - (uint64_t)number : (uint64_t)number, 1, out);
}

/* Times are whole nanoseconds in ms: six decimals are exact. */
static void append_real(double number, struct fw_buffer *out)
{
	int64_t millionths = number >= 0 && number < 1e9 ? llround(number * 1e6) : -1;

	if (millionths < 0 || fabs((double)millionths / 1e6 - number) > 1e-12 * number) {
		fw_buffer_printf(out, "%.16e", number); /* its exponent makes it a real for every reader */
		return;
	}
	append_digits((uint64_t)millionths / 1000000, 1, out);
	fw_buffer_text(out, ".");
	append_digits((uint64_t)millionths % 1000000, 6, out);
}

static void append_value(const void *member, enum fw_field_kind kind, struct fw_buffer *out)
{
	switch (kind) {
	case FW_FIELD_TEXT:
		fw_json_quote(fw_str_of(*(char *const *)member), out);
		break;
	case FW_FIELD_INT:
		append_int(*(const int64_t *)member, out);
		break;
	case FW_FIELD_REAL:
		append_real(*(const double *)member, out);
		break;
	}
}

void fw_record_append_line(const struct fw_record *record, struct fw_buffer *out)
{
	const char *before = "{\"";

	for (size_t i = 0; i < fw_record_field_count; i++) {
		const struct fw_field *field = &fw_record_fields[i];
		const void *member = (const char *)record + field->offset;

		if (is_null(member, field->kind))
			continue;
		fw_buffer_text(out, before);
		fw_buffer_text(out, field->name);
		fw_buffer_text(out, "\":");
		append_value(member, field->kind, out);
		before = ",\"";
	}
	if (record->metrics) {
		fw_buffer_printf(out, "%smetrics\":", before);
		fw_json_append(record->metrics, out);
		before = ",\"";
	}
	fw_buffer_text(out, *before == '{' ? "{}" : "}");
}
