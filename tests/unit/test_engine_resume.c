/* SPDX-License-Identifier: Apache-2.0
 *
 * Cancelling, going on after a death, starting afresh from a stage, and events that cannot be.
 */
#include "tests/unit/engine_world.h"
#include "tests/unit/support.h"

static void a_graceful_cancel_waits_for_what_runs_and_starts_nothing(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	world_init(&world);
	add_stage(&world, "a", 3)->memory_mb = 1769;
	add_from(&world, add_stage(&world, "b", 1), "a", "out", FW_EDGE_SCATTER);
	world.millivcpus = 2000;
	world_build(&world);

	start(&world);
	expect(&world, "dispatch a/0.1; dispatch a/1.1");
	cancel(&world, false);
	expect(&world, "");
	ended_ok(&world, "a", 0, 1, 1);
	expect(&world, "");
	ended_as(&world, "a", 1, 1, FW_STATUS_LOST);
	expect(&world, "a cancelled; b cancelled; finish cancelled");
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_CANCELLED, "cancelled");
	resume(&world);
	expect(&world, "dispatch a/1.2; dispatch a/2.1");
}

static void a_cancel_now_ends_what_runs(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 2);
	world_build(&world);

	start(&world);
	cancel(&world, false);
	expect(&world, "");
	cancel(&world, true);
	expect(&world, "cancel a/0.1; cancel a/1.1");
	cancel(&world, true);
	expect(&world, "");
	ended_as(&world, "a", 0, 1, FW_STATUS_CANCELLED);
	ended_ok(&world, "a", 1, 1, 0); /* it was faster */
	expect(&world, "a cancelled; finish cancelled");
	assert_true(fw_engine_committed(world.engine, 0, 1, 1));
}

static void a_timer_after_the_cancel_is_ignored(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1);
	world_build(&world);

	start(&world);
	ended_as(&world, "a", 0, 1, FW_STATUS_LOST);
	uint64_t id = world.actions.list.items[0].timer;
	cancel(&world, false);
	expect(&world, "a cancelled; finish cancelled");
	timer(&world, id);
	expect(&world, "");
}

static void resume_runs_again_only_what_was_not_committed(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_keys(add_stage(&world, "a", 3), "*", FW_EDGE_SCATTER);
	add_from(&world, add_stage(&world, "b", 1), "a", "out", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	resume(&world);
	expect(&world, "list a/0");
	LISTED(&world, "a", 0, "x", "y", "z");
	ended_ok(&world, "a", 1, 1, 1);
	resume(&world);
	expect(&world, "dispatch a/0.2; dispatch a/2.2");
	expect_input(&world, "a", 2, 0, "z");
	ended_ok(&world, "a", 0, 2, 1);
	ended_ok(&world, "a", 2, 2, 1);
	expect(&world, "a ok; dispatch b/0.1");
	expect_input(&world, "b", 0, 0, "a/0/0 a/1/0 a/2/0");
}

static void dying_does_not_use_up_retries(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1)->retries = 1;
	world_build(&world);

	start(&world);
	for (uint32_t i = 0; i < 20; i++)
		resume(&world);
	expect(&world, "dispatch a/0.21");
	ended_as(&world, "a", 0, 21, FW_STATUS_FUNCTION_ERROR);
	expect(&world, "timer a/0");
	resume(&world);
	expect(&world, "dispatch a/0.22");
	ended_as(&world, "a", 0, 22, FW_STATUS_FUNCTION_ERROR);
	expect(&world, "a function_error; finish function_error");
	resume(&world); /* of a run that failed: the task has all its retries again */
	ended_as(&world, "a", 0, 23, FW_STATUS_FUNCTION_ERROR);
	expect(&world, "timer a/0");
}

static void a_failed_run_goes_on_with_what_failed_and_was_skipped(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 2);
	add_from(&world, add_stage(&world, "b", FW_WORKERS_AUTO), "a", "out", FW_EDGE_EACH);
	add_from(&world, add_stage(&world, "c", 1), "b", "out", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 0, 1, 1);
	ended_as(&world, "a", 1, 1, FW_STATUS_FUNCTION_ERROR);
	ended_ok(&world, "b", 0, 1, 1);
	expect(&world, "b ok; c skipped; finish function_error");
	resume(&world);
	expect(&world, "dispatch a/1.2");
	ended_ok(&world, "a", 1, 2, 1);
	expect(&world, "a ok; dispatch b/1.1");
	ended_ok(&world, "b", 1, 1, 1);
	expect(&world, "b ok; dispatch c/0.1");
	ended_ok(&world, "c", 0, 1, 1);
	expect(&world, "c ok; finish ok");
	assert_int_equal(fw_engine_failure(world.engine, NULL), FW_OK);
}

static void what_went_on_without_a_failed_task_is_not_undone(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 2)->on_failure = FW_FAILURE_CONTINUE;
	add_from(&world, add_stage(&world, "b", 1), "a", "out", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 0, 1, 1);
	ended_as(&world, "a", 1, 1, FW_STATUS_FUNCTION_ERROR);
	resume(&world);
	expect(&world, "dispatch b/0.2");
	ended_ok(&world, "b", 0, 2, 1);
	expect(&world, "b ok; finish function_error");
	resume(&world);
	expect(&world, "finish function_error");
}

static void from_a_stage_it_and_its_descendants_run_afresh(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	world_init(&world);
	add_stage(&world, "a", 1);
	add_from(&world, add_stage(&world, "b", FW_WORKERS_AUTO), "a", "out", FW_EDGE_EACH);
	add_from(&world, add_stage(&world, "c", 1), "b", "out", FW_EDGE_SCATTER);
	add_stage(&world, "other", 1);
	world_build(&world);

	start(&world);
	ended_ok(&world, "other", 0, 1, 1);
	ended_ok(&world, "a", 0, 1, 2);
	ended_ok(&world, "b", 0, 1, 1);
	ended_ok(&world, "b", 1, 1, 1);
	ended_ok(&world, "c", 0, 1, 1);
	step(&world, &(struct fw_engine_event){.kind = FW_EV_RESTARTED, .stage = 1});
	expect(&world, "");
	step(&world, &(struct fw_engine_event){.kind = FW_EV_RESTARTED, .stage = 1}); /* after a death in between */
	assert_error_is(try_step(&world, &(struct fw_engine_event){.kind = FW_EV_CANCEL}, &err), &err, FW_E_CONFLICT,
	                "restarted from a stage and not resumed");
	resume(&world);
	expect(&world, "dispatch b/0.2; dispatch b/1.2");
	assert_true(fw_engine_committed(world.engine, 0, 0, 1));
	assert_false(fw_engine_committed(world.engine, 1, 0, 1));
	ended_ok(&world, "b", 1, 2, 1);
	ended_ok(&world, "b", 0, 2, 1);
	expect(&world, "b ok; dispatch c/0.2");
}

static void what_starts_afresh_follows_the_new_plan_and_the_rest_the_old(void **state)
{
	(void)state;
	fw_cleanup_world struct world other, world; /* freed in reverse: the engine before the plan that it borrows */
	struct fw_error *err = NULL;

	world_init(&world);
	add_stage(&world, "a", 2);
	add_from(&world, add_stage(&world, "b", 2), "a", "out", FW_EDGE_SCATTER);
	world_build(&world);
	world_init(&other);
	add_stage(&other, "a", 5);
	add_from(&other, add_stage(&other, "b", FW_WORKERS_AUTO), "a", "out", FW_EDGE_EACH);
	world_build(&other);

	start(&world);
	ended_ok(&world, "a", 0, 1, 2);
	ended_ok(&world, "a", 1, 1, 1);
	expect(&world, "a ok; dispatch b/0.1; dispatch b/1.1");
	assert_error_is(fw_engine_replan(world.engine, &other.workflow, &err), &err, FW_E_CONFLICT, "not been restarted");
	step(&world, &(struct fw_engine_event){.kind = FW_EV_RESTARTED, .stage = 1});
	assert_ok(fw_engine_replan(world.engine, &other.workflow, &err), err);
	resume(&world);
	expect(&world, "dispatch b/0.2; dispatch b/2.2; dispatch b/1.2");
	assert_int_equal(fw_engine_stage(world.engine, 0).total, 2);
}

static void refused(struct world *world, struct fw_engine_event event, const char *text)
{
	struct fw_error *err = NULL;

	assert_error_is(try_step(world, &event, &err), &err, FW_E_CONFLICT, text);
	expect(world, "");
}

static void events_that_contradict_the_run_are_refused_and_change_nothing(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 2);
	world_build(&world);

	refused(&world, (struct fw_engine_event){.kind = FW_EV_CANCEL}, "it has not started");
	start(&world);
	refused(&world, (struct fw_engine_event){.kind = FW_EV_RUN_STARTED}, "it has started already");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_ENDED, .task = 2, .attempt = 1}, "no task 0/2");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_ENDED, .stage = 1, .attempt = 1}, "no task 1/0");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_STARTED, .attempt = 2}, "attempt 2 of task a/0 is not runn");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_ENDED, .attempt = 1, .status = FW_STATUS_SKIPPED}, "skipped");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_ENDED, .attempt = 1, .object_count = 1,
	                                         .objects = &(struct fw_engine_object){"k", 1, 1, NULL}}, "has no output 1");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_LISTED}, "nobody asked for this list");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_LIST_FAILED, .stage = 9}, "nobody asked for this list");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_TIMER, .timer = (uint64_t)5 << 32}, "no timer");
	refused(&world, (struct fw_engine_event){.kind = FW_EV_RESTARTED, .stage = 1}, "no stage 1");
	ended_ok(&world, "a", 0, 1, 0);
	refused(&world, (struct fw_engine_event){.kind = FW_EV_ENDED, .attempt = 1}, "is not running");
	ended_ok(&world, "a", 1, 1, 0);
	expect(&world, "a ok; finish ok");
}

FW_TESTS(a_graceful_cancel_waits_for_what_runs_and_starts_nothing, a_cancel_now_ends_what_runs,
         a_timer_after_the_cancel_is_ignored, resume_runs_again_only_what_was_not_committed, dying_does_not_use_up_retries,
         a_failed_run_goes_on_with_what_failed_and_was_skipped, what_went_on_without_a_failed_task_is_not_undone,
         from_a_stage_it_and_its_descendants_run_afresh, what_starts_afresh_follows_the_new_plan_and_the_rest_the_old,
         events_that_contradict_the_run_are_refused_and_change_nothing)
