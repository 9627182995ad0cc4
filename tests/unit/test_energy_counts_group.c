/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups of perf_event where it is mounted as version 1: events of a worker's processes are counted there, and nothing is left
 * behind.
 */
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "energy/perf_counts_group.h"
#include "tests/unit/support.h"

#define HIERARCHY "sys/fs/cgroup/perf_event"

static void burn_20_ms(void)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	while (now.tv_sec == 0 && now.tv_nsec < 20000000);
}

/* A process that burns CPU time when it is let go, and waits. */
static pid_t burner(int *go)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char byte;

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails in between */
		close(fds[1]);
		if (read(fds[0], &byte, 1) == 1)
			burn_20_ms();
		pause();
		_exit(0);
	}
	close(fds[0]);
	*go = fds[1];
	return pid;
}

/* CPU time of the group on all CPUs, by software events that every kernel has. */
static uint64_t counted_ns(const int *fds, long cpus)
{
	uint64_t sum = 0, value;

	for (long cpu = 0; cpu < cpus; cpu++) {
		assert_int_equal(read(fds[cpu], &value, sizeof value), sizeof value);
		sum += value;
	}
	return sum;
}

/* Of this process alone: others may run the test at the same time, in the same hierarchy. */
static const char *name_of(const char *what)
{
	static char name[64];

	snprintf(name, sizeof name, "fw-%s-%d", what, (int)getpid());
	return name;
}

static bool is_there(const struct fw_root *root, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, HIERARCHY "/flexwatt/%s", name);
	return faccessat(root->fd, path, F_OK, 0) == 0;
}

static void events_of_a_group_are_its_processes(const struct fw_root *root)
{
	struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE, .size = sizeof attributes, .config = PERF_COUNT_SW_TASK_CLOCK};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int go, fds[64];
	pid_t pid = burner(&go);
	struct fw_count_group *group = fw_count_group_new(root, name_of("test"), &pid, 1);

	assert_non_null(group);
	cpus = cpus < 64 ? cpus : 64;
	for (long cpu = 0; cpu < cpus; cpu++) {
		fds[cpu] = (int)syscall(SYS_perf_event_open, &attributes, fw_count_group_fd(group), (int)cpu, -1,
		                        PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_CLOEXEC);
		assert_true(fds[cpu] >= 0);
	}
	burn_20_ms(); /* not in the group */
	assert_true(counted_ns(fds, cpus) < 10000000); /* its own way to where it waits, and nothing of ours */
	assert_int_equal(write(go, "x", 1), 1);
	for (int wait_ms = 0; counted_ns(fds, cpus) < 20000000; wait_ms++) {
		assert_true(wait_ms < 20000);
		usleep(1000);
	}
	for (long cpu = 0; cpu < cpus; cpu++)
		close(fds[cpu]);
	assert_true(is_there(root, name_of("test")));
	fw_count_group_free(group); /* while it runs */
	assert_false(is_there(root, name_of("test")));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go);
}

static void what_a_killed_engine_left_is_swept_and_what_is_used_stays(const struct fw_root *root)
{
	int go;
	char left[128];
	pid_t pid = burner(&go);
	struct fw_count_group *used = fw_count_group_new(root, name_of("used"), &pid, 1);

	snprintf(left, sizeof left, HIERARCHY "/flexwatt/%s", name_of("left"));
	assert_int_equal(mkdirat(root->fd, left, 0755), 0);
	fw_count_group_sweep(root);
	assert_false(is_there(root, name_of("left")));
	assert_true(is_there(root, name_of("used")));
	fw_count_group_free(used);
	assert_false(is_there(root, name_of("used")));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go);
}

static void a_directory_that_is_no_hierarchy_gives_no_group(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(HIERARCHY "/", NULL);
	struct fw_root root = {tree.fd};
	pid_t own = getpid();

	(void)state;
	assert_false(fw_count_group_is_needed(&root));
	assert_null(fw_count_group_new(&root, "fw-none", &own, 1));
	assert_int_equal(faccessat(tree.fd, HIERARCHY "/flexwatt", F_OK, 0), -1);
	fw_count_group_sweep(&root);
}

static void a_v1_hierarchy_has_groups_for_the_events_of_workers(void **state)
{
	struct fw_root root;
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_root_open("/", &root, &err), err);
	bool may = fw_count_group_is_needed(&root) && faccessat(root.fd, HIERARCHY, W_OK, 0) == 0;

	if (may) {
		events_of_a_group_are_its_processes(&root);
		what_a_killed_engine_left_is_swept_and_what_is_used_stays(&root);
	}
	fw_root_close(&root);
	if (!may) {
		print_message("[  SKIPPED ] perf_event is not mounted as version 1 here, or not ours to make groups in\n");
		skip();
	}
}

FW_TESTS(a_directory_that_is_no_hierarchy_gives_no_group, a_v1_hierarchy_has_groups_for_the_events_of_workers)
