/* SPDX-License-Identifier: Apache-2.0
 *
 * One monotonic clock (CLOCK_MONOTONIC, what BPF sees too) for every measurement; the wall clock only labels.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FW_NS_PER_MS 1000000ULL
#define FW_NS_PER_S 1000000000ULL

uint64_t fw_monotonic_ns(void);
/* Not before that time of fw_monotonic_ns(), whatever signals come. */
void fw_sleep_until(uint64_t monotonic_ns);
uint64_t fw_wall_ms(void); /* since 1970, UTC */

/* 0 where `until` is the earlier one: another thread may have looked at the clock in between. */
static inline uint64_t fw_ns_between(uint64_t from_ns, uint64_t until_ns)
{
	return until_ns > from_ns ? until_ns - from_ns : 0;
}

static inline double fw_ns_to_ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

/* "2026-11-21T09:45:12.123Z"; out holds 25 bytes. */
void fw_time_iso(uint64_t wall_ms, char out[25]);
/* "30d", "12h", "45m", "10s", "500ms": a whole number and its unit. False leaves *ms alone. */
bool fw_duration_ms(const char *text, uint64_t *ms);
/* "20261121-094512-k3f": time-ordered, the tail random. out holds 24 bytes. */
void fw_run_id(uint64_t wall_ms, uint32_t random, char out[24]);
