/* SPDX-License-Identifier: Apache-2.0
 *
 * Admission: which ready task is dispatched next, and whether the machine has room. Ready tasks wait in one queue per
 * memory size, so that a dispatch looks at a handful of heads and never at the tasks behind them.
 *
 * Invariant: reservations of running invocations never exceed the machine (unless oversubscribed). The oldest ready
 * task, when it does not fit, is overtaken at most FW_ENGINE_OVERTAKES_MAX times; then nothing starts before it.
 */
#include "engine/engine_internal.h"

#include <stdlib.h>

static void queue_grow(struct queue *queue)
{
	size_t capacity = queue->capacity ? queue->capacity * 2 : 64;
	struct queue_entry *entries = fw_alloc_array(capacity, sizeof *entries);

	for (size_t i = 0; i < queue->count; i++)
		entries[i] = queue->entries[(queue->head + i) & (queue->capacity - 1)];
	free(queue->entries);
	*queue = (struct queue){entries, 0, queue->count, capacity};
}

static void queue_push(struct queue *queue, struct queue_entry entry)
{
	if (queue->count == queue->capacity)
		queue_grow(queue);
	queue->entries[(queue->head + queue->count++) & (queue->capacity - 1)] = entry;
}

static struct queue_entry queue_pop(struct queue *queue)
{
	struct queue_entry entry = queue->entries[queue->head];

	queue->head = (queue->head + 1) & (queue->capacity - 1);
	queue->count--;
	return entry;
}

/* ---- what a task needs ---- */

int64_t fw_task_memory_mb(const struct fw_engine *engine, const struct stage *stage, unsigned growth)
{
	int64_t base = stage->plan->memory_mb;
	int64_t most = engine->oversubscribe || engine->memory_mb > FW_MEMORY_MAX_MB ? FW_MEMORY_MAX_MB : engine->memory_mb;
	int64_t grown = base;

	for (unsigned i = 0; i < growth && grown < most; i++)
		grown *= 2;
	if (grown > most)
		grown = most;
	return grown > base ? grown : base;
}

static int64_t needed_millivcpus(const struct fw_engine *engine, int64_t memory_mb, bool *capped)
{
	int64_t millivcpus = fw_memory_millivcpus(memory_mb);

	*capped = millivcpus > engine->millivcpus;
	return *capped ? engine->millivcpus : millivcpus;
}

static struct demand *demand_of(struct fw_engine *engine, int64_t memory_mb)
{
	bool capped;

	for (size_t i = 0; i < engine->demands.count; i++)
		if (engine->demands.items[i].memory_mb == memory_mb)
			return &engine->demands.items[i];
	FW_PUSH(&engine->demands, (struct demand){
		.memory_mb = memory_mb,
		.millivcpus = needed_millivcpus(engine, memory_mb, &capped),
	});
	return &engine->demands.items[engine->demands.count - 1];
}

/* ---- the machine ---- */

static int check_fits(const struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	for (uint32_t i = 0; i < engine->stage_count && !event->oversubscribe; i++) {
		const struct fw_stage *plan = engine->stages[i].plan;

		if (plan->memory_mb <= event->memory_mb)
			continue;
		fw_fail(err, FW_E_LIMIT, "stage '%s': needs %lld MB of memory, and %lld MB are available here", plan->name,
		        (long long)plan->memory_mb, (long long)event->memory_mb);
		return fw_error_hint(err, FW_E_LIMIT, "give the stage less memory, or run with --oversubscribe");
	}
	return FW_OK;
}

int fw_engine_machine(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err)
{
	if (event->millivcpus <= 0 || event->memory_mb <= 0)
		return fw_fail(err, FW_E_INVALID, "a machine with %lld thousandths of a CPU and %lld MB of memory",
		               (long long)event->millivcpus, (long long)event->memory_mb);
	int rc = check_fits(engine, event, err);

	if (rc != FW_OK)
		return rc;
	engine->millivcpus = event->millivcpus;
	engine->memory_mb = event->memory_mb;
	engine->oversubscribe = event->oversubscribe;
	engine->seed = event->seed;
	return FW_OK;
}

static bool fits(const struct fw_engine *engine, const struct demand *demand)
{
	return engine->oversubscribe || (engine->used_millivcpus + demand->millivcpus <= engine->millivcpus &&
	                                 engine->used_memory_mb + demand->memory_mb <= engine->memory_mb);
}

/* ---- readiness ---- */

void fw_engine_ready(struct fw_engine *engine, uint32_t stage, uint32_t slot)
{
	const struct stage *of = &engine->stages[stage];
	struct demand *demand = demand_of(engine, fw_task_memory_mb(engine, of, of->tasks.items[slot].growth));

	of->tasks.items[slot].state = TASK_READY;
	queue_push(&demand->queue, (struct queue_entry){engine->sequence++, engine->step_ns, stage, slot});
}

void fw_engine_queues_clear(struct fw_engine *engine)
{
	for (size_t i = 0; i < engine->demands.count; i++)
		free(engine->demands.items[i].queue.entries);
	engine->demands.count = 0;
	engine->overtaken = 0;
	engine->used_millivcpus = engine->used_memory_mb = 0;
	engine->running = 0;
}

/* ---- dispatch ---- */

static void dispatch(struct fw_engine *engine, struct demand *demand)
{
	struct queue_entry entry = queue_pop(&demand->queue);
	struct stage *stage = &engine->stages[entry.stage];
	struct task *task = &stage->tasks.items[entry.slot];
	bool capped;
	int64_t millivcpus = needed_millivcpus(engine, demand->memory_mb, &capped);

	task->state = TASK_RUNNING;
	task->attempt = (task->attempt ? task->attempt : stage->attempt_base) + 1;
	stage->running++;
	stage->attempts++;
	engine->running++;
	engine->used_millivcpus += millivcpus;
	engine->used_memory_mb += demand->memory_mb;
	fw_engine_act(engine, &(struct fw_engine_action){
		.kind = FW_ACT_DISPATCH,
		.stage = entry.stage,
		.task = task->number,
		.attempt = task->attempt,
		.memory_mb = demand->memory_mb,
		.millivcpus = millivcpus,
		.cpu_capped = capped,
		.ready_ns = entry.ready_ns,
	});
}

void fw_engine_release(struct fw_engine *engine, uint32_t stage, uint32_t slot)
{
	struct stage *of = &engine->stages[stage];
	int64_t memory_mb = fw_task_memory_mb(engine, of, of->tasks.items[slot].growth);
	bool capped;

	of->running--;
	engine->running--;
	engine->used_memory_mb -= memory_mb;
	engine->used_millivcpus -= needed_millivcpus(engine, memory_mb, &capped);
}

static uint64_t waiting_since(const struct demand *demand)
{
	return demand->queue.count ? demand->queue.entries[demand->queue.head].sequence : UINT64_MAX;
}

/* The queue to take from: that of the oldest task if it fits, else of the oldest that does, while that may overtake. */
static struct demand *next_demand(struct fw_engine *engine)
{
	struct demand *oldest = NULL, *fitting = NULL;

	for (size_t i = 0; i < engine->demands.count; i++) {
		struct demand *demand = &engine->demands.items[i];

		if (!demand->queue.count)
			continue;
		if (!oldest || waiting_since(demand) < waiting_since(oldest))
			oldest = demand;
		if (fits(engine, demand) && (!fitting || waiting_since(demand) < waiting_since(fitting)))
			fitting = demand;
	}
	if (fitting == oldest)
		engine->overtaken = 0;
	else if (fitting && engine->overtaken++ >= FW_ENGINE_OVERTAKES_MAX)
		return NULL;
	return fitting;
}

void fw_engine_pump(struct fw_engine *engine)
{
	while (engine->halt == HALT_NONE && !engine->holding &&
	       !(engine->oversubscribe && engine->running >= FW_ENGINE_OVERSUBSCRIBED_MAX)) {
		struct demand *demand = next_demand(engine);

		if (!demand)
			return;
		dispatch(engine, demand);
	}
}
