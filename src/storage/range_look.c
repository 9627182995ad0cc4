/* SPDX-License-Identifier: Apache-2.0
 *
 * The last look of a plan. What was found at the cuts, and in indexes that were kept, is of the objects as they were first
 * looked at: where a reading does not make sure of it by itself, they must still be that when the plan is told.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/range_plan_internal.h"

enum { LOOKS_AT_ONCE = 16 };

struct look {
	struct fw_range_plan *plan;
	size_t object;
};

/* Deferred: a storage may answer at once, within the loop that starts looks. */
static void look_ends(void *context)
{
	fw_cleanup_free struct look *look = context;

	look->plan->looks--;
	fw_plan_look(look->plan);
}

static void looked(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *error)
{
	struct look *look = context;
	struct fw_range_plan *plan = look->plan;

	if (rc != FW_OK)
		fw_plan_fail(plan, rc == FW_E_INVALID ? FW_E_IO : rc, error);
	else if (strcmp(stat->version, plan->versions[look->object]) != 0)
		fw_plan_fail_changed(plan, look->object);
	fw_loop_defer(plan->loop, look_ends, look);
}

void fw_plan_look(struct fw_range_plan *plan)
{
	while (plan->next_look < plan->object_count && plan->looks < LOOKS_AT_ONCE && plan->rc == FW_OK && !plan->cancelled) {
		size_t object = plan->next_look++;

		if (plan->listed[object])
			continue;
		struct look *look = fw_alloc(sizeof *look);

		*look = (struct look){plan, object};
		plan->looks++;
		plan->storage->ops->stat(plan->storage, plan->keys[object], looked, look);
	}
	if (plan->looks == 0)
		fw_plan_tell(plan);
}
