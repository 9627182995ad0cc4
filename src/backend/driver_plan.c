/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans of ranges: the engine asks where to cut the objects of an input, the storage is read for it, and the answer is
 * an event of the run. When the run is cancelled no more is read for a
 * plan than what is on its way, and nothing at all once the storage is.
 */
#include <math.h>
#include <stdlib.h>

#include "backend/driver_internal.h"
#include "storage/range_plan.h"

struct fw_driver_cut {
	struct fw_driver *driver;
	struct fw_driver_cut *next;
	struct fw_range_plan *plan;
	uint32_t stage, input;
};

static void forget(struct fw_driver_cut *cut)
{
	struct fw_driver_cut **at = &cut->driver->cuts;

	while (*at != cut)
		at = &(*at)->next;
	*at = cut->next;
	free(cut);
}

static void planned(void *context, int rc, const struct fw_ranges *ranges, const struct fw_error *error)
{
	struct fw_driver_cut *cut = context;
	struct fw_driver *driver = cut->driver;
	const struct fw_input *input = &driver->workflow->stages.items[cut->stage].inputs.items[cut->input];
	fw_cleanup_free char *message = NULL;
	struct fw_engine_event event = {.kind = FW_EV_PLAN_FAILED, .stage = cut->stage, .input = cut->input};

	if (rc == FW_OK) {
		event.kind = FW_EV_PLANNED;
		event.ranges = ranges->list.items;
		event.range_count = ranges->list.count;
		event.versions = ranges->versions;
		event.version_count = ranges->object_count;
		if (ranges->list.count == 0 && input->keys && !driver->empty) {
			driver->recordless = true;
			driver->empty = input;
		}
	} else {
		event.status = rc == FW_E_INVALID ? FW_STATUS_FUNCTION_ERROR : FW_STATUS_LOST;
		event.error_type = rc == FW_E_INVALID    ? "Storage.Malformed"
		                   : rc == FW_E_CONFLICT ? "Storage.Changed"
		                                         : "Storage.ReadFailed";
		message = fw_driver_told(error);
		event.error_message = message;
	}
	forget(cut);
	fw_driver_feed(driver, &event);
}

void fw_driver_plan(struct fw_driver *driver, const struct fw_engine_action *action)
{
	const struct fw_stage *stage = &driver->workflow->stages.items[action->stage];
	struct fw_driver_cut *cut = fw_alloc(sizeof *cut);
	fw_cleanup_free char *cache = fw_printf("%s/ranges", driver->state_directory);
	struct fw_range_request request = {
		.loop = driver->loop,
		.pool = driver->pool,
		.storage = driver->storage,
		.place = driver->workflow->storage,
		.format = stage->inputs.items[action->input].range,
		.parts = (uint32_t)stage->workers,
		.cache_directory = cache,
	};
	const struct fw_engine_object *objects =
		fw_engine_input(driver->engine, action->stage, action->input, &request.object_count);
	fw_cleanup_free struct fw_range_object *list = fw_alloc_array(request.object_count + 1, sizeof *list);

	for (size_t i = 0; i < request.object_count; i++)
		list[i] = (struct fw_range_object){objects[i].key, objects[i].version, objects[i].bytes};
	request.objects = list;
	*cut = (struct fw_driver_cut){driver, driver->cuts, NULL, action->stage, action->input};
	driver->cuts = cut;
	cut->plan = fw_range_plan(&request, planned, cut);
	if (driver->cancels > 0)
		fw_range_plan_cancel(cut->plan);
}

double fw_driver_cutting(const struct fw_driver *driver, uint32_t stage)
{
	for (const struct fw_driver_cut *cut = driver->cuts; cut; cut = cut->next)
		if (cut->stage == stage)
			return fw_range_plan_fraction(cut->plan);
	return NAN;
}

void fw_driver_cancel_plans(struct fw_driver *driver)
{
	for (struct fw_driver_cut *cut = driver->cuts; cut; cut = cut->next)
		fw_range_plan_cancel(cut->plan);
}
