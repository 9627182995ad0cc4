/* SPDX-License-Identifier: Apache-2.0
 *
 * An energy manager that measures nothing and tells when a record is final: at once, when told to, or when its worker goes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "energy/manager.h"

struct fw_energy_manager {
	bool at_once; /* `done` inside fw_energy_end() */
	size_t begun, ended, workers;
	struct fw_energy_worker *first;
};
