/* SPDX-License-Identifier: Apache-2.0
 *
 * The birth of a sandbox, in three children that share the engine's memory until they call exec or end:
 *   helper   joins the control group (and user namespace), starts the other two as the engine's own children, ends;
 *   process 1  in a new pid namespace, becomes the freestanding init program, while the worker is made ready;
 *   worker   takes a copy of the package's mount namespace, adds what is its own, gives up every privilege, execs.
 * Without namespaces process 1 is the keeper, and the worker its child: see sandbox_init.c.
 * All runs on prepared memory and makes system calls only. A failure is written straight into the engine's struct.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/sandbox_child.h"
#include "runtime/sandbox_internal.h"

FW_CHILD static int failed(struct fw_spawn *spawn, const char *doing)
{
	spawn->failure = (struct fw_child_failure){doing, errno, -1};
	return 1;
}

FW_CHILD static int init_failed(struct fw_spawn *spawn, const char *doing)
{
	spawn->init_failure = (struct fw_child_failure){doing, errno, -1}; /* the worker writes the other at the same time */
	return 1;
}

FW_CHILD static int exec_init(struct fw_spawn *spawn, unsigned first_closed)
{
	const char *const argv[] = {"flexwatt-init", NULL};
	const char *const envp[] = {NULL};

	if (fw_call(SYS_dup3, spawn->shared->life[0], 0, 0) < 0 ||
	    fw_call(SYS_close_range, first_closed, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
		return init_failed(spawn, "close descriptors");
	fw_call(SYS_execveat, spawn->shared->init_fd, "", argv, envp, AT_EMPTY_PATH);
	return init_failed(spawn, "start process 1 from memory");
}

FW_CHILD static int become_init(void *context)
{
	struct fw_spawn *spawn = context;

	/* Its root is the worker's: /proc/1/root must lead nowhere else. */
	if (fw_call(SYS_setns, spawn->mounts_fd, CLONE_NEWNS) != 0)
		return init_failed(spawn, "enter the package's mount namespace");
	return exec_init(spawn, 1);
}

FW_CHILD static int enter_view(struct fw_spawn *spawn)
{
	if (spawn->shared->host_mounts_fd >= 0 && fw_call(SYS_setns, spawn->shared->host_mounts_fd, CLONE_NEWNS) != 0)
		return failed(spawn, "enter the host's mounts");
	if (fw_steps_open(spawn->own, &spawn->failure) != 0)
		return 1;
	if (fw_call(SYS_setns, spawn->mounts_fd, CLONE_NEWNS) != 0 || fw_call(SYS_unshare, CLONE_NEWNS) != 0)
		return failed(spawn, "copy the package's mount namespace");
	if (fw_steps_attach(spawn->own, &spawn->failure) != 0)
		return 1;
	fw_call(SYS_sethostname, "localhost", 9);
	return 0;
}

FW_CHILD static int set_limits(struct fw_spawn *spawn)
{
	const struct rlimit files = {FW_SANDBOX_FILES, FW_SANDBOX_FILES}, core = {0, 0};
	const struct rlimit processes = {FW_SANDBOX_PIDS, FW_SANDBOX_PIDS};

	if (fw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, &files, NULL) != 0 ||
	    fw_call(SYS_prlimit64, 0, RLIMIT_CORE, &core, NULL) != 0)
		return failed(spawn, "set resource limits");
	/* Counts per user: exact where each sandbox has its own. */
	if (spawn->shared->own_uid && fw_call(SYS_prlimit64, 0, RLIMIT_NPROC, &processes, NULL) != 0)
		return failed(spawn, "set resource limits");
	if (fw_call(SYS_sched_setaffinity, 0, sizeof spawn->cpus, &spawn->cpus) != 0)
		return failed(spawn, "set the visible CPUs");
	return 0;
}

FW_CHILD static int set_descriptors(struct fw_spawn *spawn)
{
	int from[3] = {spawn->shared->null_fd, spawn->stdout_fd, spawn->stderr_fd};

	for (int i = 0; i < 3; i++) /* out of the way first: they may be 0, 1 or 2 themselves */
		if ((from[i] = (int)fw_call(SYS_fcntl, from[i], F_DUPFD_CLOEXEC, 3)) < 0)
			return failed(spawn, "set standard output");
	for (int i = 0; i < 3; i++)
		if (fw_call(SYS_dup3, from[i], i, 0) < 0)
			return failed(spawn, "set standard output");
	if (fw_call(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0)
		return failed(spawn, "close descriptors");
	return 0;
}

/* After this there is no way back: not by uid, capabilities, set-user-ID files or new namespaces. */
FW_CHILD static int drop_privileges(struct fw_spawn *spawn)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	for (int capability = 0; fw_call(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
		;
	/* The plain calls: libc's would ask every thread of the engine to follow. */
	if (spawn->shared->own_uid && (fw_call(SYS_setgroups, 0, NULL) != 0 ||
	                               fw_call(SYS_setresgid, spawn->uid, spawn->uid, spawn->uid) != 0 ||
	                               fw_call(SYS_setresuid, spawn->uid, spawn->uid, spawn->uid) != 0))
		return failed(spawn, "take the sandbox's user");
	if (fw_call(SYS_capset, &header, none) != 0)
		return failed(spawn, "drop capabilities");
	if (fw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return failed(spawn, "refuse new privileges");
	if (spawn->filter &&
	    fw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, spawn->filter) != 0 &&
	    errno != ENOSYS && errno != EINVAL) /* a kernel without filters: said by the probe */
		return failed(spawn, "install the system call filter");
	return 0;
}

FW_CHILD static int become_worker(void *context)
{
	struct fw_spawn *spawn = context;
	uint64_t no_signals = 0;

	fw_call(SYS_umask, 022); /* mount points are made with it too */
	if (spawn->network_fd >= 0 && fw_call(SYS_setns, spawn->network_fd, CLONE_NEWNET) != 0)
		return failed(spawn, "enter the network namespace");
	if (spawn->shared->isolation != FW_ISOLATION_PLAIN && enter_view(spawn) != 0)
		return 1;
	fw_call(SYS_setsid);
	if (set_limits(spawn) != 0 || set_descriptors(spawn) != 0 || drop_privileges(spawn) != 0)
		return 1;
	if (fw_call(SYS_chdir, spawn->directory) != 0)
		return failed(spawn, "enter the package");
	fw_call(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof no_signals);
	fw_child_await(&spawn->init_uses_memory); /* no foreign code beside a process 1 that has the engine's memory */
	fw_call(SYS_execve, spawn->argv[0], spawn->argv, spawn->envp);
	return failed(spawn, "exec");
}

FW_CHILD static int await_init(struct fw_spawn *spawn, int status)
{
	fw_child_await(&spawn->init_uses_memory);
	if (!spawn->init_failure.doing)
		return status;
	spawn->failure = spawn->init_failure; /* whatever became of the worker follows from it */
	return 1;
}

/* The worker is its child. It shares the engine's descriptors until the worker's pidfd is among them; from then on it has
 * its own: that range closes nothing. */
FW_CHILD static int become_keeper(void *context)
{
	struct fw_spawn *spawn = context;

	fw_call(SYS_setsid);
	if (fw_call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return failed(spawn, "become the reaper of the worker's processes");
	spawn->pid = fw_child_run_nested(become_worker, spawn, 0, &spawn->pidfd,
	                                 spawn->stacks + (size_t)2 * FW_CHILD_STACK_BYTES);
	if (spawn->pid < 0)
		return failed(spawn, "start the process");
	if (spawn->failure.doing) {
		fw_call(SYS_wait4, spawn->pid, NULL, __WALL, NULL);
		return 1;
	}
	if (fw_call(SYS_close_range, INT_MAX, INT_MAX, CLOSE_RANGE_UNSHARE) != 0 ||
	    fw_call(SYS_dup3, spawn->pidfd, 1, 0) < 0)
		return init_failed(spawn, "keep the worker's descriptor");
	return exec_init(spawn, 2);
}

FW_CHILD static int start_kept(struct fw_spawn *spawn)
{
	spawn->init_pid = fw_child_run_nested(become_keeper, spawn, CLONE_PARENT | CLONE_FILES, &spawn->init_pidfd,
	                                      spawn->stacks + FW_CHILD_STACK_BYTES);
	return await_init(spawn, spawn->init_pid < 0 ? failed(spawn, "start the keeper of the worker") : 0);
}

FW_CHILD static int start_isolated(struct fw_spawn *spawn)
{
	spawn->init_pid = fw_child_begin_nested(become_init, spawn, CLONE_PARENT | CLONE_NEWPID, &spawn->init_pidfd,
	                                        spawn->stacks + FW_CHILD_STACK_BYTES, &spawn->init_uses_memory);
	if (spawn->init_pid < 0)
		return failed(spawn, "start process 1");
	if (fw_call(SYS_setns, spawn->init_pidfd, CLONE_NEWPID) != 0)
		return await_init(spawn, failed(spawn, "enter the pid namespace"));
	spawn->pid = fw_child_run_nested(become_worker, spawn, CLONE_PARENT | CLONE_NEWIPC | CLONE_NEWUTS, &spawn->pidfd,
	                                 spawn->stacks + (size_t)2 * FW_CHILD_STACK_BYTES);
	return await_init(spawn, spawn->pid < 0 ? failed(spawn, "start the process") : 0);
}

/* What it starts becomes the engine's, not the helper's, children. */
FW_CHILD static int help(void *context)
{
	struct fw_spawn *spawn = context;

	for (size_t i = 0; i < spawn->procs_count; i++)
		if (fw_call(SYS_write, spawn->procs_fds[i], "0", 1) != 1)
			return failed(spawn, "join the control group");
	if (spawn->shared->user_fd >= 0 && fw_call(SYS_setns, spawn->shared->user_fd, CLONE_NEWUSER) != 0)
		return failed(spawn, "enter the user namespace");
	return spawn->shared->isolation == FW_ISOLATION_PLAIN ? start_kept(spawn) : start_isolated(spawn);
}

static void end_process(pid_t *pid, int *pidfd)
{
	if (*pid <= 0)
		return;
	syscall(SYS_pidfd_send_signal, *pidfd, SIGKILL, NULL, 0);
	waitpid(*pid, NULL, __WALL);
	close(*pidfd);
	*pid = 0;
	*pidfd = -1;
}

int fw_spawn(struct fw_spawn *spawn)
{
	const size_t stack_bytes = (size_t)2 * FW_CHILD_STACK_BYTES;

	spawn->failure.doing = spawn->init_failure.doing = NULL;
	spawn->init_uses_memory = 0;
	spawn->filter = fw_filter_program();
	spawn->init_pid = spawn->pid = 0;
	spawn->init_pidfd = spawn->pidfd = -1;
	spawn->stacks = mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (spawn->stacks == MAP_FAILED) {
		spawn->failure = (struct fw_child_failure){"reserve a stack", errno, -1};
		return -1;
	}
	/* The helper shares the descriptor table: the pidfds of its children are the engine's. */
	pid_t helper = fw_child_run(help, spawn, CLONE_FILES, NULL);
	if (helper < 0)
		spawn->failure = (struct fw_child_failure){"start a process", errno, -1};
	else
		waitpid(helper, NULL, __WALL);
	munmap(spawn->stacks, stack_bytes);
	if (!spawn->failure.doing)
		return 0;
	end_process(&spawn->pid, &spawn->pidfd);
	end_process(&spawn->init_pid, &spawn->init_pidfd);
	return -1;
}
