/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "tests/unit/support.h"

static void a_time_is_spelled_in_utc_whatever_the_zone(void **state)
{
	char text[25];

	(void)state;
	setenv("TZ", "Asia/Tokyo", 1);
	tzset();
	fw_time_iso(1795254312123, text);
	assert_string_equal(text, "2026-11-21T09:45:12.123Z");
	fw_time_iso(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
}

static void a_time_beyond_all_calendars_still_fits(void **state)
{
	char text[25], id[24];

	(void)state;
	fw_time_iso(UINT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	fw_run_id(UINT64_MAX, 0, id);
	assert_string_equal(id, "99991231-235959-222");
}

static void a_run_id_is_its_time_and_a_random_tail(void **state)
{
	char first[24], second[24];

	(void)state;
	fw_run_id(1795254312123, 0, first);
	fw_run_id(1795254312123, 31 | 8 << 5 | 1 << 10, second);
	assert_string_equal(first, "20261121-094512-222");
	assert_string_equal(second, "20261121-094512-za3");
}

static void run_ids_sort_by_time(void **state)
{
	char earlier[24], later[24];

	(void)state;
	fw_run_id(1795254312123, UINT32_MAX, earlier);
	fw_run_id(1795254313123, 0, later);
	assert_true(strcmp(earlier, later) < 0);
}

static void no_two_digits_of_a_run_id_look_alike(void **state)
{
	char id[24];

	(void)state;
	for (uint32_t i = 0; i < 32; i++) {
		fw_run_id(0, i, id);
		assert_null(strpbrk(id + 16, "01lo"));
	}
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
	uint64_t before_ns = fw_monotonic_ns();

	(void)state;
	assert_true(before_ns > 0);
	assert_true(fw_monotonic_ns() >= before_ns);
	assert_true(fw_wall_ms() > 1700000000000);
}

static void a_duration_is_a_whole_number_and_its_unit(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"10s", 10000}, {"500ms", 500}, {"2m", 120000}, {"12h", 43200000}, {"30d", 2592000000}, {"0s", 0}};
	static const char *const bad[] = {"", "s", "ms", "10", "-1s", "1.5s", "10 s", "10x", "99999999999d", "1s "};
	uint64_t ms = 7;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_false(fw_duration_ms(bad[i], &ms));
		assert_int_equal(ms, 7);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(fw_duration_ms(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
	}
}

static atomic_int alarms;

static void count_alarm(int number)
{
	(void)number;
	atomic_fetch_add(&alarms, 1);
}

static void signals_do_not_end_a_sleep(void **state)
{
	struct sigaction action = {.sa_handler = count_alarm}, before;
	struct itimerval every_ms = {{0, 1000}, {0, 1000}}, never = {0};
	uint64_t until_ns = fw_monotonic_ns() + 50 * FW_NS_PER_MS;

	(void)state;
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &every_ms, NULL);
	fw_sleep_until(until_ns);
	uint64_t woken_ns = fw_monotonic_ns();

	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_true(atomic_load(&alarms) > 0);
	assert_true(woken_ns >= until_ns);
	fw_sleep_until(until_ns); /* long past: at once */
}

static void the_time_between_is_never_negative(void **state)
{
	(void)state;
	assert_int_equal(fw_ns_between(5, 7), 2);
	assert_int_equal(fw_ns_between(7, 5), 0);
}

FW_TESTS(a_time_is_spelled_in_utc_whatever_the_zone, a_time_beyond_all_calendars_still_fits,
         a_run_id_is_its_time_and_a_random_tail, run_ids_sort_by_time, no_two_digits_of_a_run_id_look_alike,
         the_monotonic_clock_does_not_go_back, signals_do_not_end_a_sleep,
         the_time_between_is_never_negative, a_duration_is_a_whole_number_and_its_unit)
