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
#define REFUSE(number)                                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), ANSWER(SECCOMP_RET_ERRNO | EPERM)

static struct sock_filter filter[] = {
	LOAD(arch),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE, 1, 0), ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	LOAD(nr),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_BIT, 0, 1), ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone3, 0, 1), ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 4),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])), /* low half: both are little-endian */
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NEW_NAMESPACES, 0, 1), ANSWER(SECCOMP_RET_ERRNO | EPERM),
	ANSWER(SECCOMP_RET_ALLOW),
	REFUSE(__NR_unshare), REFUSE(__NR_setns),
	REFUSE(__NR_mount), REFUSE(__NR_umount2), REFUSE(__NR_pivot_root), REFUSE(__NR_chroot),
	REFUSE(__NR_fsopen), REFUSE(__NR_fsconfig), REFUSE(__NR_fsmount), REFUSE(__NR_fspick),
	REFUSE(__NR_open_tree), REFUSE(__NR_move_mount), REFUSE(__NR_mount_setattr),
	REFUSE(__NR_keyctl), REFUSE(__NR_add_key), REFUSE(__NR_request_key),
	REFUSE(__NR_bpf), REFUSE(__NR_perf_event_open), REFUSE(__NR_userfaultfd),
	REFUSE(__NR_io_uring_setup), REFUSE(__NR_io_uring_enter), REFUSE(__NR_io_uring_register),
	REFUSE(__NR_ptrace), REFUSE(__NR_process_vm_readv), REFUSE(__NR_process_vm_writev), REFUSE(__NR_kcmp),
	REFUSE(__NR_init_module), REFUSE(__NR_finit_module), REFUSE(__NR_delete_module),
	REFUSE(__NR_kexec_load), REFUSE(__NR_reboot), REFUSE(__NR_swapon), REFUSE(__NR_swapoff),
	REFUSE(__NR_quotactl), REFUSE(__NR_acct), REFUSE(__NR_syslog), REFUSE(__NR_open_by_handle_at),
	REFUSE(__NR_settimeofday), REFUSE(__NR_clock_settime), REFUSE(__NR_adjtimex), REFUSE(__NR_clock_adjtime),
	REFUSE(__NR_sethostname), REFUSE(__NR_setdomainname),
#ifdef __NR_kexec_file_load
	REFUSE(__NR_kexec_file_load),
#endif
	ANSWER(SECCOMP_RET_ALLOW),
};

static const struct sock_fprog program = {.len = FW_COUNT_OF(filter), .filter = filter};

const struct sock_fprog *fw_filter_program(void)
{
	return &program;
}
#else
const struct sock_fprog *fw_filter_program(void)
{
	return NULL;
}
#endif
