/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/engine_random.h"

#include <stdlib.h>
#include <string.h>

/* ---- chance ---- */

uint64_t mix(uint64_t x)
{
	x += 0x9E3779B97F4A7C15u;
	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

uint32_t draw(uint64_t *chance, uint32_t below)
{
	*chance = mix(*chance);
	return (uint32_t)(*chance % below);
}

static uint32_t fate(uint64_t seed, uint32_t stage, uint32_t task, uint32_t of, uint32_t below)
{
	return (uint32_t)(mix(mix(mix(seed ^ stage) ^ task) ^ of) % below);
}

uint32_t published_count(const struct run *run, uint32_t stage, uint32_t task)
{
	return fate(run->seed, stage, task, 2, 4);
}

uint32_t published_output(const struct run *run, uint32_t stage, uint32_t task, uint32_t object)
{
	return fate(run->seed, stage, task, 4 + object, 2);
}

uint32_t listed_count(const struct run *run, uint32_t stage, uint32_t input)
{
	return 1 + fate(run->seed, stage, input, 99, 8);
}

enum planned plan_fate(const struct run *run, uint32_t stage)
{
	const struct fw_input *input = fw_stage_partitioned(&run->world.workflow.stages.items[stage]);
	uint32_t kind = fate(run->seed, stage, 0, 77, 8);

	/* That nothing is in listed keys would end the whole run. */
	return kind == 0 ? PLANNED_FAILURE : kind == 1 && !input->keys ? PLANNED_NOTHING : PLANNED_OBJECTS;
}

void run_done(struct run *run)
{
	for (size_t i = 0; i < run->jobs.count; i++)
		free(run->jobs.items[i].inputs);
	for (size_t i = 0; i < run->log.count; i++)
		free(run->log.items[i]);
	free(run->jobs.items);
	free(run->outstanding.items);
	free(run->log.items);
	world_done(&run->world);
}

static struct job *job_of(struct run *run, uint32_t stage, uint32_t task)
{
	for (size_t i = 0; i < run->jobs.count; i++)
		if (run->jobs.items[i].stage == stage && run->jobs.items[i].task == task)
			return &run->jobs.items[i];
	FW_PUSH(&run->jobs, (struct job){.stage = stage, .task = task});
	return &run->jobs.items[run->jobs.count - 1];
}

/* ---- the graph ---- */

static void random_inputs(struct world *world, struct fw_stage *stage, uint32_t index, uint64_t *chance)
{
	uint32_t count = draw(chance, 3);
	bool auto_width = draw(chance, 2) == 0;

	if (auto_width) {
		stage->workers = FW_WORKERS_AUTO;
		count = count ? count : 1;
	}
	for (uint32_t i = 0; i < count; i++) {
		enum fw_edge edge = i > 0 ? FW_EDGE_BROADCAST : auto_width ? FW_EDGE_EACH
		                    : draw(chance, 3)                      ? FW_EDGE_SCATTER
		                                                           : FW_EDGE_BROADCAST;

		if (index == 0 || draw(chance, 5) == 0)
			add_keys(stage, "*", edge);
		else
			add_from(world, stage, world->workflow.stages.items[draw(chance, 2) ? index - 1 : draw(chance, index)].name,
			         draw(chance, 4) ? "out" : "more", edge);
		if (edge == FW_EDGE_SCATTER && draw(chance, 2))
			stage->inputs.items[i].range.kind = draw(chance, 4) ? FW_RANGE_LINES : FW_RANGE_SECONDS;
	}
}

static void random_stage(struct world *world, uint32_t index, uint64_t *chance)
{
	static const int64_t memories[] = {128, 256, 1769, 3008, 6000};
	char name[8] = {(char)('a' + index), '\0'};
	struct fw_stage *stage = add_stage(world, name, 1 + draw(chance, 5));

	add_output(stage, "more");
	stage->memory_mb = memories[draw(chance, FW_COUNT_OF(memories))];
	stage->retries = draw(chance, 3);
	stage->grow = draw(chance, 2);
	stage->on_failure = draw(chance, 2) ? FW_FAILURE_CONTINUE : FW_FAILURE_STOP;
	random_inputs(world, stage, index, chance);
	if (index && draw(chance, 4) == 0)
		add_after(world, stage, world->workflow.stages.items[draw(chance, index)].name);
	if (index && draw(chance, 4) == 0)
		add_when(world, stage, world->workflow.stages.items[draw(chance, index)].name, "n", draw(chance, 4));
	if (draw(chance, 5) == 0) {
		fw_cleanup_free char *payload =
			fw_printf("{\"x\": \"${%s.result.n}\"}", index ? world->workflow.stages.items[draw(chance, index)].name : "-");

		add_payload(world, stage, payload);
	}
}

void run_init(struct run *run, uint64_t seed, uint64_t chance)
{
	uint64_t shape = mix(seed);
	uint32_t stages = 1 + draw(&shape, 7);

	*run = (struct run){.seed = seed, .chance = mix(chance), .recording = true};
	world_init(&run->world);
	run->world.millivcpus = 500 + draw(&shape, 6) * 900;
	run->world.memory_mb = 6000 + draw(&shape, 8000);
	run->world.oversubscribe = draw(&shape, 8) == 0;
	for (uint32_t i = 0; i < stages; i++)
		random_stage(&run->world, i, &shape);
	world_build(&run->world);
}

/* ---- actions ---- */

static void check_reservations(struct run *run)
{
	int64_t millivcpus = 0, memory_mb = 0;

	for (size_t i = 0; i < run->jobs.count; i++) {
		if (!run->jobs.items[i].running)
			continue;
		millivcpus += run->jobs.items[i].millivcpus;
		memory_mb += run->jobs.items[i].memory_mb;
	}
	must(run, run->world.oversubscribe || (millivcpus <= run->world.millivcpus && memory_mb <= run->world.memory_mb),
	     "%lld of %lld thousandths of a CPU, %lld of %lld MB", (long long)millivcpus, (long long)run->world.millivcpus,
	     (long long)memory_mb, (long long)run->world.memory_mb);
}

/* "b/3/0": the producer's task must have committed. Listed keys have no slash. */
static void check_object(struct run *run, const char *key)
{
	const char *slash = strchr(key, '/');
	const struct job *job;

	if (!slash)
		return;
	job = job_of(run, stage_index(&run->world, (char[]){key[0], '\0'}), (uint32_t)atoi(slash + 1));
	must(run, job->committed, "%s was given away before it was committed", key);
}

static char *describe_inputs(struct run *run, uint32_t stage, uint32_t task)
{
	struct fw_task_inputs inputs;
	struct fw_buffer text;

	fw_buffer_init(&text, 1 << 20);
	fw_engine_task_inputs(run->world.engine, stage, task, &inputs);
	for (size_t i = 0; i < inputs.count; i++) {
		fw_buffer_text(&text, "|");
		for (size_t k = 0; inputs.inputs[i].ranges && k < inputs.inputs[i].range_count; k++)
			fw_buffer_printf(&text, " %s", inputs.inputs[i].objects[inputs.inputs[i].ranges[k].object].key);
		for (size_t k = 0; !inputs.inputs[i].ranges && k < inputs.inputs[i].count; k++) {
			check_object(run, inputs.inputs[i].objects[k].key);
			fw_buffer_printf(&text, " %s", inputs.inputs[i].objects[k].key);
		}
	}
	fw_task_inputs_done(&inputs);
	return fw_buffer_take(&text);
}

/* Everything that the stage should have given is there, as the rules of failure say. */
static bool is_whole(const struct run *run, uint32_t stage)
{
	const struct fw_stage *plan = &run->world.workflow.stages.items[stage];
	struct fw_stage_progress progress = fw_engine_stage(run->world.engine, stage);
	const struct fw_input *partitioned = fw_stage_partitioned(plan);

	if (!progress.ended || progress.status == FW_STATUS_SKIPPED)
		return false;
	if (progress.status != FW_STATUS_OK && plan->on_failure == FW_FAILURE_STOP)
		return false;
	return !fw_stage_is_each(plan) || partitioned->keys || is_whole(run, (uint32_t)partitioned->from_stage);
}

static bool only_comes_after(const struct run *run, const struct fw_stage *plan, uint32_t producer)
{
	const char *text = json_string_value(json_object_get(plan->payload, "x"));
	fw_cleanup_free char *reference = fw_printf("${%s.", run->world.workflow.stages.items[producer].name);

	for (size_t i = 0; i < plan->inputs.count; i++)
		if (plan->inputs.items[i].from_stage == producer)
			return false;
	return plan->when.stage != producer && !(text && strstr(text, reference));
}

static void check_waited(struct run *run, uint32_t stage)
{
	const struct fw_stage *plan = &run->world.workflow.stages.items[stage];
	const struct fw_input *partitioned = fw_stage_partitioned(plan);

	for (size_t i = 0; i < plan->producers.count; i++) {
		uint32_t producer = (uint32_t)plan->producers.items[i];
		struct fw_stage_progress progress = fw_engine_stage(run->world.engine, producer);
		bool flows = fw_stage_is_each(plan) && partitioned->from_stage == producer;
		bool passed_by = only_comes_after(run, plan, producer) && progress.status == FW_STATUS_SKIPPED;

		must(run, flows || (progress.ended && (is_whole(run, producer) || passed_by)), "%s cannot build on %s", plan->name,
		     run->world.workflow.stages.items[producer].name);
	}
}

static void dispatched(struct run *run, const struct fw_engine_action *action)
{
	struct job *job = job_of(run, action->stage, action->task);

	must(run, !job->running && !job->committed, "%u/%u is dispatched twice", action->stage, action->task);
	must(run, action->attempt > job->attempt, "%u/%u: attempt %u after %u", action->stage, action->task,
	     action->attempt, job->attempt);
	must(run, !run->finished, "dispatched after the end");
	char *inputs = describe_inputs(run, action->stage, action->task);

	job = job_of(run, action->stage, action->task); /* looking at inputs may have moved it */
	must(run, !job->inputs || strcmp(job->inputs, inputs) == 0, "%u/%u: other inputs: %s, then %s", action->stage,
	     action->task, job->inputs, inputs);
	free(job->inputs);
	job->inputs = inputs;
	job->running = job->given = true;
	job->attempt = action->attempt;
	job->memory_mb = action->memory_mb;
	job->millivcpus = action->millivcpus;
	must(run, action->cpu_capped == (fw_memory_millivcpus(action->memory_mb) > run->world.millivcpus), "wrong flag");
	check_waited(run, action->stage);
	check_reservations(run);
	FW_PUSH(&run->outstanding, (struct item){.kind = FW_EV_ENDED, .job = (size_t)(job - run->jobs.items)});
}

static void act(struct run *run, const struct fw_engine_action *action)
{
	switch (action->kind) {
	case FW_ACT_LIST:
		FW_PUSH(&run->outstanding, (struct item){.kind = FW_EV_LISTED, .stage = action->stage, .input = action->input});
		break;
	case FW_ACT_PLAN:
		FW_PUSH(&run->outstanding, (struct item){.kind = FW_EV_PLANNED, .stage = action->stage, .input = action->input});
		break;
	case FW_ACT_DISPATCH:
		dispatched(run, action);
		break;
	case FW_ACT_TIMER:
		must(run, action->delay_ms <= 10000, "too long a delay");
		FW_PUSH(&run->outstanding, (struct item){.kind = FW_EV_TIMER, .timer = action->timer});
		break;
	case FW_ACT_CANCEL:
		must(run, job_of(run, action->stage, action->task)->running, "cancels what does not run");
		break;
	case FW_ACT_STAGE_ENDED:
		must(run, fw_engine_stage(run->world.engine, action->stage).ended, "ended and not ended");
		break;
	case FW_ACT_FINISH:
		must(run, !run->finished, "finished twice");
		run->finished = true;
		run->status = action->status;
		break;
	}
}

static void note(struct run *run, const struct fw_engine_event *event)
{
	if (event->kind == FW_EV_RESUMED) {
		run->outstanding.count = 0;
		run->finished = false;
		for (size_t i = 0; i < run->jobs.count; i++)
			run->jobs.items[i].running = false;
	}
	if (event->kind != FW_EV_ENDED)
		return;
	struct job *job = job_of(run, event->stage, event->task);

	must(run, job->running, "the world ends what does not run");
	job->running = false;
	job->committed = event->status == FW_STATUS_OK;
	job->errors += event->status == FW_STATUS_FUNCTION_ERROR || event->status == FW_STATUS_TIMEOUT;
}

void happens(struct run *run, struct fw_engine_event *event)
{
	struct fw_error *err = NULL;

	if (run->recording) {
		struct fw_buffer text;

		fw_buffer_init(&text, 1 << 20);
		assert_int_equal(fw_event_log_encode(event, &text), FW_OK);
		FW_PUSH(&run->log, fw_buffer_take(&text));
	}
	note(run, event);
	int rc = fw_engine_step(run->world.engine, event, &run->world.actions, &err);

	must(run, rc == FW_OK, "refused: %s", fw_error_message(err));
	for (size_t i = 0; i < run->world.actions.list.count; i++)
		act(run, &run->world.actions.list.items[i]);
}

/* ---- what happens ---- */

void machine(struct run *run, enum fw_event_kind kind)
{
	happens(run, &(struct fw_engine_event){.kind = kind, .millivcpus = run->world.millivcpus, .seed = run->seed,
	                                       .memory_mb = run->world.memory_mb, .oversubscribe = run->world.oversubscribe});
}

static void list_ends(struct run *run, const struct item *item)
{
	struct fw_engine_object objects[8];
	char keys[8][8];
	size_t count = listed_count(run, item->stage, item->input);

	for (size_t i = 0; i < count; i++) {
		snprintf(keys[i], sizeof keys[i], "k%zu", (i * 5 + 3) % 8);
		objects[i] = (struct fw_engine_object){keys[i], (int64_t)i, 0, NULL};
	}
	happens(run, &(struct fw_engine_event){.kind = FW_EV_LISTED, .stage = item->stage, .input = item->input,
	                                       .objects = objects, .object_count = count});
}

/* The objects in turn over the parts, each as one range. */
static void plan_ends(struct run *run, const struct item *item)
{
	struct fw_engine_event event = {.kind = FW_EV_PLANNED, .stage = item->stage, .input = item->input};
	size_t count = 0, workers = (size_t)run->world.workflow.stages.items[item->stage].workers;
	enum planned fate_of = plan_fate(run, item->stage);

	fw_engine_input(run->world.engine, item->stage, item->input, &count);
	fw_cleanup_free struct fw_range *ranges = fw_alloc_array(count, sizeof *ranges);
	size_t parts = count < workers ? count : workers;

	for (size_t i = 0; i < count; i++)
		ranges[i] = (struct fw_range){(uint32_t)(i * parts / count), (uint32_t)i, 0, 1, NULL};
	if (fate_of == PLANNED_FAILURE) {
		event.kind = FW_EV_PLAN_FAILED;
		event.status = FW_STATUS_FUNCTION_ERROR;
		event.error_message = "as drawn";
	} else if (fate_of == PLANNED_OBJECTS) {
		event.ranges = ranges;
		event.range_count = count;
	}
	happens(run, &event);
}

/* One task in eight never succeeds, one in eight only at the second or third call, one in eight needs more memory. */
static enum fw_status verdict(struct run *run, const struct job *job)
{
	const struct fw_stage *plan = &run->world.workflow.stages.items[job->stage];
	uint32_t kind = fate(run->seed, job->stage, job->task, 1, 8);

	if (kind == 0)
		return FW_STATUS_FUNCTION_ERROR;
	if (kind == 1 && !plan->payload && job->errors < plan->retries)
		return job->errors ? FW_STATUS_TIMEOUT : FW_STATUS_FUNCTION_ERROR;
	if (kind == 2 && job->memory_mb < 3000)
		return FW_STATUS_OUT_OF_MEMORY;
	return FW_STATUS_OK;
}

static void job_ends(struct run *run, size_t index)
{
	const struct job *job = &run->jobs.items[index];
	struct fw_engine_object objects[4];
	char keys[4][32];
	size_t count = published_count(run, job->stage, job->task);
	struct fw_engine_event event = {.kind = FW_EV_ENDED, .stage = job->stage, .task = job->task, .attempt = job->attempt};
	fw_cleanup_json json_t *result = json_pack("{s:i}", "n", (int)fate(run->seed, job->stage, job->task, 3, 4));

	event.status = draw(&run->chance, 20) == 0 ? FW_STATUS_LOST : verdict(run, job);
	if (event.status == FW_STATUS_OK) {
		for (size_t i = 0; i < count; i++) {
			snprintf(keys[i], sizeof keys[i], "%s/%u/%zu", run->world.workflow.stages.items[job->stage].name, job->task, i);
			objects[i] = (struct fw_engine_object){keys[i], 1, published_output(run, job->stage, job->task, (uint32_t)i), NULL};
		}
		event.objects = objects;
		event.object_count = count;
		event.result = result;
	} else {
		event.error_type = "Random";
		event.error_message = "as drawn";
	}
	happens(run, &event);
}

static void something_ends(struct run *run)
{
	size_t index = draw(&run->chance, (uint32_t)run->outstanding.count);
	struct item item = run->outstanding.items[index];

	run->outstanding.items[index] = run->outstanding.items[--run->outstanding.count];
	if (item.kind == FW_EV_LISTED)
		list_ends(run, &item);
	else if (item.kind == FW_EV_PLANNED)
		plan_ends(run, &item);
	else if (item.kind == FW_EV_TIMER)
		happens(run, &(struct fw_engine_event){.kind = FW_EV_TIMER, .timer = item.timer});
	else if (draw(&run->chance, 2) || run->jobs.items[item.job].errors > 100)
		job_ends(run, item.job);
	else {
		const struct job *job = &run->jobs.items[item.job];

		FW_PUSH(&run->outstanding, item);
		happens(run, &(struct fw_engine_event){.kind = FW_EV_STARTED, .stage = job->stage, .task = job->task,
		                                       .attempt = job->attempt});
	}
}

void drive(struct run *run)
{
	for (size_t turn = 0; !run->finished; turn++) {
		must(run, run->outstanding.count, "nothing is outstanding and the run has not finished");
		must(run, turn < 100000, "no end");
		if (run->deaths && draw(&run->chance, 20) == 0) {
			run->deaths--;
			machine(run, FW_EV_RESUMED);
		} else if (run->cancels && draw(&run->chance, 20) == 0) {
			run->cancels--;
			happens(run, &(struct fw_engine_event){.kind = FW_EV_CANCEL, .now = draw(&run->chance, 2)});
		} else {
			something_ends(run);
		}
	}
}

