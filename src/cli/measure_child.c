/* SPDX-License-Identifier: Apache-2.0
 *
 * The launcher and the child between fork and exec. The child is the launcher's sibling (CLONE_PARENT), so that measure can
 * wait for it and gets its resource usage.
 */
#include "cli/measure_child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"

enum { ORDERS_OURS, ORDERS_ITS, GATE_OUT, GATE_IN, WHY_OUT, WHY_IN, FDS };

static ssize_t read_all_of(int fd, void *bytes, size_t size)
{
	ssize_t got;

	do
		got = read(fd, bytes, size);
	while (got < 0 && errno == EINTR);
	return got;
}

static __attribute__((noreturn)) void become(char *const *argv, const sigset_t *mask, const int fds[FDS])
{
	char byte;

	fw_signals_as_found();
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (read_all_of(fds[GATE_OUT], &byte, 1) != 1)
		_exit(125); /* measure has gone */
	execvp(argv[0], argv);
	int errnum = errno;

	(void)!write(fds[WHY_IN], &errnum, sizeof errnum);
	_exit(errnum == ENOENT ? 127 : 126);
}

/* Signals of the terminal are the command's and measure's: all are blocked here. */
static __attribute__((noreturn)) void launch(char *const *argv, const sigset_t *mask, const int fds[FDS])
{
	sigset_t all;
	char byte;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	close(fds[ORDERS_OURS]);
	close(fds[GATE_IN]);
	close(fds[WHY_OUT]);
	while (read_all_of(fds[ORDERS_ITS], &byte, 1) == 1) {
		int answer = (int)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

		if (answer == 0)
			become(argv, mask, fds);
		if (answer < 0)
			answer = -errno;
		(void)!write(fds[ORDERS_ITS], &answer, sizeof answer);
	}
	_exit(0);
}

static void close_all(const int fds[FDS])
{
	for (int i = 0; i < FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int fw_launcher_start(char *const *argv, const sigset_t *mask, struct fw_launcher *launcher, struct fw_error **err)
{
	int fds[FDS] = {-1, -1, -1, -1, -1, -1};

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds + ORDERS_OURS) != 0 || pipe2(fds + GATE_OUT, O_CLOEXEC) != 0 ||
	    pipe2(fds + WHY_OUT, O_CLOEXEC | O_NONBLOCK) != 0) {
		int rc = fw_fail_errno(err, errno, "make a pipe");

		close_all(fds);
		return rc;
	}
	pid_t pid = fork();

	if (pid == 0)
		launch(argv, mask, fds);
	if (pid < 0) {
		int rc = fw_fail_errno(err, errno, "fork");

		close_all(fds);
		return rc;
	}
	close(fds[ORDERS_ITS]);
	close(fds[GATE_OUT]);
	close(fds[WHY_IN]);
	*launcher = (struct fw_launcher){.pid = pid, .orders = fds[ORDERS_OURS], .gate = fds[GATE_IN], .why = fds[WHY_OUT]};
	return FW_OK;
}

void fw_launcher_end(struct fw_launcher *launcher)
{
	if (launcher->pid <= 0)
		return;
	close(launcher->orders);
	close(launcher->gate);
	close(launcher->why);
	waitpid(launcher->pid, NULL, 0);
	launcher->pid = 0;
}

int fw_child_start(struct fw_launcher *launcher, struct fw_child *child, struct fw_error **err)
{
	int answer = -EPIPE;

	if (write(launcher->orders, "", 1) == 1 && read_all_of(launcher->orders, &answer, sizeof answer) != sizeof answer)
		answer = -EPIPE;
	if (answer < 0)
		return fw_fail_errno(err, -answer, "start the command");
	*child = (struct fw_child){.pid = answer, .pidfd = (int)syscall(SYS_pidfd_open, answer, 0)};
	if (child->pidfd >= 0)
		return FW_OK;
	int rc = fw_fail_errno(err, errno, "open the pidfd of the command");

	kill(answer, SIGKILL); /* it waits at the gate */
	waitpid(answer, NULL, 0);
	return rc;
}

void fw_child_release(struct fw_launcher *launcher)
{
	(void)!write(launcher->gate, "", 1);
}

int fw_child_reap(struct fw_launcher *launcher, struct fw_child *child, int *status, struct rusage *usage)
{
	int errnum = 0;

	while (wait4(child->pid, status, 0, usage) < 0 && errno == EINTR)
		continue;
	if (read(launcher->why, &errnum, sizeof errnum) != sizeof errnum)
		errnum = 0;
	close(child->pidfd);
	return errnum;
}
