/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine by itself: a million no-op tasks, without functions, store or log. Prints one JSON object: tasks a second and
 * bytes a task without the texts of keys, for one wide stage over listed keys and for chains of `each` stages, tasks
 * ending in order and newest first.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/time.h"
#include "engine/engine.h"

enum { WINDOW = 1000 }; /* invocations at once */

struct bench {
	struct fw_workflow workflow;
	struct fw_engine *engine;
	struct fw_engine_actions actions;
	FW_VECTOR(struct fw_engine_action) running;
	uint64_t tasks;
	bool finished;
};

static void add_stage(struct bench *bench, char *name)
{
	size_t index = bench->workflow.stages.count;
	struct fw_stage stage = {.name = name, .workers = FW_WORKERS_AUTO, .memory_mb = 128};
	struct fw_input input = {.name = "in", .edge = FW_EDGE_EACH, .from_stage = SIZE_MAX, .keys = "*"};

	stage.when.stage = SIZE_MAX;
	if (index > 0) {
		input.keys = NULL;
		input.from_stage = index - 1;
		input.from_output = "out";
		FW_PUSH(&stage.producers, index - 1);
	}
	FW_PUSH(&stage.inputs, input);
	FW_PUSH(&stage.outputs, (struct fw_output){.name = "out"});
	FW_PUSH(&bench->workflow.stages, stage);
	FW_PUSH(&bench->workflow.order, index);
}

static void free_workflow(struct fw_workflow *workflow)
{
	for (size_t i = 0; i < workflow->stages.count; i++) {
		free(workflow->stages.items[i].producers.items);
		free(workflow->stages.items[i].inputs.items);
		free(workflow->stages.items[i].outputs.items);
	}
	free(workflow->stages.items);
	free(workflow->order.items);
}

static void step(struct bench *bench, const struct fw_engine_event *event)
{
	struct fw_error *err = NULL;

	if (fw_engine_step(bench->engine, event, &bench->actions, &err) != FW_OK) {
		fprintf(stderr, "engine_alone: %s\n", fw_error_message(err));
		exit(1);
	}
	for (size_t i = 0; i < bench->actions.list.count; i++) {
		if (bench->actions.list.items[i].kind == FW_ACT_DISPATCH)
			FW_PUSH(&bench->running, bench->actions.list.items[i]);
		bench->finished = bench->finished || bench->actions.list.items[i].kind == FW_ACT_FINISH;
	}
}

static void list(struct bench *bench, size_t count)
{
	struct fw_engine_object *objects = fw_alloc_array(count, sizeof *objects);
	char *keys = fw_alloc_array(count, 16);

	for (size_t i = 0; i < count; i++) {
		snprintf(keys + i * 16, 16, "%08zu", i);
		objects[i] = (struct fw_engine_object){keys + i * 16, 1, 0};
	}
	step(bench, &(struct fw_engine_event){.kind = FW_EV_LISTED, .objects = objects, .object_count = count});
	free(objects);
	free(keys);
}

/* Every running invocation starts and ends, the oldest first or the newest first. */
static void end_one(struct bench *bench, size_t *next, bool newest_first)
{
	struct fw_engine_action action = newest_first ? bench->running.items[--bench->running.count]
	                                              : bench->running.items[(*next)++];
	struct fw_engine_object object = {"out", 1, 0};

	step(bench, &(struct fw_engine_event){.kind = FW_EV_STARTED, .stage = action.stage, .task = action.task,
	                                      .attempt = action.attempt});
	step(bench, &(struct fw_engine_event){.kind = FW_EV_ENDED, .stage = action.stage, .task = action.task,
	                                      .attempt = action.attempt, .objects = &object, .object_count = 1});
	bench->tasks++;
	if (*next == bench->running.count)
		*next = bench->running.count = 0;
}

static void measure(const char *name, size_t width, size_t stages, bool newest_first, const char *separator)
{
	struct bench bench = {0};
	size_t next = 0, most = 0;

	for (size_t i = 0; i < stages; i++)
		add_stage(&bench, "stage");
	if (fw_engine_new(&bench.workflow, &bench.engine, NULL) != FW_OK)
		exit(1);
	uint64_t start = fw_monotonic_ns();

	step(&bench, &(struct fw_engine_event){.kind = FW_EV_RUN_STARTED, .millivcpus = WINDOW * fw_memory_millivcpus(128),
	                                       .memory_mb = WINDOW * 128});
	list(&bench, width);
	while (!bench.finished) {
		end_one(&bench, &next, newest_first);
		if (bench.tasks % 65536 == 0 && fw_engine_memory(bench.engine) > most)
			most = fw_engine_memory(bench.engine);
	}
	double seconds = (double)(fw_monotonic_ns() - start) / 1e9;

	most = fw_engine_memory(bench.engine) > most ? fw_engine_memory(bench.engine) : most;
	printf("%s\"%s\":{\"tasks\":%llu,\"seconds\":%.3f,\"tasks_per_second\":%.0f,\"bytes_per_task\":%.1f}", separator, name,
	       (unsigned long long)bench.tasks, seconds, (double)bench.tasks / seconds, (double)most / (double)bench.tasks);
	fw_engine_free(bench.engine);
	free_workflow(&bench.workflow);
	free(bench.running.items);
	free(bench.actions.list.items);
}

int main(void)
{
	printf("{");
	measure("one_stage", 1000000, 1, false, "");
	measure("chain_of_four", 250000, 4, false, ",");
	measure("chain_of_four_newest_first", 250000, 4, true, ",");
	printf("}\n");
	return 0;
}
