/* SPDX-License-Identifier: Apache-2.0
 *
 * The head of a page, as it is read back. Owns its texts.
 */
#pragma once

#include <stdlib.h>

#include "base/json.h"
#include "energy/feed.h"

struct fw_feed_header {
	struct fw_attribution_machine machine;
	struct fw_domain domains[FW_ATTRIBUTION_POOLS];
	size_t count;
	char *work, *sources[FW_ATTRIBUTION_POOLS], *methods[FW_ATTRIBUTION_POOLS];
};

/* How many GPUs work is told of: one more than the highest index of a domain. */
size_t fw_feed_gpus(const struct fw_domain *domains, size_t count);
/* The JSON that a page begins with. New reference. */
json_t *fw_feed_header(const struct fw_attribution_machine *machine, const struct fw_domain *domains, size_t count,
                       const char *work);
/* On failure nothing is left to be freed. */
int fw_feed_header_read(const char *text, size_t length, struct fw_feed_header *header, struct fw_error **err);
void fw_feed_header_done(struct fw_feed_header *header);
