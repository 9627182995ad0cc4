/* SPDX-License-Identifier: Apache-2.0
 *
 * vfork with a stack of its own: the child shares memory, so that nothing is copied and a start costs the same however
 * large the engine has grown. Only the calling thread waits for it.
 */
#include "runtime/sandbox_child.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

struct child {
	fw_child_fn *function;
	void *context;
};

enum { SIGNALS = 64 };

/* The kernel's own struct: libc's sigaction() takes locks of its own. */
struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

FW_CHILD static int child_main(void *context)
{
	struct child *child = context;
	struct kernel_action standard = {.handler = NULL};

	for (int number = 1; number <= SIGNALS; number++)
		fw_call(SYS_rt_sigaction, number, &standard, NULL, sizeof standard.mask);
	int status = child->function(child->context);
	fw_call(SYS_exit_group, status);
	return status;
}

FW_CHILD pid_t fw_child_run_nested(fw_child_fn *function, void *context, int flags, int *pidfd, void *stack_top)
{
	struct child child = {function, context};

	return clone(child_main, stack_top, flags | CLONE_VM | CLONE_VFORK | (pidfd ? CLONE_PIDFD : 0), &child, pidfd);
}

pid_t fw_child_run(fw_child_fn *function, void *context, int flags, int *pidfd)
{
	uint64_t all = UINT64_MAX, before;
	int dumpable = prctl(PR_GET_DUMPABLE);
	char *stack = mmap(NULL, FW_CHILD_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -1;
	/* The raw call, because libc keeps two of its signals unblockable. */
	fw_call(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
	pid_t pid = fw_child_run_nested(function, context, flags, pidfd, stack + FW_CHILD_STACK_BYTES);
	int error_number = errno;
	fw_call(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
	/* A change of identity in the child marks the memory that it shares: the engine's /proc entries would become root's. */
	if (dumpable == 1 && prctl(PR_GET_DUMPABLE) != 1)
		prctl(PR_SET_DUMPABLE, 1);
	munmap(stack, FW_CHILD_STACK_BYTES);
	errno = error_number;
	return pid;
}
