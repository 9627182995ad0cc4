/* SPDX-License-Identifier: Apache-2.0
 *
 * Times in HTTP's fields, as servers write them today (RFC 9110 §5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds since 1970; false leaves *seconds alone. */
bool fw_http_date(const char *text, size_t length, int64_t *seconds);
/* Retry-After, seconds or a date, as a delay from now on, 0 when it is past. */
bool fw_http_retry_after(const char *text, size_t length, uint64_t now_ms, int64_t *delay_ms);
