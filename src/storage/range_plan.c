/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan of an input's ranges, from the objects' sizes to the cuts. Everything here happens on the loop's thread.
 */
#include "storage/range_plan.h"

#include <stdlib.h>

#include "storage/range_cut.h"

struct fw_range_plan {
	struct fw_range_format format;
	char **keys;
	struct fw_cut_object *objects;
	size_t object_count;
	struct fw_cut *cuts;
	size_t cut_count;
	fw_range_plan_fn *done;
	void *context;
	bool cancelled;
};

static void free_plan(struct fw_range_plan *plan)
{
	for (size_t i = 0; i < plan->object_count; i++)
		free(plan->keys[i]);
	free(plan->keys);
	free(plan->objects);
	free(plan->cuts);
	free(plan);
}

static void tell(void *context)
{
	struct fw_range_plan *plan = context;
	struct fw_ranges ranges = {0};
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = plan->cancelled ? fw_fail(&error, FW_E_CANCELLED, "cancelled") : FW_OK;

	if (rc == FW_OK)
		fw_cut_ranges(plan->objects, plan->object_count, plan->cuts, plan->cut_count, &ranges);
	plan->done(plan->context, rc, &ranges, error);
	free(ranges.list.items);
	free_plan(plan);
}

struct fw_range_plan *fw_range_plan(struct fw_loop *loop, struct fw_storage *storage,
                                    const struct fw_range_request *request, fw_range_plan_fn *done, void *context)
{
	struct fw_range_plan *plan = fw_alloc(sizeof *plan);
	size_t count = request->object_count;

	(void)storage;
	*plan = (struct fw_range_plan){
		.format = request->format,
		.keys = fw_alloc_array(count + 1, sizeof(char *)),
		.objects = fw_alloc_array(count + 1, sizeof *plan->objects),
		.object_count = count,
		.cuts = fw_alloc_array(request->parts, sizeof *plan->cuts),
		.cut_count = request->parts - 1,
		.done = done,
		.context = context,
	};
	for (size_t i = 0; i < count; i++) {
		plan->keys[i] = fw_strdup(request->objects[i].key);
		plan->objects[i].bytes = request->objects[i].bytes;
	}
	fw_cut_targets(plan->objects, count, request->parts, plan->cuts);
	fw_loop_defer(loop, tell, plan);
	return plan;
}

void fw_range_plan_cancel(struct fw_range_plan *plan)
{
	plan->cancelled = true;
}
