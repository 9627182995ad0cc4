/* SPDX-License-Identifier: Apache-2.0
 *
 * The BPF programs in the running kernel against what processes know of themselves. Skipped where programs cannot be
 * loaded, with the reason.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/time.h"
#include "energy/ebpf_internal.h"
#include "tests/unit/support.h"

enum { DEADLINE_MS = 20000 };

static struct fw_root root;
static struct fw_machine machine;
static struct fw_cgroups *cgroups;
static struct fw_monitor *monitor;
static struct fw_work *work;
static struct fw_work_snapshot *snapshot;
static double clock_step_ns; /* of the kernel's own CPU times: where it has no counter of cycles, a tick */

static uint64_t own_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static double least_step_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 5; i++) {
		uint64_t before = own_ns(), now = before;

		while (now == before)
			now = own_ns();
		if (now - before < least)
			least = now - before;
	}
	return (double)least;
}

static int set_up(void **state)
{
	struct fw_monitor_context context = {.root = &root, .machine = &machine};
	struct fw_error *err = NULL;
	char parent[64];

	(void)state;
	assert_ok(fw_root_open("/", &root, &err), err);
	assert_ok(fw_machine_read(&root, &machine, &err), err);
	snprintf(parent, sizeof parent, "flexwatt-ebpf-%d", getpid());
	if (fw_monitor_ebpf.open(&context, &monitor, &err) != FW_OK ||
	    fw_cgroups_open(&root, parent, &cgroups, &err) != FW_OK) {
		print_message("skipped: %s\n", fw_error_message(err));
		fw_error_free(err);
		return 0;
	}
	clock_step_ns = least_step_ns();
	work = fw_monitor_ebpf_work(monitor);
	snapshot = fw_work_snapshot_new(work);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fw_work_snapshot_free(snapshot);
	fw_monitor_ebpf.close(monitor);
	end_groups(cgroups);
	fw_root_close(&root);
	return 0;
}

/* A group with a process in it that waits for "go" before each step, and tells when it has done it. */
struct worker {
	struct fw_cgroup *group;
	struct fw_work_key key;
	pid_t pid;
	int go[2], done[2];
	struct told *told; /* shared */
};

/* What the process says of itself: its CPU time, and how often it was put off a CPU; children that are gone included. */
struct told {
	int64_t ns, turns;
};

typedef void body_fn(struct worker *worker);

static void pass_byte(int fd)
{
	if (write(fd, "x", 1) != 1)
		_exit(98);
}

static void wait_byte(int fd)
{
	struct pollfd waits = {fd, POLLIN, 0};
	char byte;

	if (poll(&waits, 1, DEADLINE_MS) != 1 || read(fd, &byte, 1) != 1)
		_exit(97);
}

/* In the test itself: a failed wait is a failed test. */
static void await(int fd)
{
	struct pollfd waits = {fd, POLLIN, 0};
	char byte;

	assert_int_equal(poll(&waits, 1, DEADLINE_MS), 1);
	assert_int_equal(read(fd, &byte, 1), 1);
}

static void join(struct fw_cgroup *group)
{
	int fds[8];
	size_t count = fw_cgroup_procs_fds(group, fds);

	for (size_t i = 0; i < count; i++)
		if (write(fds[i], "0", 1) != 1)
			_exit(99);
}

static void tell(const struct worker *worker)
{
	struct rusage own, children;

	getrusage(RUSAGE_SELF, &own);
	getrusage(RUSAGE_CHILDREN, &children);
	worker->told->turns = own.ru_nvcsw + own.ru_nivcsw + children.ru_nvcsw + children.ru_nivcsw;
	__atomic_store_n(&worker->told->ns, (int64_t)own_ns() +
	                 (children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1000000000 +
	                 (children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1000, __ATOMIC_RELAXED);
}

static void burn(uint64_t ns)
{
	uint64_t begin = own_ns(), now = begin;

	while (now - begin < ns)
		now = own_ns();
}

static struct worker start(const char *name, body_fn *body)
{
	static const struct fw_cgroup_limits none = {0};
	struct worker worker = {0};
	struct fw_error *err = NULL;

	if (!work || fw_cgroups_can(cgroups) == 0 || !(fw_cgroups_can(cgroups) & FW_CAN_IDENTITY)) {
		print_message("skipped: no BPF programs, or no v2 control group\n");
		skip();
	}
	assert_ok(fw_cgroup_new(cgroups, name, &none, &worker.group, &err), err);
	assert_int_equal(pipe(worker.go), 0);
	assert_int_equal(pipe(worker.done), 0);
	worker.told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(worker.told != MAP_FAILED);
	worker.pid = fork();
	assert_true(worker.pid >= 0);
	if (worker.pid > 0)
		return worker;
	alarm(60);
	join(worker.group);
	pass_byte(worker.done[1]);
	body(&worker);
	_exit(0);
}

static struct worker start_metered(const char *name, body_fn *body)
{
	struct worker worker = start(name, body);
	struct fw_error *err = NULL;

	await(worker.done[0]);
	assert_ok(fw_work_add(work, fw_work_group_of(fw_cgroup_v2_fd(worker.group)), &worker.key, &err), err);
	return worker;
}

static void stop(struct worker *worker)
{
	struct fw_error *err = NULL;
	uint64_t deadline = fw_monotonic_ns() + DEADLINE_MS * 1000000ULL;

	fw_work_remove(work, worker->key);
	kill(worker->pid, SIGKILL);
	waitpid(worker->pid, NULL, 0);
	fw_cgroup_kill(worker->group, NULL);
	while (fw_cgroup_remove(worker->group, &err) == FW_E_BUSY && fw_monotonic_ns() < deadline) {
		fw_error_free(err);
		err = NULL;
	}
	assert_null(err);
	fw_cgroup_close(worker->group);
	munmap(worker->told, 4096);
	for (int i = 0; i < 2; i++) {
		close(worker->go[i]);
		close(worker->done[i]);
	}
}

static int64_t account(struct fw_work_key key)
{
	struct fw_work_sum sums[FW_WORK_PACKAGES];
	const int *physical;
	int64_t sum = 0;

	assert_true(fw_work_read(work, key, sums));
	for (size_t i = 0; i < fw_work_packages(work, &physical); i++)
		sum += (int64_t)sums[i].ns;
	return sum;
}

static void step(struct worker *worker)
{
	pass_byte(worker->go[1]);
	await(worker->done[0]);
}

/* Within one percent, but where the kernel hides some switches, as a guest's agent's, what runs beside them is known from
 * the scheduler's ticks alone; and an emulated CPU may stand still between the scheduler's look at the clock and ours. What a
 * process says of itself is off as well: by half a step of the kernel's clock, on the mean, each time that it leaves a CPU. */
static double tolerance(double of, int64_t turns)
{
	bool emulated = strstr(machine.cpu_model, "TCG") != NULL;

	assert_true(fw_work_take(work, snapshot));
	return (emulated || fw_work_machine_of(snapshot).missed > 0 ? 0.06 : 0.01) * of + (emulated ? 10000000 : 300000) +
	       (double)turns * clock_step_ns / 2;
}

/* One step of the worker: what it tells and what was counted must agree. */
static void step_is_counted(struct worker *worker, int64_t at_least_ns)
{
	struct told before = *worker->told;
	int64_t counted = account(worker->key);

	step(worker);
	counted = account(worker->key) - counted;

	int64_t told = worker->told->ns - before.ns, turns = worker->told->turns - before.turns;

	print_message("told %.3f ms, counted %.3f ms, %lld turns, steps of %.3f ms\n", (double)told / 1e6, (double)counted / 1e6,
	              (long long)turns, clock_step_ns / 1e6);
	assert_true(told > at_least_ns);
	assert_near((double)counted, (double)told, tolerance((double)told, turns));
}

/* What the process does beside burning is in both figures: it tells its whole time each time. */
static void burn_steps(struct worker *worker)
{
	for (;;) {
		wait_byte(worker->go[0]);
		burn(300 * 1000000ULL);
		tell(worker);
		pass_byte(worker->done[1]);
	}
}

static void the_time_of_a_busy_loop_is_known_within_one_percent(void **state)
{
	struct worker worker = start_metered("busy", burn_steps);

	(void)state;
	step(&worker);
	step_is_counted(&worker, 250 * 1000000);
	stop(&worker);
}

static void burn_in_children(struct worker *worker)
{
	for (;;) {
		wait_byte(worker->go[0]);
		for (int i = 0; i < 100; i++) {
			pid_t pid = fork();

			if (pid == 0) {
				burn(2000000);
				_exit(0);
			}
			if (waitpid(pid, NULL, 0) != pid)
				_exit(96);
		}
		tell(worker);
		pass_byte(worker->done[1]);
	}
}

static void mistake_27_work_of_children_that_exit_and_live_shorter_than_any_poll_is_kept(void **state)
{
	struct worker worker = start_metered("children", burn_in_children);

	(void)state;
	step(&worker);
	step_is_counted(&worker, 200 * 1000000);
	stop(&worker);
}

static void burn_for_ever(struct worker *worker)
{
	wait_byte(worker->go[0]);
	for (;;)
		tell(worker);
}

static int64_t told(const struct worker *worker)
{
	return __atomic_load_n(&worker->told->ns, __ATOMIC_RELAXED);
}

/* Busy waiting on purpose: this thread must not be what makes the other one switch. */
static void until_told(const struct worker *worker, int64_t at_least)
{
	uint64_t deadline = fw_monotonic_ns() + DEADLINE_MS * 1000000ULL;

	while (told(worker) < at_least)
		assert_true(fw_monotonic_ns() < deadline);
}

/* An account between two moments, each of which lies between two looks at what the process tells. */
struct bracket {
	int64_t told_before, account, told_after, turns;
};

static struct bracket look(struct worker *worker)
{
	struct bracket look = {.told_before = told(worker)};

	look.account = account(worker->key);
	look.told_after = told(worker);
	look.turns = __atomic_load_n(&worker->told->turns, __ATOMIC_RELAXED);
	return look;
}

static void assert_counted(struct bracket begin, struct bracket end)
{
	double used = (double)(end.account - begin.account);
	double least = (double)(end.told_before - begin.told_after), most = (double)(end.told_after - begin.told_before);

	print_message("told %.3f to %.3f ms, counted %.3f ms\n", least / 1e6, most / 1e6, used / 1e6);
	int64_t turns = end.turns - begin.turns;

	assert_true(used >= least - tolerance(least, turns) && used <= most + tolerance(most, turns));
}

static void mistake_28_a_task_that_runs_across_the_whole_window_is_counted(void **state)
{
	struct worker worker = start_metered("across", burn_for_ever);
	struct bracket begin;

	(void)state;
	pass_byte(worker.go[1]);
	until_told(&worker, 20 * 1000000);
	begin = look(&worker);
	until_told(&worker, begin.told_after + 100 * 1000000);
	assert_counted(begin, look(&worker));
	stop(&worker);
}

static void mistake_28_a_task_that_ran_before_its_account_was_opened_counts_from_there(void **state)
{
	struct worker worker = start("before", burn_for_ever);
	struct bracket begin = {0};
	struct fw_error *err = NULL;

	(void)state;
	await(worker.done[0]);
	pass_byte(worker.go[1]);
	until_told(&worker, 50 * 1000000);
	begin.told_before = told(&worker);
	assert_ok(fw_work_add(work, fw_work_group_of(fw_cgroup_v2_fd(worker.group)), &worker.key, &err), err);
	begin.told_after = told(&worker);
	until_told(&worker, begin.told_after + 100 * 1000000);
	assert_counted(begin, look(&worker));
	stop(&worker);
}

static int64_t machine_busy(void)
{
	struct fw_work_machine all = fw_work_machine_of(snapshot);
	const int *physical;
	int64_t sum = 0;

	for (size_t i = 0; i < fw_work_packages(work, &physical); i++)
		sum += (int64_t)all.busy[i].ns;
	return sum;
}

static int64_t account_in_snapshot(struct fw_work_key key)
{
	struct fw_work_sum sums[FW_WORK_PACKAGES];
	const int *physical;
	int64_t sum = 0;

	assert_true(fw_work_of(snapshot, key, sums));
	for (size_t i = 0; i < fw_work_packages(work, &physical); i++)
		sum += (int64_t)sums[i].ns;
	return sum;
}

static void mistake_26_the_shares_of_all_workers_never_exceed_the_machine(void **state)
{
	struct worker one = start_metered("one", burn_for_ever), two = start_metered("two", burn_for_ever);
	uint64_t begin = fw_monotonic_ns();
	int64_t last_busy = 0, last_one = 0, last_two = 0;
	int snapshots = 0;

	(void)state;
	pass_byte(one.go[1]);
	pass_byte(two.go[1]);
	for (; fw_monotonic_ns() - begin < 300 * 1000000ULL || snapshots < 20 || last_one == 0 || last_two == 0; sched_yield()) {
		assert_true(fw_monotonic_ns() - begin < DEADLINE_MS * 1000000ULL);
		if (!fw_work_take(work, snapshot))
			continue;
		int64_t busy = machine_busy(), of_one = account_in_snapshot(one.key), of_two = account_in_snapshot(two.key);

		if (snapshots++ > 0)
			assert_true(of_one - last_one + of_two - last_two <= busy - last_busy);
		assert_in_range(of_one, last_one, INT64_MAX);
		assert_in_range(of_two, last_two, INT64_MAX);
		assert_in_range(busy, last_busy, INT64_MAX);
		last_busy = busy;
		last_one = of_one;
		last_two = of_two;
	}
	stop(&one);
	stop(&two);
}

static void busy_and_idle_time_together_are_the_time_of_all_cpus(void **state)
{
	struct worker worker = start_metered("whole", burn_steps);
	struct fw_work_machine first, last;
	int64_t busy;
	uint64_t idle = 0;
	const int *physical;

	(void)state;
	assert_true(fw_work_take(work, snapshot));
	first = fw_work_machine_of(snapshot);
	busy = machine_busy();
	for (size_t i = 0; i < fw_work_packages(work, &physical); i++)
		idle -= first.idle_ns[i];
	step(&worker);
	assert_true(fw_work_take(work, snapshot));
	last = fw_work_machine_of(snapshot);
	busy = machine_busy() - busy;
	for (size_t i = 0; i < fw_work_packages(work, &physical); i++)
		idle += last.idle_ns[i];
	double elapsed = (double)(last.after_ns - first.after_ns) * machine.threads;
	double apart = (double)(first.after_ns - first.before_ns + last.after_ns - last.before_ns) * machine.threads;
	assert_near((double)busy + (double)idle, elapsed, 0.001 * elapsed + apart);
	assert_true(last.switches > first.switches);
	stop(&worker);
}

static void mistake_35_a_key_does_not_outlive_its_account_when_the_group_number_comes_again(void **state)
{
	struct worker worker = start_metered("again", burn_steps);
	uint64_t group = fw_work_group_of(fw_cgroup_v2_fd(worker.group));
	struct fw_work_key old = worker.key;
	struct fw_work_sum sums[FW_WORK_PACKAGES];
	struct fw_error *err = NULL;

	(void)state;
	step(&worker);
	assert_true(account(old) > 250 * 1000000);
	fw_work_remove(work, old);
	assert_false(fw_work_read(work, old, sums));
	assert_ok(fw_work_add(work, group, &worker.key, &err), err);
	assert_int_equal(worker.key.slot, old.slot); /* the same place, and none of what was counted there */
	assert_false(fw_work_read(work, old, sums));
	assert_true(account(worker.key) < 50 * 1000000);
	assert_true(fw_work_take(work, snapshot));
	assert_false(fw_work_of(snapshot, old, sums));
	assert_true(fw_work_of(snapshot, worker.key, sums));
	fw_work_remove(work, old); /* nothing of the new one's */
	assert_true(fw_work_read(work, worker.key, sums));
	stop(&worker);
}

static void sit_below(struct worker *worker)
{
	for (;;) {
		wait_byte(worker->go[0]);
		burn(100 * 1000000ULL);
		tell(worker);
		pass_byte(worker->done[1]);
	}
}

static void groups_below_a_worker_are_the_workers(void **state)
{
	struct worker worker = start_metered("above", sit_below);
	int directory = fw_cgroup_v2_fd(worker.group), procs;
	char pid[16];

	(void)state;
	assert_int_equal(mkdirat(directory, "below", 0755), 0);
	procs = openat(directory, "below/cgroup.procs", O_WRONLY | O_CLOEXEC);
	snprintf(pid, sizeof pid, "%d", worker.pid);
	assert_int_equal(write(procs, pid, strlen(pid)), (ssize_t)strlen(pid));
	close(procs);
	step(&worker);
	step_is_counted(&worker, 80 * 1000000);
	kill(worker.pid, SIGKILL);
	waitpid(worker.pid, NULL, 0);
	uint64_t deadline = fw_monotonic_ns() + DEADLINE_MS * 1000000ULL;
	while (unlinkat(directory, "below", AT_REMOVEDIR) != 0)
		assert_true(fw_monotonic_ns() < deadline);
	stop(&worker);
}

/* A datagram socket pair on the loopback of this host, sending to `port`. */
static void send_datagrams(uint16_t port, int count, size_t bytes)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	static char data[4096];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (int i = 0; i < count; i++)
		if (sendto(fd, data, bytes, 0, (struct sockaddr *)&to, sizeof to) != (ssize_t)bytes)
			_exit(95);
	close(fd);
}

enum { OWN_PORT = 47011, OTHER_PORT = 47012 };

static void talk(struct worker *worker)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(OTHER_PORT),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	static char data[4096];

	if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
		_exit(94);
	for (;;) {
		wait_byte(worker->go[0]);
		send_datagrams(OTHER_PORT, 10, 1000);
		send_datagrams(OWN_PORT, 5, 500); /* to flexwatt */
		for (int i = 0; i < 10; i++)
			if (recv(fd, data, sizeof data, 0) != 1000)
				_exit(93);
		pass_byte(worker->done[1]);
	}
}

static void the_traffic_of_a_worker_is_counted_but_not_its_talk_with_flexwatt(void **state)
{
	struct worker worker = start("talk", talk);
	struct fw_metered metered = {.cgroup = worker.group, .own_address = htonl(INADDR_LOOPBACK),
	                             .own_port = htons(OWN_PORT)};
	struct fw_reading begin = {.network_sent_bytes = -1}, end = begin;
	void *meter;

	(void)state;
	await(worker.done[0]);
	meter = fw_monitor_ebpf.meter(monitor, &metered);
	assert_non_null(meter);
	fw_monitor_ebpf.count(monitor, meter, true, &begin);
	step(&worker);
	send_datagrams(OTHER_PORT, 1, 100); /* to the worker, from one that is not metered */
	fw_monitor_ebpf.count(monitor, meter, true, &end);
	assert_int_equal(end.network_sent_bytes - begin.network_sent_bytes, 10 * (1000 + 28));
	assert_int_equal(end.network_received_bytes - begin.network_received_bytes, 10 * (1000 + 28) + 100 + 28);
	fw_monitor_ebpf.unmeter(monitor, meter);
	stop(&worker);
}

static long call_bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof *attr);
}

/* A program of another's that lets nobody else into the group: attached without BPF_F_ALLOW_MULTI. */
static int occupy(int group_fd)
{
	static const struct bpf_insn pass[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1},
	                                       {.code = BPF_JMP | BPF_EXIT}};
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_SKB, .insn_cnt = 2, .insns = (uintptr_t)pass,
	                       .license = (uintptr_t)"GPL", .expected_attach_type = BPF_CGROUP_INET_EGRESS};
	int program_fd = (int)call_bpf(BPF_PROG_LOAD, &load);
	union bpf_attr attach = {.target_fd = (uint32_t)group_fd, .attach_bpf_fd = (uint32_t)program_fd,
	                         .attach_type = BPF_CGROUP_INET_EGRESS};

	assert_true(program_fd >= 0);
	assert_int_equal(call_bpf(BPF_PROG_ATTACH, &attach), 0);
	return program_fd;
}

static void keep_warning(void *context, enum fw_log_level level, const char *message)
{
	char *kept = context;

	assert_int_equal(level, FW_LOG_WARNING);
	assert_string_equal(kept, ""); /* once, however many workers */
	snprintf(kept, 300, "%s", message);
}

static void traffic_that_may_not_be_watched_is_unknown_and_the_reason_is_told_once(void **state)
{
	struct worker worker = start("occupied", talk);
	struct fw_metered metered = {.cgroup = worker.group};
	struct fw_reading reading = {.network_sent_bytes = -1, .network_received_bytes = -1};
	char warning[300] = "";

	(void)state;
	await(worker.done[0]);
	int program_fd = occupy(fw_cgroup_v2_fd(worker.group));

	fw_log_set(FW_LOG_WARNING, keep_warning, warning);
	for (int i = 0; i < 2; i++) {
		void *meter = fw_monitor_ebpf.meter(monitor, &metered);

		assert_non_null(meter);
		fw_monitor_ebpf.count(monitor, meter, true, &reading);
		fw_monitor_ebpf.unmeter(monitor, meter);
	}
	fw_log_set(FW_LOG_ERROR, NULL, NULL);
	assert_true(reading.network_sent_bytes == -1 && reading.network_received_bytes == -1);
	assert_true(reading.work_ns >= 0); /* its CPU time is counted all the same */
	assert_non_null(strstr(warning, "network bytes of workers are not counted"));
	assert_non_null(strstr(warning, "Operation not permitted"));
	close(program_fd);
	stop(&worker);
}

static void the_monitor_says_what_it_watches(void **state)
{
	fw_cleanup_free char *text = NULL;

	(void)state;
	if (!monitor)
		skip();
	text = fw_monitor_ebpf.describe(monitor);
	assert_non_null(strstr(text, "context switches of "));
}

/* Workers inherit it. */
static void opening_leaves_the_limit_of_locked_memory_as_it_was(void **state)
{
	struct fw_monitor_context context = {.root = &root, .machine = &machine};
	struct fw_monitor *opened = NULL;
	struct fw_error *err = NULL;
	struct rlimit before, after;

	(void)state;
	if (!monitor)
		skip(); /* set_up() has told why */
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
	assert_ok(fw_monitor_ebpf.open(&context, &opened, &err), err);
	fw_monitor_ebpf.close(opened);
	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &after), 0);
	assert_true(after.rlim_cur == before.rlim_cur && after.rlim_max == before.rlim_max);
}

static void too_few_files_are_a_reason_and_no_death(void **state)
{
	struct fw_monitor_context context = {.root = &root, .machine = &machine};
	struct rlimit before, now;
	rlim_t most = 3;
	int rc;
	(void)state;

	if (!monitor)
		skip(); /* set_up() has told why */
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	do {
		struct fw_monitor *opened = NULL;
		struct fw_error *err = NULL;

		now = (struct rlimit){++most, before.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		rc = fw_monitor_ebpf.open(&context, &opened, &err);
		assert_true((rc == FW_OK) == (err == NULL));
		fw_monitor_ebpf.close(opened);
		fw_error_free(err);
	} while (rc != FW_OK);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_time_of_a_busy_loop_is_known_within_one_percent),
		cmocka_unit_test(mistake_27_work_of_children_that_exit_and_live_shorter_than_any_poll_is_kept),
		cmocka_unit_test(mistake_28_a_task_that_runs_across_the_whole_window_is_counted),
		cmocka_unit_test(mistake_28_a_task_that_ran_before_its_account_was_opened_counts_from_there),
		cmocka_unit_test(mistake_26_the_shares_of_all_workers_never_exceed_the_machine),
		cmocka_unit_test(busy_and_idle_time_together_are_the_time_of_all_cpus),
		cmocka_unit_test(mistake_35_a_key_does_not_outlive_its_account_when_the_group_number_comes_again),
		cmocka_unit_test(groups_below_a_worker_are_the_workers),
		cmocka_unit_test(the_traffic_of_a_worker_is_counted_but_not_its_talk_with_flexwatt),
		cmocka_unit_test(traffic_that_may_not_be_watched_is_unknown_and_the_reason_is_told_once),
		cmocka_unit_test(the_monitor_says_what_it_watches),
		cmocka_unit_test(opening_leaves_the_limit_of_locked_memory_as_it_was),
		cmocka_unit_test(too_few_files_are_a_reason_and_no_death),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
