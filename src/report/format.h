/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantities as people read them: rounded to what is known, with their unit. NAN and null read "–".
 */
#pragma once

#include <stdint.h>

enum { FW_FORMAT_SIZE = 48 };

/* All write into out and return it. */
char *fw_format_ms(char out[FW_FORMAT_SIZE], double ms);             /* "11 ms", "3.21 s", "4 min 05 s" */
char *fw_format_mb(char out[FW_FORMAT_SIZE], double mb);             /* "212 MB" (MiB, as AWS counts) */
char *fw_format_bytes(char out[FW_FORMAT_SIZE], double bytes);       /* "1.2 GB" (powers of 1000) */
char *fw_format_joules(char out[FW_FORMAT_SIZE], double joules);     /* "14 J", "0.31 J", "2.3 mJ", "1.4 kJ" */
char *fw_format_watts(char out[FW_FORMAT_SIZE], double watts);         /* "3.1 W", "0.31 W" */
char *fw_format_usd(char out[FW_FORMAT_SIZE], double usd);           /* "$0.000054" */
char *fw_format_grams(char out[FW_FORMAT_SIZE], double grams);       /* "2.1 mg" */
char *fw_format_percent(char out[FW_FORMAT_SIZE], double share);     /* 0.973 → "97 %" */
/* "14 J (9–21)": the interval in the unit of the middle. */
char *fw_format_joules_interval(char out[FW_FORMAT_SIZE], double joules, double low, double high);
/* Local time "2026-11-21 09:45". */
char *fw_format_time(char out[FW_FORMAT_SIZE], int64_t wall_ms);
