/* SPDX-License-Identifier: Apache-2.0
 *
 * How objects reach tasks: scatter, broadcast, each; lists, widths and identity.
 */
#include "tests/unit/engine_world.h"
#include "tests/unit/support.h"

static void scatter_deals_round_robin_from_the_sorted_list(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_keys(add_stage(&world, "split", 2), "*.mp4", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	expect(&world, "list split/0");
	LISTED(&world, "split", 0, "c", "a", "e", "b", "d");
	expect(&world, "dispatch split/0.1; dispatch split/1.1");
	expect_input(&world, "split", 0, 0, "a c e");
	expect_input(&world, "split", 1, 0, "b d");
	ended_ok(&world, "split", 1, 1, 0);
	expect(&world, "");
	ended_ok(&world, "split", 0, 1, 0);
	expect(&world, "split ok; finish ok");
}

static void no_more_tasks_than_objects_are_made(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_keys(add_stage(&world, "split", 8), "*.mp4", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	LISTED(&world, "split", 0, "a", "b");
	expect(&world, "dispatch split/0.1; dispatch split/1.1");
	assert_true(fw_engine_stage(world.engine, 0).closed);
}

static void without_a_partitioned_input_every_worker_runs(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_keys(add_stage(&world, "vote", 3), "model", FW_EDGE_BROADCAST);
	world_build(&world);

	start(&world);
	LISTED(&world, "vote", 0, "m1", "m2");
	expect(&world, "dispatch vote/0.1; dispatch vote/1.1; dispatch vote/2.1");
	expect_input(&world, "vote", 2, 0, "m1 m2");
}

static void scatter_waits_until_the_producer_has_ended(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 2);
	add_from(&world, add_stage(&world, "b", 2), "a", "out", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 1, 1, 2);
	expect(&world, "");
	ended_ok(&world, "a", 0, 1, 1);
	expect(&world, "a ok; dispatch b/0.1; dispatch b/1.1");
	expect_input(&world, "b", 0, 0, "a/0/0 a/1/1");
	expect_input(&world, "b", 1, 0, "a/1/0");
}

static void each_starts_a_task_as_soon_as_its_object_is_committed(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 2);
	add_from(&world, add_stage(&world, "b", FW_WORKERS_AUTO), "a", "out", FW_EDGE_EACH);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 1, 1, 2);
	expect(&world, "dispatch b/1.1; dispatch b/3.1");
	expect_input(&world, "b", 3, 0, "a/1/1");
	assert_false(fw_engine_stage(world.engine, 1).closed);
	ended_ok(&world, "a", 0, 1, 1);
	expect(&world, "a ok; dispatch b/0.1");
	assert_true(fw_engine_stage(world.engine, 1).closed);
}

static void each_waits_for_the_broadcast_beside_it(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_stage *b;

	world_init(&world);
	add_stage(&world, "a", 1);
	add_stage(&world, "model", 1);
	b = add_stage(&world, "b", FW_WORKERS_AUTO);
	add_from(&world, b, "a", "out", FW_EDGE_EACH);
	add_from(&world, b, "model", "out", FW_EDGE_BROADCAST);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 0, 1, 2);
	expect(&world, "a ok");
	ended_ok(&world, "model", 0, 1, 1);
	expect(&world, "model ok; dispatch b/0.1; dispatch b/1.1");
	expect_input(&world, "b", 1, 1, "model/0/0");
}

/* Numbers of an each chain follow from (producer task, ordinal), whatever is committed first. */
static void numbers_do_not_depend_on_the_order_of_arrival(void **state)
{
	(void)state;
	for (unsigned order = 0; order < 2; order++) {
		fw_cleanup_world struct world world;

		world_init(&world);
		add_stage(&world, "a", 2);
		add_from(&world, add_stage(&world, "b", FW_WORKERS_AUTO), "a", "out", FW_EDGE_EACH);
		add_from(&world, add_stage(&world, "c", FW_WORKERS_AUTO), "b", "out", FW_EDGE_EACH);
		add_from(&world, add_stage(&world, "d", 1), "c", "out", FW_EDGE_SCATTER);
		world_build(&world);

		start(&world);
		ended_ok(&world, "a", order, 1, 2);
		ended_ok(&world, "a", 1 - order, 1, 2);
		static const uint32_t forth[] = {0, 1, 2, 3}, back[] = {3, 1, 2, 0};
		for (size_t i = 0; i < 4; i++)
			ended_ok(&world, "b", order ? back[i] : forth[i], 1, 1);
		for (uint32_t i = 0; i < 4; i++)
			expect_input(&world, "c", (i / 2) * 4 + i % 2, 0,
			             (const char *[]){"b/0/0", "b/1/0", "b/2/0", "b/3/0"}[i]);
		ended_ok(&world, "c", 5, 1, 1);
		ended_ok(&world, "c", 1, 1, 1);
		ended_ok(&world, "c", 4, 1, 1);
		ended_ok(&world, "c", 0, 1, 1);
		expect(&world, "c ok; dispatch d/0.1");
		expect_input(&world, "d", 0, 0, "c/0/0 c/4/0 c/1/0 c/5/0"); /* by lineage: a/0's objects, then a/1's */
	}
}

static void an_input_gets_the_objects_of_its_output_alone(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_output(add_stage(&world, "a", 1), "index");
	add_from(&world, add_stage(&world, "b", 1), "a", "index", FW_EDGE_SCATTER);
	add_from(&world, add_stage(&world, "c", FW_WORKERS_AUTO), "a", "index", FW_EDGE_EACH);
	world_build(&world);

	start(&world);
	step(&world, &(struct fw_engine_event){
		.kind = FW_EV_ENDED, .attempt = 1, .object_count = 3,
		.objects = (struct fw_engine_object[]){{"x", 1, 0, NULL}, {"y", 1, 1, NULL}, {"z", 1, 0, NULL}}});
	expect(&world, "a ok; dispatch c/0.1; dispatch b/0.1");
	expect_input(&world, "b", 0, 0, "y");
	expect_input(&world, "c", 0, 0, "y");
}

static void an_empty_list_of_a_stage_gives_no_tasks(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1);
	add_from(&world, add_stage(&world, "b", 4), "a", "out", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 0, 1, 0);
	expect(&world, "a ok; b ok; finish ok");
}

static void a_glob_that_matches_nothing_fails_before_anything_starts(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	world_init(&world);
	add_stage(&world, "free", 1);
	add_keys(add_stage(&world, "split", 2), "videos/*.mp4", FW_EDGE_SCATTER);
	world_build(&world);

	start(&world);
	expect(&world, "list split/0");
	step(&world, &(struct fw_engine_event){.kind = FW_EV_LISTED, .stage = 1});
	expect(&world, "free skipped; split lost; finish lost");
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_INVALID,
	                "stage 'split': input 'in0': no object matches 'videos/*.mp4'");
	resume(&world);
	expect(&world, "list split/0");
	LISTED(&world, "split", 0, "videos/a.mp4");
	expect(&world, "dispatch free/0.1; dispatch split/0.1");
}

static void a_list_that_fails_lets_running_ones_finish(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;
	struct fw_stage *late;

	world_init(&world);
	add_stage(&world, "a", 1);
	add_stage(&world, "other", 1);
	late = add_stage(&world, "late", 1);
	add_keys(late, "made/*", FW_EDGE_SCATTER);
	add_after(&world, late, "a");
	world_build(&world);

	start(&world);
	ended_ok(&world, "a", 0, 1, 0);
	expect(&world, "a ok; list late/0");
	step(&world, &(struct fw_engine_event){.kind = FW_EV_LIST_FAILED, .stage = 2, .error_message = "disk on fire"});
	expect(&world, "");
	ended_ok(&world, "other", 0, 1, 0);
	expect(&world, "other ok; late lost; finish lost");
	assert_error_is(fw_engine_failure(world.engine, &err), &err, FW_E_ENVIRONMENT, "disk on fire");
}

static void a_payload_waits_for_the_results_that_it_names(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1);
	add_stage(&world, "many", 2);
	add_payload(&world, add_stage(&world, "b", 1), "{\"n\": \"${a.result.n}\", \"all\": [\"${many.result.0.n}\"]}");
	world_build(&world);

	start(&world);
	expect(&world, "dispatch a/0.1; dispatch many/0.1; dispatch many/1.1");
	ended_with(&world, "a", 0, 1, "{\"n\": 5}");
	ended_with(&world, "many", 1, 1, "1");
	ended_ok(&world, "many", 0, 1, 0);
	expect(&world, "many ok; dispatch b/0.1");
	fw_cleanup_free char *one = fw_json_dump(fw_engine_results(world.engine)[0]);
	fw_cleanup_free char *all = fw_json_dump(fw_engine_results(world.engine)[1]);
	assert_string_equal(one, "{\"n\":5}");
	assert_string_equal(all, "[null,1]");
	assert_null(fw_engine_results(world.engine)[2]);
}

FW_TESTS(scatter_deals_round_robin_from_the_sorted_list, no_more_tasks_than_objects_are_made,
         without_a_partitioned_input_every_worker_runs, scatter_waits_until_the_producer_has_ended,
         each_starts_a_task_as_soon_as_its_object_is_committed, each_waits_for_the_broadcast_beside_it,
         numbers_do_not_depend_on_the_order_of_arrival, an_input_gets_the_objects_of_its_output_alone,
         an_empty_list_of_a_stage_gives_no_tasks, a_glob_that_matches_nothing_fails_before_anything_starts,
         a_list_that_fails_lets_running_ones_finish, a_payload_waits_for_the_results_that_it_names)
