/* SPDX-License-Identifier: Apache-2.0
 *
 * The EnergyManager of this machine with everything that it stands on: the root directory, the machine, the tables. For
 * whoever measures without a run: `measure`, `monitors`, the embeddable meter.
 */
#pragma once

#include "energy/manager.h"

struct fw_energy_here {
	struct fw_root root;
	struct fw_root counters_root; /* where energy counters are; fd -1: with everything else */
	struct fw_machine machine;
	struct fw_catalogue *catalogue;
	struct fw_energy_manager *manager;
};

/* `sampled`: with the sampler thread, which reads memory and counters while something is metered. `counters_root`: the directory
 * that stands for "/" for energy counters alone; NULL: $FLEXWATT_COUNTERS_ROOT, else as everything. */
int fw_energy_here_open(bool sampled, const char *counters_root, struct fw_energy_here **here, struct fw_error **err);
void fw_energy_here_close(struct fw_energy_here *here);
FW_DEFINE_CLEANUP(struct fw_energy_here *, fw_energy_here_close)

/* What a program reserves that shares this machine with nobody by contract: `cpus` of its CPUs (NAN: all that we may use), and
 * of its memory what it uses. */
void fw_energy_here_reserve(const struct fw_energy_here *here, double cpus, struct fw_metered *metered);
