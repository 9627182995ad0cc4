/* SPDX-License-Identifier: Apache-2.0
 *
 * Idmapped binds: a sandbox has a uid that owns nothing, so files that only their owner may read are shown to it with the
 * owner translated to that uid. The translation is a user namespace that no process lives in.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/sandbox_internal.h"

bool fw_readable_by_others(const struct stat *stat)
{
	mode_t needed = S_ISDIR(stat->st_mode) ? S_IROTH | S_IXOTH : S_IROTH;

	return (stat->st_mode & needed) == needed;
}

static int write_map(pid_t pid, const char *which, unsigned from, unsigned to)
{
	char path[64], text[64];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, which);
	int length = snprintf(text, sizeof text, "%u %u 1", from, to);
	fw_cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, (size_t)length) == length ? 0 : -1;
}

/* A child that only exists: the mapping of its namespace can be written from outside alone. It ends with the engine, and no
 * signal finds in it the engine's handlers, whose descriptors it shares. */
static pid_t make_namespace(void)
{
	pid_t engine = getpid();
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
	int error_number = errno;

	if (pid == 0) {
		if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || syscall(SYS_getppid) != engine)
			syscall(SYS_exit_group, 1);
		for (;;)
			syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error_number;
	return pid;
}

int fw_idmap_open(uid_t from_uid, gid_t from_gid, uid_t to, int *fd, struct fw_error **err)
{
	char path[64];
	int rc = FW_OK;
	pid_t pid = make_namespace();

	if (pid < 0)
		return fw_fail_errno(err, errno, "make a user namespace for an idmapped mount");
	snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
	if (write_map(pid, "uid_map", from_uid, to) != 0 || write_map(pid, "gid_map", from_gid, to) != 0 ||
	    (*fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		rc = fw_fail_errno(err, errno, "map user %u to %u", from_uid, to);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return rc;
}
