/* SPDX-License-Identifier: Apache-2.0
 *
 * Stages whose input is cut into ranges: when the plan is asked for, what tasks it gives, and what becomes of a stage that
 * cannot be cut.
 */
#include "tests/unit/engine_world.h"
#include "tests/unit/support.h"

static void add_range(struct fw_stage *stage, enum fw_range_kind kind)
{
	stage->inputs.items[0].range = (struct fw_range_format){kind, ',', true};
}

static void planned(struct world *world, const char *stage, const struct fw_range *ranges, size_t count)
{
	step(world, &(struct fw_engine_event){.kind = FW_EV_PLANNED, .stage = stage_index(world, stage), .ranges = ranges,
	                                      .range_count = count});
}

static void plan_failed(struct world *world, const char *stage, enum fw_status status)
{
	step(world, &(struct fw_engine_event){.kind = FW_EV_PLAN_FAILED, .stage = stage_index(world, stage), .status = status,
	                                      .error_message = "object k: no good"});
}

/* "k:4+8(h)": the ranges of the first input of a task. */
static void expect_ranges(struct world *world, const char *stage, uint32_t task, const char *expected)
{
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_task_inputs inputs;

	fw_buffer_init(&text, 1 << 20);
	fw_engine_task_inputs(world->engine, stage_index(world, stage), task, &inputs);
	for (size_t i = 0; i < inputs.inputs[0].range_count; i++) {
		const struct fw_range *range = &inputs.inputs[0].ranges[i];

		fw_buffer_printf(&text, "%s%s:%lld+%lld(%s)", i ? " " : "", inputs.inputs[0].objects[range->object].key,
		                 (long long)range->offset, (long long)range->length, range->header ? range->header : "");
	}
	fw_task_inputs_done(&inputs);
	assert_string_equal(text.data ? text.data : "", expected);
}

static const struct fw_range three[] = {{0, 0, 4, 8, "h"}, {1, 0, 12, 2, "h"}, {1, 1, 2, 9, "i"}, {2, 1, 11, 9, "i"}};

static void the_plan_is_asked_for_when_the_list_is_closed_and_gives_the_tasks(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	struct fw_stage *stage = add_stage(&world, "a", 5);
	add_keys(stage, "*.csv", FW_EDGE_SCATTER);
	add_keys(stage, "model", FW_EDGE_BROADCAST);
	add_range(stage, FW_RANGE_CSV);
	world_build(&world);

	start(&world);
	expect(&world, "list a/0; list a/1");
	LISTED(&world, "a", 0, "x.csv", "y.csv");
	expect(&world, "");
	LISTED(&world, "a", 1, "model");
	expect(&world, "plan a/0");
	planned(&world, "a", three, 4);
	expect(&world, "dispatch a/0.1; dispatch a/1.1; dispatch a/2.1");
	expect_ranges(&world, "a", 0, "x.csv:4+8(h)");
	expect_ranges(&world, "a", 1, "x.csv:12+2(h) y.csv:2+9(i)");
	expect_ranges(&world, "a", 2, "y.csv:11+9(i)");
	expect_input(&world, "a", 2, 1, "model");
	for (uint32_t task = 0; task < 3; task++)
		ended_ok(&world, "a", task, 1, 0);
	expect(&world, "a ok; finish ok");
}

static void seconds_need_no_plan_and_every_task_has_all_objects(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_task_inputs inputs;

	world_init(&world);
	struct fw_stage *stage = add_stage(&world, "a", 3);
	add_keys(stage, "*.mp4", FW_EDGE_SCATTER);
	add_range(stage, FW_RANGE_SECONDS);
	world_build(&world);

	start(&world);
	LISTED(&world, "a", 0, "x.mp4", "y.mp4");
	expect(&world, "dispatch a/0.1; dispatch a/1.1; dispatch a/2.1");
	expect_input(&world, "a", 1, 0, "x.mp4 y.mp4");
	fw_engine_task_inputs(world.engine, 0, 1, &inputs);
	assert_int_equal(inputs.inputs[0].parts, 3);
	assert_null(inputs.inputs[0].ranges);
	fw_task_inputs_done(&inputs);
}

static void objects_of_another_stage_are_cut_when_it_has_ended(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 2);
	struct fw_stage *stage = add_stage(&world, "b", 4);
	add_from(&world, stage, "a", "out", FW_EDGE_SCATTER);
	add_range(stage, FW_RANGE_LINES);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 1, 1, 1);
	expect(&world, "");
	ended_ok(&world, "a", 0, 1, 1);
	expect(&world, "a ok; plan b/0");
	planned(&world, "b", (struct fw_range[]){{0, 0, 0, 5, NULL}, {0, 1, 0, 1, NULL}}, 2);
	expect(&world, "dispatch b/0.1");
	expect_ranges(&world, "b", 0, "a/0/0:0+5() a/1/0:0+1()");
}

static void objects_of_another_stage_without_a_record_give_no_task(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1);
	struct fw_stage *stage = add_stage(&world, "b", 4);
	add_from(&world, stage, "a", "out", FW_EDGE_SCATTER);
	add_range(stage, FW_RANGE_LINES);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 0, 1, 1);
	planned(&world, "b", NULL, 0);
	expect(&world, "b ok; finish ok");
}

static void listed_objects_without_a_record_fail_the_run(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	world_init(&world);
	struct fw_stage *stage = add_stage(&world, "a", 4);
	add_keys(stage, "*.csv", FW_EDGE_SCATTER);
	add_range(stage, FW_RANGE_CSV);
	world_build(&world);

	start(&world);
	LISTED(&world, "a", 0, "x.csv");
	planned(&world, "a", NULL, 0);
	expect(&world, "a lost; finish lost");
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_INVALID, "the objects that match '*.csv' are empty");
}

static void build_two(struct world *world, enum fw_on_failure on_failure)
{
	world_init(world);
	struct fw_stage *stage = add_stage(world, "a", 4);
	stage->on_failure = on_failure;
	add_keys(stage, "*.csv", FW_EDGE_SCATTER);
	add_range(stage, FW_RANGE_CSV);
	add_from(world, add_stage(world, "b", 1), "a", "out", FW_EDGE_BROADCAST);
	add_stage(world, "c", 1);
	world_build(world);
	start(world);
	expect(world, "list a/0");
	LISTED(world, "a", 0, "x.csv", "y.csv");
	expect(world, "plan a/0; dispatch c/0.1");
}

static void what_cannot_be_cut_fails_its_stage_and_those_behind_it(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	build_two(&world, FW_FAILURE_STOP);
	plan_failed(&world, "a", FW_STATUS_FUNCTION_ERROR);
	expect(&world, "a function_error; b skipped");
	ended_ok(&world, "c", 0, 1, 0);
	expect(&world, "c ok; finish function_error");
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_FUNCTION, "stage 'a': input 'in0': object k: no good");
	resume(&world); /* the objects may have been mended */
	expect(&world, "list a/0");
	LISTED(&world, "a", 0, "x.csv");
	expect(&world, "plan a/0");
	planned(&world, "a", three, 1);
	expect(&world, "dispatch a/0.1");
	ended_ok(&world, "a", 0, 1, 1);
	expect(&world, "a ok; dispatch b/0.1");
}

static void who_goes_on_after_failures_goes_on_without_its_objects(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	build_two(&world, FW_FAILURE_CONTINUE);
	plan_failed(&world, "a", FW_STATUS_FUNCTION_ERROR);
	expect(&world, "a function_error; dispatch b/0.1");
	expect_input(&world, "b", 0, 0, "");
	ended_ok(&world, "b", 0, 1, 0);
	ended_ok(&world, "c", 0, 1, 0);
	expect(&world, "c ok; finish function_error");
}

static void objects_that_cannot_be_read_fail_the_run(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	build_two(&world, FW_FAILURE_STOP);
	plan_failed(&world, "a", FW_STATUS_LOST);
	ended_ok(&world, "c", 0, 1, 0);
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_ENVIRONMENT, "stage 'a': input 'in0': object k: no good");
	assert_true(fw_engine_finished(world.engine, NULL));
}

static void a_cancelled_run_waits_for_the_plan_to_be_given_up(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	build_two(&world, FW_FAILURE_STOP);
	ended_ok(&world, "c", 0, 1, 0);
	cancel(&world, false);
	expect(&world, "");
	plan_failed(&world, "a", FW_STATUS_LOST);
	expect(&world, "a cancelled; b cancelled; finish cancelled");
	resume(&world);
	expect(&world, "list a/0");
}

static void an_engine_that_died_while_planning_asks_again(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	build_two(&world, FW_FAILURE_STOP);
	resume(&world);
	expect(&world, "list a/0");
	LISTED(&world, "a", 0, "x.csv", "y.csv");
	expect(&world, "plan a/0; dispatch c/0.2");
	planned(&world, "a", three, 4);
	expect(&world, "dispatch a/0.1; dispatch a/1.1; dispatch a/2.1");
	resume(&world); /* what is planned stays */
	expect(&world, "dispatch a/0.2; dispatch a/1.2; dispatch a/2.2; dispatch c/0.3");
	expect_ranges(&world, "a", 1, "x.csv:12+2(h) y.csv:2+9(i)");
}

static int recut(struct world *world, const char *stage, struct fw_error **err)
{
	return try_step(world, &(struct fw_engine_event){.kind = FW_EV_RECUT, .stage = stage_index(world, stage)}, err);
}

static void what_a_resumed_run_goes_on_with_is_what_open_tasks_have_ranges_of(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	bool of[2] = {false};
	uint32_t input = 7;

	build_two(&world, FW_FAILURE_STOP);
	assert_false(fw_engine_goes_on_with(world.engine, 0, &input, NULL)); /* nothing is cut yet */
	planned(&world, "a", three, 4);
	ended_ok(&world, "a", 0, 1, 1);
	ended_ok(&world, "a", 1, 1, 1);
	assert_true(fw_engine_goes_on_with(world.engine, 0, &input, of));
	assert_int_equal(input, 0);
	assert_false(of[0]); /* of x.csv are tasks 0 and 1 alone */
	assert_true(of[1]);
	ended_ok(&world, "a", 2, 1, 1);
	assert_false(fw_engine_goes_on_with(world.engine, 0, &input, of));
}

static void the_versions_that_were_cut_are_kept(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;
	const char *const versions[] = {"v1", "v2", NULL};
	struct fw_engine_event event = {.kind = FW_EV_PLANNED, .ranges = three, .range_count = 4, .versions = versions,
	                                .version_count = 3};
	size_t count = 0;

	build_two(&world, FW_FAILURE_STOP);
	assert_error_is(try_step(&world, &event, &err), &err, FW_E_CONFLICT, "the plan is of another list");
	event.version_count = 2;
	step(&world, &event);
	assert_string_equal(fw_engine_input(world.engine, 0, 0, &count)[1].version, "v2");
}

static void a_stage_that_is_cut_again_starts_afresh_alone(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	build_two(&world, FW_FAILURE_STOP);
	planned(&world, "a", three, 4);
	ended_ok(&world, "c", 0, 1, 1);
	for (uint32_t task = 0; task < 3; task++)
		ended_as(&world, "a", task, 1, FW_STATUS_FUNCTION_ERROR);
	assert_int_equal(recut(&world, "a", NULL), FW_OK);
	expect(&world, "");
	resume(&world);
	expect(&world, "list a/0");
	LISTED(&world, "a", 0, "x.csv");
	expect(&world, "plan a/0");
	planned(&world, "a", three, 2);
	expect(&world, "dispatch a/0.2; dispatch a/1.2"); /* attempts count on */
	expect_ranges(&world, "a", 1, "x.csv:12+2(h)");
	ended_ok(&world, "a", 0, 2, 1);
	ended_ok(&world, "a", 1, 2, 1);
	expect(&world, "a ok; dispatch b/0.1");
}

static void what_is_committed_is_not_cut_again(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	build_two(&world, FW_FAILURE_STOP);
	assert_error_is(recut(&world, "c", &err), &err, FW_E_CONFLICT, "stage 'c': it has no cuts");
	planned(&world, "a", three, 4);
	ended_ok(&world, "a", 0, 1, 1);
	assert_error_is(recut(&world, "a", &err), &err, FW_E_CONFLICT, "stage 'a': it has no cuts that can be made anew");
}

static void refused(struct world *world, const struct fw_range *ranges, size_t count, const char *why)
{
	struct fw_error *err = NULL;

	assert_error_is(try_step(world, &(struct fw_engine_event){.kind = FW_EV_PLANNED, .ranges = ranges, .range_count = count},
	                         &err), &err, FW_E_CONFLICT, why);
}

static void plans_that_cannot_be_are_refused(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	build_two(&world, FW_FAILURE_STOP);
	refused(&world, (struct fw_range[]){{0, 2, 0, 1, NULL}}, 1, "a range is of no object");
	refused(&world, (struct fw_range[]){{0, 0, 0, 0, NULL}}, 1, "a range is of no object");
	refused(&world, (struct fw_range[]){{1, 0, 0, 1, NULL}}, 1, "parts of the plan are missing");
	refused(&world, (struct fw_range[]){{0, 0, 0, 1, NULL}, {2, 0, 1, 1, NULL}}, 2, "parts of the plan are missing");
	refused(&world, (struct fw_range[]){{0, 0, 0, 1, NULL}, {1, 0, 1, 1, NULL}, {2, 0, 2, 1, NULL}, {3, 0, 3, 1, NULL},
	                                    {4, 0, 4, 1, NULL}}, 5, "more parts than workers");
	planned(&world, "a", three, 1);
	refused(&world, three, 1, "nobody asked for this plan");
}

FW_TESTS(the_plan_is_asked_for_when_the_list_is_closed_and_gives_the_tasks,
         seconds_need_no_plan_and_every_task_has_all_objects, objects_of_another_stage_are_cut_when_it_has_ended,
         objects_of_another_stage_without_a_record_give_no_task, listed_objects_without_a_record_fail_the_run,
         what_cannot_be_cut_fails_its_stage_and_those_behind_it, who_goes_on_after_failures_goes_on_without_its_objects,
         objects_that_cannot_be_read_fail_the_run, a_cancelled_run_waits_for_the_plan_to_be_given_up,
         an_engine_that_died_while_planning_asks_again,
         what_a_resumed_run_goes_on_with_is_what_open_tasks_have_ranges_of, the_versions_that_were_cut_are_kept,
         a_stage_that_is_cut_again_starts_afresh_alone, what_is_committed_is_not_cut_again, plans_that_cannot_be_are_refused)
