/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "http/date.h"
#include "http/range.h"
#include "tests/unit/support.h"

static void a_date_of_today_is_read(void **state)
{
	static const char text[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	int64_t seconds = 0;

	(void)state;
	assert_true(fw_http_date(text, strlen(text), &seconds));
	assert_int_equal(seconds, 784111777);
}

static void what_is_no_date_is_refused_and_changes_nothing(void **state)
{
	static const char *const texts[] = {"", "0", "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06 Nov 1994 24:49:37 GMT",
	                                    "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nom 1994 08:49:37 GMT",
	                                    "Sun, 06 Nov 1994 08:-9:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
	                                    "Sun, 06 Nov 1994 08:49:37 GMT "};
	int64_t seconds = 7;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (fw_http_date(texts[i], strlen(texts[i]), &seconds))
			fail_msg("'%s' was taken for a date", texts[i]);
	assert_int_equal(seconds, 7);
}

static int64_t delay_of(const char *text)
{
	int64_t delay_ms = -1;

	return fw_http_retry_after(text, strlen(text), 784111777000, &delay_ms) ? delay_ms : -1;
}

static void retry_after_is_seconds_or_a_date(void **state)
{
	(void)state;
	assert_int_equal(delay_of("0"), 0);
	assert_int_equal(delay_of(" 120 "), 120000);
	assert_int_equal(delay_of("Sun, 06 Nov 1994 08:49:40 GMT"), 3000);
	assert_int_equal(delay_of("Sun, 06 Nov 1994 08:49:30 GMT"), 0);
	assert_int_equal(delay_of("soon"), -1);
	assert_int_equal(delay_of("-3"), -1);
	assert_int_equal(delay_of("18446744073709551615"), INT64_MAX);
}

static void a_content_range_is_within_its_object(void **state)
{
	static const char *const refused[] = {"", "bytes", "bytes 0-9", "bytes 0-9/*", "bytes 9-0/10", "bytes 0-10/10", "bytes -1-2/10",
	                                      "items 0-1/2", "bytes 0-9/9223372036854775808", "bytes */", "bytes 1/2"};
	struct fw_http_range range = {7, 7, 7};

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (fw_http_content_range(refused[i], strlen(refused[i]), &range))
			fail_msg("'%s' was taken for a range", refused[i]);
	assert_int_equal(range.whole, 7);
	assert_true(fw_http_content_range("bytes 100-199/1000", 18, &range));
	assert_int_equal(range.first, 100);
	assert_int_equal(range.last, 199);
	assert_int_equal(range.whole, 1000);
	assert_true(fw_http_content_range(" bytes */5 ", 11, &range));
	assert_int_equal(range.first, -1);
	assert_int_equal(range.whole, 5);
}

FW_TESTS(a_content_range_is_within_its_object, a_date_of_today_is_read, what_is_no_date_is_refused_and_changes_nothing, retry_after_is_seconds_or_a_date)
