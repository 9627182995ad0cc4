/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a plan, from the objects' sizes to the ranges.
 */
#include <math.h>
#include <stdlib.h>

#include "storage/range_plan_internal.h"

static void free_plan(struct fw_range_plan *plan)
{
	for (size_t i = 0; i < plan->object_count; i++) {
		free(plan->keys[i]);
		free(plan->versions[i]);
		fw_csv_index_done(&plan->indexes[i]);
	}
	free(plan->keys);
	free(plan->versions);
	free(plan->listed);
	free(plan->objects);
	free(plan->indexes);
	free(plan->cuts);
	free(plan->open);
	free(plan->place);
	free(plan->cache_directory);
	fw_error_free(plan->error);
	free(plan);
}

void fw_plan_fail(struct fw_range_plan *plan, int rc, const struct fw_error *error)
{
	if (plan->rc != FW_OK)
		return;
	plan->rc = rc;
	fw_fail(&plan->error, rc, "%s", error ? fw_error_message(error) : fw_code_text(rc));
	if (error && fw_error_hint_text(error))
		fw_error_hint(&plan->error, rc, "%s", fw_error_hint_text(error));
}

void fw_plan_fail_changed(struct fw_range_plan *plan, size_t object)
{
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_storage_changed(plan->keys[object], &error);

	fw_plan_fail(plan, rc, error);
}

void fw_plan_tell(struct fw_range_plan *plan)
{
	struct fw_ranges ranges = {.versions = (const char *const *)plan->versions, .object_count = plan->object_count};

	if (plan->cancelled)
		fw_plan_fail(plan, FW_E_CANCELLED, NULL);
	if (plan->rc == FW_OK)
		fw_cut_ranges(plan->objects, plan->object_count, plan->cuts, plan->cut_count, &ranges);
	plan->done(plan->context, plan->rc, &ranges, plan->error);
	free(ranges.list.items);
	free_plan(plan);
}

static void begin(void *context)
{
	fw_plan_pass(context);
}

struct fw_range_plan *fw_range_plan(const struct fw_range_request *request, fw_range_plan_fn *done, void *context)
{
	struct fw_range_plan *plan = fw_alloc(sizeof *plan);
	size_t count = request->object_count;

	plan->loop = request->loop;
	plan->pool = request->pool;
	plan->storage = request->storage;
	plan->place = fw_strdup(request->place);
	plan->cache_directory = fw_strdup(request->cache_directory);
	plan->format = request->format;
	plan->keys = fw_alloc_array(count + 1, sizeof(char *));
	plan->versions = fw_alloc_array(count + 1, sizeof(char *));
	plan->listed = fw_alloc_array(count + 1, sizeof *plan->listed);
	plan->objects = fw_alloc_array(count + 1, sizeof *plan->objects);
	plan->indexes = fw_alloc_array(count + 1, sizeof *plan->indexes);
	plan->object_count = count;
	plan->cuts = fw_alloc_array(request->parts, sizeof *plan->cuts);
	plan->open = fw_alloc_array(request->parts, sizeof *plan->open);
	plan->cut_count = request->parts - 1;
	plan->done = done;
	plan->context = context;
	for (size_t i = 0; i < count; i++) {
		plan->keys[i] = fw_strdup(request->objects[i].key);
		plan->versions[i] = fw_strdup(request->objects[i].version);
		plan->listed[i] = plan->versions[i] != NULL;
		plan->objects[i].bytes = request->objects[i].bytes;
		plan->bytes += request->objects[i].bytes;
	}
	fw_cut_targets(plan->objects, count, request->parts, plan->cuts);
	for (size_t i = 0; i < plan->cut_count; i++)
		plan->open[i] = plan->format.kind != FW_RANGE_BYTES;
	fw_loop_defer(plan->loop, begin, plan);
	return plan;
}

double fw_range_plan_fraction(const struct fw_range_plan *plan)
{
	if (plan->format.kind != FW_RANGE_CSV || plan->bytes == 0)
		return NAN;
	return (double)atomic_load(&plan->passed_bytes) / (double)plan->bytes;
}

void fw_range_plan_cancel(struct fw_range_plan *plan)
{
	plan->cancelled = true;
}
