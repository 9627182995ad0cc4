/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of the energy domains, as records store them.
 */
#include "energy/domain.h"

const char *const fw_domain_kind_names[FW_DOMAIN_KINDS] = {
	[FW_DOMAIN_PACKAGE] = "package", [FW_DOMAIN_CORE] = "core", [FW_DOMAIN_UNCORE] = "uncore",
	[FW_DOMAIN_DRAM] = "dram",       [FW_DOMAIN_PSYS] = "psys", [FW_DOMAIN_GPU] = "gpu",
	[FW_DOMAIN_OTHER] = "other",
};
