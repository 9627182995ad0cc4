/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runtime/sandbox.h"
#include "tests/unit/support.h"

size_t fake_sandboxes_settled;

static size_t alive; /* also changed on pool threads */

struct fw_sandboxes {
	int unused;
};

struct fw_sandbox {
	int listener, pidfd;
	struct fw_sandbox_address address;
	pid_t pid;
	char *attempts;
};

int fw_sandboxes_new(const struct fw_sandboxes_options *options, struct fw_sandboxes **sandboxes, struct fw_error **err)
{
	(void)options;
	(void)err;
	*sandboxes = fw_alloc(sizeof **sandboxes);
	return FW_OK;
}

void fw_sandboxes_free(struct fw_sandboxes *sandboxes)
{
	assert_int_equal(alive, 0);
	free(sandboxes);
}

const char *fw_sandboxes_missing(const struct fw_sandboxes *sandboxes)
{
	(void)sandboxes;
	return NULL;
}

int fw_sandboxes_prepare(struct fw_sandboxes *sandboxes, int64_t memory_mb, int64_t tmp_mb, size_t count,
                         struct fw_error **err)
{
	(void)sandboxes, (void)memory_mb, (void)tmp_mb, (void)count, (void)err;
	return FW_OK;
}

int fw_sandbox_new(struct fw_sandboxes *sandboxes, enum fw_network network, struct fw_sandbox **sandbox,
                   struct fw_error **err)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)sandboxes;
	(void)network;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 64) < 0)
		return fw_fail_errno(err, errno, "listen");
	getsockname(fd, (struct sockaddr *)&address, &size);
	*sandbox = fw_alloc(sizeof **sandbox);
	**sandbox = (struct fw_sandbox){fd, -1, {"127.0.0.1", ntohs(address.sin_port)}, -1, NULL};
	__atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
	return FW_OK;
}

struct fw_sandbox_address fw_sandbox_address(const struct fw_sandbox *sandbox)
{
	return sandbox->address;
}

int fw_sandbox_take_listener(struct fw_sandbox *sandbox)
{
	return fw_take_fd(&sandbox->listener);
}

uid_t fw_sandbox_uid(const struct fw_sandbox *sandbox)
{
	(void)sandbox;
	return getuid();
}

/* "/var/task/x" is the package's x. */
static char *outside(const struct fw_sandbox_spec *spec, const char *path)
{
	return strncmp(path, "/var/task/", 10) == 0 ? fw_printf("%s/%s", spec->package, path + 10) : fw_strdup(path);
}

int fw_sandbox_start(struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec, struct fw_error **err)
{
	fw_cleanup_free char *program = outside(spec, spec->argv[0]);
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, spec->stdout_fd, 1);
	posix_spawn_file_actions_adddup2(&actions, spec->stderr_fd, 2);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
	int rc = posix_spawn(&sandbox->pid, program, &actions, &attributes, (char *const *)(uintptr_t)spec->argv,
	                     (char *const *)(uintptr_t)spec->envp);

	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	if (rc != 0)
		return fw_fail_errno(err, rc, "start %s", program);
	sandbox->pidfd = pidfd_open(sandbox->pid, 0);
	sandbox->attempts = fw_strdup(spec->attempts);
	return FW_OK;
}

pid_t fw_sandbox_pid(const struct fw_sandbox *sandbox)
{
	return sandbox->pid;
}

int fw_sandbox_pidfd(const struct fw_sandbox *sandbox)
{
	return sandbox->pidfd;
}

struct fw_cgroup *fw_sandbox_cgroup(const struct fw_sandbox *sandbox)
{
	(void)sandbox;
	return NULL;
}

int fw_sandbox_settle(struct fw_sandbox *sandbox, struct fw_error **err)
{
	(void)sandbox;
	(void)err;
	fake_sandboxes_settled++;
	return FW_OK;
}

int fw_sandbox_signal(struct fw_sandbox *sandbox, int signal_number, struct fw_error **err)
{
	(void)err;
	kill(-sandbox->pid, signal_number);
	return FW_OK;
}

bool fw_sandbox_out_of_memory(struct fw_sandbox *sandbox)
{
	fw_cleanup_free char *path = fw_printf("%s/oom", sandbox->attempts);

	return unlink(path) == 0;
}

int fw_sandbox_reap(struct fw_sandbox *sandbox, int *wait_status, struct fw_error **err)
{
	if (waitpid(sandbox->pid, wait_status, WNOHANG) != sandbox->pid)
		return fw_fail(err, FW_E_BUSY, "still running");
	sandbox->pid = -1;
	return FW_OK;
}

void fw_sandbox_free(struct fw_sandbox *sandbox)
{
	if (sandbox->pid > 0) {
		kill(-sandbox->pid, SIGKILL);
		waitpid(sandbox->pid, NULL, 0);
	}
	if (sandbox->listener >= 0)
		close(sandbox->listener);
	if (sandbox->pidfd >= 0)
		close(sandbox->pidfd);
	free(sandbox->attempts);
	free(sandbox);
	__atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
}

int fw_sandboxes_end_orphans(struct fw_cgroups *cgroups, const char *run, size_t *ended, struct fw_error **err)
{
	(void)cgroups;
	(void)run;
	(void)err;
	*ended = 0;
	return FW_OK;
}

int fw_package_cache(struct fw_sandboxes *sandboxes, const char *source, char digest[65], char **path,
                     struct fw_error **err)
{
	(void)sandboxes;
	if (access(source, R_OK) != 0)
		return fw_fail_errno(err, errno, "read %s", source);
	snprintf(digest, 65, "%.64s", source);
	*path = fw_strdup(source);
	return FW_OK;
}

int fw_package_cache_bytes(struct fw_sandboxes *sandboxes, const void *zip, size_t length, char **path,
                           struct fw_error **err)
{
	(void)sandboxes;
	(void)zip;
	(void)length;
	(void)path;
	return fw_fail(err, FW_E_UNAVAILABLE, "no Python here");
}

const char *fw_sandboxes_state(const struct fw_sandboxes *sandboxes)
{
	(void)sandboxes;
	return "/nowhere";
}
