/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the folder of a PMU describes its events: refused, or within the bounds that the reader relies on.
 * Sources: src/energy/perf_power_names.c, src/base/str.c.
 */
#include <stdlib.h>

#include "energy/perf_power_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_str text = {(const char *)data, size};
	uint64_t config;
	uint32_t type;
	double joules;

	if (fw_power_event_parse(text, &config) && config > 0xff)
		abort();
	if (fw_power_scale_parse(text, &joules) && !(joules > 0 && joules <= 1))
		abort();
	if (fw_power_type_parse(text, &type) && type == 0)
		abort();
	(void)fw_power_format_parse(text);
	(void)fw_power_unit_parse(text);
	return 0;
}
