/* SPDX-License-Identifier: Apache-2.0
 *
 * What a processor's maker and model say of its energy counters, whichever way they are read.
 */
#pragma once

#include "energy/monitor.h"

bool fw_platform_is_amd(const struct fw_machine *machine); /* NULL: unknown */
/* The most that one package may plausibly draw. limit_w: the highest of its limits, NAN when none is told. */
double fw_platform_package_most_w(const struct fw_monitor_context *context, double limit_w);
/* True where this kernel counts this memory by an older processor's unit: four times too low. */
bool fw_platform_has_old_dram_unit(const struct fw_machine *machine, const struct fw_domain *domain);
