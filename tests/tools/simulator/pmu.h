/* SPDX-License-Identifier: Apache-2.0
 *
 * The same joules as the kernel's power PMU shows them: its files in DIR/sys/bus/event_source/devices/power, and each count in
 * DIR/perf/<config>.<cpu> as a decimal number. No process can make a perf event of its own, so a reader that is tested with
 * these opens and reads them where it would else ask the kernel (struct fw_power_ops).
 */
#pragma once

#include <stdbool.h>

enum { SIM_PMU_PACKAGE = 2, SIM_PMU_DRAM = 3, SIM_PMU_EVENTS = 16 };

struct sim_pmu {
	int fds[SIM_PMU_EVENTS];
	unsigned count;
};

/* One event for each package and, with_dram, one for the memory of each: in the order of zones. On error a line on standard
 * error and false. */
bool sim_pmu_make(struct sim_pmu *pmu, const char *root, unsigned packages, unsigned cpus, bool with_dram);
/* joules: true ones since the beginning. */
void sim_pmu_show(struct sim_pmu *pmu, unsigned number, double joules);
