/* SPDX-License-Identifier: Apache-2.0
 *
 * How sysfs describes a PMU of energy: as the kernel's driver writes it, or not at all.
 */
#include "base/memory.h"
#include "energy/perf_power_names.h"
#include "tests/unit/support.h"

static void the_kernels_words_are_understood(void **state)
{
	uint64_t config;
	uint32_t type;
	double joules;

	(void)state;
	assert_true(fw_power_event_parse(FW_STR("event=0x02\n"), &config) && config == 2);
	assert_true(fw_power_event_parse(FW_STR("event=0xfE"), &config) && config == 0xfe);
	assert_true(fw_power_scale_parse(FW_STR("2.3283064365386962890625e-10\n"), &joules));
	assert_near(joules, 0x1p-32, 0);
	assert_true(fw_power_unit_parse(FW_STR("Joules\n")));
	assert_true(fw_power_format_parse(FW_STR("config:0-7\n")));
	assert_true(fw_power_type_parse(FW_STR("15\n"), &type) && type == 15);
}

static void other_words_are_not(void **state)
{
	static const char *const events[] = {"", "event=2", "event=0x", "event=0x123", "event=0x0g", "event=0x03,umask=0x1",
	                                     "umask=0x03", "event=0x03 x", "event="};
	static const char *const scales[] = {"", "0", "-1", "nan", "inf", "1e-30", "2", "0x1p-32", "1e-10 J"};
	static const char *const units[] = {"", "Watts", "joules", "mJoules"};
	static const char *const formats[] = {"", "config1:0-7", "config:0-15", "config"};
	static const char *const types[] = {"", "0", "-1", "x", "4294967296"};
	uint64_t config;
	uint32_t type;
	double joules;

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(events); i++)
		assert_false(fw_power_event_parse(fw_str_of(events[i]), &config));
	for (size_t i = 0; i < FW_COUNT_OF(scales); i++)
		assert_false(fw_power_scale_parse(fw_str_of(scales[i]), &joules));
	for (size_t i = 0; i < FW_COUNT_OF(units); i++)
		assert_false(fw_power_unit_parse(fw_str_of(units[i])));
	for (size_t i = 0; i < FW_COUNT_OF(formats); i++)
		assert_false(fw_power_format_parse(fw_str_of(formats[i])));
	for (size_t i = 0; i < FW_COUNT_OF(types); i++)
		assert_false(fw_power_type_parse(fw_str_of(types[i]), &type));
}

FW_TESTS(the_kernels_words_are_understood, other_words_are_not)
