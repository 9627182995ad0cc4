/* SPDX-License-Identifier: Apache-2.0
 *
 * Carries out the steps of a view. Everything between the two `child` marks runs in a vfork child: system calls on
 * prepared memory, no allocation, no locks, no libc state but errno, nothing that a sanitizer would watch.
 */
#include "runtime/sandbox_steps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/sandbox_child.h"

/* Of <linux/mount.h>, which older headers lack; the numbers are the kernel's interface. */
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
enum { PROPAGATION_PRIVATE = 1 << 18 }; /* MS_PRIVATE of <sys/mount.h>, which clashes with <linux/mount.h> */

struct fw_step *fw_steps_add(struct fw_steps *steps, enum fw_step_kind kind, const char *source, const char *target)
{
	while (target && *target == '/')
		target++;
	FW_PUSH(&steps->list, (struct fw_step){
		.kind = kind, .source = fw_strdup(source), .target = fw_strdup(target), .fd = -1, .idmap_fd = -1});
	return &steps->list.items[steps->list.count - 1];
}

void fw_steps_done(struct fw_steps *steps)
{
	for (size_t i = 0; i < steps->list.count; i++) {
		free(steps->list.items[i].source);
		free(steps->list.items[i].target);
	}
	free(steps->list.items);
	steps->list.items = NULL;
	steps->list.count = steps->list.capacity = 0;
}

/* child: begin */

FW_CHILD static int failed(struct fw_child_failure *failure, const char *doing, size_t index)
{
	failure->doing = doing;
	failure->error_number = errno;
	failure->index = (ssize_t)index;
	return -1;
}

FW_CHILD static int new_filesystem(const char *type, const char *key, const char *value, unsigned attributes)
{
	int context = (int)fw_call(SYS_fsopen, type, FSOPEN_CLOEXEC);
	int mount = -1;

	if (context < 0)
		return -1;
	if ((!key || fw_call(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, value, 0) == 0) &&
	    fw_call(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		mount = (int)fw_call(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
	int error_number = errno;
	fw_call(SYS_close, context);
	errno = error_number;
	return mount;
}

/* A copy of the mounts at a path, cut off from what later happens on the host (and the host from it). */
FW_CHILD static int open_bind(const struct fw_step *step)
{
	unsigned recursive = step->recursive ? AT_RECURSIVE : 0;
	struct mount_attr attributes = {.attr_set = step->attributes, .propagation = PROPAGATION_PRIVATE};
	int tree = (int)fw_call(SYS_open_tree, AT_FDCWD, step->source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive);

	if (tree < 0)
		return -1;
	int rc = (int)fw_call(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | recursive, &attributes, sizeof attributes);
	if (rc == 0 && step->idmap_fd >= 0) {
		struct mount_attr idmap = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (unsigned)step->idmap_fd};

		rc = (int)fw_call(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &idmap, sizeof idmap);
	}
	if (rc == 0)
		return tree;
	int error_number = errno;
	fw_call(SYS_close, tree);
	errno = error_number;
	return -1;
}

FW_CHILD int fw_steps_open(struct fw_steps *steps, struct fw_child_failure *failure)
{
	for (size_t i = 0; i < steps->list.count; i++) {
		struct fw_step *step = &steps->list.items[i];

		if (step->kind == FW_STEP_BIND)
			step->fd = open_bind(step);
		else if (step->kind == FW_STEP_PROC)
			step->fd = new_filesystem("proc", "hidepid", "2", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
		else if (step->kind == FW_STEP_MEMORY)
			step->fd = new_filesystem("tmpfs", "size", step->source, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
		else
			continue;
		if (step->fd < 0)
			return failed(failure, "open", i);
	}
	return 0;
}

/* Makes `path` and its parents. What exists already may stand on a read-only mount. */
FW_CHILD static int make_directories(const char *path)
{
	char copy[PATH_MAX];
	size_t length = 0;

	for (; path[length] && length < sizeof copy - 1; length++) {
		if (path[length] == '/' && length > 0) {
			copy[length] = '\0';
			fw_call(SYS_mkdirat, AT_FDCWD, copy, 0755);
		}
		copy[length] = path[length];
	}
	copy[length] = '\0';
	if (fw_call(SYS_mkdirat, AT_FDCWD, copy, 0755) == 0 || errno == EEXIST)
		return 0;
	return fw_call(SYS_faccessat, AT_FDCWD, copy, F_OK) == 0 ? 0 : -1; /* EROFS of one that exists */
}

FW_CHILD static int make_file(const char *path, const char *text)
{
	char parent[PATH_MAX];
	size_t slash = 0, length = 0;

	for (size_t i = 0; path[i] && i < sizeof parent - 1; i++) {
		parent[i] = path[i];
		if (path[i] == '/')
			slash = i;
	}
	parent[slash] = '\0';
	if (slash > 0 && make_directories(parent) != 0)
		return -1;
	if (!text && fw_call(SYS_faccessat, AT_FDCWD, path, F_OK) == 0)
		return 0;
	int fd = (int)fw_call(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -1;
	while (text && text[length])
		length++;
	if (length > 0)
		fw_call(SYS_write, fd, text, length);
	fw_call(SYS_close, fd);
	return 0;
}

FW_CHILD static int attach(const struct fw_step *step)
{
	if ((step->is_file ? make_file(step->target, NULL) : make_directories(step->target)) != 0)
		return -1;
	return (int)fw_call(SYS_move_mount, step->fd, "", AT_FDCWD, step->target, MOVE_MOUNT_F_EMPTY_PATH);
}

FW_CHILD static int seal(const char *target)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};

	return (int)fw_call(SYS_mount_setattr, AT_FDCWD, *target ? target : ".", 0, &read_only, sizeof read_only);
}

FW_CHILD int fw_steps_attach(struct fw_steps *steps, struct fw_child_failure *failure)
{
	for (size_t i = 0; i < steps->list.count; i++) {
		struct fw_step *step = &steps->list.items[i];
		int rc = 0;

		if (step->kind == FW_STEP_DIRECTORY)
			rc = make_directories(step->target);
		else if (step->kind == FW_STEP_FILE)
			rc = make_file(step->target, step->source);
		else if (step->kind == FW_STEP_LINK)
			rc = (int)fw_call(SYS_symlinkat, step->source, AT_FDCWD, step->target);
		else if (step->kind == FW_STEP_SEAL)
			rc = seal(step->target);
		else if (step->fd >= 0)
			rc = attach(step);
		if (rc != 0)
			return failed(failure, "mount", i);
	}
	return 0;
}

FW_CHILD void fw_steps_close(struct fw_steps *steps)
{
	for (size_t i = 0; i < steps->list.count; i++) {
		struct fw_step *step = &steps->list.items[i];

		if (step->fd >= 0 && step->kind != FW_STEP_TREE) {
			fw_call(SYS_close, step->fd);
			step->fd = -1;
		}
	}
}

/* child: end */
