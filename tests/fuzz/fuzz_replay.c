/* SPDX-License-Identifier: Apache-2.0
 *
 * Stored readings: whatever a page holds, a replay ends, and each figure of it is finite, not negative and within its
 * interval. Sources: src/energy/replay.c, feed.c, feed_header.c, attribution*.c, ledger.c, floor.c.
 */
#include <math.h>
#include <stdlib.h>

#include "energy/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(void *context, const struct fw_replay_cut *cut)
{
	(void)context;
	for (size_t i = 0; i < cut->count; i++) {
		const struct fw_figure *figure = &cut->shares[i].figure;

		if (!(figure->low >= 0 && figure->low <= figure->joules && figure->joules <= figure->high && isfinite(figure->high)))
			abort();
		if (!(figure->dynamic_low >= 0 && figure->dynamic_low <= figure->dynamic_j &&
		      figure->dynamic_j <= figure->dynamic_high && figure->idle_j >= 0))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FW_CLEANUP(fw_replay_free) struct fw_replay *replay = fw_replay_new(look, NULL);

	(void)fw_replay_page(replay, data, size, NULL);
	fw_cleanup_json json_t *books = fw_replay_books(replay);

	return 0;
}
