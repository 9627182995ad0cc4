/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects: what was listed, what tasks published, and how it reaches the tasks of the next stage.
 *
 * Invariants: a list is sorted by (producer task, ordinal), listed keys by their bytes; a scattered list is laid out
 * task after task, so that the objects of a task are one array; texts of keys never move.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_BLOCK = 1 << 16 };

const char *fw_engine_key(struct fw_engine *engine, const char *key)
{
	size_t size = strlen(key) + 1;

	if (size > engine->key_room) {
		size_t room = size > KEY_BLOCK ? size : KEY_BLOCK;
		struct key_block *block = fw_alloc(sizeof *block + room);

		block->next = engine->keys;
		engine->keys = block;
		engine->key_end = block->text;
		engine->key_room = room;
	}
	char *kept = memcpy(engine->key_end, key, size);

	engine->key_end += size;
	engine->key_room -= size;
	return kept;
}

static struct fw_engine_object kept(struct fw_engine *engine, const struct fw_engine_object *object, uint32_t output)
{
	return (struct fw_engine_object){fw_engine_key(engine, object->key), object->bytes, output,
	                                 object->version ? fw_engine_key(engine, object->version) : NULL};
}

/* ---- listed from the storage ---- */

void fw_stage_ask_lists(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];

	for (uint32_t i = 0; i < of->plan->inputs.count; i++) {
		if (!of->plan->inputs.items[i].keys || of->inputs[i].asked)
			continue;
		of->inputs[i].asked = true;
		of->inputs[i].holds = engine->beginning;
		engine->lists++;
		engine->holding += engine->beginning;
		fw_engine_act(engine, &(struct fw_engine_action){.kind = FW_ACT_LIST, .stage = stage, .input = i});
	}
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct fw_engine_object *)a)->key, ((const struct fw_engine_object *)b)->key);
}

static bool is_sorted(const struct fw_engine_event *event)
{
	for (size_t i = 1; i < event->object_count; i++)
		if (by_key(&event->objects[i - 1], &event->objects[i]) > 0)
			return false;
	return true;
}

static struct input *outstanding(struct fw_engine *engine, const struct fw_engine_event *event)
{
	struct stage *stage = event->stage < engine->stage_count ? &engine->stages[event->stage] : NULL;
	struct input *input = stage && event->input < stage->plan->inputs.count ? &stage->inputs[event->input] : NULL;

	return input && input->asked && !input->answered ? input : NULL;
}

static void answered(struct fw_engine *engine, struct input *input)
{
	engine->lists--;
	engine->holding -= input->holds;
	input->holds = false;
	input->answered = true;
}

static const struct fw_input *plan_of(const struct fw_engine *engine, const struct fw_engine_event *event)
{
	return &engine->stages[event->stage].plan->inputs.items[event->input];
}

static void nothing_listed(struct fw_engine *engine, const struct fw_engine_event *event)
{
	const struct fw_input *plan = plan_of(engine, event);
	struct fw_error *why = NULL;

	fw_fail(&why, FW_E_INVALID, "stage '%s': input '%s': no object matches '%s'",
	        engine->stages[event->stage].plan->name, plan->name, plan->keys);
	fw_error_hint(&why, FW_E_INVALID, "globs are relative to the storage: '*' stays within one directory, '**' does not");
	fw_engine_abort(engine, event->stage, why);
}

int fw_engine_listed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	struct input *input = outstanding(engine, event);

	if (!input)
		return fw_engine_conflict(err, "stage %u, input %u: nobody asked for this list", event->stage, event->input);
	if (event->object_count >= UINT32_MAX)
		return fw_fail(err, FW_E_LIMIT, "stage %u, input %u: too many objects", event->stage, event->input);
	answered(engine, input);
	if (engine->stages[event->stage].ended) /* skipped meanwhile */
		return FW_OK;
	if (!event->object_count) {
		nothing_listed(engine, event);
		return FW_OK;
	}
	input->list.items = fw_alloc_array(event->object_count, sizeof *input->list.items);
	input->list.capacity = input->list.count = event->object_count;
	for (size_t i = 0; i < event->object_count; i++)
		input->list.items[i] = kept(engine, &event->objects[i], 0);
	if (!is_sorted(event))
		qsort(input->list.items, input->list.count, sizeof *input->list.items, by_key);
	fw_engine_touch(engine, event->stage);
	return FW_OK;
}

int fw_engine_list_failed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	struct input *input = outstanding(engine, event);
	struct fw_error *why = NULL;

	if (!input)
		return fw_engine_conflict(err, "stage %u, input %u: nobody asked for this list", event->stage, event->input);
	answered(engine, input);
	if (engine->stages[event->stage].ended)
		return FW_OK;
	fw_fail(&why, FW_E_ENVIRONMENT, "stage '%s': input '%s': %s", engine->stages[event->stage].plan->name,
	        plan_of(engine, event)->name,
	        event->error_message ? event->error_message : "the storage could not be listed");
	fw_engine_abort(engine, event->stage, why);
	return FW_OK;
}

/* ---- closed lists ---- */

size_t fw_stage_partition_count(const struct stage *stage)
{
	if (stage->plan->inputs.items[stage->partitioned].range.kind != FW_RANGE_NONE)
		return fw_stage_part_count(stage);
	size_t objects = stage->inputs[stage->partitioned].list.count;
	size_t workers = (size_t)stage->plan->workers;

	return fw_stage_is_each(stage->plan) || objects < workers ? objects : workers;
}

static void gather(const struct stage *producer, struct input *input)
{
	size_t count = 0;

	for (size_t i = 0; i < producer->objects.count; i++)
		count += producer->objects.items[i].output == input->from_output;
	input->list.items = fw_alloc_array(count ? count : 1, sizeof *input->list.items);
	input->list.capacity = count ? count : 1;
	for (uint32_t i = 0; i < producer->tasks.count; i++) {
		const struct task *task = &producer->tasks.items[fw_stage_at(producer, i)];

		for (uint32_t k = 0; k < task->object_count; k++) {
			const struct fw_engine_object *object = &producer->objects.items[task->first_object + k];

			if (object->output == input->from_output)
				input->list.items[input->list.count++] = *object;
		}
	}
}

/* Round-robin: task t gets objects t, t + N, t + 2 N, ..., laid side by side. */
static void deal(struct input *input, size_t tasks)
{
	size_t count = input->list.count, filled = 0;

	if (tasks <= 1 || tasks >= count)
		return;
	struct fw_engine_object *dealt = fw_alloc_array(count, sizeof *dealt);

	for (size_t task = 0; task < tasks; task++)
		for (size_t i = task; i < count; i += tasks)
			dealt[filled++] = input->list.items[i];
	free(input->list.items);
	input->list.items = dealt;
	input->list.capacity = count;
}

void fw_stage_close_lists(struct fw_engine *engine, struct stage *stage)
{
	for (uint32_t i = 0; i < stage->plan->inputs.count; i++) {
		const struct fw_input *plan = &stage->plan->inputs.items[i];

		if (stage->shape == SHAPE_FLOW && i == stage->partitioned)
			continue;
		if (!plan->keys) {
			free(stage->inputs[i].list.items);
			stage->inputs[i].list.count = 0;
			gather(&engine->stages[plan->from_stage], &stage->inputs[i]);
		}
		if (i == stage->partitioned && plan->range.kind == FW_RANGE_NONE)
			deal(&stage->inputs[i], fw_stage_partition_count(stage));
	}
}

/* ---- what tasks published ---- */

void fw_stage_publish(struct fw_engine *engine, struct stage *stage, uint32_t slot, const struct fw_engine_event *event)
{
	struct task *task = &stage->tasks.items[slot];

	task->first_object = (uint32_t)stage->objects.count;
	task->object_count = (uint32_t)event->object_count;
	for (size_t i = 0; i < event->object_count; i++)
		FW_PUSH(&stage->objects, kept(engine, &event->objects[i], event->objects[i].output));
	FW_PUSH(&stage->commits, slot);
	if (!event->result)
		return;
	if (slot >= stage->result_capacity) {
		size_t capacity = stage->tasks.capacity > slot ? stage->tasks.capacity : slot + 1u;

		stage->results = fw_realloc_array(stage->results, capacity, sizeof(json_t *));
		memset(stage->results + stage->result_capacity, 0, (capacity - stage->result_capacity) * sizeof(json_t *));
		stage->result_capacity = capacity;
	}
	json_decref(stage->results[slot]);
	stage->results[slot] = json_incref((json_t *)(uintptr_t)event->result);
}

/* Whether a stage has one result or a list of them is its plan's matter, never that of how many objects came. */
static bool has_one_result(const struct stage *stage)
{
	return stage->plan->workers == 1; /* an `each` stage says auto */
}

void fw_stage_gather_results(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];

	json_decref(FW_TAKE(engine->results[stage]));
	if (!of->results)
		return;
	if (has_one_result(of)) {
		engine->results[stage] = json_incref(of->results[0]);
		return;
	}
	json_t *all = json_array();

	for (uint32_t i = 0; i < of->tasks.count; i++) {
		uint32_t slot = fw_stage_at(of, i);
		json_t *result = slot < of->result_capacity ? of->results[slot] : NULL;

		json_array_append_new(all, result ? json_incref(result) : json_null());
	}
	engine->results[stage] = all;
}

/* ---- what a task is given ---- */

const struct fw_engine_object *fw_engine_input(const struct fw_engine *engine, uint32_t stage, uint32_t input,
                                               size_t *count)
{
	*count = engine->stages[stage].inputs[input].list.count;
	return engine->stages[stage].inputs[input].list.items;
}

static void objects_of(const struct fw_engine *engine, const struct stage *stage, uint32_t slot, uint32_t input,
                       const struct fw_engine_object **objects, size_t *count)
{
	const struct input *of = &stage->inputs[input];
	size_t all = of->list.count, tasks = stage->tasks.count;

	*objects = of->list.items;
	*count = all;
	if (input != stage->partitioned || stage->plan->inputs.items[input].range.kind != FW_RANGE_NONE)
		return;
	if (stage->shape == SHAPE_FLOW) {
		*objects = &engine->stages[stage->from].objects.items[stage->tasks.items[slot].source_object];
		*count = 1;
		return;
	}
	size_t share = all / tasks, more = all % tasks; /* the first `more` tasks have one object more */

	*objects += slot * share + (slot < more ? slot : more);
	*count = share + (slot < more);
}

void fw_engine_task_inputs(struct fw_engine *engine, uint32_t stage, uint32_t task, struct fw_task_inputs *inputs)
{
	const struct stage *of = &engine->stages[stage];
	uint32_t slot = 0;

	*inputs = (struct fw_task_inputs){.count = of->plan->inputs.count};
	inputs->inputs = fw_alloc_array(inputs->count ? inputs->count : 1, sizeof *inputs->inputs);
	if (!fw_stage_find(of, task, &slot))
		return;
	for (uint32_t i = 0; i < inputs->count; i++) {
		const struct fw_input *plan = &of->plan->inputs.items[i];

		objects_of(engine, of, slot, i, &inputs->inputs[i].objects, &inputs->inputs[i].count);
		if (fw_input_needs_plan(plan))
			fw_stage_part(of, slot, &inputs->inputs[i].ranges, &inputs->inputs[i].range_count);
		else if (plan->range.kind == FW_RANGE_SECONDS)
			inputs->inputs[i].parts = (uint32_t)of->tasks.count;
	}
}

void fw_task_inputs_done(struct fw_task_inputs *inputs)
{
	free(inputs->inputs);
	*inputs = (struct fw_task_inputs){0};
}
