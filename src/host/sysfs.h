/* SPDX-License-Identifier: Apache-2.0
 *
 * One value a file: the small readers of /sys. They allocate nothing; what is not there is false or -1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/root.h"

/* The trimmed first line of the file; false when it cannot be read. Too long a text is cut. */
bool fw_sysfs_text(const struct fw_root *root, char *text, size_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* A whole number, also a negative one; false when there is none. */
bool fw_sysfs_number(const struct fw_root *root, int64_t *number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Temperatures of hwmon and thermal zones (millidegrees in the files): the highest, NAN when there is none. */
double fw_sysfs_temperature_c(const struct fw_root *root, unsigned *sensors);
/* Current frequency of one CPU from cpufreq; NAN when the kernel does not say. */
double fw_sysfs_cpu_mhz(const struct fw_root *root, unsigned cpu);
