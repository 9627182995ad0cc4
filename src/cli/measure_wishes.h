/* SPDX-License-Identifier: Apache-2.0
 *
 * What the options of `measure` ask for, and what of it cannot be: wrong usage is told before anything is measured.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "catalogue/catalogue.h"
#include "host/machine.h"

struct fw_measure_wishes {
	int64_t repeat, memory_mb, pid;
	const char *for_text, *system_text, *cpus_text, *region, *output, *counters_root;
	bool watch, json, shares;
	uint64_t for_ns;
	double cpus;
};

/* Options that do not go together, bounds, numbers as texts. `command`: there is one. Sets for_ns, cpus (NAN: not asked for) and repeat. */
int fw_measure_check_wishes(struct fw_measure_wishes *wishes, bool command, struct fw_error **err);
/* What depends on the machine, and on the tables. */
int fw_measure_check_cpus(const struct fw_machine *machine, const struct fw_measure_wishes *wishes, struct fw_error **err);
int fw_measure_check_region(const struct fw_catalogue *catalogue, const char *region, struct fw_error **err);
