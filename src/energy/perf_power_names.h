/* SPDX-License-Identifier: Apache-2.0
 *
 * Foreign text of a PMU's folder in sysfs. Strict: an event that is written otherwise than the kernel's driver of the
 * power PMU does it is one that we do not understand, and is left out.
 */
#pragma once

#include "base/str.h"

bool fw_power_type_parse(struct fw_str text, uint32_t *type);
/* "config:0-7": an event is a number of at most eight bits. */
bool fw_power_format_parse(struct fw_str text);
/* "event=0x02" */
bool fw_power_event_parse(struct fw_str text, uint64_t *config);
/* Joules of one count: "2.3283064365386962890625e-10". More than one joule, or next to none, is none. */
bool fw_power_scale_parse(struct fw_str text, double *joules);
/* "Joules" */
bool fw_power_unit_parse(struct fw_str text);
