/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups of this machine: limits bite, counters count, nobody escapes a kill. Skipped where no group can be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"
#include "host/cgroup.h"
#include "tests/unit/support.h"

enum { HANG_S = 100 }; /* only what hangs takes so long */

static struct fw_root root;
static struct fw_cgroups *cgroups;
static char parent[64];

static int set_up(void **state)
{
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_root_open("/", &root, &err), err);
	snprintf(parent, sizeof parent, "flexwatt-test-%d", getpid());
	if (fw_cgroups_open(&root, parent, &cgroups, &err) != FW_OK) {
		print_message("skipped: %s\n", fw_error_message(err));
		fw_error_free(err);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end_groups(cgroups);
	fw_root_close(&root);
	return 0;
}

static void need(unsigned can)
{
	if (!cgroups || (fw_cgroups_can(cgroups) & can) != can) {
		print_message("skipped: no control group with what this test needs\n");
		skip();
	}
}

static struct fw_cgroup *group_ok(const char *name, struct fw_cgroup_limits limits)
{
	struct fw_cgroup *group = NULL;
	struct fw_error *err = NULL;

	assert_ok(fw_cgroup_new(cgroups, name, &limits, &group, &err), err);
	return group;
}

/* A child in the group; runs `body` and exits with its result. */
static pid_t child_in(struct fw_cgroup *group, int (*body)(void))
{
	int fds[8];
	size_t count = fw_cgroup_procs_fds(group, fds);
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	for (size_t i = 0; i < count; i++)
		if (write(fds[i], "0", 1) != 1)
			_exit(99);
	_exit(body());
}

static int wait_for(pid_t pid)
{
	int status = -1;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd wait = {pidfd, POLLIN, 0};

	assert_int_equal(poll(&wait, 1, HANG_S * 1000), 1);
	close(pidfd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void remove_ok(struct fw_cgroup *group)
{
	uint64_t deadline = fw_monotonic_ns() + HANG_S * FW_NS_PER_S;
	int rc;

	do
		rc = fw_cgroup_remove(group, NULL);
	while (rc == FW_E_BUSY && fw_monotonic_ns() < deadline && sched_yield() == 0);
	assert_int_equal(rc, FW_OK);
	fw_cgroup_close(group);
}

static uint64_t spent_ns(void)
{
	struct timespec spent;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
	return (uint64_t)spent.tv_sec * FW_NS_PER_S + (uint64_t)spent.tv_nsec;
}

static int burn_40_ms(void)
{
	uint64_t until_ns = spent_ns() + 40 * FW_NS_PER_MS; /* its way into the group was not the group's */

	while (spent_ns() < until_ns)
		;
	return 0;
}

/* Of all that have ended and were waited for, by the kernel's own account. */
static uint64_t children_cpu_ns(void)
{
	struct rusage used;

	assert_int_equal(getrusage(RUSAGE_CHILDREN, &used), 0);
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * FW_NS_PER_S +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
}

static void counts_the_cpu_time_of_its_processes(void **state)
{
	struct fw_cgroup_stat stat = FW_CGROUP_STAT_UNKNOWN;

	(void)state;
	need(FW_CAN_CPUACCT);
	struct fw_cgroup *group = group_ok("cpu-time", (struct fw_cgroup_limits){0});
	uint64_t before_ns = children_cpu_ns();
	assert_int_equal(wait_for(child_in(group, burn_40_ms)), 0);
	fw_cgroup_read_cpu(group, &stat);
	/* how dear a child and its end are depends on what else runs: its own account bounds it, to a clock tick */
	assert_in_range(stat.cpu_total_ns, 39 * FW_NS_PER_MS, children_cpu_ns() - before_ns + 10 * FW_NS_PER_MS);
	remove_ok(group);
}

static void holds_back_who_exceeds_the_cpu_quota(void **state)
{
	struct fw_cgroup_stat stat;

	(void)state;
	need(FW_CAN_CPU);
	struct fw_cgroup *group = group_ok("quota", (struct fw_cgroup_limits){.cpu_quota_us = 5000, .cpu_period_us = 20000});
	uint64_t start = fw_monotonic_ns();
	assert_int_equal(wait_for(child_in(group, burn_40_ms)), 0);
	assert_true(fw_monotonic_ns() - start > 100 * FW_NS_PER_MS); /* 40 ms at a quarter of a CPU */
	fw_cgroup_read(group, &stat);
	assert_true(stat.throttled_ns > 0);
	remove_ok(group);
}

static int take_64_mib(void)
{
	char *memory = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return 1;
	memset(memory, 1, 64 << 20);
	return 0;
}

static void kills_who_exceeds_the_memory_limit_and_says_so(void **state)
{
	struct fw_cgroup_stat stat;

	(void)state;
	need(FW_CAN_MEMORY);
	struct fw_cgroup *group = group_ok("memory", (struct fw_cgroup_limits){.memory_bytes = 16 << 20});
	int status = wait_for(child_in(group, take_64_mib));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	fw_cgroup_read(group, &stat);
	assert_true(stat.oom_kills >= 1);
	assert_in_range(stat.memory_high_bytes, 8 << 20, 16 << 20);
	remove_ok(group);
}

static int hold_32_mib(void)
{
	char *memory = mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(memory, 1, 32 << 20);
	raise(SIGSTOP);
	return 0;
}

static void sees_the_memory_that_is_held_now(void **state)
{
	struct fw_cgroup_stat stat;
	pid_t pid;
	int status;

	(void)state;
	need(FW_CAN_MEMORY);
	struct fw_cgroup *group = group_ok("held", (struct fw_cgroup_limits){.memory_bytes = 128 << 20});
	pid = child_in(group, hold_32_mib);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	fw_cgroup_read(group, &stat);
	/* the kernel sums up in batches of 64 pages for each CPU */
	assert_in_range(stat.memory_bytes, 30 << 20, 40 << 20);
	assert_in_range(fw_cgroup_read_memory(group), 30 << 20, 40 << 20);
	assert_true(stat.faults_minor > 0);
	assert_int_equal(fw_cgroup_kill(group, NULL), FW_OK);
	wait_for(pid);
	remove_ok(group);
}

static _Noreturn int fork_for_ever(void)
{
	for (;;)
		if (fork() < 0)
			sched_yield();
}

static void nobody_escapes_a_kill(void **state)
{
	struct fw_cgroup_stat stat;
	uint64_t deadline = fw_monotonic_ns() + HANG_S * FW_NS_PER_S;

	(void)state;
	need(FW_CAN_PIDS);
	struct fw_cgroup *group = group_ok("bomb", (struct fw_cgroup_limits){.pids = 40});
	pid_t pid = child_in(group, fork_for_ever);
	do
		fw_cgroup_read(group, &stat);
	while (stat.pids_denied < 1 && fw_monotonic_ns() < deadline);
	assert_true(stat.pids_denied >= 1);
	assert_in_range(stat.pids, 2, 40);
	while (fw_cgroup_pids(group, NULL, 0) > 0 && fw_monotonic_ns() < deadline)
		assert_int_equal(fw_cgroup_kill(group, NULL), FW_OK);
	wait_for(pid);
	assert_int_equal(fw_cgroup_pids(group, NULL, 0), 0);
	remove_ok(group);
}

static _Noreturn int wait_for_a_signal(void)
{
	for (;;)
		pause();
}

static void a_group_with_processes_cannot_be_removed(void **state)
{
	struct fw_error *err = NULL;

	(void)state;
	need(0);
	struct fw_cgroup *group = group_ok("busy", (struct fw_cgroup_limits){0});
	pid_t pid = fork();
	if (pid == 0)
		_exit(wait_for_a_signal());
	assert_ok(fw_cgroup_add(group, pid, &err), err);
	pid_t pids[4] = {0};
	assert_int_equal(fw_cgroup_pids(group, pids, 4), 1);
	assert_int_equal(pids[0], pid);
	assert_error_is(fw_cgroup_remove(group, &err), &err, FW_E_BUSY, "the control group busy still has processes");
	assert_ok(fw_cgroup_signal(group, SIGTERM, &err), err);
	assert_int_equal(WTERMSIG(wait_for(pid)), SIGTERM);
	remove_ok(group);
}

static void note(void *context, const char *name)
{
	char *seen = context;

	strcat(seen, name);
	strcat(seen, ";");
}

static void an_orphan_is_found_and_opened_again(void **state)
{
	struct fw_cgroup *again = NULL, *twice = NULL;
	struct fw_cgroup_limits none = {0};
	struct fw_error *err = NULL;
	char seen[256] = "";

	(void)state;
	need(0);
	fw_cgroup_close(group_ok("orphan", none));
	assert_ok(fw_cgroups_each(cgroups, note, seen, &err), err);
	assert_string_equal(seen, "orphan;");
	assert_error_is(fw_cgroup_new(cgroups, "orphan", &none, &twice, &err), &err, FW_E_BUSY, "exists already");
	assert_ok(fw_cgroup_open(cgroups, "orphan", &again, &err), err);
	remove_ok(again);
	assert_error_is(fw_cgroup_open(cgroups, "orphan", &again, &err), &err, FW_E_ABSENT, "no control group");
}

static void many_groups_leave_no_descriptor_behind(void **state)
{
	(void)state;
	need(0);
	int before = dup(0);
	close(before);
	for (int i = 0; i < 50; i++) {
		struct fw_cgroup *group = group_ok("many", (struct fw_cgroup_limits){.memory_bytes = 64 << 20, .pids = 9});
		struct fw_cgroup_stat stat;

		fw_cgroup_read(group, &stat);
		remove_ok(group);
	}
	int after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FW_TEST_MAP(counts_the_cpu_time_of_its_processes, holds_back_who_exceeds_the_cpu_quota,
		            kills_who_exceeds_the_memory_limit_and_says_so, sees_the_memory_that_is_held_now,
		            nobody_escapes_a_kill, a_group_with_processes_cannot_be_removed, an_orphan_is_found_and_opened_again,
		            many_groups_leave_no_descriptor_behind)};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
