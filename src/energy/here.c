/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens what the EnergyManager stands on, in its order, and closes it the other way round.
 */
#include "energy/here.h"

#include <math.h>
#include <stdlib.h>

#include "base/memory.h"

static int open_counters_root(const char *wanted, struct fw_energy_here *here, struct fw_error **err)
{
	const char *variable = getenv("FLEXWATT_COUNTERS_ROOT");
	const char *path = wanted ? wanted : variable;

	if (wanted && !*wanted)
		return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "--counters-root '' is no directory"),
		                     "the directory that holds the host's sys; without the option: /");
	if (!path || !*path)
		return FW_OK;
	int rc = fw_root_open(path, &here->counters_root, err);

	return rc == FW_OK ? rc : fw_error_hint(err, rc, "%s is the directory that holds the host's sys",
	                                        wanted ? "--counters-root" : "FLEXWATT_COUNTERS_ROOT");
}

int fw_energy_here_open(bool sampled, const char *counters_root, struct fw_energy_here **here, struct fw_error **err)
{
	struct fw_energy_here *fresh = fw_alloc(sizeof *fresh);

	fresh->root.fd = fresh->counters_root.fd = -1;
	int rc = fw_root_open("/", &fresh->root, err);

	if (rc == FW_OK)
		rc = open_counters_root(counters_root, fresh, err);
	if (rc == FW_OK)
		rc = fw_machine_read(&fresh->root, &fresh->machine, err);
	if (rc == FW_OK)
		rc = fw_catalogue_open(NULL, &fresh->catalogue, err);
	struct fw_energy_options options = {.context = {&fresh->root, &fresh->machine, fresh->catalogue},
	                                    .no_sampler = !sampled,
	                                    .counters_root = fresh->counters_root.fd >= 0 ? &fresh->counters_root : NULL};

	if (rc == FW_OK)
		rc = fw_energy_manager_new(&options, &fresh->manager, err);
	if (rc != FW_OK) {
		fw_energy_here_close(fresh);
		return rc;
	}
	*here = fresh;
	return FW_OK;
}

void fw_energy_here_close(struct fw_energy_here *here)
{
	if (!here)
		return;
	fw_energy_manager_free(here->manager);
	fw_catalogue_close(here->catalogue);
	fw_root_close(&here->counters_root);
	fw_root_close(&here->root);
	free(here);
}

void fw_energy_here_reserve(const struct fw_energy_here *here, double cpus, struct fw_metered *metered)
{
	metered->vcpus = isnan(cpus) ? here->machine.cpus_allowed : cpus;
	metered->memory_mb = 0;
}
