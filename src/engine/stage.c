/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a stage: it waits for its producers, is skipped or opens, gets its tasks, and ends when its list is closed
 * and every task is done.
 *
 * Invariants: a stage that waits for a closed list opens only on a whole one; so a stage that ended whole never changes
 * any more, and one that did not has been built upon by nobody but `each` consumers of what it committed.
 */
#include "engine/engine_internal.h"

#include <string.h>

/* ---- what others may build on ---- */

bool fw_stage_ended_whole(const struct stage *stage)
{
	return stage->ended && stage->skip == SKIP_NONE && !stage->broken;
}

/* Why a consumer cannot run, given this producer; `data`: it needs objects or the result, not only the order. */
static enum skip verdict_of(const struct stage *producer, bool data)
{
	if (!producer->ended || fw_stage_ended_whole(producer))
		return SKIP_NONE;
	if (producer->skip == SKIP_CONDITION)
		return data ? SKIP_CONDITION : SKIP_NONE;
	return SKIP_FAILURE;
}

struct outlook {
	enum skip skip;    /* the worst over all producers */
	bool gates_passed; /* after, when and ${...} have ended */
	bool lists_closed; /* producers of closed lists have, too */
};

static void look_at(const struct fw_engine *engine, uint32_t producer, bool data, struct outlook *outlook, bool *passed)
{
	enum skip skip = verdict_of(&engine->stages[producer], data);

	if (skip > outlook->skip)
		outlook->skip = skip;
	*passed = *passed && engine->stages[producer].ended;
}

static struct outlook look_ahead(const struct fw_engine *engine, const struct stage *stage)
{
	struct outlook outlook = {SKIP_NONE, true, true};

	for (size_t i = 0; i < stage->gates.count; i++)
		look_at(engine, stage->gates.items[i].stage, stage->gates.items[i].data, &outlook, &outlook.gates_passed);
	for (uint32_t i = 0; i < stage->plan->inputs.count; i++) {
		const struct fw_input *input = &stage->plan->inputs.items[i];
		bool ended = true;

		if (input->keys)
			continue;
		if (stage->shape != SHAPE_FLOW || i != stage->partitioned)
			look_at(engine, (uint32_t)input->from_stage, true, &outlook, &outlook.lists_closed);
		else if (engine->stages[input->from_stage].skip != SKIP_NONE) /* a broken one still gives what it committed */
			look_at(engine, (uint32_t)input->from_stage, true, &outlook, &ended);
	}
	return outlook;
}

/* ---- ends ---- */

static void end_stage(struct fw_engine *engine, uint32_t stage, enum fw_status status)
{
	struct stage *of = &engine->stages[stage];

	of->ended = true;
	of->status = status;
	engine->ended_stages++;
	fw_stage_order(engine, of);
	fw_stage_gather_results(engine, stage);
	fw_engine_act(engine, &(struct fw_engine_action){.kind = FW_ACT_STAGE_ENDED, .stage = stage, .status = status});
	for (size_t i = 0; i < of->consumers.count; i++)
		fw_engine_touch(engine, of->consumers.items[i]);
}

static void skip_stage(struct fw_engine *engine, uint32_t stage, enum skip skip)
{
	engine->stages[stage].skip = skip;
	engine->stages[stage].broken = skip == SKIP_FAILURE;
	end_stage(engine, stage, FW_STATUS_SKIPPED);
}

/* What it should have worked on cannot be cut into ranges: it has failed as a whole. */
static void fail_uncut(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];

	of->closed = true;
	of->broken = of->plan->on_failure == FW_FAILURE_STOP;
	end_stage(engine, stage, of->status);
}

static bool all_done(const struct stage *stage)
{
	return (size_t)stage->ok + stage->failed + stage->skipped == stage->tasks.count;
}

static void maybe_end(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];
	const struct stage *producer = of->shape == SHAPE_FLOW ? &engine->stages[of->from] : NULL;
	bool short_of_input = producer && producer->broken;

	if (!of->open || !of->closed || !all_done(of))
		return;
	if (producer && !of->tasks.count && (producer->broken || producer->skip != SKIP_NONE)) {
		skip_stage(engine, stage, producer->broken ? SKIP_FAILURE : producer->skip);
		return;
	}
	of->broken = short_of_input || (of->failed && of->plan->on_failure == FW_FAILURE_STOP);
	end_stage(engine, stage, of->failed ? of->status : FW_STATUS_OK);
}

void fw_stage_task_done(struct fw_engine *engine, uint32_t stage, uint32_t slot, enum fw_status status)
{
	struct stage *of = &engine->stages[stage];

	of->tasks.items[slot].state = TASK_DONE;
	of->tasks.items[slot].status = (uint8_t)status;
	if (status == FW_STATUS_OK)
		of->ok++;
	else
		of->failed++;
	fw_engine_touch(engine, stage);
	for (size_t i = 0; status == FW_STATUS_OK && i < of->consumers.count; i++)
		if (engine->stages[of->consumers.items[i]].shape == SHAPE_FLOW)
			fw_engine_touch(engine, of->consumers.items[i]);
}

/* ---- tasks ---- */

static void reserve_tasks(struct stage *stage, size_t count)
{
	stage->tasks.items = fw_realloc_array(stage->tasks.items, count ? count : 1, sizeof *stage->tasks.items);
	stage->tasks.capacity = count ? count : 1;
}

static void make_tasks(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];
	size_t count = of->shape == SHAPE_LIST ? fw_stage_partition_count(of) : (size_t)of->plan->workers;

	reserve_tasks(of, count);
	for (uint32_t slot = 0; slot < count; slot++) {
		FW_PUSH(&of->tasks, (struct task){.number = slot});
		fw_engine_ready(engine, stage, slot);
	}
	of->closed = true;
}

static void too_many(struct fw_engine *engine, uint32_t stage)
{
	struct fw_error *why = NULL;

	fw_fail(&why, FW_E_LIMIT, "stage '%s': more tasks than can be numbered", engine->stages[stage].plan->name);
	fw_error_hint(&why, FW_E_LIMIT, "give the stage a number of workers, so that each task gets several objects");
	fw_engine_abort(engine, stage, why);
}

/* One committed task of the producer becomes one task for each object of the output that flows here. */
static bool feed_commit(struct fw_engine *engine, uint32_t stage, uint32_t source)
{
	struct stage *of = &engine->stages[stage];
	const struct stage *producer = &engine->stages[of->from];
	const struct task *from = &producer->tasks.items[source];
	uint32_t ordinal = 0;

	for (uint32_t i = from->first_object; i < from->first_object + from->object_count; i++) {
		struct task task = {.source = source, .source_object = i};
		uint32_t slot = (uint32_t)of->tasks.count;

		if (producer->objects.items[i].output != of->inputs[of->partitioned].from_output)
			continue;
		if (!fw_stage_number(engine, of, source, ordinal++, &task.number))
			return false;
		FW_PUSH(&of->tasks, task);
		fw_stage_number_keep(of, slot);
		fw_engine_ready(engine, stage, slot);
	}
	return true;
}

static void feed(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];
	const struct stage *producer = &engine->stages[of->from];

	if (of->fed < producer->commits.count && !of->lanes)
		of->lanes = producer->shape == SHAPE_FLOW ? producer->lanes : (uint32_t)producer->tasks.count;
	if (!of->tasks.capacity && producer->closed)
		reserve_tasks(of, producer->tasks.count); /* the likely width: one object a task */
	while (of->fed < producer->commits.count) {
		if (!feed_commit(engine, stage, producer->commits.items[of->fed])) {
			too_many(engine, stage);
			return;
		}
		of->fed++;
	}
	of->closed = producer->ended;
}

/* ---- opening ---- */

static bool lists_answered(const struct stage *stage)
{
	for (uint32_t i = 0; i < stage->plan->inputs.count; i++)
		if (stage->plan->inputs.items[i].keys && !stage->inputs[i].answered)
			return false;
	return true;
}

static bool condition_fails(const struct fw_engine *engine, const struct stage *stage)
{
	const struct fw_condition *when = &stage->plan->when;

	return when->stage != SIZE_MAX && !fw_condition_holds(when, engine->results[when->stage]);
}

static void maybe_open(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];
	struct outlook outlook = look_ahead(engine, of);

	if (outlook.skip == SKIP_FAILURE) {
		skip_stage(engine, stage, SKIP_FAILURE);
		return;
	}
	if (!outlook.gates_passed)
		return;
	if (outlook.skip == SKIP_NONE && condition_fails(engine, of))
		outlook.skip = SKIP_CONDITION;
	if (outlook.skip == SKIP_NONE)
		fw_stage_ask_lists(engine, stage);
	if (!outlook.lists_closed) /* a failure among those that still run would weigh more than a condition */
		return;
	if (outlook.skip != SKIP_NONE) {
		skip_stage(engine, stage, outlook.skip);
		return;
	}
	if (!lists_answered(of))
		return;
	if (!of->gathered)
		fw_stage_close_lists(engine, of);
	of->gathered = true;
	fw_stage_ask_plan(engine, stage);
	if (!fw_stage_is_cut(of))
		return;
	of->open = true;
	if (of->shape != SHAPE_FLOW)
		make_tasks(engine, stage);
}

static void advance(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];

	if (of->ended)
		return;
	if (of->uncut) {
		fail_uncut(engine, stage);
		return;
	}
	if (engine->halt == HALT_NONE && !of->open)
		maybe_open(engine, stage);
	if (engine->halt == HALT_NONE && of->open && of->shape == SHAPE_FLOW)
		feed(engine, stage);
	if (!of->ended)
		maybe_end(engine, stage);
}

void fw_engine_touch(struct fw_engine *engine, uint32_t stage)
{
	if (engine->stages[stage].touched)
		return;
	engine->stages[stage].touched = true;
	FW_PUSH(&engine->touched, stage);
}

/* ---- the end of the run ---- */

static void give_up_stage(struct fw_engine *engine, uint32_t stage)
{
	struct stage *of = &engine->stages[stage];
	bool cancelled = engine->halt == HALT_CANCEL;
	enum fw_status status = cancelled ? FW_STATUS_CANCELLED : FW_STATUS_SKIPPED;

	if (!cancelled && stage == engine->abort_stage)
		status = FW_STATUS_LOST;
	else if (!cancelled && of->failed)
		status = of->status;
	for (size_t i = 0; i < of->tasks.count; i++) {
		if (of->tasks.items[i].state == TASK_DONE)
			continue;
		of->tasks.items[i].state = TASK_DONE;
		of->tasks.items[i].status = (uint8_t)(cancelled ? FW_STATUS_CANCELLED : FW_STATUS_SKIPPED);
		of->skipped++;
	}
	of->broken = true;
	end_stage(engine, stage, status);
}

static enum fw_status final_status(const struct fw_engine *engine)
{
	const struct stage *first = NULL;

	if (engine->halt != HALT_NONE)
		return engine->halt == HALT_ABORT ? FW_STATUS_LOST : FW_STATUS_CANCELLED;
	for (uint32_t i = 0; i < engine->stage_count; i++)
		if (fw_stage_has_failed(&engine->stages[i]) && (!first || engine->stages[i].failed_at < first->failed_at))
			first = &engine->stages[i];
	return first ? first->status : FW_STATUS_OK;
}

static void maybe_finish(struct fw_engine *engine)
{
	bool complete = engine->ended_stages == engine->stage_count;

	if (engine->running || engine->lists || (!complete && engine->halt == HALT_NONE))
		return;
	if (complete && !engine->abort)
		engine->halt = HALT_NONE; /* cancelled, but nothing was left undone */
	for (size_t i = 0; i < engine->workflow->order.count; i++)
		if (!engine->stages[engine->workflow->order.items[i]].ended)
			give_up_stage(engine, (uint32_t)engine->workflow->order.items[i]);
	engine->status = final_status(engine);
	engine->finished = true;
	fw_engine_act(engine, &(struct fw_engine_action){.kind = FW_ACT_FINISH, .status = engine->status});
}

void fw_engine_settle(struct fw_engine *engine)
{
	for (size_t i = 0; i < engine->touched.count; i++) { /* grows meanwhile */
		engine->stages[engine->touched.items[i]].touched = false;
		advance(engine, engine->touched.items[i]);
	}
	engine->touched.count = 0;
	if (!engine->finished)
		maybe_finish(engine);
	for (size_t i = 0; i < engine->touched.count; i++) /* by stages that were given up: nobody builds on them */
		engine->stages[engine->touched.items[i]].touched = false;
	engine->touched.count = 0;
}
