/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict: a date is 29 characters in their places. The weekday is not compared with the date.
 */
#include "http/date.h"

#include <string.h>
#include <time.h>

#include "base/str.h"

static bool number(const char *text, size_t length, int least, int most, int *value)
{
	uint64_t wide;

	if (!fw_str_to_u64((struct fw_str){text, length}, &wide) || wide < (uint64_t)least || wide > (uint64_t)most)
		return false;
	*value = (int)wide;
	return true;
}

static bool month(const char *text, int *value)
{
	static const char names[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

	for (int i = 0; i < 12; i++)
		if (memcmp(text, names[i], 3) == 0) {
			*value = i;
			return true;
		}
	return false;
}

bool fw_http_date(const char *text, size_t length, int64_t *seconds)
{
	struct tm broken = {0};
	int year;

	/* 0123456789012345678901234567-
	 * Sun, 06 Nov 1994 08:49:37 GMT */
	if (length != 29 || memcmp(text + 3, ", ", 2) != 0 || text[7] != ' ' || text[11] != ' ' || text[16] != ' ' ||
	    text[19] != ':' || text[22] != ':' || memcmp(text + 25, " GMT", 4) != 0)
		return false;
	if (!number(text + 5, 2, 1, 31, &broken.tm_mday) || !month(text + 8, &broken.tm_mon) ||
	    !number(text + 12, 4, 1970, 9999, &year) || !number(text + 17, 2, 0, 23, &broken.tm_hour) ||
	    !number(text + 20, 2, 0, 59, &broken.tm_min) || !number(text + 23, 2, 0, 60, &broken.tm_sec))
		return false;
	broken.tm_year = year - 1900;
	*seconds = (int64_t)timegm(&broken);
	return true;
}

bool fw_http_retry_after(const char *text, size_t length, uint64_t now_ms, int64_t *delay_ms)
{
	struct fw_str trimmed = fw_str_trim((struct fw_str){text, length});
	uint64_t delay_s;
	int64_t when;

	if (fw_str_to_u64(trimmed, &delay_s)) {
		*delay_ms = delay_s < INT64_MAX / 1000 ? (int64_t)delay_s * 1000 : INT64_MAX;
		return true;
	}
	if (!fw_http_date(trimmed.text, trimmed.length, &when))
		return false;
	*delay_ms = when * 1000 > (int64_t)now_ms ? when * 1000 - (int64_t)now_ms : 0;
	return true;
}
