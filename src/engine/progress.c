/* SPDX-License-Identifier: Apache-2.0
 *
 * What others ask the engine: progress, results, what was committed, why the run failed, memory held.
 */
#include "engine/engine_internal.h"

#include <string.h>

static const char *const status_names[] = {
	[FW_STATUS_OK] = "ok",
	[FW_STATUS_FUNCTION_ERROR] = "function_error",
	[FW_STATUS_TIMEOUT] = "timeout",
	[FW_STATUS_OUT_OF_MEMORY] = "out_of_memory",
	[FW_STATUS_LOST] = "lost",
	[FW_STATUS_CANCELLED] = "cancelled",
	[FW_STATUS_SKIPPED] = "skipped",
};

const char *fw_status_name(enum fw_status status)
{
	return (size_t)status < FW_COUNT_OF(status_names) ? status_names[status] : "unknown";
}

bool fw_status_parse(const char *name, enum fw_status *status)
{
	for (size_t i = 0; i < FW_COUNT_OF(status_names); i++) {
		if (strcmp(name, status_names[i]) == 0) {
			*status = (enum fw_status)i;
			return true;
		}
	}
	return false;
}

struct fw_stage_progress fw_engine_stage(const struct fw_engine *engine, uint32_t stage)
{
	const struct stage *of = &engine->stages[stage];
	uint32_t total = (uint32_t)of->tasks.count;

	return (struct fw_stage_progress){
		.total = total,
		.closed = of->closed || of->ended,
		.waiting = total - of->running - of->ok - of->failed - of->skipped,
		.running = of->running,
		.ok = of->ok,
		.failed = of->failed,
		.skipped = of->skipped,
		.attempts = of->attempts,
		.ended = of->ended,
		.status = of->status,
	};
}

bool fw_engine_finished(const struct fw_engine *engine, enum fw_status *status)
{
	if (engine->finished && status)
		*status = engine->status;
	return engine->finished;
}

json_t *const *fw_engine_results(const struct fw_engine *engine)
{
	return engine->results;
}

bool fw_engine_committed(const struct fw_engine *engine, uint32_t stage, uint32_t task, uint32_t attempt)
{
	uint32_t slot;

	if (stage >= engine->stage_count || !fw_stage_find(&engine->stages[stage], task, &slot))
		return false;
	const struct task *of = &engine->stages[stage].tasks.items[slot];

	return of->state == TASK_DONE && of->status == FW_STATUS_OK && of->attempt == attempt;
}

/* ---- why it failed ---- */

static int code_of(enum fw_status status)
{
	return status == FW_STATUS_LOST ? FW_E_ENVIRONMENT : FW_E_FUNCTION;
}

static int task_failure(const struct stage *stage, struct fw_error **err)
{
	const char *type = stage->failure_type, *message = stage->failure_message;

	if (stage->uncut)
		return fw_fail(err, code_of(stage->status), "stage '%s': input '%s': %s", stage->plan->name,
		               stage->plan->inputs.items[stage->partitioned].name, message ? message : "it cannot be cut");
	return fw_fail(err, code_of(stage->status), "%s/%u: %s%s%s%s%s", stage->plan->name, stage->failed_task,
	               fw_status_name(stage->status), type ? ": " : "", type ? type : "", message ? ": " : "",
	               message ? message : "");
}

int fw_engine_failure(const struct fw_engine *engine, struct fw_error **err)
{
	const struct stage *first = NULL;

	if (engine->abort) {
		fw_fail(err, fw_error_code(engine->abort), "%s", fw_error_message(engine->abort));
		if (fw_error_hint_text(engine->abort))
			fw_error_hint(err, FW_OK, "%s", fw_error_hint_text(engine->abort));
		return fw_error_code(engine->abort);
	}
	for (uint32_t i = 0; i < engine->stage_count; i++)
		if (fw_stage_has_failed(&engine->stages[i]) && (!first || engine->stages[i].failed_at < first->failed_at))
			first = &engine->stages[i];
	if (engine->finished && engine->status == FW_STATUS_CANCELLED)
		return fw_fail(err, FW_E_CANCELLED, "cancelled");
	return first ? task_failure(first, err) : FW_OK;
}

/* ---- memory ---- */

static size_t stage_memory(const struct stage *stage)
{
	size_t bytes = stage->tasks.capacity * sizeof(struct task) +
	               stage->objects.capacity * sizeof(struct fw_engine_object) +
	               stage->commits.capacity * sizeof(uint32_t) + stage->odd_capacity * sizeof(uint32_t) +
	               stage->result_capacity * sizeof(json_t *) +
	               (stage->order ? stage->tasks.count * sizeof(uint32_t) : 0) +
	               stage->gates.capacity * sizeof(struct gate) + stage->consumers.capacity * sizeof(uint32_t);

	for (size_t i = 0; i < stage->plan->inputs.count; i++)
		bytes += sizeof(struct input) + stage->inputs[i].list.capacity * sizeof(struct fw_engine_object) +
		         stage->inputs[i].ranges.capacity * sizeof(struct fw_range);
	return bytes;
}

size_t fw_engine_memory(const struct fw_engine *engine)
{
	size_t bytes = sizeof *engine + engine->stage_count * (sizeof(struct stage) + sizeof(json_t *)) +
	               engine->demands.capacity * sizeof(struct demand) + engine->touched.capacity * sizeof(uint32_t);

	for (size_t i = 0; i < engine->demands.count; i++)
		bytes += engine->demands.items[i].queue.capacity * sizeof(struct queue_entry);
	for (uint32_t i = 0; i < engine->stage_count; i++)
		bytes += stage_memory(&engine->stages[i]);
	return bytes;
}
