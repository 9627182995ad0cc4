/* SPDX-License-Identifier: Apache-2.0
 *
 * The system call filter: a second wall behind dropped capabilities. It refuses what a function has no use for and past
 * kernel holes went through: new namespaces, mounts, keyrings, BPF, performance counters, io_uring, debugging, modules.
 * A list of refusals, not of permissions, so that any language runtime works; the kernel caches the verdict of calls that
 * it always allows. Refused calls answer EPERM, and clone3 ENOSYS, so that libc falls back to clone, whose flags show.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/memory.h"
#include "runtime/sandbox_internal.h"

#if defined __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
enum { FOREIGN_BIT = 0x40000000 }; /* x32 */
#elif defined __aarch64__
#define NATIVE AUDIT_ARCH_AARCH64
enum { FOREIGN_BIT = 0x40000000 };
#endif

#ifdef NATIVE
#define NEW_NAMESPACES                                                                                                \
	(CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ANSWER(verdict) BPF_STMT(BPF_RET | BPF_K, verdict)
#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)

static const struct sock_filter head[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0), ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_BIT, 0, 1), ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1), ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])), /* low half: both are little-endian */
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1), REFUSE,
	ANSWER(SECCOMP_RET_ALLOW),
};

static const unsigned refused[] = {
	__NR_unshare, __NR_setns, __NR_mount, __NR_umount2, __NR_pivot_root, __NR_chroot, __NR_fsopen, __NR_fsconfig,
	__NR_fsmount, __NR_fspick, __NR_open_tree, __NR_move_mount, __NR_mount_setattr, __NR_keyctl, __NR_add_key,
	__NR_request_key, __NR_bpf, __NR_perf_event_open, __NR_userfaultfd, __NR_io_uring_setup, __NR_io_uring_enter,
	__NR_io_uring_register, __NR_ptrace, __NR_process_vm_readv, __NR_process_vm_writev, __NR_kcmp, __NR_init_module,
	__NR_finit_module, __NR_delete_module, __NR_kexec_load, __NR_reboot, __NR_swapon, __NR_swapoff, __NR_quotactl,
	__NR_acct, __NR_syslog, __NR_open_by_handle_at, __NR_settimeofday, __NR_clock_settime, __NR_adjtimex,
	__NR_clock_adjtime, __NR_sethostname, __NR_setdomainname,
#ifdef __NR_kexec_file_load
	__NR_kexec_file_load,
#endif
};

enum { GROUP = 8, REFUSED = FW_COUNT_OF(refused), GROUPS = (REFUSED + GROUP - 1) / GROUP };

static struct sock_filter filter[FW_COUNT_OF(head) + GROUPS + (size_t)2 * REFUSED + 1];
static struct sock_fprog program = {.filter = filter};

static int by_number(const void *left, const void *right)
{
	unsigned a = *(const unsigned *)left, b = *(const unsigned *)right;

	return a < b ? -1 : a > b;
}

/* The kernel tries every call on a new filter, so that its length along any path is what a start pays: numbers are sorted
 * and a group is skipped when the call lies behind it. */
static void build(void)
{
	unsigned sorted[REFUSED];
	size_t at = FW_COUNT_OF(head);

	memcpy(filter, head, sizeof head);
	memcpy(sorted, refused, sizeof refused);
	qsort(sorted, REFUSED, sizeof *sorted, by_number);
	for (size_t i = 0; i < REFUSED; i++) {
		size_t last = i + GROUP < REFUSED ? i + GROUP - 1 : REFUSED - 1;

		if (i % GROUP == 0)
			filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, sorted[last],
			                                            (unsigned char)(2 * (last - i + 1)), 0);
		filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sorted[i], 0, 1);
		filter[at++] = (struct sock_filter)REFUSE;
	}
	filter[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	program.len = (unsigned short)at;
}

const struct sock_fprog *fw_filter_program(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, build);
	return &program;
}
#else
const struct sock_fprog *fw_filter_program(void)
{
	return NULL;
}
#endif
