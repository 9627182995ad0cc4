/* SPDX-License-Identifier: Apache-2.0
 *
 * The two clocks and their spellings. All text is UTC: a record made in one zone must read the same in another.
 */
#include "base/time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "base/str.h"

static uint64_t read_clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * FW_NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t fw_monotonic_ns(void)
{
	return read_clock_ns(CLOCK_MONOTONIC);
}

void fw_sleep_until(uint64_t monotonic_ns)
{
	struct timespec until = {(time_t)(monotonic_ns / FW_NS_PER_S), (long)(monotonic_ns % FW_NS_PER_S)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

uint64_t fw_wall_ms(void)
{
	return read_clock_ns(CLOCK_REALTIME) / FW_NS_PER_MS;
}

/* Dates behind the year 9999 would not fit the fields: they are shown as its last millisecond. */
static struct tm split_utc(uint64_t wall_ms, unsigned *milliseconds)
{
	static const uint64_t last_ms = 253402300799999ULL;
	struct tm parts;

	if (wall_ms > last_ms)
		wall_ms = last_ms;
	time_t seconds = (time_t)(wall_ms / 1000);
	*milliseconds = (unsigned)(wall_ms % 1000);
	gmtime_r(&seconds, &parts);
	return parts;
}

void fw_time_iso(uint64_t wall_ms, char out[25])
{
	unsigned milliseconds;
	struct tm parts = split_utc(wall_ms, &milliseconds);
	size_t length = strftime(out, 25, "%Y-%m-%dT%H:%M:%S", &parts);

	snprintf(out + length, 25 - length, ".%03uZ", milliseconds % 1000);
}

void fw_run_id(uint64_t wall_ms, uint32_t random, char out[24])
{
	static const char digits[] = "23456789abcdefghijkmnpqrstuvwxyz"; /* without 0, 1, l and o, which look alike */
	unsigned milliseconds;
	struct tm parts = split_utc(wall_ms, &milliseconds);
	size_t length = strftime(out, 24, "%Y%m%d-%H%M%S", &parts);

	snprintf(out + length, 24 - length, "-%c%c%c", digits[random & 31], digits[random >> 5 & 31],
	         digits[random >> 10 & 31]);
}

bool fw_duration_ms(const char *text, uint64_t *ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}}; /* ms before s */
	struct fw_str whole = fw_str_of(text);
	uint64_t number = 0;

	for (size_t i = 0; i < FW_COUNT_OF(units); i++) {
		if (!fw_str_ends(whole, units[i].unit))
			continue;
		if (!fw_str_to_u64((struct fw_str){text, whole.length - strlen(units[i].unit)}, &number) || number >= UINT32_MAX)
			return false;
		*ms = number * units[i].ms;
		return true;
	}
	return false;
}
