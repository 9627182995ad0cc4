/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose work GPUs do, as the nvml monitor sees it: time of a whole GPU, cumulative, in nanoseconds, by index. A process that
 * uses half of a GPU's multiprocessors for a second has used half a second of it. With the manager's `pass` held.
 */
#pragma once

#include "energy/attribution.h"
#include "energy/monitor.h"
#include "energy/reading.h"

/* All processes together. Looks anew when that is due: a look is a call to the driver for each GPU. */
void fw_monitor_nvml_look(struct fw_monitor *monitor, double gpu_ns[FW_ATTRIBUTION_GPUS]);
/* One worker, by its processes at the latest look and now. `state` is what the monitor's meter() gave for it. */
void fw_monitor_nvml_work(struct fw_monitor *monitor, void *state, const struct fw_reading_source *source,
                          const struct fw_metered *worker, double gpu_ns[FW_ATTRIBUTION_GPUS]);
