/* SPDX-License-Identifier: Apache-2.0
 *
 * The trapezoid of power over the time since the counter moved, dropped as soon as it moves again.
 */
#include "energy/bridge.h"

#include <math.h>

void fw_bridge_init(struct fw_bridge *bridge)
{
	*bridge = (struct fw_bridge){.watts = NAN};
}

void fw_bridge_count(struct fw_bridge *bridge, double joules, uint64_t at_ns)
{
	if (bridge->has_count && !(joules > bridge->counted_j))
		return;
	bridge->has_count = true;
	bridge->counted_j = joules;
	bridge->told_j = fmax(bridge->told_j, joules);
	bridge->ahead_j = 0;
	bridge->moved_ns = bridge->until_ns = at_ns;
}

unsigned fw_bridge_tell(struct fw_bridge *bridge, double watts, uint64_t at_ns, double *joules)
{
	uint64_t limit_ns = bridge->moved_ns + (uint64_t)(FW_BRIDGE_MOST_S * 1e9);
	uint64_t until_ns = at_ns < limit_ns ? at_ns : limit_ns;
	double before_w = isnan(bridge->watts) ? watts : bridge->watts;

	if (bridge->has_count && until_ns > bridge->until_ns) {
		double moved_j = (before_w + watts) / 2 * ((double)(until_ns - bridge->until_ns) / 1e9);

		if (moved_j > 0) /* NAN is not */
			bridge->ahead_j += moved_j;
		bridge->until_ns = until_ns;
	}
	bridge->watts = watts;
	bridge->told_j = fmax(bridge->told_j, bridge->counted_j + bridge->ahead_j);
	*joules = bridge->told_j;
	return (bridge->told_j > bridge->counted_j ? FW_DOMAIN_EARLY : 0) |
	       (bridge->has_count && at_ns > limit_ns ? FW_DOMAIN_STALE : 0);
}
