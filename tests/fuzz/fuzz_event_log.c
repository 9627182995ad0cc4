/* SPDX-License-Identifier: Apache-2.0
 *
 * A log from a stranger, a line an event: what is read must be written as it was read, and the engine of a small
 * workflow must take or refuse each event without harm. Sources: src/engine/.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

static struct fw_input from_glob = {.name = "in", .keys = "*", .from_stage = SIZE_MAX, .edge = FW_EDGE_SCATTER};
static struct fw_input from_first = {.name = "in", .from_stage = 0, .from_output = "out", .edge = FW_EDGE_EACH};
static struct fw_input from_second = {.name = "in", .from_stage = 1, .from_output = "out", .edge = FW_EDGE_EACH};
static struct fw_input from_third = {.name = "in", .from_stage = 2, .from_output = "out", .edge = FW_EDGE_SCATTER};
static struct fw_input cut_first = {
	.name = "in", .from_stage = 0, .from_output = "out", .edge = FW_EDGE_SCATTER, .range = {FW_RANGE_LINES, ',', false}};
static struct fw_output out = {.name = "out"};
static size_t order[] = {0, 1, 2, 3, 4};

static void set_stage(struct fw_stage *stage, char *name, int64_t workers, struct fw_input *input, size_t *producer)
{
	*stage = (struct fw_stage){.name = name, .workers = workers, .memory_mb = 1769, .retries = 1, .grow = true};
	stage->inputs.items = input;
	stage->outputs.items = &out;
	stage->inputs.count = stage->outputs.count = 1;
	stage->producers.items = producer;
	stage->producers.count = producer ? 1 : 0;
	stage->when.stage = SIZE_MAX;
}

static void take(struct fw_engine *engine, struct fw_engine_actions *actions, const char *text, size_t length)
{
	struct fw_engine_event event;
	struct fw_buffer once, twice;
	json_t *owner, *again_owner;

	if (fw_event_log_decode(text, length, &event, &owner, NULL) != FW_OK)
		return;
	fw_buffer_init(&once, 1 << 20);
	fw_buffer_init(&twice, 1 << 20);
	if (fw_event_log_encode(&event, &once) == FW_OK) {
		struct fw_engine_event again;

		if (fw_event_log_decode(once.data, once.length, &again, &again_owner, NULL) != FW_OK ||
		    fw_event_log_encode(&again, &twice) != FW_OK || strcmp(once.data, twice.data) != 0)
			abort();
		fw_event_log_release(&again, again_owner);
	}
	fw_engine_step(engine, &event, actions, NULL);
	for (size_t i = 0; i < actions->list.count; i++) {
		struct fw_task_inputs inputs;

		if (actions->list.items[i].kind != FW_ACT_DISPATCH)
			continue;
		fw_engine_task_inputs(engine, actions->list.items[i].stage, actions->list.items[i].task, &inputs);
		if (inputs.inputs[0].count == 0) /* a task of a partitioned input has objects */
			abort();
		if (inputs.inputs[0].ranges && inputs.inputs[0].range_count == 0) /* none is empty */
			abort();
		fw_task_inputs_done(&inputs);
	}
	fw_buffer_done(&once);
	fw_buffer_done(&twice);
	fw_event_log_release(&event, owner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_stage stages[5];
	struct fw_workflow workflow = {.name = "fuzz", .stages = {stages, 5, 5}, .order = {order, 5, 5}};
	struct fw_engine_actions actions = {0};
	struct fw_engine *engine = NULL;
	const char *text = (const char *)data, *end = text + size;

	set_stage(&stages[0], "a", 2, &from_glob, NULL);
	set_stage(&stages[1], "b", FW_WORKERS_AUTO, &from_first, &order[0]);
	set_stage(&stages[2], "c", FW_WORKERS_AUTO, &from_second, &order[1]);
	set_stage(&stages[3], "d", 2, &from_third, &order[2]);
	set_stage(&stages[4], "e", 3, &cut_first, &order[0]);
	if (fw_engine_new(&workflow, &engine, NULL) != FW_OK)
		abort();
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t length = newline ? (size_t)(newline - text) : (size_t)(end - text);

		take(engine, &actions, text, length);
		text += length + 1;
	}
	fw_engine_free(engine);
	free(actions.list.items);
	return 0;
}
