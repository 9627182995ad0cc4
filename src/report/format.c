/* SPDX-License-Identifier: Apache-2.0
 *
 * Quantities as people read them. Two significant digits below ten, none after the point above: more is not known.
 */
#include "report/format.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static const char missing[] = "–";

/* 0.314 → "0.31", 3.14 → "3.1", 31.4 → "31", 314 → "314" */
static int digits_after_point(double value)
{
	value = fabs(value);
	return value >= 9.95 ? 0 : value >= 0.995 ? 1 : value >= 0.0995 ? 2 : 3;
}

struct scale {
	double from, divisor;
	const char *unit;
};

static const struct scale *scale_of(double value, const struct scale *scales)
{
	while (scales->from > 0 && fabs(value) < scales->from)
		scales++;
	return scales;
}

static char *scaled(char *out, double value, const struct scale *scales)
{
	if (isnan(value)) {
		snprintf(out, FW_FORMAT_SIZE, "%s", missing);
		return out;
	}
	const struct scale *scale = scale_of(value, scales);
	double shown = value / scale->divisor;

	if (value == 0) { /* nothing has no scale: "0 J", not "0 µJ" */
		while (scale->divisor != 1)
			scale--;
	}
	snprintf(out, FW_FORMAT_SIZE, "%.*f %s", value == 0 ? 0 : digits_after_point(shown), shown, scale->unit);
	return out;
}

static const struct scale joules_scales[] = {{1000, 1000, "kJ"}, {0.0995, 1, "J"}, {0.0000995, 1e-3, "mJ"}, {0, 1e-6, "µJ"}};
static const struct scale grams_scales[] = {
	{1000, 1000, "kg"}, {0.995, 1, "g"}, {0.000995, 1e-3, "mg"}, {0, 1e-6, "µg"}};
static const struct scale bytes_scales[] = {{1e12, 1e12, "TB"}, {1e9, 1e9, "GB"}, {1e6, 1e6, "MB"}, {1e3, 1e3, "kB"}, {0, 1, "B"}};

char *fw_format_ms(char out[FW_FORMAT_SIZE], double ms)
{
	if (isnan(ms))
		snprintf(out, FW_FORMAT_SIZE, "%s", missing);
	else if (ms < 999.5)
		snprintf(out, FW_FORMAT_SIZE, "%.*f ms", ms == 0 ? 0 : digits_after_point(ms), ms);
	else if (ms < 99950)
		snprintf(out, FW_FORMAT_SIZE, ms < 9995 ? "%.2f s" : "%.1f s", ms / 1000);
	else
		snprintf(out, FW_FORMAT_SIZE, "%d min %02d s", (int)(ms / 60000), (int)fmod(ms / 1000, 60));
	return out;
}

char *fw_format_mb(char out[FW_FORMAT_SIZE], double mb)
{
	if (isnan(mb))
		snprintf(out, FW_FORMAT_SIZE, "%s", missing);
	else
		snprintf(out, FW_FORMAT_SIZE, "%.*f MB", mb < 9.95 ? 1 : 0, mb);
	return out;
}

char *fw_format_bytes(char out[FW_FORMAT_SIZE], double bytes)
{
	return scaled(out, bytes, bytes_scales);
}

char *fw_format_joules(char out[FW_FORMAT_SIZE], double joules)
{
	return scaled(out, joules, joules_scales);
}

char *fw_format_joules_interval(char out[FW_FORMAT_SIZE], double joules, double low, double high)
{
	if (isnan(joules) || isnan(low) || isnan(high) || high == 0)
		return fw_format_joules(out, joules);
	double largest = fmax(fabs(joules), fmax(fabs(low), fabs(high)));
	const struct scale *scale = scale_of(largest, joules_scales);
	int digits = digits_after_point((joules == 0 ? largest : joules) / scale->divisor);

	snprintf(out, FW_FORMAT_SIZE, "%.*f %s (%.*f–%.*f)", digits, joules / scale->divisor, scale->unit, digits,
	         low / scale->divisor, digits, high / scale->divisor);
	return out;
}

char *fw_format_watts(char out[FW_FORMAT_SIZE], double watts)
{
	if (isnan(watts))
		snprintf(out, FW_FORMAT_SIZE, "%s", missing);
	else
		snprintf(out, FW_FORMAT_SIZE, "%.*f W", watts >= 9.95 ? 1 : 2, watts);
	return out;
}

char *fw_format_usd(char out[FW_FORMAT_SIZE], double usd)
{
	if (isnan(usd))
		snprintf(out, FW_FORMAT_SIZE, "%s", missing);
	else if (usd == 0)
		snprintf(out, FW_FORMAT_SIZE, "$0");
	else
		snprintf(out, FW_FORMAT_SIZE, "$%.*f", usd >= 0.995 ? 2 : (int)ceil(-log10(usd)) + 1, usd);
	return out;
}

char *fw_format_grams(char out[FW_FORMAT_SIZE], double grams)
{
	return scaled(out, grams, grams_scales);
}

char *fw_format_percent(char out[FW_FORMAT_SIZE], double share)
{
	if (isnan(share))
		snprintf(out, FW_FORMAT_SIZE, "%s", missing);
	else
		snprintf(out, FW_FORMAT_SIZE, "%.0f %%", share * 100);
	return out;
}

char *fw_format_time(char out[FW_FORMAT_SIZE], int64_t wall_ms)
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm parts;

	if (!localtime_r(&seconds, &parts) || strftime(out, FW_FORMAT_SIZE, "%Y-%m-%d %H:%M", &parts) == 0)
		snprintf(out, FW_FORMAT_SIZE, "%s", missing);
	return out;
}
