/* SPDX-License-Identifier: Apache-2.0
 *
 * What one `measure` learns of the machine's idle power serves the next: a command is often over before any moment was quiet.
 * It lies beside the store, in floor.json, of the machine and the counters that it is of.
 */
#pragma once

#include "energy/here.h"

/* Without counters, or without a file that fits, the floor is found anew. */
void fw_measure_floor_take(const struct fw_energy_here *here, const char *counters_root);
/* What cannot be kept is only found anew. */
void fw_measure_floor_keep(const struct fw_energy_here *here, const char *counters_root);
