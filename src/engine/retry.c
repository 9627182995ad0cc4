/* SPDX-License-Identifier: Apache-2.0
 *
 * Retries: which end of an attempt is followed by another one, and how long the task waits before it. The delay is
 * jitter without chance: the same seed, stage, task and attempt give the same delay, so that a replay repeats it.
 */
#include "engine/engine_internal.h"

static uint64_t splitmix64(uint64_t state)
{
	state += 0x9E3779B97F4A7C15u;
	state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9u;
	state = (state ^ (state >> 27)) * 0x94D049BB133111EBu;
	return state ^ (state >> 31);
}

static uint64_t backoff_ms(uint64_t seed, uint32_t stage, const struct task *task)
{
	uint64_t most = FW_ENGINE_BACKOFF_BASE_MS;
	uint64_t drawn = splitmix64(splitmix64(splitmix64(seed ^ stage) ^ task->number) ^ task->attempt);

	for (unsigned i = 1; i < task->failures && most < FW_ENGINE_BACKOFF_MAX_MS; i++)
		most *= 2;
	if (most > FW_ENGINE_BACKOFF_MAX_MS)
		most = FW_ENGINE_BACKOFF_MAX_MS;
	return drawn % (most + 1);
}

static bool may_grow(const struct fw_engine *engine, const struct stage *stage, const struct task *task)
{
	return stage->plan->grow && task->growth < UINT8_MAX &&
	       fw_task_memory_mb(engine, stage, task->growth + 1u) > fw_task_memory_mb(engine, stage, task->growth);
}

/* A plain Lambda function may have had effects of its own before it failed: only stage-aware ones are called again. */
static bool may_repeat(const struct stage *stage, const struct task *task)
{
	return !stage->plan->payload && task->retries < stage->plan->retries && task->retries < UINT16_MAX;
}

static bool allowed(const struct fw_engine *engine, const struct stage *stage, const struct task *task,
                    enum fw_status status)
{
	switch (status) {
	case FW_STATUS_LOST:
	case FW_STATUS_CANCELLED: /* nobody asked for it: the environment did it */
		return task->lost + 1 < FW_ENGINE_LOST_MAX;
	case FW_STATUS_OUT_OF_MEMORY:
		return may_grow(engine, stage, task);
	case FW_STATUS_TIMEOUT:
	case FW_STATUS_FUNCTION_ERROR:
		return may_repeat(stage, task);
	case FW_STATUS_OK:
	case FW_STATUS_SKIPPED:
		break;
	}
	return false;
}

static void account(struct task *task, enum fw_status status)
{
	bool lost = status == FW_STATUS_LOST || status == FW_STATUS_CANCELLED;

	task->lost = lost ? (uint8_t)(task->lost + 1) : 0;
	if (status == FW_STATUS_OUT_OF_MEMORY)
		task->growth++;
	else if (!lost)
		task->retries++;
	if (task->failures < UINT8_MAX)
		task->failures++;
}

/* When the run is being given up, a task that would be tried again is left undone, not failed: a resume tries it. */
bool fw_task_retry(struct fw_engine *engine, uint32_t stage, uint32_t slot, enum fw_status status, bool final)
{
	const struct stage *of = &engine->stages[stage];
	struct task *task = &of->tasks.items[slot];
	bool asked_for = engine->halt != HALT_NONE && status == FW_STATUS_CANCELLED;

	if (!asked_for && (final || !allowed(engine, of, task, status)))
		return false;
	if (!asked_for)
		account(task, status);
	task->state = TASK_READY;
	if (engine->halt != HALT_NONE)
		return true;
	task->state = TASK_BACKOFF;
	fw_engine_act(engine, &(struct fw_engine_action){
		.kind = FW_ACT_TIMER,
		.stage = stage,
		.task = task->number,
		.timer = (uint64_t)stage << 32 | task->number,
		.delay_ms = backoff_ms(engine->seed, stage, task),
	});
	return true;
}

/* A timer of a task that no longer waits (the run was cancelled meanwhile) is none of anybody's concern. */
int fw_engine_timer(struct fw_engine *engine, uint64_t timer, struct fw_error **err)
{
	uint32_t stage = (uint32_t)(timer >> 32), slot;

	if (stage >= engine->stage_count || !fw_stage_find(&engine->stages[stage], (uint32_t)timer, &slot))
		return fw_engine_conflict(err, "no timer %llu", (unsigned long long)timer);
	if (engine->halt == HALT_NONE && !engine->finished && engine->stages[stage].tasks.items[slot].state == TASK_BACKOFF)
		fw_engine_ready(engine, stage, slot);
	return FW_OK;
}
