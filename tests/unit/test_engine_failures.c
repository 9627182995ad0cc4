/* SPDX-License-Identifier: Apache-2.0
 *
 * Retries by class, what a failure means for other stages, and conditions.
 */
#include "tests/unit/engine_world.h"
#include "tests/unit/support.h"

/* ---- retries ---- */

static uint64_t fail_once(struct world *world, const char *stage, uint32_t task, uint32_t attempt, enum fw_status status)
{
	ended_as(world, stage, task, attempt, status);
	assert_int_equal(world->actions.list.count, 1);
	assert_int_equal(world->actions.list.items[0].kind, FW_ACT_TIMER);
	return world->actions.list.items[0].timer;
}

static void a_function_error_is_retried_as_often_as_the_stage_says(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	world_init(&world);
	add_stage(&world, "a", 1)->retries = 2;
	world_build(&world);

	start(&world);
	timer(&world, fail_once(&world, "a", 0, 1, FW_STATUS_FUNCTION_ERROR));
	expect(&world, "dispatch a/0.2");
	timer(&world, fail_once(&world, "a", 0, 2, FW_STATUS_TIMEOUT));
	expect(&world, "dispatch a/0.3");
	ended_as(&world, "a", 0, 3, FW_STATUS_TIMEOUT);
	expect(&world, "a timeout; finish timeout");
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_FUNCTION, "a/0: timeout: Test: as the test wants");
}

static void a_plain_lambda_function_is_not_called_again_after_its_error(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_stage *a;

	world_init(&world);
	a = add_stage(&world, "a", 1);
	a->retries = 2;
	add_payload(&world, a, "{}");
	world_build(&world);

	start(&world);
	timer(&world, fail_once(&world, "a", 0, 1, FW_STATUS_LOST));
	expect(&world, "dispatch a/0.2");
	ended_as(&world, "a", 0, 2, FW_STATUS_FUNCTION_ERROR);
	expect(&world, "a function_error; finish function_error");
}

static void a_lost_task_is_retried_without_using_up_retries_but_not_for_ever(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	world_init(&world);
	add_stage(&world, "a", 1)->retries = 1;
	world_build(&world);

	start(&world);
	timer(&world, fail_once(&world, "a", 0, 1, FW_STATUS_LOST));
	timer(&world, fail_once(&world, "a", 0, 2, FW_STATUS_FUNCTION_ERROR));
	for (uint32_t i = 1; i < FW_ENGINE_LOST_MAX; i++)
		timer(&world, fail_once(&world, "a", 0, 2 + i, FW_STATUS_LOST));
	ended_as(&world, "a", 0, 2 + FW_ENGINE_LOST_MAX, FW_STATUS_LOST);
	expect(&world, "a lost; finish lost");
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_ENVIRONMENT, "a/0: lost");
}

static void what_can_only_end_alike_is_not_tried_again(void **state)
{
	(void)state;
	static const enum fw_status statuses[] = {FW_STATUS_FUNCTION_ERROR, FW_STATUS_LOST};

	for (size_t i = 0; i < FW_COUNT_OF(statuses); i++) {
		fw_cleanup_world struct world world;

		world_init(&world);
		add_stage(&world, "a", 1)->retries = 5;
		world_build(&world);

		start(&world);
		step(&world, &(struct fw_engine_event){.kind = FW_EV_ENDED, .attempt = 1, .status = statuses[i], .final = true});
		expect(&world, i ? "a lost; finish lost" : "a function_error; finish function_error");
	}
}

static int64_t memory_after(struct world *world, uint32_t attempt)
{
	timer(world, fail_once(world, "a", 0, attempt, FW_STATUS_OUT_OF_MEMORY));
	assert_int_equal(world->actions.list.items[0].kind, FW_ACT_DISPATCH);
	assert_int_equal(world->actions.list.items[0].task, 0);
	return world->actions.list.items[0].memory_mb;
}

static void memory_doubles_after_out_of_memory_up_to_what_there_is(void **state)
{
	(void)state;
	static const int64_t machines[] = {5000, 100000}, most[] = {5000, FW_MEMORY_MAX_MB};

	for (size_t i = 0; i < 2; i++) {
		fw_cleanup_world struct world world;
		struct fw_stage *a;

		world_init(&world);
		a = add_stage(&world, "a", 1);
		a->memory_mb = 3000;
		a->grow = true;
		world.memory_mb = machines[i];
		world_build(&world);

		start(&world);
		assert_int_equal(memory_after(&world, 1), i ? 6000 : 5000);
		if (i)
			assert_int_equal(memory_after(&world, 2), most[i]);
		ended_as(&world, "a", 0, i ? 3 : 2, FW_STATUS_OUT_OF_MEMORY);
		expect(&world, "a out_of_memory; finish out_of_memory");
	}
}

static void without_grow_out_of_memory_is_final(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1)->retries = 3;
	world_build(&world);

	start(&world);
	ended_as(&world, "a", 0, 1, FW_STATUS_OUT_OF_MEMORY);
	expect(&world, "a out_of_memory; finish out_of_memory");
}

static void delays_are_jitter_below_a_doubling_bound_and_the_same_for_a_seed(void **state)
{
	(void)state;
	uint64_t delays[2][FW_ENGINE_LOST_MAX], longest = 0, last = 0;

	for (size_t run = 0; run < 2; run++) {
		fw_cleanup_world struct world world;

		world_init(&world);
		add_stage(&world, "a", 50);
		world_build(&world);
		start(&world);
		for (uint32_t task = 0; task < 50; task++) {
			uint64_t bound = 200;

			for (uint32_t i = 0; i + 1 < FW_ENGINE_LOST_MAX; i++, bound = bound * 2 < 10000 ? bound * 2 : 10000) {
				uint64_t id = fail_once(&world, "a", task, i + 1, FW_STATUS_LOST);

				delays[run][i] = world.actions.list.items[0].delay_ms;
				assert_true(delays[run][i] <= bound);
				longest = delays[run][i] > longest ? delays[run][i] : longest;
				timer(&world, id);
			}
		}
		assert_true(run == 0 || delays[1][5] == last);
		last = delays[0][5];
	}
	assert_true(longest > 8000); /* drawn from the whole range */
}

/* ---- what a failure means for others ---- */

static void the_other_tasks_finish_and_each_consumers_go_on_but_closed_lists_are_not_used(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 3);
	add_from(&world, add_stage(&world, "b", FW_WORKERS_AUTO), "a", "out", FW_EDGE_EACH);
	add_from(&world, add_stage(&world, "c", 2), "b", "out", FW_EDGE_SCATTER);
	add_from(&world, add_stage(&world, "d", 2), "a", "out", FW_EDGE_SCATTER);
	add_from(&world, add_stage(&world, "e", 2), "d", "out", FW_EDGE_BROADCAST);
	world_build(&world);

	start(&world);
	ended_as(&world, "a", 1, 1, FW_STATUS_FUNCTION_ERROR);
	expect(&world, "");
	ended_ok(&world, "a", 0, 1, 1);
	expect(&world, "dispatch b/0.1");
	ended_ok(&world, "a", 2, 1, 1);
	expect(&world, "a function_error; d skipped; e skipped; dispatch b/2.1");
	ended_ok(&world, "b", 0, 1, 1);
	ended_ok(&world, "b", 2, 1, 1);
	expect(&world, "b ok; c skipped; finish function_error");
}

static void with_continue_the_list_closes_without_what_failed(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 3)->on_failure = FW_FAILURE_CONTINUE;
	add_from(&world, add_stage(&world, "b", 1), "a", "out", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 2, 1, 1);
	ended_as(&world, "a", 1, 1, FW_STATUS_FUNCTION_ERROR);
	ended_ok(&world, "a", 0, 1, 1);
	expect(&world, "a function_error; dispatch b/0.1");
	expect_input(&world, "b", 0, 0, "a/0/0 a/2/0");
	ended_ok(&world, "b", 0, 1, 0);
	expect(&world, "b ok; finish function_error");
}

static void after_waits_for_an_end_that_can_be_built_on(void **state)
{
	(void)state;
	for (int goes_on = 0; goes_on < 2; goes_on++) {
		fw_cleanup_world struct world world;

		world_init(&world);
		add_stage(&world, "a", 1)->on_failure = goes_on ? FW_FAILURE_CONTINUE : FW_FAILURE_STOP;
		add_after(&world, add_stage(&world, "b", 1), "a");
		world_build(&world);

		start(&world);
		expect(&world, "dispatch a/0.1");
		ended_as(&world, "a", 0, 1, FW_STATUS_FUNCTION_ERROR);
		expect(&world, goes_on ? "a function_error; dispatch b/0.1"
		                       : "a function_error; b skipped; finish function_error");
	}
}

/* ---- conditions ---- */

static void a_condition_that_holds_lets_the_stage_run(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1);
	add_when(&world, add_stage(&world, "b", 1), "a", "n", 3);
	world_build(&world);

	start(&world);
	expect(&world, "dispatch a/0.1");
	ended_with(&world, "a", 0, 1, "{\"n\": 3}");
	expect(&world, "a ok; dispatch b/0.1");
}

static void a_condition_that_fails_skips_the_stage_and_who_needs_its_data_not_the_run(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1);
	add_when(&world, add_stage(&world, "b", 1), "a", "n", 3);
	add_from(&world, add_stage(&world, "scattered", 2), "b", "out", FW_EDGE_SCATTER);
	add_from(&world, add_stage(&world, "each", FW_WORKERS_AUTO), "b", "out", FW_EDGE_EACH);
	add_payload(&world, add_stage(&world, "reader", 1), "\"${b.result.x}\"");
	add_after(&world, add_stage(&world, "later", 1), "b");
	world_build(&world);

	start(&world);
	ended_with(&world, "a", 0, 1, "{\"n\": 2}");
	expect(&world, "a ok; b skipped; scattered skipped; each skipped; reader skipped; dispatch later/0.1");
	ended_ok(&world, "later", 0, 1, 0);
	expect(&world, "later ok; finish ok");
}

FW_TESTS(what_can_only_end_alike_is_not_tried_again, a_function_error_is_retried_as_often_as_the_stage_says,
         a_plain_lambda_function_is_not_called_again_after_its_error,
         a_lost_task_is_retried_without_using_up_retries_but_not_for_ever,
         memory_doubles_after_out_of_memory_up_to_what_there_is, without_grow_out_of_memory_is_final,
         delays_are_jitter_below_a_doubling_bound_and_the_same_for_a_seed,
         the_other_tasks_finish_and_each_consumers_go_on_but_closed_lists_are_not_used,
         with_continue_the_list_closes_without_what_failed, after_waits_for_an_end_that_can_be_built_on,
         a_condition_that_holds_lets_the_stage_run,
         a_condition_that_fails_skips_the_stage_and_who_needs_its_data_not_the_run)
