/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine's door: makes the state from a workflow and takes one event at a time. A step checks the event against the
 * state before it changes anything, applies it, then settles the stages that it touched and fills the machine.
 */
#include "engine/engine_internal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int fw_engine_conflict(struct fw_error **err, const char *format, ...)
{
	va_list arguments;
	struct fw_buffer text;

	fw_buffer_init(&text, 512);
	va_start(arguments, format);
	fw_buffer_vprintf(&text, format, arguments);
	va_end(arguments);
	int rc = fw_fail(err, FW_E_CONFLICT, "event contradicts the run: %s", text.data ? text.data : format);

	fw_buffer_done(&text);
	return rc;
}

void fw_engine_act(struct fw_engine *engine, const struct fw_engine_action *action)
{
	FW_PUSH(&engine->actions->list, *action);
}

void fw_engine_abort(struct fw_engine *engine, uint32_t stage, struct fw_error *why)
{
	if (engine->halt != HALT_NONE) {
		fw_error_free(why);
		return;
	}
	engine->halt = HALT_ABORT;
	engine->abort_stage = stage;
	engine->abort = why;
}

/* ---- making ---- */

static bool mentions(const json_t *json, const char *reference)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(json))
		return strstr(json_string_value(json), reference);
	json_array_foreach ((json_t *)(uintptr_t)json, i, value)
		if (mentions(value, reference))
			return true;
	json_object_foreach ((json_t *)(uintptr_t)json, key, value)
		if (mentions(value, reference))
			return true;
	return false;
}

static bool feeds(const struct fw_stage *plan, size_t producer)
{
	for (size_t i = 0; i < plan->inputs.count; i++)
		if (!plan->inputs.items[i].keys && plan->inputs.items[i].from_stage == producer)
			return true;
	return false;
}

static bool comes_after(const struct fw_stage *plan, size_t producer)
{
	for (size_t i = 0; i < plan->after.count; i++)
		if (plan->after.items[i] == producer)
			return true;
	return false;
}

static void add_gates(struct fw_engine *engine, struct stage *stage)
{
	const struct fw_stage *plan = stage->plan;

	for (size_t i = 0; i < plan->producers.count; i++) {
		size_t producer = plan->producers.items[i];
		fw_cleanup_free char *reference = fw_printf("${%s.", engine->workflow->stages.items[producer].name);
		bool after = comes_after(plan, producer);
		bool data = plan->when.stage == producer || mentions(plan->payload, reference) ||
		            (!after && !feeds(plan, producer));

		if (after || data)
			FW_PUSH(&stage->gates, (struct gate){(uint32_t)producer, data});
		FW_PUSH(&engine->stages[producer].consumers, (uint32_t)(stage - engine->stages));
	}
}

static int find_output(const struct fw_engine *engine, const struct fw_stage *plan, const struct fw_input *input,
                       uint32_t *output, struct fw_error **err)
{
	const struct fw_stage *producer = engine->stages[input->from_stage].plan;

	for (uint32_t i = 0; i < producer->outputs.count; i++) {
		if (strcmp(producer->outputs.items[i].name, input->from_output) == 0) {
			*output = i;
			return FW_OK;
		}
	}
	return fw_fail(err, FW_E_INVALID, "stage '%s': input '%s': stage '%s' has no output '%s'", plan->name, input->name,
	               producer->name, input->from_output);
}

static int plan_stage(struct fw_engine *engine, struct stage *stage, struct fw_error **err)
{
	const struct fw_stage *plan = stage->plan;
	const struct fw_input *partitioned = fw_stage_partitioned(plan);
	int rc = FW_OK;

	stage->inputs = fw_alloc_array(plan->inputs.count ? plan->inputs.count : 1, sizeof *stage->inputs);
	for (size_t i = 0; i < plan->inputs.count && rc == FW_OK; i++)
		if (!plan->inputs.items[i].keys)
			rc = find_output(engine, plan, &plan->inputs.items[i], &stage->inputs[i].from_output, err);
	if (rc != FW_OK)
		return rc;
	stage->partitioned = partitioned ? (uint32_t)(partitioned - plan->inputs.items) : UINT32_MAX;
	stage->shape = !partitioned ? SHAPE_WIDTH : SHAPE_LIST;
	if (partitioned && partitioned->edge == FW_EDGE_EACH && !partitioned->keys) {
		stage->shape = SHAPE_FLOW;
		stage->from = (uint32_t)partitioned->from_stage;
	}
	add_gates(engine, stage);
	return FW_OK;
}

static int check_same_stages(const struct fw_engine *engine, const struct fw_workflow *workflow, struct fw_error **err)
{
	bool same = workflow->stages.count == engine->stage_count;

	for (uint32_t i = 0; same && i < engine->stage_count; i++)
		same = strcmp(workflow->stages.items[i].name, engine->stages[i].plan->name) == 0;
	return same ? FW_OK : fw_engine_conflict(err, "stages were added, removed or renamed");
}

/* Gates and consumers are made again for all: a stage that starts afresh may wait for others now. */
int fw_engine_replan(struct fw_engine *engine, const struct fw_workflow *workflow, struct fw_error **err)
{
	int rc = engine->suspended ? check_same_stages(engine, workflow, err)
	                           : fw_engine_conflict(err, "it has not been restarted");

	if (rc != FW_OK)
		return rc;
	engine->workflow = workflow;
	for (uint32_t i = 0; i < engine->stage_count; i++) {
		engine->stages[i].gates.count = engine->stages[i].consumers.count = 0;
		if (engine->stages[i].restarted)
			engine->stages[i].plan = &workflow->stages.items[i];
	}
	for (uint32_t i = 0; i < engine->stage_count && rc == FW_OK; i++) {
		struct stage *stage = &engine->stages[i];

		if (stage->restarted) {
			free(FW_TAKE(stage->inputs));
			rc = plan_stage(engine, stage, err);
		} else {
			add_gates(engine, stage);
		}
	}
	return rc;
}

int fw_engine_new(const struct fw_workflow *workflow, struct fw_engine **engine, struct fw_error **err)
{
	FW_CLEANUP(fw_engine_free) struct fw_engine *made = fw_alloc(sizeof *made);

	made->workflow = workflow;
	made->stage_count = (uint32_t)workflow->stages.count;
	made->stages = fw_alloc_array(workflow->stages.count, sizeof *made->stages);
	made->results = fw_alloc_array(workflow->stages.count, sizeof(json_t *));
	for (uint32_t i = 0; i < made->stage_count; i++)
		made->stages[i].plan = &workflow->stages.items[i];
	for (uint32_t i = 0; i < made->stage_count; i++) {
		int rc = plan_stage(made, &made->stages[i], err);

		if (rc != FW_OK)
			return rc;
	}
	*engine = FW_TAKE(made);
	return FW_OK;
}

void fw_engine_free(struct fw_engine *engine)
{
	if (!engine)
		return;
	for (uint32_t i = 0; i < engine->stage_count; i++) {
		struct stage *stage = &engine->stages[i];

		fw_stage_done(stage);
		free(stage->inputs);
		free(stage->gates.items);
		free(stage->consumers.items);
		json_decref(engine->results[i]);
	}
	fw_engine_queues_clear(engine);
	while (engine->keys) {
		struct key_block *next = engine->keys->next;

		free(engine->keys);
		engine->keys = next;
	}
	free(engine->demands.items);
	free(engine->touched.items);
	free(engine->stages);
	free(engine->results);
	fw_error_free(engine->abort);
	free(engine);
}

/* ---- events ---- */

static int run_started(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	if (engine->started)
		return fw_engine_conflict(err, "it has started already");
	int rc = fw_engine_machine(engine, event, err);

	if (rc != FW_OK)
		return rc;
	engine->started = engine->beginning = true;
	for (size_t i = 0; i < engine->workflow->order.count; i++)
		fw_engine_touch(engine, (uint32_t)engine->workflow->order.items[i]);
	return FW_OK;
}

static int find_running(struct fw_engine *engine, const struct fw_engine_event *event, uint32_t *slot,
                        struct fw_error **err)
{
	const struct stage *stage = event->stage < engine->stage_count ? &engine->stages[event->stage] : NULL;

	if (!stage || !fw_stage_find(stage, event->task, slot))
		return fw_engine_conflict(err, "no task %u/%u", event->stage, event->task);
	if (stage->tasks.items[*slot].state != TASK_RUNNING || stage->tasks.items[*slot].attempt != event->attempt)
		return fw_engine_conflict(err, "attempt %u of task %s/%u is not running", event->attempt, stage->plan->name,
		                          event->task);
	return FW_OK;
}

static int started(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	uint32_t slot;

	return find_running(engine, event, &slot, err);
}

static int check_end(const struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	const struct stage *stage = &engine->stages[event->stage];

	if (event->status == FW_STATUS_SKIPPED)
		return fw_engine_conflict(err, "task %s/%u runs and cannot be skipped", stage->plan->name, event->task);
	if (stage->objects.count + event->object_count >= UINT32_MAX)
		return fw_fail(err, FW_E_LIMIT, "stage '%s' has too many objects", stage->plan->name);
	for (size_t i = 0; i < event->object_count; i++)
		if (event->objects[i].output >= stage->plan->outputs.count)
			return fw_engine_conflict(err, "stage '%s' has no output %u", stage->plan->name, event->objects[i].output);
	return FW_OK;
}

void fw_stage_keep_failure(struct fw_engine *engine, struct stage *stage, const struct fw_engine_event *event)
{
	stage->failed_at = engine->failures++;
	stage->failed_task = event->task;
	stage->status = event->status;
	stage->failure_type = fw_strdup(event->error_type);
	stage->failure_message = fw_strdup(event->error_message);
}

static void failed(struct fw_engine *engine, const struct fw_engine_event *event, uint32_t slot)
{
	struct stage *stage = &engine->stages[event->stage];

	if (!stage->failed)
		fw_stage_keep_failure(engine, stage, event);
	fw_stage_task_done(engine, event->stage, slot, event->status);
}

static int ended(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	uint32_t slot = 0;
	int rc = find_running(engine, event, &slot, err);

	if (rc == FW_OK)
		rc = check_end(engine, event, err);
	if (rc != FW_OK)
		return rc;
	fw_engine_release(engine, event->stage, slot);
	if (event->status == FW_STATUS_OK) {
		fw_stage_publish(engine, &engine->stages[event->stage], slot, event);
		fw_stage_task_done(engine, event->stage, slot, FW_STATUS_OK);
	} else if (!fw_task_retry(engine, event->stage, slot, event->status, event->final)) {
		failed(engine, event, slot);
	}
	return FW_OK;
}

static void cancel_running(struct fw_engine *engine)
{
	for (uint32_t i = 0; i < engine->stage_count; i++) {
		const struct stage *stage = &engine->stages[i];

		for (size_t slot = 0; stage->running && slot < stage->tasks.count; slot++) {
			const struct task *task = &stage->tasks.items[slot];

			if (task->state == TASK_RUNNING)
				fw_engine_act(engine, &(struct fw_engine_action){
					.kind = FW_ACT_CANCEL, .stage = i, .task = task->number, .attempt = task->attempt});
		}
	}
}

static int cancel(struct fw_engine *engine, bool now)
{
	if (engine->finished)
		return FW_OK;
	if (engine->halt == HALT_NONE)
		engine->halt = HALT_CANCEL;
	if (now && !engine->killing) {
		engine->killing = true;
		cancel_running(engine);
	}
	return FW_OK;
}

static int apply(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	switch (event->kind) {
	case FW_EV_RUN_STARTED:
		return run_started(engine, event, err);
	case FW_EV_LISTED:
		return fw_engine_listed(engine, event, err);
	case FW_EV_LIST_FAILED:
		return fw_engine_list_failed(engine, event, err);
	case FW_EV_PLANNED:
		return fw_engine_planned(engine, event, err);
	case FW_EV_PLAN_FAILED:
		return fw_engine_plan_failed(engine, event, err);
	case FW_EV_STARTED:
		return started(engine, event, err);
	case FW_EV_ENDED:
		return ended(engine, event, err);
	case FW_EV_TIMER:
		return fw_engine_timer(engine, event->timer, err);
	case FW_EV_CANCEL:
		return cancel(engine, event->now);
	case FW_EV_RESUMED:
		return fw_engine_resumed(engine, event, err);
	case FW_EV_RESTARTED:
		return fw_engine_restarted(engine, event, err);
	case FW_EV_RECUT:
		return fw_engine_recut(engine, event, err);
	}
	return fw_engine_conflict(err, "no such event");
}

int fw_engine_step(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_engine_actions *actions,
                   struct fw_error **err)
{
	bool revives =
		event->kind == FW_EV_RESUMED || event->kind == FW_EV_RESTARTED || event->kind == FW_EV_RECUT;

	actions->list.count = 0;
	engine->actions = actions;
	engine->step_ns = event->time_ns;
	engine->beginning = false;
	if (!engine->started && event->kind != FW_EV_RUN_STARTED)
		return fw_engine_conflict(err, "it has not started");
	if (engine->suspended && !revives)
		return fw_engine_conflict(err, "it has been restarted from a stage and not resumed");
	int rc = apply(engine, event, err);

	if (rc != FW_OK || engine->suspended)
		return rc;
	fw_engine_settle(engine);
	fw_engine_pump(engine);
	return FW_OK;
}
