/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads of one core: two that are busy at once do less than two cores would, and draw less. How much of its CPU time is
 * taken off each slot (a worker) and the machine, when that is asked for:
 *
 *     off = factor x time x the part of that time in which another thread of the core was busy too
 *
 * with a factor of 0.5, two busy threads count as one core. That part is taken from how busy the other threads were between
 * two readings, as if independent. Pure: no clock, no files. What is taken off only rises.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "host/machine.h"

struct fw_sharing;

/* Of slots below `slots`; slot 0 is the machine. package_of: of each CPU below cpu_count. */
struct fw_sharing *fw_sharing_new(const struct fw_machine *machine, unsigned cpu_count, const uint8_t *package_of,
                                  size_t packages, uint32_t slots, double factor);
void fw_sharing_free(struct fw_sharing *sharing);
FW_DEFINE_CLEANUP(struct fw_sharing *, fw_sharing_free)

/* Cumulative time of a slot on a CPU, slot 0: of all; then once for all of them, at this time,
 * for slots below `used`, which never falls. No allocation. */
void fw_sharing_note(struct fw_sharing *sharing, unsigned cpu, uint32_t slot, uint64_t ns);
void fw_sharing_take(struct fw_sharing *sharing, uint64_t at_ns, uint32_t used);

/* What has been taken off the slot on that package since the first time. */
double fw_sharing_ns(const struct fw_sharing *sharing, uint32_t slot, size_t package);
