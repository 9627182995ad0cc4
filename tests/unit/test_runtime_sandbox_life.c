/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/time.h"
#include "host/cgroup_internal.h"
#include "tests/unit/sandbox_world.h"

static void require_cgroup(unsigned can)
{
	if (!world.cgroups || (fw_cgroups_can(world.cgroups) & can) != can) {
		print_message("skipped: no control group that can do it\n");
		skip();
	}
}

static bool is_plain(void)
{
	const char *as = getenv("SANDBOX_TEST_AS");

	return as && strcmp(as, "plain") == 0;
}

static void signals_and_orphans_behave_as_outside(void **state)
{
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, "ids", "raise=6", NULL);
	int pid = 0, sid = 0;

	assert_non_null(strstr(said, "pid "));
	assert_int_equal(sscanf(strstr(said, "pid "), "pid %d sid %d", &pid, &sid), 2);
	assert_int_equal(pid, sid);
	if (!is_plain())
		assert_int_equal(pid, 2);
	assert_true(WIFSIGNALED(running->wait_status));
	assert_int_equal(WTERMSIG(running->wait_status), SIGABRT);
	running_free(running);
}

static void filling_tmp_does_not_count_as_memory(void **state)
{
	require_root();
	require_cgroup(FW_CAN_MEMORY);
	(void)state;
	struct running *running = running_new();

	running->spec.memory_mb = 128;
	running->spec.tmp_mb = 300;
	fw_cleanup_free char *said = say(running, "fill=/tmp/big", NULL);

	assert_says(said, "then ENOSPC");
	assert_false(fw_sandbox_out_of_memory(running->sandbox));
	running_free(running);
}

static void limits_are_those_of_lambda(void **state)
{
	(void)state;
	unsigned cpus = world.machine.cpus_allowed < 2 ? world.machine.cpus_allowed : 2;
	struct running *running = running_new();
	char expected[96];
	fw_cleanup_free char *said = say(running, "limits", "descriptors", NULL);

	snprintf(expected, sizeof expected, "limits: files 1024 core 0 cpus %u online %u\n", cpus, cpus);
	assert_says(said, expected);
	assert_says(said, "descriptors: 0 1 2\n");
	running_free(running);
}

static void memory_is_limited_and_its_end_is_told(void **state)
{
	require_cgroup(FW_CAN_MEMORY);
	(void)state;
	struct running *running = running_new(), *other = running_new();

	running->spec.memory_mb = other->spec.memory_mb = 128;
	other->spec.attempts = NULL;
	fw_cleanup_free char *fits = say(other, "allocate=64", NULL);
	fw_cleanup_free char *said = say(running, "print=start", "allocate=300", NULL);

	assert_says(fits, "allocate 64: ok");
	assert_says_not(said, "allocate 300: ok");
	assert_true(WIFSIGNALED(running->wait_status));
	assert_true(fw_sandbox_out_of_memory(running->sandbox));
	assert_false(fw_sandbox_out_of_memory(running->sandbox)); /* told once */
	assert_false(fw_sandbox_out_of_memory(other->sandbox));
	running_free(running);
	running_free(other);
}

static void a_child_that_takes_all_memory_is_told_too(void **state)
{
	require_cgroup(FW_CAN_MEMORY);
	(void)state;
	struct running *running = running_new();

	running->spec.memory_mb = 128;
	fw_cleanup_free char *said = say(running, "child-allocate=300", NULL);

	assert_says_not(said, "allocate 300: ok");
	assert_true(fw_sandbox_out_of_memory(running->sandbox));
	running_free(running);
}

static void a_fork_bomb_ends_at_its_limit(void **state)
{
	require_cgroup(FW_CAN_PIDS);
	(void)state;
	struct running *running = running_new();
	int made = 0;

	fw_cleanup_free char *said = say(running, "fork-bomb=4000", NULL);
	assert_says(said, "then EAGAIN");
	assert_int_equal(sscanf(strstr(said, "fork: "), "fork: %d", &made), 1);
	assert_in_range(made, 900, 1024);
	struct fw_cgroup *group = fw_sandbox_cgroup(running->sandbox);
	uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;
	while (fw_cgroup_pids(group, NULL, 0) > 0) /* its end was the end of all */
		assert_true(fw_monotonic_ns() < deadline_ns);
	running_free(running);
}

static void cpu_is_free_before_settling_and_a_quota_after(void **state)
{
	require_cgroup(FW_CAN_CPU);
	(void)state;
	struct running *boosted = running_new(), *settled = running_new();
	struct fw_cgroup_stat free_, held;
	int used_ms = 0;

	boosted->spec.memory_mb = settled->spec.memory_mb = 177; /* a tenth of a CPU */
	settled->spec.boost = false;
	fw_cleanup_free char *first = say(boosted, "burn=300", NULL);
	fw_cleanup_free char *second = say(settled, "burn=1000", NULL);
	fw_cgroup_read(fw_sandbox_cgroup(boosted->sandbox), &free_);
	fw_cgroup_read(fw_sandbox_cgroup(settled->sandbox), &held);
	assert_int_equal(sscanf(second, "burn: %d", &used_ms), 1);

	assert_says(first, "burn: ");
	assert_true(free_.throttled_ns <= 0); /* -1 where no quota means no figure */
	assert_true(held.throttled_ns > 0);
	assert_in_range(used_ms, 1, 135); /* a tenth of a second, and a period at each end */
	running_free(boosted);
	running_free(settled);
}

static void a_signal_reaches_the_function_and_kill_its_daemons(void **state)
{
	(void)state;
	struct running *polite = running_new(), *stubborn = running_new();
	struct fw_error *err = NULL;

	assert_ok(running_start(polite, &err, "wait", NULL), err);
	assert_ok(running_start(stubborn, &err, "daemonise", "ignore-sigterm", "wait", NULL), err);
	running_wait_for(polite, "waiting");
	running_wait_for(stubborn, "waiting");
	assert_ok(fw_sandbox_signal(polite->sandbox, SIGTERM, &err), err);
	running_wait_until_ended(polite);
	assert_int_equal(WTERMSIG(polite->wait_status), SIGTERM);

	assert_ok(fw_sandbox_signal(stubborn->sandbox, SIGTERM, &err), err);
	struct fw_error *busy = NULL;
	int status;
	assert_error_is(fw_sandbox_reap(stubborn->sandbox, &status, &busy), &busy, FW_E_BUSY, "runs still");
	assert_ok(fw_sandbox_signal(stubborn->sandbox, SIGKILL, &err), err);
	running_wait_until_ended(stubborn);
	assert_int_equal(WTERMSIG(stubborn->wait_status), SIGKILL);
	running_free(polite);
	running_free(stubborn);
}

static void a_daemon_ends_with_its_function(void **state)
{
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, "daemonise", "print=done", NULL); /* reads to the end: all writers are gone */

	assert_says(said, "done");
	running_free(running);
}

struct counted {
	const char *prefix;
	size_t count;
};

static void count_name(void *context, const char *name)
{
	struct counted *counted = context;

	counted->count += strncmp(name, counted->prefix, strlen(counted->prefix)) == 0;
}

static size_t groups_of(const char *prefix)
{
	struct counted counted = {.prefix = prefix};

	assert_ok(fw_cgroups_each(world.cgroups, count_name, &counted, NULL), NULL);
	return counted.count;
}

/* Other programs' tests may be running beside this one. */
static size_t groups_of_ours(void)
{
	fw_cleanup_free char *prefix = fw_printf("fw-%s-", world.run);

	return world.cgroups ? groups_of(prefix) : 0;
}

static void nothing_is_left_behind(void **state)
{
	(void)state;
	struct fw_error *err = NULL;
	size_t fds = 0, mounts = 0, groups = 0, files = 0;

	for (int round = 0; round < 6; round++) {
		struct running *running = running_new();

		assert_ok(running_start(running, &err, "daemonise", "write=/tmp/x", "wait", NULL), err);
		running_wait_for(running, "waiting");
		running_free(running); /* kills it all */
		if (round == 1) { /* template and stock are there by now */
			fds = count_entries("/proc/self/fd");
			mounts = count_lines("/proc/self/mountinfo");
			groups = groups_of_ours();
			files = count_entries(world.state);
		}
	}
	assert_int_equal(count_entries("/proc/self/fd"), fds);
	assert_int_equal(count_lines("/proc/self/mountinfo"), mounts);
	assert_int_equal(groups_of_ours(), groups);
	assert_int_equal(count_entries(world.state), files);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1); /* no child of any kind */
}

static void a_failed_start_leaves_nothing_and_the_sandbox_can_start_again(void **state)
{
	(void)state;
	const char *argv[] = {"/var/task/absent", NULL};
	struct running *running = running_new();
	struct fw_error *err = NULL;
	size_t groups = groups_of_ours();

	running->spec.argv = argv;
	assert_error_is(running_start(running, &err, "unused", NULL), &err, FW_E_ABSENT, "absent");
	assert_int_equal(groups_of_ours(), groups);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	close(running->output_fd);
	fw_cleanup_free char *said = say(running, "print=again", NULL);
	assert_says(said, "again");
	running_free(running);
}

static void groups_made_beforehand_are_used(void **state)
{
	require_cgroup(FW_CAN_CPUACCT);
	(void)state;
	struct fw_error *err = NULL;
	struct running *running = running_new();

	running->spec.memory_mb = 333;
	assert_ok(fw_sandboxes_prepare(world.sandboxes, 333, 512, 1, &err), err);
	size_t groups = groups_of_ours();
	fw_cleanup_free char *said = say(running, "print=x", NULL);
	assert_int_equal(groups_of_ours(), groups);
	running_free(running);
	assert_true(groups_of_ours() < groups);
}

static void the_stock_grows_and_shrinks_to_what_is_asked_for(void **state)
{
	require_cgroup(FW_CAN_PIDS);
	(void)state;
	struct fw_error *err = NULL;
	size_t before = groups_of_ours();

	assert_ok(fw_sandboxes_prepare(world.sandboxes, 334, 512, 1, &err), err);
	size_t one = groups_of_ours() - before;
	assert_true(one > 0);
	assert_ok(fw_sandboxes_prepare(world.sandboxes, 334, 512, 3, &err), err);
	assert_int_equal(groups_of_ours() - before, 3 * one);
	assert_ok(fw_sandboxes_prepare(world.sandboxes, 334, 512, 0, &err), err);
	assert_int_equal(groups_of_ours(), before);
}

struct engine {
	pid_t pid;
	int output_fd; /* of its worker */
};

/* An engine of this run with one worker and so many groups in its stock, in a process of its own. */
static struct engine start_engine(const char *run, size_t stock)
{
	struct engine engine;
	int ready[2], its_fd;
	char path[64];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	engine.pid = fork();
	if (engine.pid == 0) {
		struct fw_sandboxes_options options = {.cgroups = world.cgroups, .machine = &world.machine,
			.state_directory = world.state, .run = run};
		struct running *running = running_new();

		if (fw_sandboxes_new(&options, &world.sandboxes, NULL) == FW_OK &&
		    (!stock || fw_sandboxes_prepare(world.sandboxes, 335, 512, stock, NULL) == FW_OK) &&
		    running_start(running, NULL, "daemonise", "ignore-sigterm", "wait", NULL) == FW_OK) {
			running_wait_for(running, "waiting");
			(void)!write(ready[1], &running->output_fd, sizeof running->output_fd);
		}
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &its_fd, sizeof its_fd), sizeof its_fd);
	close(ready[0]);
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)engine.pid, its_fd);
	engine.output_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(engine.output_fd >= 0);
	return engine;
}

static void kill_engine(struct engine engine)
{
	kill(engine.pid, SIGKILL);
	waitpid(engine.pid, NULL, 0);
	assert_all_writers_have_ended(engine.output_fd);
	close(engine.output_fd);
}

static void daemons_of_a_killed_engine_end(void **state)
{
	(void)state;
	kill_engine(start_engine("ended", 0));
	if (world.cgroups)
		fw_sandboxes_end_orphans(world.cgroups, "ended", &(size_t){0}, NULL);
}

static void a_daemon_that_begets_daemons_ends_with_its_function(void **state)
{
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, "breed", "print=done", NULL);

	assert_says(said, "done");
	running_free(running);
}

/* An engine that dies without a word: its workers end, its group is found by the run's name and removed. */
static void what_a_killed_engine_leaves_is_ended(void **state)
{
	require_cgroup(FW_CAN_PIDS);
	(void)state;
	struct fw_error *err = NULL;
	size_t ended = 0;

	kill_engine(start_engine("killed", 2));
	assert_ok(fw_sandboxes_end_orphans(world.cgroups, "kill", &ended, &err), err);
	assert_int_equal(ended, 0);
	assert_ok(fw_sandboxes_end_orphans(world.cgroups, "killed", &ended, &err), err);
	assert_int_equal(ended, 3); /* two of the stock */
	assert_ok(fw_sandboxes_end_orphans(world.cgroups, "killed", &ended, &err), err);
	assert_int_equal(ended, 0);
}

static void begin_another_run(void)
{
	struct fw_sandboxes_options options = {.cgroups = world.cgroups, .machine = &world.machine,
		.state_directory = world.state, .run = "another"};
	struct fw_sandboxes *sandboxes = NULL;
	struct fw_error *err = NULL;

	assert_ok(fw_sandboxes_new(&options, &sandboxes, &err), err);
	fw_sandboxes_free(sandboxes);
}

static void a_new_engine_sweeps_after_dead_ones_and_spares_the_living_and_the_foreign(void **state)
{
	require_cgroup(FW_CAN_PIDS);
	(void)state;
	static const char *const foreign[] = {"fw-swept-1.1.1-0", "fw-swept-0", "somebody-elses-0"};
	struct fw_cgroup_limits limits = {0};
	struct engine dead = start_engine("swept", 0), living = start_engine("living", 0);

	for (size_t i = 0; i < FW_COUNT_OF(foreign); i++) {
		struct fw_cgroup *group;

		assert_ok(fw_cgroup_new(world.cgroups, foreign[i], &limits, &group, NULL), NULL);
		fw_cgroup_close(group);
	}
	begin_another_run();
	assert_int_equal(groups_of("fw-swept-") - 2, 1);
	kill_engine(dead);
	begin_another_run();
	assert_int_equal(groups_of("fw-swept-") - 2, 0);
	assert_int_equal(groups_of("fw-living-"), 1);
	kill_engine(living);
	begin_another_run();
	assert_int_equal(groups_of("fw-living-"), 0);
	for (size_t i = 0; i < FW_COUNT_OF(foreign); i++) {
		struct fw_cgroup *group;

		assert_ok(fw_cgroup_open(world.cgroups, foreign[i], &group, NULL), NULL);
		assert_ok(fw_cgroup_remove(group, NULL), NULL);
		fw_cgroup_close(group);
	}
}

static void a_new_engine_removes_the_directories_that_a_dead_one_left(void **state)
{
	(void)state;
	struct stat namespace;
	char dead[128], foreign[128];

	assert_int_equal(stat("/proc/self/ns/pid", &namespace), 0);
	snprintf(dead, sizeof dead, "state/tmp/%llu.%d.1-0", (unsigned long long)namespace.st_ino, (int)getpid());
	snprintf(foreign, sizeof foreign, "state/tmp/%llu.%d.1-0", (unsigned long long)namespace.st_ino + 1, (int)getpid());
	assert_true(mkdir(below("state/tmp"), 0711) == 0 || errno == EEXIST);
	assert_int_equal(mkdir(below(dead), 0700), 0); /* of an earlier process of our number */
	assert_int_equal(mkdir(below(foreign), 0700), 0);
	begin_another_run();
	assert_int_not_equal(access(below(dead), F_OK), 0);
	assert_int_equal(access(below(foreign), F_OK), 0);
	assert_int_equal(rmdir(below(foreign)), 0);
}

static void write_to(const char *directory, const char *name, const char *text)
{
	fw_cleanup_free char *path = fw_printf("%s/%s", directory, name);
	fw_cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* As one does whose file server has gone: here it is frozen, which the kernel does not undo for a signal. */
static void what_cannot_be_ended_keeps_its_user_and_its_tmp(void **state)
{
	(void)state;
	static const char freezer[] = "/sys/fs/cgroup/freezer/flexwatt-test-frozen";
	char pid[16];

	if (geteuid() != 0 || (mkdir(freezer, 0755) != 0 && errno != EEXIST)) {
		print_message("skipped: no freezer of control groups v1 here; that of v2 lets a signal through\n");
		skip();
	}
	struct running *running = running_new(), *next = running_new();
	struct fw_error *err = NULL;

	assert_ok(running_start(running, &err, "wait", NULL), err);
	running_wait_for(running, "waiting");
	pid_t held = fw_sandbox_pid(running->sandbox);
	uid_t uid = fw_sandbox_uid(running->sandbox);
	snprintf(pid, sizeof pid, "%d", (int)held);
	write_to(freezer, "cgroup.procs", pid);
	write_to(freezer, "freezer.state", "FROZEN");
	fw_sandbox_free(FW_TAKE(running->sandbox));
	fw_cleanup_free char *said = say(next, "write=/tmp/x", "print=done", NULL);
	uid_t next_uid = fw_sandbox_uid(next->sandbox);

	write_to(freezer, "freezer.state", "THAWED");
	running_free(next);
	assert_all_writers_have_ended(running->output_fd);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
	close(running->output_fd);
	free(running);
	assert_int_equal(rmdir(freezer), 0);
	assert_says(said, "done");
	assert_int_not_equal(next_uid, uid);
}

/* Its shell was in another scope than ours. */
static void what_a_killed_engine_left_elsewhere_is_found(void **state)
{
	require_cgroup(FW_CAN_PIDS);
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: another scope needs root\n");
		skip();
	}
	const struct fw_hierarchy *hierarchy = &world.cgroups->hierarchies[0];
	struct fw_error *err = NULL;
	size_t ended = 0;
	char scope[64], parent[96], group[128];

	snprintf(scope, sizeof scope, "scope-%d", (int)getpid());
	snprintf(parent, sizeof parent, "%s/flexwatt-test", scope);
	snprintf(group, sizeof group, "%s/fw-elsewhere-1.1.1-0", parent);
	assert_int_equal(mkdirat(hierarchy->base_fd, scope, 0755), 0);
	assert_int_equal(mkdirat(hierarchy->base_fd, parent, 0755), 0);
	assert_int_equal(mkdirat(hierarchy->base_fd, group, 0755), 0);
	assert_ok(fw_sandboxes_end_orphans(world.cgroups, "elsewhere", &ended, &err), err);
	assert_int_equal(ended, 1);
	assert_int_equal(faccessat(hierarchy->base_fd, parent, F_OK, 0), -1);
	assert_int_equal(unlinkat(hierarchy->base_fd, scope, AT_REMOVEDIR), 0);
}

static void *start_many(void *context)
{
	(void)context;
	for (int i = 0; i < 5; i++) {
		struct running *one = running_new();

		one->spec.attempts = NULL;
		fw_cleanup_free char *said = say(one, "print=x", NULL);
		running_free(one);
	}
	return NULL;
}

static void threads_start_sandboxes_side_by_side(void **state)
{
	(void)state;
	pthread_t threads[3];

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, start_many, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signals_and_orphans_behave_as_outside),
		cmocka_unit_test(filling_tmp_does_not_count_as_memory),
		cmocka_unit_test(limits_are_those_of_lambda),
		cmocka_unit_test(memory_is_limited_and_its_end_is_told),
		cmocka_unit_test(a_child_that_takes_all_memory_is_told_too),
		cmocka_unit_test(a_fork_bomb_ends_at_its_limit),
		cmocka_unit_test(cpu_is_free_before_settling_and_a_quota_after),
		cmocka_unit_test(a_signal_reaches_the_function_and_kill_its_daemons),
		cmocka_unit_test(a_daemon_ends_with_its_function),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(a_failed_start_leaves_nothing_and_the_sandbox_can_start_again),
		cmocka_unit_test(groups_made_beforehand_are_used),
		cmocka_unit_test(the_stock_grows_and_shrinks_to_what_is_asked_for),
		cmocka_unit_test(what_a_killed_engine_leaves_is_ended),
		cmocka_unit_test(daemons_of_a_killed_engine_end),
		cmocka_unit_test(a_daemon_that_begets_daemons_ends_with_its_function),
		cmocka_unit_test(a_new_engine_sweeps_after_dead_ones_and_spares_the_living_and_the_foreign),
		cmocka_unit_test(what_cannot_be_ended_keeps_its_user_and_its_tmp),
		cmocka_unit_test(a_new_engine_removes_the_directories_that_a_dead_one_left),
		cmocka_unit_test(what_a_killed_engine_left_elsewhere_is_found),
		cmocka_unit_test(threads_start_sandboxes_side_by_side),
	};

	if (!world_as_asked())
		return WORLD_SKIPPED;
	return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
