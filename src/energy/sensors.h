/* SPDX-License-Identifier: Apache-2.0
 *
 * Frequency and temperature while invocations run: a ring of samples from kept-open descriptors.
 */
#pragma once

#include "host/machine.h"
#include "record/record.h"

struct fw_sensors;

struct fw_sensors *fw_sensors_new(const struct fw_root *root, const struct fw_machine *machine);
void fw_sensors_free(struct fw_sensors *sensors);
unsigned fw_sensors_frequencies(const struct fw_sensors *sensors);
unsigned fw_sensors_temperatures(const struct fw_sensors *sensors);
void fw_sensors_sample(struct fw_sensors *sensors);
void fw_sensors_fill(const struct fw_sensors *sensors, uint64_t begin_ns, uint64_t end_ns, struct fw_record *record);
