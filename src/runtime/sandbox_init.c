/* SPDX-License-Identifier: Apache-2.0
 *
 * Process 1 of every sandbox: a freestanding program of a few hundred bytes, so that the function is process 2 and
 * signals, abort() and orphans behave for it as anywhere else. It waits for the end of the engine's pipe on descriptor 0;
 * when the engine dies, however it dies, process 1 ends and the kernel ends everything in the sandbox with it.
 * The kernel reaps its orphans because SIGCHLD is ignored. Invariant: no libc, no memory beyond its stack.
 */
#include <sys/syscall.h>

#define SIGCHLD_NUMBER 17
#define PR_SET_DUMPABLE_NUMBER 4

#if defined __x86_64__
static long call(long number, long a, long b, long c, long d)
{
	long result;
	register long r10 __asm__("r10") = d;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return result;
}
#elif defined __aarch64__
static long call(long number, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}
#else
#error "flexwatt knows x86-64 and arm64: add the system call convention of this processor here"
#endif

struct kernel_sigaction {
	unsigned long handler, flags, restorer, mask;
};

/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): where the linker has a program begin */
void _start(void) __attribute__((noreturn));

void _start(void)
{
	struct kernel_sigaction ignore = {.handler = 1};
	char byte;

	call(SYS_prctl, PR_SET_DUMPABLE_NUMBER, 0, 0, 0);
	call(SYS_rt_sigaction, SIGCHLD_NUMBER, (long)&ignore, 0, sizeof ignore.mask);
	while (call(SYS_read, 0, (long)&byte, 1, 0) == -4) /* EINTR */
		;
	for (;;)
		call(SYS_exit_group, 0, 0, 0, 0);
}
