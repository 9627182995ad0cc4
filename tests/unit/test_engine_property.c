/* SPDX-License-Identifier: Apache-2.0
 *
 * Random workflows in a random world: what must hold for all of them. A seed gives a graph (all edges, conditions, order
 * without data, failures of every class), and each function's behaviour depends on its task alone, so that every way
 * through the same seed (other order of ends, deaths, cancels, replay of a part of the log) must reach the same end.
 * FLEXWATT_SEEDS sets how many seeds are tried (300), FLEXWATT_SEED the first one (1).
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/engine_random.h"

/* ---- the end ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Every object of the output that a partitioned input reads reached exactly one task of a stage that ran. */
static void check_delivery(struct run *run, uint32_t stage)
{
	const struct fw_input *input = fw_stage_partitioned(&run->world.workflow.stages.items[stage]);
	size_t delivered = 0, there = 0;

	if (!input || fw_engine_stage(run->world.engine, stage).status == FW_STATUS_SKIPPED)
		return;
	if (input->range.kind == FW_RANGE_SECONDS || /* every task has all */
	    (input->range.kind != FW_RANGE_NONE && plan_fate(run, stage) != PLANNED_OBJECTS))
		return;
	for (size_t i = 0; i < run->jobs.count; i++) {
		const struct job *job = &run->jobs.items[i];

		for (const char *at = job->stage == stage && job->inputs ? job->inputs + 1 : ""; *at && *at != '|'; at++)
			delivered += *at == ' ';
		if (input->keys || job->stage != input->from_stage || !job->committed)
			continue;
		for (uint32_t k = 0; k < published_count(run, job->stage, job->task); k++)
			there += published_output(run, job->stage, job->task, k) == (strcmp(input->from_output, "more") == 0);
	}
	if (input->keys)
		there = listed_count(run, stage, (uint32_t)(input - run->world.workflow.stages.items[stage].inputs.items));
	must(run, delivered == there, "stage %u: %zu of %zu objects were delivered", stage, delivered, there);
}

/* What must be the same on every way: which tasks there were, with which inputs, what was committed, how stages ended. */
static char *end_of(struct run *run)
{
	fw_cleanup_free char **lines = fw_alloc_array(run->jobs.count + 1, sizeof *lines);
	struct fw_buffer text;
	size_t count = 0;

	fw_buffer_init(&text, 1 << 24);
	for (uint32_t i = 0; i < run->world.workflow.stages.count; i++) {
		struct fw_stage_progress progress = fw_engine_stage(run->world.engine, i);

		must(run, progress.ended && progress.closed, "stage %u has not ended", i);
		must(run, !progress.waiting && !progress.running, "stage %u has ended too early", i);
		must(run, progress.ok + progress.failed + progress.skipped == progress.total, "stage %u: tasks are amiss", i);
		check_delivery(run, i);
		fw_buffer_printf(&text, "%u: %u of %u, %s\n", i, progress.ok, progress.total,
		                 progress.status == FW_STATUS_SKIPPED ? "skipped" : progress.status ? "failed" : "ok");
	}
	for (size_t i = 0; i < run->jobs.count; i++) {
		const struct job *job = &run->jobs.items[i];

		must(run, !job->running, "%u/%u still runs", job->stage, job->task);
		must(run, job->committed == fw_engine_committed(run->world.engine, job->stage, job->task, job->attempt),
		     "%u/%u: commit forgotten", job->stage, job->task);
		lines[count++] = fw_printf("%u/%u%s %s\n", job->stage, job->task, job->committed ? " ok" : "", job->inputs);
	}
	qsort(lines, count, sizeof *lines, by_text);
	for (size_t i = 0; i < count; i++) {
		must(run, i == 0 || strcmp(lines[i], lines[i - 1]) != 0, "a task twice: %s", lines[i]);
		fw_buffer_text(&text, lines[i]);
	}
	for (size_t i = 0; i < count; i++)
		free(lines[i]);
	fw_buffer_printf(&text, "%s\n", run->status == FW_STATUS_OK ? "ok" : "failed");
	return fw_buffer_take(&text);
}

static void compare(struct run *run, const char *expected, const char *way)
{
	fw_cleanup_free char *end = end_of(run);

	if (strcmp(end, expected) != 0)
		print_error("seed %llu, %s, ended in\n%s\ninstead of\n%s\n", (unsigned long long)run->seed, way, end, expected);
	assert_true(strcmp(end, expected) == 0);
}

/* ---- ways through one seed ---- */

static void another_order(uint64_t seed, const char *expected)
{
	cleanup_run struct run run;

	run_init(&run, seed, mix(seed ^ 2));
	machine(&run, FW_EV_RUN_STARTED);
	drive(&run);
	compare(&run, expected, "in another order");
}

static void with_deaths_and_cancels(uint64_t seed, const char *expected)
{
	cleanup_run struct run run;

	run_init(&run, seed, mix(seed ^ 3));
	run.deaths = 3;
	run.cancels = 2;
	machine(&run, FW_EV_RUN_STARTED);
	drive(&run);
	run.deaths = run.cancels = 0;
	machine(&run, FW_EV_RESUMED); /* of a cancelled run, of a failed one, and of a complete one */
	drive(&run);
	compare(&run, expected, "after deaths and cancels");
}

static void replay(struct run *run, const struct run *from, size_t count)
{
	run->recording = false;
	for (size_t i = 0; i < count; i++) {
		struct fw_engine_event event;
		struct fw_error *err = NULL;
		json_t *owner;

		assert_ok(fw_event_log_decode(from->log.items[i], strlen(from->log.items[i]), &event, &owner, &err), err);
		happens(run, &event);
		fw_event_log_release(&event, owner);
	}
}

static void from_a_prefix(uint64_t seed, const struct run *whole, size_t count, const char *expected)
{
	cleanup_run struct run run;

	run_init(&run, seed, mix(seed ^ count));
	replay(&run, whole, count);
	machine(&run, FW_EV_RESUMED);
	drive(&run);
	compare(&run, expected, "resumed from a part of the log");
}

static void replayed(uint64_t seed, const struct run *whole, const char *expected)
{
	cleanup_run struct run run;

	run_init(&run, seed, 0);
	replay(&run, whole, whole->log.count);
	assert_true(run.finished);
	compare(&run, expected, "replayed");
}

/* --from a stage: it and what hangs on it run again, with higher attempts, to the same end; the rest does not. */
static void afresh(uint64_t seed, const struct run *whole, const char *expected)
{
	cleanup_run struct run run;

	run_init(&run, seed, mix(seed ^ 5));
	replay(&run, whole, draw(&run.chance, 2) ? whole->log.count : 1 + draw(&run.chance, (uint32_t)whole->log.count));
	uint32_t from = draw(&run.chance, (uint32_t)run.world.workflow.stages.count);
	fw_cleanup_free bool *below = fw_alloc_array(run.world.workflow.stages.count, sizeof *below);

	below[from] = true;
	for (uint32_t i = from; i < run.world.workflow.stages.count; i++)
		for (size_t k = 0; k < run.world.workflow.stages.items[i].producers.count; k++)
			below[i] = below[i] || below[run.world.workflow.stages.items[i].producers.items[k]];
	for (size_t i = 0; i < run.jobs.count; i++)
		if (below[run.jobs.items[i].stage])
			run.jobs.items[i].committed = run.jobs.items[i].running = false;
	happens(&run, &(struct fw_engine_event){.kind = FW_EV_RESTARTED, .stage = from});
	machine(&run, FW_EV_RESUMED);
	drive(&run);
	compare(&run, expected, "afresh from a stage");
}

static void try_seed(uint64_t seed)
{
	cleanup_run struct run run;

	run_init(&run, seed, seed);
	machine(&run, FW_EV_RUN_STARTED);
	drive(&run);
	fw_cleanup_free char *expected = end_of(&run);

	another_order(seed, expected);
	with_deaths_and_cancels(seed, expected);
	replayed(seed, &run, expected);
	for (size_t count = 1; seed % 10 == 0 && count <= run.log.count; count++) /* killed at every event */
		from_a_prefix(seed, &run, count, expected);
	for (unsigned i = 0; i < 3; i++)
		from_a_prefix(seed, &run, 1 + draw(&run.chance, (uint32_t)run.log.count), expected);
	afresh(seed, &run, expected);
}

static uint64_t number_from(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static void every_way_through_a_random_workflow_keeps_the_rules_and_reaches_the_same_end(void **state)
{
	(void)state;
	uint64_t first = number_from("FLEXWATT_SEED", 1), count = number_from("FLEXWATT_SEEDS", 300);

	for (uint64_t seed = first; seed < first + count; seed++)
		try_seed(seed);
}

FW_TESTS(every_way_through_a_random_workflow_keeps_the_rules_and_reaches_the_same_end)
