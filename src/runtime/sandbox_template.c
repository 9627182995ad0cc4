/* SPDX-License-Identifier: Apache-2.0
 *
 * The mount namespace that all workers of one package start from: built once by a child, held by a descriptor alone, so
 * that no process must be parked for it and nothing is left when the engine dies. A worker's copy costs microseconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/sandbox_child.h"
#include "runtime/sandbox_internal.h"

enum { PROPAGATION_PRIVATE = 1 << 18, DETACH = 2 }; /* MS_PRIVATE, MNT_DETACH: <sys/mount.h> clashes with <linux/mount.h> */

struct build {
	struct fw_sandboxes *shared;
	struct fw_steps *common;
	int mounts_fd, user_fd; /* out */
	char map[2][32];
	struct fw_child_failure failure;
};

FW_CHILD static int failed(struct build *build, const char *doing)
{
	build->failure = (struct fw_child_failure){doing, errno, -1};
	return 1;
}

/* An empty root of our own takes the place of the host's. The state directory is only where it stands for a moment. */
FW_CHILD static int change_root(struct build *build)
{
	int context = (int)fw_call(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);

	if (context < 0 || fw_call(SYS_fsconfig, context, FSCONFIG_SET_STRING, "size", "1m", 0) != 0 ||
	    fw_call(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", "755", 0) != 0 ||
	    fw_call(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -1;
	int root = (int)fw_call(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	fw_call(SYS_close, context);
	if (root < 0)
		return -1;
	int rc = (int)fw_call(SYS_move_mount, root, "", AT_FDCWD, build->shared->state_directory, MOVE_MOUNT_F_EMPTY_PATH);
	if (rc == 0)
		rc = (int)fw_call(SYS_fchdir, root);
	fw_call(SYS_close, root);
	if (rc != 0 || fw_call(SYS_pivot_root, ".", ".") != 0 || fw_call(SYS_umount2, ".", DETACH) != 0)
		return -1;
	return (int)fw_call(SYS_chdir, "/");
}

FW_CHILD static int build_view(struct build *build)
{
	struct mount_attr private = {.propagation = PROPAGATION_PRIVATE};
	const struct fw_sandboxes *shared = build->shared;

	fw_call(SYS_umask, 022);
	if (shared->user_fd >= 0 && (fw_call(SYS_setns, shared->user_fd, CLONE_NEWUSER) != 0 ||
	                             fw_call(SYS_setns, shared->host_mounts_fd, CLONE_NEWNS) != 0))
		return failed(build, "enter the user namespace");
	if (fw_call(SYS_unshare, CLONE_NEWNS) != 0)
		return failed(build, "make a mount namespace");
	if (fw_call(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private) != 0)
		return failed(build, "cut the mounts off from the host's");
	build->mounts_fd = (int)fw_call(SYS_openat, AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (build->mounts_fd < 0)
		return failed(build, "open /proc/self/ns/mnt");
	if (fw_steps_open(build->common, &build->failure) != 0)
		return 1;
	if (change_root(build) != 0)
		return failed(build, "change the root");
	return fw_steps_attach(build->common, &build->failure) != 0;
}

FW_CHILD static int build_main(void *context)
{
	struct build *build = context;
	int rc = build_view(build);

	fw_steps_close(build->common); /* the descriptor table is the engine's */
	return rc;
}

FW_CHILD static int write_text(const char *path, const char *text)
{
	size_t length = 0;
	int fd = (int)fw_call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	while (text[length])
		length++;
	ssize_t written = fw_call(SYS_write, fd, text, length);
	fw_call(SYS_close, fd);
	return written == (ssize_t)length ? 0 : -1;
}

/* In new user and mount namespaces: the user's own ids, mapped to themselves. */
FW_CHILD static int map_user(void *context)
{
	struct build *build = context;

	if (write_text("/proc/self/setgroups", "deny") != 0 || write_text("/proc/self/uid_map", build->map[0]) != 0 ||
	    write_text("/proc/self/gid_map", build->map[1]) != 0)
		return failed(build, "map the user's ids");
	build->user_fd = (int)fw_call(SYS_openat, AT_FDCWD, "/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	build->mounts_fd = (int)fw_call(SYS_openat, AT_FDCWD, "/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	return build->user_fd < 0 || build->mounts_fd < 0 ? failed(build, "open /proc/self/ns") : 0;
}

static int run(struct build *build, fw_child_fn *function, int flags, struct fw_error **err)
{
	pid_t pid = fw_child_run(function, build, CLONE_FILES | flags, NULL);

	if (pid < 0)
		build->failure = (struct fw_child_failure){"make namespaces", errno, -1};
	else
		waitpid(pid, NULL, __WALL);
	if (!build->failure.doing)
		return FW_OK;
	if (build->mounts_fd >= 0)
		close(build->mounts_fd);
	if (build->user_fd >= 0)
		close(build->user_fd);
	if (build->failure.index < 0)
		return fw_fail_errno(err, build->failure.error_number, "prepare the sandbox: %s", build->failure.doing);
	const struct fw_step *step = &build->common->list.items[build->failure.index];
	return fw_fail_errno(err, build->failure.error_number, "prepare the sandbox: %s %s", build->failure.doing,
	                     step->source && step->kind == FW_STEP_BIND ? step->source : step->target);
}

int fw_template_host(struct fw_sandboxes *shared, struct fw_error **err)
{
	struct build build = {.shared = shared, .mounts_fd = -1, .user_fd = -1};

	snprintf(build.map[0], sizeof build.map[0], "%u %u 1", geteuid(), geteuid());
	snprintf(build.map[1], sizeof build.map[1], "%u %u 1", getegid(), getegid());
	int rc = run(&build, map_user, CLONE_NEWUSER | CLONE_NEWNS, err);
	if (rc != FW_OK)
		return rc;
	shared->user_fd = build.user_fd;
	shared->host_mounts_fd = build.mounts_fd;
	return FW_OK;
}

static int find(const struct fw_sandboxes *shared, const char *key)
{
	for (size_t i = 0; i < shared->templates.count; i++)
		if (strcmp(shared->templates.items[i].key, key) == 0)
			return shared->templates.items[i].mounts_fd;
	return -1;
}

static int make(struct fw_sandboxes *shared, const char *key, const struct fw_sandbox_spec *spec, struct fw_error **err)
{
	struct fw_steps common = {0};
	struct build build = {.shared = shared, .common = &common, .mounts_fd = -1, .user_fd = -1};
	int rc = fw_view_common(shared, spec, &common, err);

	if (rc == FW_OK)
		rc = run(&build, build_main, 0, err);
	if (rc == FW_OK)
		FW_PUSH(&shared->templates, (struct fw_template){fw_strdup(key), build.mounts_fd});
	fw_steps_done(&common);
	return rc;
}

int fw_template_get(struct fw_sandboxes *shared, const char *key, const struct fw_sandbox_spec *spec, int *mounts_fd,
                    struct fw_error **err)
{
	int rc = FW_OK;

	pthread_mutex_lock(&shared->lock);
	int found = find(shared, key);
	if (found < 0) {
		rc = make(shared, key, spec, err);
		found = find(shared, key);
	}
	pthread_mutex_unlock(&shared->lock);
	if (rc == FW_OK)
		*mounts_fd = found;
	return rc;
}
