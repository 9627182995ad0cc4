/* SPDX-License-Identifier: Apache-2.0
 *
 * A counter of joules that is updated seldom, or costs too much to be read often, bridged by the power of the same part:
 * asked before its next update it has used nothing by the counter, which nobody believes. Pure. What was told only rises:
 * where the counter then shows less than the power had promised, nothing is added until it has caught up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "energy/domain.h"

/* So long a counter may stand still before its power is no longer taken for it: then it is broken, not late. */
#define FW_BRIDGE_MOST_S 1.0

struct fw_bridge {
	bool has_count;
	double counted_j, told_j;
	double ahead_j;    /* by power since the counter moved */
	double watts;      /* NAN unknown */
	uint64_t moved_ns; /* when the counter moved last, as far as was seen */
	uint64_t until_ns; /* power is added up to here */
};

void fw_bridge_init(struct fw_bridge *bridge);
/* The counter was read. */
void fw_bridge_count(struct fw_bridge *bridge, double joules, uint64_t at_ns);
/* Joules up to now. `watts` of this moment, NAN where nothing tells. Returns flags of a reading: FW_DOMAIN_EARLY, the counter
 * alone would have told less; FW_DOMAIN_STALE, it stands still. */
unsigned fw_bridge_tell(struct fw_bridge *bridge, double watts, uint64_t at_ns, double *joules);
