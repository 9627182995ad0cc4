/* SPDX-License-Identifier: Apache-2.0
 *
 * Running the program of a command function. Its stderr is passed on to the log and its last lines are kept for the
 * failure; what it leaves running, daemons in sessions of their own too, is ended, so that the next invocation starts
 * alone: this process is the reaper of its orphans.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "function/command.h"

enum { TAIL_BYTES = 2048, TAIL_LINES = 10 };

static const uint64_t end_ns = 2000000000; /* for what the kernel holds: it must not hold the invocation */

struct tail {
	char bytes[TAIL_BYTES + 1];
	size_t length;
};

static void keep_tail(struct tail *tail, const char *bytes, size_t length)
{
	if (length > TAIL_BYTES) {
		bytes += length - TAIL_BYTES;
		length = TAIL_BYTES;
	}
	size_t kept = tail->length + length > TAIL_BYTES ? TAIL_BYTES - length : tail->length;
	memmove(tail->bytes, tail->bytes + tail->length - kept, kept);
	memcpy(tail->bytes + kept, bytes, length);
	tail->length = kept + length;
	tail->bytes[tail->length] = '\0';
}

/* The last lines, without the end of the last one. */
static const char *last_lines(struct tail *tail)
{
	size_t lines = 0, at;

	while (tail->length && strchr("\r\n ", tail->bytes[tail->length - 1]))
		tail->bytes[--tail->length] = '\0';
	for (at = tail->length; at > 0; at--)
		if (tail->bytes[at - 1] == '\n' && ++lines == TAIL_LINES)
			break;
	for (size_t i = 0; i < tail->length; i++)
		if (!tail->bytes[i])
			tail->bytes[i] = ' ';
	return tail->bytes + at;
}

/* At most `most` bytes; how many, 0 at the end of what there is. */
static size_t pass_on(int fd, size_t most, struct tail *tail)
{
	char bytes[4096];
	ssize_t count;

	do
		count = read(fd, bytes, most < sizeof bytes ? most : sizeof bytes);
	while (count < 0 && errno == EINTR);
	if (count <= 0)
		return 0;
	(void)!write(STDERR_FILENO, bytes, (size_t)count);
	keep_tail(tail, bytes, (size_t)count);
	return (size_t)count;
}

/* What is in the pipe, and no more: a daemon of the program's may write on without end. */
static void pass_on_rest(int fd, struct tail *tail)
{
	int left = 0;

	if (ioctl(fd, FIONREAD, &left) != 0)
		return;
	for (size_t count = 1, rest = (size_t)left; rest > 0 && count > 0; rest -= count)
		count = pass_on(fd, rest, tail);
}

/* Theirs become ours, and are next. A kernel that tells no children leaves it at the process group. */
static void kill_children(void)
{
	FILE *children = fopen("/proc/thread-self/children", "re");
	char pid[16];

	if (!children)
		return;
	while (fscanf(children, "%15s", pid) == 1)
		kill((pid_t)strtol(pid, NULL, 10), SIGKILL);
	fclose(children);
}

static void end_rest(pid_t group)
{
	uint64_t until_ns = fw_sdk_now_ns() + end_ns;
	pid_t reaped;

	kill(-group, SIGKILL);
	do {
		kill_children();
		while ((reaped = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (reaped == 0)
			poll(NULL, 0, 1);
	} while (reaped == 0 && fw_sdk_now_ns() < until_ns);
}

/* Until the program ends: its pipe may be closed before, or kept open longer. */
static int follow(pid_t pid, int fd, struct tail *tail)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd waiting[] = {{fd, POLLIN, 0}, {pidfd, POLLIN, 0}};
	int status = 0;

	for (bool open = true; open && !waiting[1].revents;) {
		if (poll(waiting, 2, -1) < 0) {
			if (errno != EINTR)
				break;
		} else if (waiting[1].revents)
			pass_on_rest(fd, tail);
		else
			open = pass_on(fd, SIZE_MAX, tail) > 0;
	}
	if (pidfd >= 0)
		close(pidfd);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	end_rest(pid);
	return status;
}

static int start(char **arguments, int stderr_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	int error = posix_spawnp(pid, arguments[0], &actions, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

static bool is_file(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && !S_ISDIR(info.st_mode);
}

/* A directory of PATH that may not be searched makes EACCES of a program that is nowhere, and so does a directory of its
 * name. */
static bool is_there(const char *program)
{
	const char *rest = getenv("PATH");
	char path[PATH_MAX];

	if (strchr(program, '/'))
		return true;
	while (rest && *rest) {
		size_t length = strcspn(rest, ":");

		if (snprintf(path, sizeof path, "%.*s/%s", (int)length, rest, program) < (int)sizeof path && is_file(path))
			return true;
		rest += length + (rest[length] == ':');
	}
	return false;
}

static int tell_start_failure(struct fw_invocation *invocation, const char *program, int error)
{
	if (error == ENOENT || (error == EACCES && !is_there(program)))
		return fw_fail_invocation(invocation, "Command.NotFound",
		                          "%s: no such program in the function's sandbox (or its interpreter is missing)", program);
	if (error == EACCES)
		return fw_fail_invocation(invocation, "Command.NotExecutable", "%s: may not be executed", program);
	return fw_fail_invocation(invocation, "Command.Start", "%s: %s", program, strerror(error));
}

static int tell_end(struct fw_invocation *invocation, const char *program, int status, struct tail *tail)
{
	const char *lines = last_lines(tail), *between = *lines ? ": " : "";

	if (WIFSIGNALED(status))
		return fw_fail_invocation(invocation, "Command.Signal", "%s was killed by signal %d (%s)%s%s", program,
		                          WTERMSIG(status), strsignal(WTERMSIG(status)), between, lines);
	const char *meaning = WEXITSTATUS(status) == 127   ? " (a shell says so when it does not find a program)"
	                      : WEXITSTATUS(status) == 126 ? " (a shell says so when a program may not be executed)"
	                                                   : "";
	return fw_fail_invocation(invocation, "Command.ExitStatus", "%s exited with status %d%s%s%s", program,
	                          WEXITSTATUS(status), meaning, between, lines);
}

int fw_command_run(struct fw_invocation *invocation, char **arguments)
{
	struct tail tail = {.length = 0};
	int ends[2];
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	if (pipe2(ends, O_CLOEXEC) != 0)
		return tell_start_failure(invocation, arguments[0], errno);
	int error = start(arguments, ends[1], &pid);
	close(ends[1]);
	if (error) {
		close(ends[0]);
		return tell_start_failure(invocation, arguments[0], error);
	}
	int status = follow(pid, ends[0], &tail);
	close(ends[0]);
	return status == 0 ? FW_OK : tell_end(invocation, arguments[0], status, &tail);
}
