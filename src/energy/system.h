/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel tells of the whole machine: normalised metrics, and the sensors that are sampled while invocations run.
 */
#pragma once

#include "base/json.h"
#include "energy/monitor.h"

struct fw_system;

/* FW_E_ABSENT when there is no /proc. Takes the first snapshot: deltas count from here. */
int fw_system_new(const struct fw_root *root, const struct fw_machine *machine, struct fw_system **system,
                  struct fw_error **err);
void fw_system_free(struct fw_system *system);
char *fw_system_describe(const struct fw_system *system);

/* {"name": {"value": …, "unit": …}}; what is unknown is null. CPU shares are since the call before. Main thread. */
json_t *fw_system_metrics(struct fw_system *system);

/* Sampler thread: frequency and temperature, where there are sensors. */
void fw_system_sample_sensors(struct fw_system *system);
/* Same thread: lowest, mean and highest of the samples within. */
void fw_system_fill_sensors(const struct fw_system *system, uint64_t begin_ns, uint64_t end_ns,
                            struct fw_record *record);

struct fw_system *fw_monitor_system_of(struct fw_monitor *monitor);
