/* SPDX-License-Identifier: Apache-2.0
 *
 * What the machine is promised, and in which order.
 */
#include "tests/unit/engine_world.h"
#include "tests/unit/support.h"

static void tasks_wait_while_the_machine_is_full_and_come_in_their_order(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 3)->memory_mb = 1769;
	add_stage(&world, "b", 1)->memory_mb = 1769;
	world.millivcpus = 2000;
	world_build(&world);

	start(&world);
	expect(&world, "dispatch a/0.1; dispatch a/1.1");
	ended_ok(&world, "a", 1, 1, 0);
	expect(&world, "dispatch a/2.1");
	ended_ok(&world, "a", 2, 1, 0);
	expect(&world, "dispatch b/0.1");
}

static void memory_limits_as_cpus_do(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 3)->memory_mb = 400;
	world.memory_mb = 1000;
	world_build(&world);

	start(&world);
	expect(&world, "dispatch a/0.1; dispatch a/1.1");
}

/* A large task behind a stream of small ones: each end lets a small one in, but only so often. */
static void a_task_that_does_not_fit_is_overtaken_a_bounded_number_of_times(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	unsigned overtakes = 0;

	world_init(&world);
	add_stage(&world, "first", 1)->memory_mb = 500;
	add_stage(&world, "large", 1)->memory_mb = 1000;
	add_stage(&world, "small", 100)->memory_mb = 250;
	world.memory_mb = 1000;
	world_build(&world);

	start(&world);
	expect(&world, "dispatch first/0.1; dispatch small/0.1; dispatch small/1.1");
	overtakes = 2;
	for (uint32_t i = 0; i < 100 && fw_engine_stage(world.engine, 2).running; i++) {
		ended_ok(&world, "small", i, 1, 0);
		overtakes += (unsigned)world.actions.list.count;
	}
	assert_int_equal(overtakes, FW_ENGINE_OVERTAKES_MAX);
	ended_ok(&world, "first", 0, 1, 0);
	expect(&world, "first ok; dispatch large/0.1");
	ended_ok(&world, "large", 0, 1, 0);
	assert_int_equal(fw_engine_stage(world.engine, 2).running, 4);
}

static void a_task_larger_than_the_cpus_runs_alone_and_is_flagged(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 1)->memory_mb = 3538;
	add_stage(&world, "b", 2);
	world.millivcpus = 1000;
	world_build(&world);

	start(&world);
	expect(&world, "dispatch a/0.1");
	assert_true(world.actions.list.items[0].cpu_capped);
	assert_int_equal(world.actions.list.items[0].millivcpus, 1000);
	ended_ok(&world, "a", 0, 1, 0);
	expect(&world, "a ok; dispatch b/0.1; dispatch b/1.1");
	assert_false(world.actions.list.items[1].cpu_capped);
}

static void a_stage_larger_than_the_memory_is_refused_before_anything_starts(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;
	struct fw_engine_event event = {.kind = FW_EV_RUN_STARTED, .millivcpus = 4000, .memory_mb = 2000};

	world_init(&world);
	add_stage(&world, "a", 1);
	add_stage(&world, "huge", 1)->memory_mb = 3000;
	world_build(&world);

	assert_error_is(try_step(&world, &event, &err), &err, FW_E_LIMIT,
	                "stage 'huge': needs 3000 MB of memory, and 2000 MB are available here");
	expect(&world, "");
	event.memory_mb = 3000;
	step(&world, &event); /* nothing had changed: it may start */
	expect(&world, "dispatch a/0.1");
}

static void oversubscription_lifts_admission_up_to_a_sane_number(void **state)
{
	(void)state;
	fw_cleanup_world struct world world;

	world_init(&world);
	add_stage(&world, "a", 3000)->memory_mb = 4000;
	world.oversubscribe = true;
	world.millivcpus = world.memory_mb = 1000;
	world_build(&world);

	start(&world);
	assert_int_equal(world.actions.list.count, FW_ENGINE_OVERSUBSCRIBED_MAX);
	assert_int_equal(world.actions.list.items[0].millivcpus, 1000);
	ended_ok(&world, "a", 5, 1, 0);
	expect(&world, "dispatch a/1024.1");
}

FW_TESTS(tasks_wait_while_the_machine_is_full_and_come_in_their_order, memory_limits_as_cpus_do,
         a_task_that_does_not_fit_is_overtaken_a_bounded_number_of_times,
         a_task_larger_than_the_cpus_runs_alone_and_is_flagged,
         a_stage_larger_than_the_memory_is_refused_before_anything_starts,
         oversubscription_lifts_admission_up_to_a_sane_number)
