/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict, and never beyond int64_t: what is read is compared with what was asked for.
 */
#include "http/range.h"

#include "base/str.h"

static bool number(struct fw_str text, int64_t *value)
{
	uint64_t wide;

	if (!fw_str_to_u64(text, &wide) || wide > INT64_MAX)
		return false;
	*value = (int64_t)wide;
	return true;
}

bool fw_http_content_range(const char *text, size_t length, struct fw_http_range *range)
{
	struct fw_str rest = fw_str_trim((struct fw_str){text, length}), span, first;
	struct fw_http_range read = {-1, -1, -1};

	if (!fw_str_starts(rest, "bytes "))
		return false;
	rest = (struct fw_str){rest.text + 6, rest.length - 6};
	if (!fw_str_next_field(&rest, '/', &span) || !rest.text || !number(rest, &read.whole))
		return false;
	if (!fw_str_is(span, "*")) {
		if (!fw_str_next_field(&span, '-', &first) || !span.text || !number(first, &read.first) ||
		    !number(span, &read.last) || read.last < read.first || read.last >= read.whole)
			return false;
	}
	*range = read;
	return true;
}
