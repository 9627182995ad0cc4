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

/* Times are whole nanoseconds in ms: six decimals are exact, and written in a fraction of the time of seventeen. */
static void append_real(double number, struct fw_buffer *out)
{
	long long millionths = number >= 0 && number < 1e9 ? llround(number * 1e6) : -1;

	if (millionths >= 0 && fabs((double)millionths / 1e6 - number) <= 1e-12 * number)
		fw_buffer_printf(out, "%lld.%06lld", millionths / 1000000, millionths % 1000000);
	else
		fw_buffer_printf(out, "%.16e", number); /* its exponent makes it a real for every reader */
}

static void append_value(const void *member, enum fw_field_kind kind, struct fw_buffer *out)
{
	switch (kind) {
	case FW_FIELD_TEXT:
		fw_json_quote(fw_str_of(*(char *const *)member), out);
		break;
	case FW_FIELD_INT:
		fw_buffer_printf(out, "%lld", (long long)*(const int64_t *)member);
		break;
	case FW_FIELD_REAL:
		append_real(*(const double *)member, out);
		break;
	}
}

void fw_record_append_line(const struct fw_record *record, struct fw_buffer *out)
{
	const char *separator = "";

	fw_buffer_text(out, "{");
	for (size_t i = 0; i < fw_record_field_count; i++) {
		const struct fw_field *field = &fw_record_fields[i];
		const void *member = (const char *)record + field->offset;

		if (is_null(member, field->kind))
			continue;
		fw_buffer_printf(out, "%s\"%s\":", separator, field->name);
		append_value(member, field->kind, out);
		separator = ",";
	}
	if (record->metrics) {
		fw_buffer_printf(out, "%s\"metrics\":", separator);
		fw_json_append(record->metrics, out);
	}
	fw_buffer_text(out, "}");
}
