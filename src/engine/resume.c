/* SPDX-License-Identifier: Apache-2.0
 *
 * Going on after a death or a failure, afresh from a stage, and with new cuts. What was committed stays; all else is ready again. A
 * stage that ended whole stays ended (its failed tasks, too, when it says `on_failure: continue`: others have built on
 * their absence); one that failed with `stop`, was cancelled or was skipped is looked at anew.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>

void fw_stage_done(struct stage *stage)
{
	for (size_t i = 0; i < stage->plan->inputs.count && stage->inputs; i++) {
		struct input *input = &stage->inputs[i];

		free(input->list.items);
		fw_input_forget_plan(input);
		*input = (struct input){.from_output = input->from_output};
	}
	for (size_t i = 0; i < stage->result_capacity; i++)
		json_decref(stage->results[i]);
	free(stage->results);
	free(stage->tasks.items);
	free(stage->objects.items);
	free(stage->commits.items);
	free(stage->odd_numbers);
	free(stage->order);
	free(stage->failure_type);
	free(stage->failure_message);
}

/* ---- afresh from a stage ---- */

static void restart(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];
	uint32_t base = of->attempt_base;

	for (size_t i = 0; i < of->tasks.count; i++)
		if (of->tasks.items[i].attempt > base)
			base = of->tasks.items[i].attempt;
	fw_stage_done(of);
	json_decref(FW_TAKE(engine->results[stage]));
	struct stage fresh = {
		.plan = of->plan, .shape = of->shape, .partitioned = of->partitioned, .from = of->from,
		.inputs = of->inputs, .attempts = of->attempts, .attempt_base = base, .restarted = true,
	};

	fresh.gates.items = of->gates.items;
	fresh.gates.count = of->gates.count;
	fresh.consumers.items = of->consumers.items;
	fresh.consumers.count = of->consumers.count;
	*of = fresh;
}

int fw_engine_restarted(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	if (event->stage >= engine->stage_count)
		return fw_engine_conflict(err, "no stage %u", event->stage);
	fw_cleanup_free bool *below = fw_alloc_array(engine->stage_count, sizeof *below);

	below[event->stage] = true;
	for (size_t i = 0; i < engine->workflow->order.count; i++) {
		const struct stage *stage = &engine->stages[engine->workflow->order.items[i]];

		for (size_t k = 0; below[engine->workflow->order.items[i]] && k < stage->consumers.count; k++)
			below[stage->consumers.items[k]] = true;
	}
	fw_engine_queues_clear(engine);
	for (uint32_t i = 0; i < engine->stage_count; i++)
		if (below[i])
			restart(engine, i);
	engine->suspended = true;
	return FW_OK;
}

/* ---- cut again ---- */

static bool goes_on(const struct stage *stage)
{
	return stage->open && stage->skip == SKIP_NONE && !stage->uncut && !fw_stage_ended_whole(stage);
}

bool fw_engine_goes_on_with(const struct fw_engine *engine, uint32_t stage, uint32_t *input, bool *of)
{
	const struct stage *cut = &engine->stages[stage];

	if (!goes_on(cut) || !fw_stage_has_cuts(cut))
		return false;
	*input = cut->partitioned;
	for (uint32_t slot = 0; of && slot < cut->tasks.count; slot++) {
		const struct task *task = &cut->tasks.items[slot];
		const struct fw_range *ranges = NULL;
		size_t count = 0;

		if (task->state == TASK_DONE && task->status == FW_STATUS_OK)
			continue;
		fw_stage_part(cut, slot, &ranges, &count);
		for (size_t i = 0; i < count; i++)
			of[ranges[i].object] = true;
	}
	return true;
}

int fw_engine_recut(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	if (event->stage >= engine->stage_count)
		return fw_engine_conflict(err, "no stage %u", event->stage);
	const struct stage *stage = &engine->stages[event->stage];

	if (!goes_on(stage) || !fw_stage_has_cuts(stage) || stage->ok > 0)
		return fw_engine_conflict(err, "stage '%s': it has no cuts that can be made anew", stage->plan->name);
	fw_engine_queues_clear(engine);
	restart(engine, event->stage);
	engine->suspended = true;
	return FW_OK;
}

/* ---- going on ---- */

static void forget_failure(struct stage *stage)
{
	stage->failed = stage->skipped = 0;
	stage->uncut = false;
	free(FW_TAKE(stage->failure_type));
	free(FW_TAKE(stage->failure_message));
}

/* What was not cut yet is listed again: whoever mended an object has changed its size. */
static void forget_cuts(struct stage *stage)
{
	stage->gathered = false;
	for (size_t i = 0; i < stage->plan->inputs.count; i++) {
		struct input *input = &stage->inputs[i];

		if (!fw_input_needs_plan(&stage->plan->inputs.items[i]))
			continue;
		fw_input_forget_plan(input);
		free(FW_TAKE(input->list.items));
		input->list.count = input->list.capacity = 0;
		input->asked = input->answered = false;
	}
}

static void reopen(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];

	of->running = 0;
	of->restarted = false;
	for (size_t i = 0; i < of->plan->inputs.count; i++) {
		struct input *input = &of->inputs[i];

		input->holds = false;
		if (!input->list.count && of->plan->inputs.items[i].keys)
			input->asked = input->answered = false;
	}
	if (fw_stage_ended_whole(of)) {
		engine->ended_stages++;
		return;
	}
	if (of->skip != SKIP_NONE || of->uncut)
		of->open = of->closed = false;
	if (!of->open)
		forget_cuts(of);
	of->skip = SKIP_NONE;
	of->ended = of->broken = false;
	forget_failure(of);
	if (of->shape == SHAPE_FLOW)
		of->closed = false;
	free(FW_TAKE(of->order));
	json_decref(FW_TAKE(engine->results[stage]));
}

/* What ran comes first in the queue, for it was first; what waited is marked for the second pass. */
static void requeue_lost(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];

	for (uint32_t slot = 0; !of->ended && slot < of->tasks.count; slot++) {
		struct task *task = &of->tasks.items[slot];

		if (task->state == TASK_DONE && task->status == FW_STATUS_OK)
			continue;
		if (task->state == TASK_RUNNING) {
			fw_engine_ready(engine, stage, slot);
			continue;
		}
		if (task->state == TASK_DONE)
			task->retries = task->lost = task->failures = 0;
		task->state = TASK_BACKOFF;
	}
}

static void requeue_waiting(struct fw_engine *engine, uint32_t stage)
{
	const struct stage *of = &engine->stages[stage];

	for (uint32_t slot = 0; !of->ended && slot < of->tasks.count; slot++)
		if (of->tasks.items[slot].state == TASK_BACKOFF)
			fw_engine_ready(engine, stage, slot);
}

int fw_engine_resumed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	int rc = fw_engine_machine(engine, event, err);

	if (rc != FW_OK)
		return rc;
	fw_engine_queues_clear(engine);
	fw_error_free(FW_TAKE(engine->abort));
	engine->halt = HALT_NONE;
	engine->suspended = engine->finished = engine->killing = false;
	engine->beginning = true;
	engine->lists = engine->holding = engine->ended_stages = 0;
	for (uint32_t i = 0; i < engine->stage_count; i++)
		reopen(engine, i);
	for (size_t i = 0; i < engine->workflow->order.count; i++)
		requeue_lost(engine, (uint32_t)engine->workflow->order.items[i]);
	for (size_t i = 0; i < engine->workflow->order.count; i++)
		requeue_waiting(engine, (uint32_t)engine->workflow->order.items[i]);
	for (size_t i = 0; i < engine->workflow->order.count; i++)
		fw_engine_touch(engine, (uint32_t)engine->workflow->order.items[i]);
	return FW_OK;
}
