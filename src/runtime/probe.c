/* SPDX-License-Identifier: Apache-2.0
 *
 * Probes (probe.h). Blocking, with a deadline; the child is always reaped.
 */
#include "runtime/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"

#define DEADLINE_NS (10 * FW_NS_PER_S)

static int spawn(const char *const *argv, const char *const *envp, int out_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	int rc = posix_spawn(pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)envp);

	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int left_ms(uint64_t until_ns)
{
	uint64_t now = fw_monotonic_ns();

	return now < until_ns ? (int)((until_ns - now) / FW_NS_PER_MS) + 1 : 0;
}

/* Until its end of file; false at the deadline or when it prints too much. */
static bool read_output(int fd, struct fw_buffer *output, uint64_t until_ns)
{
	char bytes[4096];

	for (;;) {
		struct pollfd wait = {.fd = fd, .events = POLLIN};
		int ready = poll(&wait, 1, left_ms(until_ns));

		if (ready == 0 || (ready < 0 && errno != EINTR))
			return false;
		if (ready < 0)
			continue;
		ssize_t rc = read(fd, bytes, sizeof bytes);

		if (rc == 0)
			return true;
		if (rc < 0 ? errno != EINTR : fw_buffer_append(output, bytes, (size_t)rc) != FW_OK)
			return false;
	}
}

/* It may have closed its output and go on. */
static bool has_ended(pid_t pid, uint64_t until_ns)
{
	fw_cleanup_fd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd wait = {.fd = pidfd, .events = POLLIN};
	int ready;

	do
		ready = poll(&wait, 1, left_ms(until_ns));
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

int fw_probe_run(const char *const *argv, const char *const *envp, struct fw_buffer *output, struct fw_error **err)
{
	int fds[2], status = 0;
	pid_t pid = -1;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fw_fail_errno(err, errno, "make a pipe");
	fw_cleanup_fd int read_fd = fds[0];
	int rc = spawn(argv, envp, fds[1], &pid);

	close(fds[1]);
	if (rc != 0)
		return fw_fail_errno(err, rc, "run %s", argv[0]);
	uint64_t until_ns = fw_monotonic_ns() + DEADLINE_NS;
	bool ended = read_output(read_fd, output, until_ns) && has_ended(pid, until_ns);

	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!ended)
		return fw_fail(err, FW_E_TIMEOUT, "run %s: it neither ended nor kept its output short", argv[0]);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return fw_fail(err, FW_E_ENVIRONMENT, "run %s: it failed", argv[0]);
	return FW_OK;
}
