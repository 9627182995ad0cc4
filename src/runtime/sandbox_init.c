/* SPDX-License-Identifier: Apache-2.0
 *
 * The first process of every sandbox: a freestanding program of a kilobyte. On descriptor 0 it has the engine's life
 * pipe, whose end is the end of the engine, however it died.
 * As process 1 of a pid namespace it makes the function process 2, so that signals, abort() and orphans behave for it as
 * anywhere else; when it ends, the kernel ends everything in the sandbox with it.
 * Without a namespace it is the keeper: the function's parent and the reaper of whatever the function leaves behind,
 * daemons in sessions of their own too. When the function (its pidfd is descriptor 1) or the engine has ended, it kills
 * its descendants until there are none, and then ends as the function did.
 * Invariant: no libc, no memory beyond its stack.
 */
#include <sys/syscall.h>

enum {
	NUMBER_SIGCHLD = 17,
	NUMBER_SIGKILL = 9,
	NUMBER_EINTR = 4,
	NUMBER_ECHILD = 10,
	NUMBER_PR_SET_DUMPABLE = 4,
	NUMBER_P_PIDFD = 3,
	NUMBER_WALL = 0x40000000,
	NUMBER_WNOHANG = 1,
	NUMBER_WEXITED = 4,
	NUMBER_WNOWAIT = 0x1000000,
	NUMBER_POLLIN = 1,
	NUMBER_POLLHUP = 0x10,
	NUMBER_SFD_NONBLOCK = 04000,
	NUMBER_SIG_SETMASK = 2,
	NUMBER_AT_FDCWD = -100,
};

#if defined __x86_64__
static long call(long number, long a, long b, long c, long d, long e)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;

	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
	                 : "rcx", "r11", "memory");
	return result;
}
#elif defined __aarch64__
static long call(long number, long a, long b, long c, long d, long e)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
#else
#error "flexwatt knows x86-64 and arm64: add the system call convention of this processor here"
#endif

struct kernel_sigaction {
	unsigned long handler, flags, restorer, mask;
};

struct kernel_pollfd {
	int fd;
	short events, revents;
};

struct kernel_timespec {
	long seconds, nanoseconds;
};

static __attribute__((noreturn)) void end(long status)
{
	for (;;)
		call(SYS_exit_group, status, 0, 0, 0, 0);
}

static void wait_for_engine(void)
{
	struct kernel_sigaction ignore = {.handler = 1};
	char byte;

	call(SYS_rt_sigaction, NUMBER_SIGCHLD, (long)&ignore, 0, sizeof ignore.mask, 0); /* the kernel reaps */
	while (call(SYS_read, 0, (long)&byte, 1, 0, 0) == -NUMBER_EINTR)
		;
}

/* ---- the keeper ---- */

/* Reaps one child: its pid, 0 when none has ended, or -ECHILD when there is none. *status is the function's. */
static long reap(int *status)
{
	int ended = 0;
	long pid = call(SYS_wait4, -1, (long)&ended, NUMBER_WNOHANG | NUMBER_WALL, 0, 0);

	/* When the function is no child any more, it was this one: only the first such answer counts. */
	if (pid > 0 && *status < 0 &&
	    call(SYS_waitid, NUMBER_P_PIDFD, 1, 0, NUMBER_WEXITED | NUMBER_WNOHANG | NUMBER_WNOWAIT | NUMBER_WALL, 0) ==
	            -NUMBER_ECHILD)
		*status = ended;
	return pid;
}

/* Until the function has ended or the engine's end of the pipe is closed; what else ends here is reaped meanwhile. */
static void wait_for_function(int *status)
{
	unsigned long child_ended = 1UL << (NUMBER_SIGCHLD - 1);
	int signals = (int)call(SYS_signalfd4, -1, (long)&child_ended, sizeof child_ended, NUMBER_SFD_NONBLOCK, 0);
	char drained[512];

	for (;;) {
		struct kernel_pollfd fds[] = {{0, 0, 0}, {1, NUMBER_POLLIN, 0}, {signals, NUMBER_POLLIN, 0}};

		call(SYS_ppoll, (long)fds, 3, 0, 0, 0);
		call(SYS_read, signals, (long)drained, sizeof drained, 0, 0);
		while (reap(status) > 0)
			;
		if (*status >= 0 || (fds[0].revents & NUMBER_POLLHUP))
			return;
	}
}

/* Kills the direct children: theirs become ours, and are next. The kernel writes their numbers with a space after each. */
static void kill_children(void)
{
	char text[256];
	long pid = 0, got;
	long fd = call(SYS_openat, NUMBER_AT_FDCWD, (long)"/proc/thread-self/children", 0, 0, 0);

	if (fd < 0)
		return;
	while ((got = call(SYS_read, fd, (long)text, sizeof text, 0, 0)) > 0) {
		for (long i = 0; i < got; i++) {
			if (text[i] >= '0' && text[i] <= '9') { /* NOLINT: the kernel has written these */
				pid = pid * 10 + (text[i] - '0');
				continue;
			}
			if (pid > 0)
				call(SYS_kill, pid, NUMBER_SIGKILL, 0, 0, 0);
			pid = 0;
		}
	}
	call(SYS_close, fd, 0, 0, 0, 0);
}

static void kill_all(int *status)
{
	const struct kernel_timespec moment = {0, 200000};
	long reaped;

	do {
		kill_children();
		while ((reaped = reap(status)) > 0)
			;
		if (reaped == 0)
			call(SYS_ppoll, 0, 0, (long)&moment, 0, 0);
	} while (reaped != -NUMBER_ECHILD);
}

/* Never with a core: this process is not dumpable. */
static void end_as(int status)
{
	unsigned long none = 0;
	int signal_number = status & 0x7f;

	if (signal_number != 0) {
		call(SYS_rt_sigprocmask, NUMBER_SIG_SETMASK, (long)&none, 0, sizeof none, 0);
		call(SYS_kill, call(SYS_getpid, 0, 0, 0, 0, 0), signal_number, 0, 0, 0);
	}
	end((status >> 8) & 0xff);
}

static void keep(void)
{
	int status = -1;

	wait_for_function(&status);
	kill_all(&status);
	end_as(status < 0 ? NUMBER_SIGKILL : status);
}

/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): where the linker has a program begin */
void _start(void) __attribute__((noreturn));

/* The kernel begins it with the stack aligned as after a call it would not be. */
#if defined __x86_64__
__attribute__((force_align_arg_pointer))
#endif
void _start(void)
{
	call(SYS_prctl, NUMBER_PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (call(SYS_getpid, 0, 0, 0, 0, 0) == 1)
		wait_for_engine();
	else
		keep();
	end(0);
}
