/* SPDX-License-Identifier: Apache-2.0
 *
 * vfork with a stack of its own: the child shares memory, so that nothing is copied and a start costs the same however
 * large the engine has grown. Only the calling thread waits for it.
 */
#include "runtime/sandbox_child.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

struct child {
	fw_child_fn *function;
	void *context;
	bool first; /* not the child of such a child, whose signals are at their defaults already */
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

	for (int number = 1; child->first && number <= SIGNALS; number++)
		fw_call(SYS_rt_sigaction, number, &standard, NULL, sizeof standard.mask);
	int status = child->function(child->context);
	fw_call(SYS_exit_group, status);
	return status;
}

/* What the child is to do lies on its own stack: a caller that does not wait leaves its frame. */
FW_CHILD static struct child *lay_down(void *stack_top, fw_child_fn *function, void *context)
{
	struct child *child = (struct child *)stack_top - 1;

	*child = (struct child){.function = function, .context = context};
	return child;
}

FW_CHILD pid_t fw_child_run_nested(fw_child_fn *function, void *context, int flags, int *pidfd, void *stack_top)
{
	struct child *child = lay_down(stack_top, function, context);

	return clone(child_main, child, flags | CLONE_VM | CLONE_VFORK | (pidfd ? CLONE_PIDFD : 0), child, pidfd);
}

FW_CHILD pid_t fw_child_begin_nested(fw_child_fn *function, void *context, int flags, int *pidfd, void *stack_top,
                                     int *uses_memory)
{
	struct child *child = lay_down(stack_top, function, context);

	*uses_memory = 1;
	pid_t pid = clone(child_main, child, flags | CLONE_VM | CLONE_PIDFD | CLONE_CHILD_CLEARTID, child, pidfd, NULL,
	                  uses_memory);
	if (pid < 0)
		*uses_memory = 0;
	return pid;
}

FW_CHILD void fw_child_await(int *uses_memory)
{
	while (__atomic_load_n(uses_memory, __ATOMIC_ACQUIRE) != 0)
		fw_call(SYS_futex, uses_memory, FUTEX_WAIT, 1, NULL);
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
	struct child *child = lay_down(stack + FW_CHILD_STACK_BYTES, function, context);
	child->first = true;
	pid_t pid = clone(child_main, child, flags | CLONE_VM | CLONE_VFORK | (pidfd ? CLONE_PIDFD : 0), child, pidfd);
	int error_number = errno;
	fw_call(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
	/* A change of identity in the child marks the memory that it shares: the engine's /proc entries would become root's. */
	if (dumpable == 1 && prctl(PR_GET_DUMPABLE) != 1)
		prctl(PR_SET_DUMPABLE, 1);
	munmap(stack, FW_CHILD_STACK_BYTES);
	errno = error_number;
	return pid;
}
