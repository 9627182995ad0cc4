/* SPDX-License-Identifier: Apache-2.0
 *
 * The nvml monitor against a library that stands in for the driver's: what it measures, whose work it was, and what it says
 * where the driver is not whole.
 */
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/nvml.h"
#include "energy/nvml_internal.h"
#include "tests/unit/counter_world.h"

/* Which library, and what it says; the file is the test's own. */
static void use_library(struct world *world, const char *name, const char *state)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%s.so", getenv("NVML_STAND_INS"), name);
	setenv("FLEXWATT_NVML", path, 1);
	tree_write(&world->tree, "nvml", state);
	snprintf(path, sizeof path, "%s/nvml", world->tree.path);
	setenv("NVML_STAND_IN", path, 1);
}

static void say(struct world *world, const char *state)
{
	tree_write(&world->tree, "nvml", state);
}

static void world_of(struct world *world, const char *state)
{
	world_init(world);
	use_library(world, "nvml-stand-in", state);
	world_open(world, &fw_monitor_nvml);
	for (size_t i = 0; i < world->count; i++) /* a busy machine is no slow driver */
		world->monitor->gpus[i].energy_pace.least_ns = world->monitor->gpus[i].power_pace.least_ns = 0;
}

static void refused(const char *library, const char *state, int code, const char *text)
{
	fw_cleanup_world struct world world;
	struct fw_error *err = NULL;

	world_init(&world);
	use_library(&world, library, state);
	assert_error_is(world_try_open(&world, &fw_monitor_nvml, &err), &err, code, text);
}

static void joules_come_from_the_counter_of_each_gpu(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_of(&world, "gpus 2\ngpu0.name Stand-in A\ngpu0.energy 5000000\ngpu0.instant 0\ngpu0.limit 300000\n"
	                 "gpu1.name Stand-in B\ngpu1.energy 7000000\ngpu1.instant 0\n");
	assert_int_equal(world.count, 2);
	assert_true(world.domains[0].is_root && world.domains[0].kind == FW_DOMAIN_GPU && world.domains[0].gpu == 0);
	assert_near(world.domains[0].most_w, 600, 1e-9);
	world_read(&world);
	assert_near(world_total_j(&world), 0, 0); /* since the driver was loaded is not since now */
	say(&world, "gpus 2\ngpu0.energy 5002500\ngpu0.instant 0\ngpu1.energy 7001000\ngpu1.instant 0\n");
	world_pass_ms(&world, 50);
	world_read(&world);
	assert_near(world_reading(&world, "gpu-0")->joules, 2.5, 1e-9);
	assert_near(world_reading(&world, "gpu-1")->joules, 1, 1e-9);
	world_says(&world, "gpu-0 Stand-in A: a counter, shared by the use of its processes");
}

/* The same over a real stretch of time with a counter that steps each 100 ms. */
static void between_two_updates_power_stands_in(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_of(&world, "gpus 1\ngpu0.energy 1000\ngpu0.instant 80000\ngpu0.power 1\n");
	world_read(&world);
	struct fw_domain_reading first = world.readings[0];
	world_pass_ms(&world, 20);
	world_read(&world);
	double seconds = (double)(world.readings[0].before_ns - first.before_ns) / 1e9;
	assert_int_equal(world.readings[0].flags & FW_DOMAIN_EARLY, FW_DOMAIN_EARLY);
	assert_true(world.readings[0].joules >= 80 * 0.019 && world.readings[0].joules <= 80 * (seconds + 0.05));
}

static void without_a_counter_power_is_added_up(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_of(&world, "gpus 1\ngpu0.name Old\ngpu0.power 60000\n");
	world_read(&world);
	struct fw_domain_reading first = world.readings[0];
	world_pass_ms(&world, 20);
	world_read(&world);
	double seconds = (double)(world.readings[0].before_ns - first.before_ns + world.readings[0].after_ns - first.after_ns) / 2e9;
	assert_near(world.readings[0].joules, 60 * seconds, 1e-9);
	world_says(&world, "gpu-0 Old: from power");
}

static void a_driver_that_lacks_what_is_new_still_gives_power(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	use_library(&world, "nvml-old", "gpus 1\ngpu0.name Old\ngpu0.power 60000\ngpu0.energy 4\n");
	world_open(&world, &fw_monitor_nvml);
	world_says(&world, "gpu-0 Old: from power, its driver does not tell processes apart");
	assert_true(world.domains[0].is_unshared);
}

static void a_counter_that_takes_long_is_asked_a_hundredth_of_the_time(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_init(&world);
	use_library(&world, "nvml-stand-in", "gpus 1\ngpu0.energy 1000\ngpu0.energy_ms 3\ngpu0.instant 1000\n");
	world_open(&world, &fw_monitor_nvml);
	void *library = dlopen(getenv("FLEXWATT_NVML"), RTLD_NOW);
	unsigned *calls = dlsym(library, "nvml_stand_in_energy_calls");
	assert_non_null(calls);
	world_read(&world);
	unsigned before = *calls;
	for (unsigned i = 0; i < 20; i++)
		world_read(&world);
	assert_int_equal(*calls, before);
	assert_true(world.domains[0].update_s >= 0.3);
	dlclose(library);
}

static void a_lost_gpu_leaves_a_hole_and_stops_nothing(void **state)
{
	fw_cleanup_world struct world world;

	(void)state;
	world_of(&world, "gpus 2\ngpu0.energy 1000\ngpu0.instant 0\ngpu1.energy 1000\ngpu1.instant 0\n");
	world_read(&world);
	say(&world, "gpus 2\ngpu0.energy 1500\ngpu0.code 15\ngpu1.energy 3000\ngpu1.instant 0\n");
	world_pass_ms(&world, 20);
	world_read(&world);
	assert_true(isnan(world.readings[0].joules));
	assert_int_equal(world.readings[0].flags, FW_DOMAIN_GAP);
	assert_near(world.readings[1].joules, 2, 1e-9);
	/* it is back, and its counter began anew: what it shows now is nobody's */
	say(&world, "gpus 2\ngpu0.energy 10\ngpu0.instant 0\ngpu1.energy 3000\ngpu1.instant 0\n");
	world_read(&world);
	assert_true(isnan(world.readings[0].joules)); /* asked again in a second, not at every reading */
	world.monitor->gpus[0].retry_ns = 0;
	world_read(&world);
	assert_near(world.readings[0].joules, 0, 0);
	assert_int_equal(world.readings[0].flags & FW_DOMAIN_RESET, FW_DOMAIN_RESET);
	assert_true(world.readings[0].lost_j > 0);
}

static void what_keeps_the_driver_from_working_is_named(void **state)
{
	(void)state;
	refused("nvml-stand-in", "init 18\n", FW_E_ABSENT, "the NVIDIA driver's library and its kernel module are of different versions");
	refused("nvml-stand-in", "init 9\n", FW_E_ABSENT, "the NVIDIA kernel module is not loaded");
	refused("nvml-stand-in", "init 4\n", FW_E_PERMISSION, "the devices /dev/nvidia* may not be opened");
	refused("nvml-stand-in", "init 17\n", FW_E_PERMISSION, "keeps the devices /dev/nvidia* away");
	refused("nvml-stand-in", "init 999\n", FW_E_ABSENT, "Unknown Error");
	refused("nvml-stand-in", "gpus 0\n", FW_E_ABSENT, "has no GPU");
	refused("nvml-stand-in", "gpus 1\ngpu0.code 15\n", FW_E_ABSENT, "gpu-0: GPU is lost");
	refused("nvml-strange", "gpus 1\n", FW_E_ABSENT, "has no function nvmlInit_v2");
	refused("nothing", "", FW_E_ABSENT, "does not load");
}

static void a_machine_without_the_driver_says_so(void **state)
{
	struct fw_error *err = NULL;
	struct fw_nvml nvml;

	(void)state;
	unsetenv("FLEXWATT_NVML");
	if (fw_nvml_open(&nvml, &err) == FW_OK) {
		fw_nvml_close(&nvml);
		print_message("[  SKIPPED ] this machine has the driver\n");
		skip();
	}
	if (strstr(fw_error_message(err), "no NVIDIA driver here"))
		assert_non_null(strstr(fw_error_hint_text(err), "NVIDIA_DRIVER_CAPABILITIES"));
	fw_error_free(err);
	setenv("FLEXWATT_NVML", "libfoo.so", 1);
	err = NULL;
	assert_error_is(fw_nvml_open(&nvml, &err), &err, FW_E_ABSENT, "no absolute path");
}

/* ---- whose work ---- */

static void look(struct world *world, double gpu_ns[FW_ATTRIBUTION_GPUS])
{
	world->monitor->look_least_ns = 0;
	fw_monitor_nvml_look(world->monitor, gpu_ns);
}

static void use_of_a_gpu_is_its_processes(void **state)
{
	fw_cleanup_world struct world world;
	struct fw_root root;
	struct fw_error *err = NULL;
	struct fw_metered worker = {.pid = getpid()}, other = {.pid = 0};
	double all[FW_ATTRIBUTION_GPUS] = {0}, own[FW_ATTRIBUTION_GPUS], none[FW_ATTRIBUTION_GPUS];
	char text[256];

	(void)state;
	snprintf(text, sizeof text, "gpus 1\ngpu0.energy 1\ngpu0.process %d 60 1000\ngpu0.process 99999999 20 1000\n", getpid());
	world_of(&world, text);
	assert_ok(fw_root_open("/", &root, &err), err);
	struct fw_reading_source source = {.root = &root, .live = true};
	void *mine = fw_monitor_nvml.meter(world.monitor, &worker), *others = fw_monitor_nvml.meter(world.monitor, &other);
	look(&world, all);
	assert_near(all[0], 0, 0); /* nobody looked before: of what time it is, nobody knows */
	snprintf(text, sizeof text,
	         "gpus 1\ngpu0.energy 1\ngpu0.process %d 60 2000\ngpu0.process %d 40 3000\ngpu0.process 99999999 20 2000\n", getpid(),
	         getpid());
	say(&world, text);
	usleep(5000);
	look(&world, all);
	double span_ns = world.monitor->look_span_ns;
	assert_true(span_ns >= 5e6);
	fw_monitor_nvml_work(world.monitor, mine, &source, &worker, own);
	fw_monitor_nvml_work(world.monitor, others, &source, &other, none);
	assert_near(all[0], (0.5 + 0.1) * span_ns, 1);
	assert_near(own[0], 0.5 * span_ns, 1);
	assert_near(none[0], 0, 0);
	/* the same look is counted once, and a look with nobody adds nothing */
	fw_monitor_nvml_work(world.monitor, mine, &source, &worker, own);
	look(&world, all);
	fw_monitor_nvml_work(world.monitor, mine, &source, &worker, own);
	assert_near(own[0], 0.5 * span_ns, 1);
	fw_monitor_nvml.unmeter(world.monitor, mine);
	fw_monitor_nvml.unmeter(world.monitor, others);
	fw_root_close(&root);
}

static void a_divided_gpu_is_shared_by_its_parts(void **state)
{
	fw_cleanup_world struct world world;
	double all[FW_ATTRIBUTION_GPUS] = {0};

	(void)state;
	world_of(&world, "gpus 1\ngpu0.name H\ngpu0.energy 1\ngpu0.parts 7\ngpu0.part0 3 11 12\ngpu0.part1 2 13\ngpu0.part4 2\n");
	world_says(&world, "divided (MIG)");
	look(&world, all);
	look(&world, all);
	assert_near(all[0], 5.0 / 7 * world.monitor->look_span_ns, 1);
	assert_int_equal(world.monitor->gpus[0].user_count, 3);
	assert_near(world.monitor->gpus[0].users[0].share, 1.5 / 7, 1e-12);
	assert_near(world.monitor->gpus[0].users[2].share, 2.0 / 7, 1e-12);
}

static void assert_blind(struct world *world, bool blind)
{
	world_read(world);
	bool has_gap = world->readings[0].flags & FW_DOMAIN_GAP, has_reason = world->readings[0].reason == FW_REASON_WORK;

	assert_true(has_gap == blind && has_reason == blind);
	assert_true(world->readings[0].joules >= 0); /* what it used is known all the same */
}

/* Whoever used the GPU: zero would be told as measured. */
static void a_driver_that_does_not_tell_who_used_a_gpu_leaves_that_unknown(void **state)
{
	fw_cleanup_world struct world world;
	double all[FW_ATTRIBUTION_GPUS] = {0};

	(void)state;
	world_of(&world, "gpus 1\ngpu0.name \033[31mred\ngpu0.energy 1\ngpu0.process 11 50 5\n");
	world_says(&world, "gpu-0 ?[31mred");
	look(&world, all);
	assert_blind(&world, false);
	say(&world, "gpus 1\ngpu0.energy 1\ngpu0.process 11 4000000000 6\n"); /* more than all of it */
	look(&world, all);
	double before = all[0];

	assert_blind(&world, true);
	say(&world, "gpus 1\ngpu0.energy 1\ngpu0.use_code 15\ngpu0.process 11 50 9\n");
	look(&world, all);
	assert_near(all[0], before, 0);
	assert_blind(&world, true);
	say(&world, "gpus 1\ngpu0.energy 1\ngpu0.use_code 6\n"); /* not found: nobody */
	look(&world, all);
	assert_near(all[0], before, 0);
	assert_blind(&world, false);
	say(&world, "gpus 1\ngpu0.energy 1\ngpu0.process 11 50 12\n");
	look(&world, all);
	assert_true(all[0] > before);
	assert_blind(&world, false);
}

FW_TESTS(joules_come_from_the_counter_of_each_gpu, between_two_updates_power_stands_in, without_a_counter_power_is_added_up,
         a_driver_that_lacks_what_is_new_still_gives_power, a_counter_that_takes_long_is_asked_a_hundredth_of_the_time,
         a_lost_gpu_leaves_a_hole_and_stops_nothing, what_keeps_the_driver_from_working_is_named,
         a_machine_without_the_driver_says_so, use_of_a_gpu_is_its_processes, a_divided_gpu_is_shared_by_its_parts,
         a_driver_that_does_not_tell_who_used_a_gpu_leaves_that_unknown)
