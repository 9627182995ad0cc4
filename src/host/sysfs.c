/* SPDX-License-Identifier: Apache-2.0
 *
 * One value a file: texts, numbers, and the sensors that are several files. Sensors come and go with drivers; a hole in
 * their numbering ends the search of a chip, as the kernel numbers them without holes.
 */
#include "host/sysfs.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

enum { MAX_CHIPS = 32, MAX_SENSORS = 32, MAX_KHZ = 100000000 };

static bool read_text(const struct fw_root *root, char *text, size_t size, const char *format, va_list arguments)
{
	char path[256];
	ssize_t length;

	if (vsnprintf(path, sizeof path, format, arguments) >= (int)sizeof path)
		return false;
	length = fw_root_peek(root, path, text, size);
	if (length < 0)
		return false;
	struct fw_str rest = {text, (size_t)length}, line = {text, 0};

	fw_str_next_line(&rest, &line);
	line = fw_str_trim(line);
	memmove(text, line.text, line.length);
	text[line.length] = '\0';
	return true;
}

bool fw_sysfs_text(const struct fw_root *root, char *text, size_t size, const char *format, ...)
{
	va_list arguments;
	bool read;

	va_start(arguments, format);
	read = read_text(root, text, size, format, arguments);
	va_end(arguments);
	return read;
}

bool fw_sysfs_number(const struct fw_root *root, int64_t *number, const char *format, ...)
{
	char text[64];
	va_list arguments;
	bool read;

	va_start(arguments, format);
	read = read_text(root, text, sizeof text, format, arguments);
	va_end(arguments);
	return read && fw_str_to_i64(fw_str_of(text), number);
}

/* A reading outside what silicon survives is a driver's way to say that there is none. */
static void note(int64_t millidegrees, double *highest, unsigned *sensors)
{
	double celsius = (double)millidegrees / 1000;

	if (celsius < -40 || celsius > 150)
		return;
	(*sensors)++;
	*highest = fmax(*highest, celsius); /* fmax() of NAN and a number is the number */
}

double fw_sysfs_temperature_c(const struct fw_root *root, unsigned *sensors)
{
	double highest = NAN;
	int64_t value;

	*sensors = 0;
	for (int chip = 0; chip < MAX_CHIPS; chip++)
		for (int i = 1; i < MAX_SENSORS; i++) {
			if (!fw_sysfs_number(root, &value, "sys/class/hwmon/hwmon%d/temp%d_input", chip, i))
				break;
			note(value, &highest, sensors);
		}
	for (int zone = 0; zone < MAX_CHIPS; zone++) {
		if (!fw_sysfs_number(root, &value, "sys/class/thermal/thermal_zone%d/temp", zone))
			break;
		note(value, &highest, sensors);
	}
	return highest;
}

double fw_sysfs_cpu_mhz(const struct fw_root *root, unsigned cpu)
{
	int64_t khz;

	if (!fw_sysfs_number(root, &khz, "sys/devices/system/cpu/cpu%u/cpufreq/scaling_cur_freq", cpu) || khz <= 0 ||
	    khz > MAX_KHZ)
		return NAN;
	return (double)khz / 1000;
}
