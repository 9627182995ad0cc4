/* SPDX-License-Identifier: Apache-2.0
 *
 * Rules by processor for those who read its counters, through powercap or through the power PMU.
 */
#include "energy/platform.h"

#include <math.h>
#include <string.h>

/* Short peaks of small processors go far beyond what their limits tell; a wrap is still told from a reset by kilojoules. */
#define LEAST_MOST_W 200.0
/* A package of which neither limits nor TDP are known. */
#define UNKNOWN_PACKAGE_W 1000.0

enum { INTEL_FAMILY = 6, SAPPHIRE_RAPIDS = 143, EMERALD_RAPIDS = 207 };

bool fw_platform_is_amd(const struct fw_machine *machine)
{
	return machine && (strcmp(machine->vendor, "AuthenticAMD") == 0 || strcmp(machine->vendor, "HygonGenuine") == 0);
}

double fw_platform_package_most_w(const struct fw_monitor_context *context, double limit_w)
{
	struct fw_processor processor = {0};

	if (context->catalogue && context->machine)
		fw_catalogue_processor(context->catalogue, context->machine->cpu_model, context->machine->vendor,
		                       context->machine->family, context->machine->model, &processor);
	if (processor.exact)
		limit_w = fmax(limit_w, processor.tdp_w); /* of NAN and a number: the number */
	return isnan(limit_w) ? UNKNOWN_PACKAGE_W : fmax(1.5 * limit_w, LEAST_MOST_W);
}

/* Server DRAM was counted by 15.3 µJ whatever the processor said; since Sapphire Rapids that is wrong by four, and a
 * kernel that still does it shows the old step. */
bool fw_platform_has_old_dram_unit(const struct fw_machine *machine, const struct fw_domain *domain)
{
	return machine && machine->family == INTEL_FAMILY &&
	       (machine->model == SAPPHIRE_RAPIDS || machine->model == EMERALD_RAPIDS) &&
	       domain->kind == FW_DOMAIN_DRAM && domain->quantum_j > 15e-6 && domain->quantum_j < 16e-6;
}
