/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as what powercap and hwmon show: names of zones, chips and channels, and their numbers. Names stay printable
 * and within their bounds; counters fed with whatever was read only rise.
 * Sources: src/energy/rapl_names.c, src/energy/hwmon_names.c, src/energy/counter.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "energy/counter.h"
#include "energy/hwmon_names.h"
#include "energy/rapl_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_domain(const struct fw_domain *domain)
{
	size_t length = strnlen(domain->name, sizeof domain->name);

	check(length < sizeof domain->name);
	for (size_t i = 0; i < length; i++)
		check(domain->name[i] >= ' ' && domain->name[i] < 0x7f);
	check(domain->kind < FW_DOMAIN_KINDS && domain->package >= -1 && domain->package <= 9999 && domain->die >= -1);
	check(!(domain->kind == FW_DOMAIN_OTHER && domain->is_root));
}

static void names(struct fw_str first, struct fw_str second)
{
	struct fw_domain domain = {0};
	struct fw_rapl_entry entry = {0};
	struct fw_hwmon_file file = {0};

	fw_rapl_name_parse(first, &domain);
	check_domain(&domain);
	fw_hwmon_label_parse(first, second, &domain);
	check_domain(&domain);
	if (fw_rapl_entry_parse(first, &entry))
		check(entry.parent_length < first.length && first.length < FW_RAPL_ENTRY);
	if (fw_hwmon_file_parse(first, &file))
		check(file.number <= 9999 && (file.is_power || !file.is_average));
}

/* Each line is the next reading, a second later or, every eighth, earlier. */
static void readings(struct fw_str lines, uint64_t range)
{
	struct fw_counter counter;
	struct fw_power_sum sum;
	struct fw_domain_reading reading;
	struct fw_str line;
	double joules = 0, summed = 0, lost = 0;

	fw_counter_init(&counter, &(struct fw_counter_limits){1e-6, range, 61, 300, 1e-3});
	fw_power_sum_init(&sum, 300);
	for (uint64_t i = 1; fw_str_next_line(&lines, &line); i++) {
		uint64_t now = i % 8 ? i * 1000000000 : i * 900000000, raw;
		struct fw_microwatts power;

		if (fw_rapl_energy_parse(line, &raw))
			fw_counter_read(&counter, raw, now, now + 1000, &reading);
		else
			fw_counter_miss(&counter, now, now + 1000, &reading);
		check(reading.lost_j >= lost && (isnan(reading.joules) || reading.joules >= joules));
		lost = reading.lost_j;
		joules = isnan(reading.joules) ? joules : reading.joules;
		if (!fw_hwmon_power_parse(line, &power))
			continue;
		fw_power_sum_read(&sum, fw_watts_of_micro(power), now, now + 1000, &reading);
		check(isnan(reading.joules) || reading.joules >= summed);
		summed = isnan(reading.joules) ? summed : reading.joules;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_str text = {(const char *)data, size}, rest = text, first = {text.text, 0};
	uint64_t range = 0;

	if (size > 16384)
		return 0;
	fw_str_next_line(&rest, &first);
	names(first, rest);
	names(text, first);
	fw_rapl_energy_parse(first, &range);
	readings(rest, range);
	return 0;
}
