/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine_world.h"

#include <string.h>

#include "tests/unit/support.h"

/* ---- building ---- */

void world_init(struct world *world)
{
	*world = (struct world){.millivcpus = 100000, .memory_mb = 100000};
	fw_buffer_init(&world->trace, 1 << 24);
	world->workflow.name = fw_strdup("test");
}

static void stage_done(struct fw_stage *stage)
{
	for (size_t i = 0; i < stage->inputs.count; i++) {
		free(stage->inputs.items[i].name);
		free(stage->inputs.items[i].keys);
		free(stage->inputs.items[i].from_output);
	}
	for (size_t i = 0; i < stage->outputs.count; i++)
		free(stage->outputs.items[i].name);
	free(stage->name);
	free(stage->inputs.items);
	free(stage->outputs.items);
	free(stage->after.items);
	free(stage->producers.items);
	free(stage->when.path);
	json_decref(stage->when.value);
	json_decref(stage->payload);
}

void world_done(struct world *world)
{
	fw_engine_free(world->engine);
	for (size_t i = 0; i < world->workflow.stages.count; i++)
		stage_done(&world->workflow.stages.items[i]);
	free(world->workflow.stages.items);
	free(world->workflow.order.items);
	free(world->workflow.name);
	free(world->actions.list.items);
	fw_buffer_done(&world->trace);
}

struct fw_stage *add_stage(struct world *world, const char *name, int64_t workers)
{
	struct fw_stage stage = {.name = fw_strdup(name), .workers = workers, .memory_mb = 128, .timeout_ms = 1000};

	stage.when.stage = SIZE_MAX;
	if (!world->workflow.stages.items) /* stages must not move: tests keep pointers to them */
		world->workflow.stages.items = fw_alloc_array(32, sizeof stage);
	world->workflow.stages.capacity = 32;
	assert_true(world->workflow.stages.count < 32);
	FW_PUSH(&world->workflow.stages, stage);
	add_output(&world->workflow.stages.items[world->workflow.stages.count - 1], "out");
	return &world->workflow.stages.items[world->workflow.stages.count - 1];
}

uint32_t stage_index(const struct world *world, const char *name)
{
	for (uint32_t i = 0; i < world->workflow.stages.count; i++)
		if (strcmp(world->workflow.stages.items[i].name, name) == 0)
			return i;
	fail_msg("no stage %s", name);
	return 0;
}

void add_output(struct fw_stage *stage, const char *name)
{
	FW_PUSH(&stage->outputs, (struct fw_output){.name = fw_strdup(name)});
}

void add_keys(struct fw_stage *stage, const char *keys, enum fw_edge edge)
{
	char *name = fw_printf("in%zu", stage->inputs.count);

	FW_PUSH(&stage->inputs, (struct fw_input){.name = name, .keys = fw_strdup(keys), .from_stage = SIZE_MAX, .edge = edge});
}

static void add_producer(struct fw_stage *stage, size_t producer)
{
	size_t at = 0;

	while (at < stage->producers.count && stage->producers.items[at] < producer)
		at++;
	if (at < stage->producers.count && stage->producers.items[at] == producer)
		return;
	FW_PUSH(&stage->producers, producer);
	for (size_t i = stage->producers.count - 1; i > at; i--)
		stage->producers.items[i] = stage->producers.items[i - 1];
	stage->producers.items[at] = producer;
}

void add_from(struct world *world, struct fw_stage *stage, const char *from, const char *output, enum fw_edge edge)
{
	uint32_t producer = stage_index(world, from);
	char *name = fw_printf("in%zu", stage->inputs.count);

	FW_PUSH(&stage->inputs,
	        (struct fw_input){.name = name, .from_stage = producer, .from_output = fw_strdup(output), .edge = edge});
	add_producer(stage, producer);
}

void add_after(struct world *world, struct fw_stage *stage, const char *after)
{
	FW_PUSH(&stage->after, stage_index(world, after));
	add_producer(stage, stage_index(world, after));
}

void add_when(struct world *world, struct fw_stage *stage, const char *of, const char *path, int64_t least)
{
	free(stage->when.path);
	json_decref(stage->when.value);
	stage->when = (struct fw_condition){stage_index(world, of), fw_strdup(path), FW_OP_GE, json_integer(least)};
	add_producer(stage, stage->when.stage);
}

void add_payload(struct world *world, struct fw_stage *stage, const char *json)
{
	stage->payload = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(stage->payload);
	for (uint32_t i = 0; i < world->workflow.stages.count; i++) {
		fw_cleanup_free char *reference = fw_printf("${%s.", world->workflow.stages.items[i].name);

		if (strstr(json, reference))
			add_producer(stage, i);
	}
}

void world_build(struct world *world)
{
	struct fw_error *err = NULL;

	for (size_t i = 0; i < world->workflow.stages.count; i++)
		FW_PUSH(&world->workflow.order, i);
	assert_ok(fw_engine_new(&world->workflow, &world->engine, &err), err);
}

/* ---- the conversation ---- */

static void describe(struct world *world, const struct fw_engine_action *action)
{
	const struct fw_stage *stage = action->kind == FW_ACT_FINISH ? NULL : &world->workflow.stages.items[action->stage];
	struct fw_buffer *trace = &world->trace;

	fw_buffer_text(trace, trace->length ? "; " : "");
	switch (action->kind) {
	case FW_ACT_LIST:
		fw_buffer_printf(trace, "list %s/%u", stage->name, action->input);
		break;
	case FW_ACT_PLAN:
		fw_buffer_printf(trace, "plan %s/%u", stage->name, action->input);
		break;
	case FW_ACT_DISPATCH:
		fw_buffer_printf(trace, "dispatch %s/%u.%u", stage->name, action->task, action->attempt);
		break;
	case FW_ACT_CANCEL:
		fw_buffer_printf(trace, "cancel %s/%u.%u", stage->name, action->task, action->attempt);
		break;
	case FW_ACT_TIMER:
		fw_buffer_printf(trace, "timer %s/%u", stage->name, action->task);
		break;
	case FW_ACT_STAGE_ENDED:
		fw_buffer_printf(trace, "%s %s", stage->name, fw_status_name(action->status));
		break;
	case FW_ACT_FINISH:
		fw_buffer_printf(trace, "finish %s", fw_status_name(action->status));
		break;
	}
}

int try_step(struct world *world, const struct fw_engine_event *event, struct fw_error **err)
{
	int rc = fw_engine_step(world->engine, event, &world->actions, err);

	fw_buffer_clear(&world->trace);
	for (size_t i = 0; i < world->actions.list.count; i++)
		describe(world, &world->actions.list.items[i]);
	return rc;
}

void step(struct world *world, const struct fw_engine_event *event)
{
	struct fw_error *err = NULL;

	assert_ok(try_step(world, event, &err), err);
}

static void with_machine(struct world *world, enum fw_event_kind kind)
{
	step(world, &(struct fw_engine_event){.kind = kind, .millivcpus = world->millivcpus, .memory_mb = world->memory_mb,
	                                      .oversubscribe = world->oversubscribe, .seed = 7});
}

void start(struct world *world)
{
	with_machine(world, FW_EV_RUN_STARTED);
}

void resume(struct world *world)
{
	with_machine(world, FW_EV_RESUMED);
}

void listed(struct world *world, const char *stage, uint32_t input, const char *const *keys, size_t count)
{
	fw_cleanup_free struct fw_engine_object *objects = fw_alloc_array(count, sizeof *objects);

	for (size_t i = 0; i < count; i++)
		objects[i] = (struct fw_engine_object){keys[i], 1, 0, NULL};
	step(world, &(struct fw_engine_event){.kind = FW_EV_LISTED, .stage = stage_index(world, stage), .input = input,
	                                      .objects = objects, .object_count = count});
}

/* Objects are named after their task: "split/0/0", "split/0/1". */
void ended_ok(struct world *world, const char *stage, uint32_t task, uint32_t attempt, size_t count)
{
	fw_cleanup_free struct fw_engine_object *objects = fw_alloc_array(count, sizeof *objects);
	char keys[16][64];

	assert_true(count <= 16);
	for (size_t i = 0; i < count; i++) {
		snprintf(keys[i], sizeof keys[i], "%s/%u/%zu", stage, task, i);
		objects[i] = (struct fw_engine_object){keys[i], 1, 0, NULL};
	}
	step(world, &(struct fw_engine_event){.kind = FW_EV_ENDED, .stage = stage_index(world, stage), .task = task,
	                                      .attempt = attempt, .objects = objects, .object_count = count});
}

void ended_as(struct world *world, const char *stage, uint32_t task, uint32_t attempt, enum fw_status status)
{
	step(world, &(struct fw_engine_event){.kind = FW_EV_ENDED, .stage = stage_index(world, stage), .task = task,
	                                      .attempt = attempt, .status = status, .error_type = "Test",
	                                      .error_message = "as the test wants"});
}

void ended_with(struct world *world, const char *stage, uint32_t task, uint32_t attempt, const char *result)
{
	fw_cleanup_json json_t *json = json_loads(result, JSON_DECODE_ANY, NULL);

	assert_non_null(json);
	step(world, &(struct fw_engine_event){.kind = FW_EV_ENDED, .stage = stage_index(world, stage), .task = task,
	                                      .attempt = attempt, .result = json});
}

void cancel(struct world *world, bool now)
{
	step(world, &(struct fw_engine_event){.kind = FW_EV_CANCEL, .now = now});
}

void timer(struct world *world, uint64_t timer)
{
	step(world, &(struct fw_engine_event){.kind = FW_EV_TIMER, .timer = timer});
}

void expect(const struct world *world, const char *trace)
{
	assert_string_equal(world->trace.data ? world->trace.data : "", trace);
}

void expect_input(struct world *world, const char *stage, uint32_t task, uint32_t input, const char *keys)
{
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_task_inputs inputs;

	fw_buffer_init(&text, 1 << 20);
	fw_engine_task_inputs(world->engine, stage_index(world, stage), task, &inputs);
	assert_true(input < inputs.count);
	for (size_t i = 0; i < inputs.inputs[input].count; i++)
		fw_buffer_printf(&text, "%s%s", i ? " " : "", inputs.inputs[input].objects[i].key);
	fw_task_inputs_done(&inputs);
	assert_string_equal(text.data ? text.data : "", keys);
}
