/* SPDX-License-Identifier: Apache-2.0
 *
 * The parsers behind machine.h, for its own files and their tests.
 */
#pragma once

#include "base/str.h"
#include "host/machine.h"

/* /proc/cpuinfo: the first processor stands for all. */
void fw_machine_parse_cpuinfo(struct fw_str text, struct fw_machine *machine);
/* ARM has no model name: implementer and part number name the core. */
void fw_machine_parse_midr(struct fw_str text, struct fw_machine *machine);
/* Architecture, kernel, hypervisor. */
void fw_machine_read_system(const struct fw_root *root, struct fw_str cpuinfo, struct fw_machine *machine);
