/* SPDX-License-Identifier: Apache-2.0
 *
 * The few words by which the kernel describes events of energy.
 */
#include "energy/perf_power_names.h"

#include <ctype.h>
#include <string.h>

#define LEAST_SCALE 1e-15

bool fw_power_type_parse(struct fw_str text, uint32_t *type)
{
	uint64_t value;

	if (!fw_str_to_u64(fw_str_trim(text), &value) || value == 0 || value > UINT32_MAX)
		return false;
	*type = (uint32_t)value;
	return true;
}

bool fw_power_format_parse(struct fw_str text)
{
	return fw_str_is(fw_str_trim(text), "config:0-7");
}

bool fw_power_event_parse(struct fw_str text, uint64_t *config)
{
	static const char prefix[] = "event=0x";
	uint64_t value = 0;

	text = fw_str_trim(text);
	size_t digits = text.length - strlen(prefix);

	if (!fw_str_starts(text, prefix) || digits < 1 || digits > 2)
		return false;
	for (size_t i = strlen(prefix); i < text.length; i++) {
		char digit = (char)tolower((unsigned char)text.text[i]);

		if (!isxdigit((unsigned char)digit))
			return false;
		value = value * 16 + (uint64_t)(isdigit((unsigned char)digit) ? digit - '0' : digit - 'a' + 10);
	}
	*config = value;
	return true;
}

bool fw_power_scale_parse(struct fw_str text, double *joules)
{
	double value;

	if (!fw_str_to_double(fw_str_trim(text), &value) || !(value >= LEAST_SCALE && value <= 1))
		return false;
	*joules = value;
	return true;
}

bool fw_power_unit_parse(struct fw_str text)
{
	return fw_str_is(fw_str_trim(text), "Joules");
}
