/* SPDX-License-Identifier: Apache-2.0
 *
 * Foreign text of powercap: entries, names and numbers.
 */
#pragma once

#include "base/str.h"
#include "energy/domain.h"

enum { FW_RAPL_ENTRY = 40 };

struct fw_rapl_entry {
	bool mmio;
	size_t parent_length; /* of the entry that contains it, as a prefix; 0: top */
};
bool fw_rapl_entry_parse(struct fw_str text, struct fw_rapl_entry *entry);
/* Any text is a name: unknown ones are FW_DOMAIN_OTHER. Fills kind, name, package and die. */
void fw_rapl_name_parse(struct fw_str text, struct fw_domain *domain);
bool fw_rapl_energy_parse(struct fw_str text, uint64_t *microjoules);
