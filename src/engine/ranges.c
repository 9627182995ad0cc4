/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages whose input is cut into ranges. The cuts are another's to find: the engine asks for them when the list of
 * objects is closed, and what it is told is an event in the log, so that a resumed run has the same tasks with the same
 * bytes. Seconds need no plan: every task does its part of every object.
 *
 * Invariant: the tasks of such a stage are the parts of its plan, none is empty.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>
#include <string.h>

bool fw_input_needs_plan(const struct fw_input *input)
{
	return input->range.kind != FW_RANGE_NONE && input->range.kind != FW_RANGE_SECONDS;
}

static struct input *cut_of(const struct stage *stage)
{
	if (stage->partitioned == UINT32_MAX || !fw_input_needs_plan(&stage->plan->inputs.items[stage->partitioned]))
		return NULL;
	return &stage->inputs[stage->partitioned];
}

void fw_stage_ask_plan(struct fw_engine *engine, uint32_t stage)
{
	struct input *input = cut_of(&engine->stages[stage]);

	if (!input || input->planning || input->planned || !input->list.count)
		return;
	input->planning = true;
	engine->lists++;
	fw_engine_act(engine, &(struct fw_engine_action){
		.kind = FW_ACT_PLAN, .stage = stage, .input = engine->stages[stage].partitioned});
}

bool fw_stage_has_cuts(const struct stage *stage)
{
	const struct input *input = cut_of(stage);

	return input && input->planned;
}

bool fw_stage_is_cut(const struct stage *stage)
{
	const struct input *input = cut_of(stage);

	return !input || input->planned || !input->list.count;
}

size_t fw_stage_part_count(const struct stage *stage)
{
	const struct input *input = &stage->inputs[stage->partitioned];

	if (stage->plan->inputs.items[stage->partitioned].range.kind == FW_RANGE_SECONDS)
		return input->list.count ? (size_t)stage->plan->workers : 0;
	return input->ranges.count ? input->ranges.items[input->ranges.count - 1].part + (size_t)1 : 0;
}

/* The first range of a part or of a later one. */
static size_t first_of(const struct input *input, uint32_t part)
{
	size_t low = 0, high = input->ranges.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (input->ranges.items[middle].part < part)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void fw_stage_part(const struct stage *stage, uint32_t part, const struct fw_range **ranges, size_t *count)
{
	const struct input *input = &stage->inputs[stage->partitioned];
	size_t first = first_of(input, part);

	*ranges = &input->ranges.items[first];
	*count = first_of(input, part + 1) - first;
}

void fw_input_forget_plan(struct input *input)
{
	free(FW_TAKE(input->ranges.items));
	input->ranges.count = input->ranges.capacity = 0;
	input->planning = input->planned = false;
}

/* ---- answers ---- */

static struct input *outstanding(struct fw_engine *engine, const struct fw_engine_event *event)
{
	struct stage *stage = event->stage < engine->stage_count ? &engine->stages[event->stage] : NULL;
	struct input *input = stage && event->input == stage->partitioned ? cut_of(stage) : NULL;

	return input && input->planning ? input : NULL;
}

static int nobody_asked(const struct fw_engine_event *event, struct fw_error **err)
{
	return fw_engine_conflict(err, "stage %u, input %u: nobody asked for this plan", event->stage, event->input);
}

static int check_ranges(const struct stage *stage, const struct input *input, const struct fw_engine_event *event,
                        struct fw_error **err)
{
	uint32_t next = 0; /* part that may begin */

	if (event->version_count && event->version_count != input->list.count)
		return fw_engine_conflict(err, "stage '%s': the plan is of another list", stage->plan->name);
	for (size_t i = 0; i < event->range_count; i++) {
		const struct fw_range *range = &event->ranges[i];

		if (range->object >= input->list.count || range->offset < 0 || range->length <= 0)
			return fw_engine_conflict(err, "stage '%s': a range is of no object", stage->plan->name);
		if (range->part != next && range->part + 1 != next)
			return fw_engine_conflict(err, "stage '%s': parts of the plan are missing", stage->plan->name);
		next = range->part + 1;
	}
	if (next > (uint64_t)stage->plan->workers)
		return fw_engine_conflict(err, "stage '%s': the plan has more parts than workers", stage->plan->name);
	return FW_OK;
}

static void keep_ranges(struct fw_engine *engine, struct input *input, const struct fw_engine_event *event)
{
	const char *kept = NULL; /* the pieces of an object share its header */

	input->ranges.items = fw_alloc_array(event->range_count ? event->range_count : 1, sizeof *input->ranges.items);
	input->ranges.count = input->ranges.capacity = event->range_count;
	for (size_t i = 0; i < event->range_count; i++) {
		struct fw_range *range = &input->ranges.items[i];

		*range = event->ranges[i];
		if (range->header && (!kept || strcmp(range->header, kept) != 0))
			kept = fw_engine_key(engine, range->header);
		range->header = range->header ? kept : NULL;
	}
}

/* A stage that goes on later reads what was cut, or nothing. */
static void keep_versions(struct fw_engine *engine, struct input *input, const struct fw_engine_event *event)
{
	for (size_t i = 0; i < event->version_count; i++) {
		struct fw_engine_object *object = &input->list.items[i];
		const char *version = event->versions[i];

		if (version && (!object->version || strcmp(version, object->version) != 0))
			object->version = fw_engine_key(engine, version);
	}
}

static void no_records(struct fw_engine *engine, const struct fw_engine_event *event)
{
	const struct stage *stage = &engine->stages[event->stage];
	const struct fw_input *plan = &stage->plan->inputs.items[event->input];
	struct fw_error *why = NULL;

	fw_fail(&why, FW_E_INVALID, "stage '%s': input '%s': the objects that match '%s' are empty", stage->plan->name,
	        plan->name, plan->keys);
	fw_error_hint(&why, FW_E_INVALID, plan->range.kind == FW_RANGE_CSV && plan->range.header
	                                      ? "the first record of each is its header; header: false takes it as data"
	                                      : "there is nothing to cut into ranges");
	fw_engine_abort(engine, event->stage, why);
}

int fw_engine_planned(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	struct input *input = outstanding(engine, event);

	if (!input)
		return nobody_asked(event, err);
	const struct stage *stage = &engine->stages[event->stage];
	int rc = check_ranges(stage, input, event, err);

	if (rc != FW_OK)
		return rc;
	engine->lists--;
	input->planning = false;
	input->planned = true;
	if (stage->ended) /* given up meanwhile */
		return FW_OK;
	if (!event->range_count && stage->plan->inputs.items[event->input].keys) {
		no_records(engine, event);
		return FW_OK;
	}
	keep_ranges(engine, input, event);
	keep_versions(engine, input, event);
	fw_engine_touch(engine, event->stage);
	return FW_OK;
}

int fw_engine_plan_failed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	struct input *input = outstanding(engine, event);

	if (!input)
		return nobody_asked(event, err);
	struct stage *stage = &engine->stages[event->stage];

	engine->lists--;
	input->planning = false;
	if (stage->ended || engine->halt != HALT_NONE)
		return FW_OK;
	if (event->status == FW_STATUS_FUNCTION_ERROR) {
		stage->uncut = true;
		fw_stage_keep_failure(engine, stage, event);
		fw_engine_touch(engine, event->stage);
		return FW_OK;
	}
	struct fw_error *why = NULL;

	fw_fail(&why, FW_E_ENVIRONMENT, "stage '%s': input '%s': %s", stage->plan->name,
	        stage->plan->inputs.items[event->input].name,
	        event->error_message ? event->error_message : "the objects could not be read");
	fw_engine_abort(engine, event->stage, why);
	return FW_OK;
}
