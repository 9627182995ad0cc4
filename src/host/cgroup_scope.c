/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a scope, a group that systemd's manager of a user gives away, would bring a normal user's engine limits that its
 * present group does not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/cgroup_internal.h"

enum { MAX_TEXT = 1 << 20, PATH_SIZE = 2 * FW_CGROUP_PATH };

/* The unified hierarchy, and where this process is in it. */
static bool find_v2(const struct fw_root *root, struct fw_cgroup_mount *mount, char *own, size_t size)
{
	fw_cleanup_buffer struct fw_buffer mounts, paths;
	struct fw_str rest, line, path, below;

	fw_buffer_init(&mounts, MAX_TEXT);
	fw_buffer_init(&paths, MAX_TEXT);
	if (fw_root_read(root, "proc/self/mountinfo", &mounts, NULL) != FW_OK ||
	    fw_root_read(root, "proc/self/cgroup", &paths, NULL) != FW_OK)
		return false;
	rest = fw_buffer_str(&mounts);
	while (fw_str_next_line(&rest, &line)) {
		if (!fw_cgroup_mount_parse(line, mount) || !mount->v2)
			continue;
		return fw_cgroup_own_path(fw_buffer_str(&paths), -1, &path) && fw_cgroup_below_mount(mount, path, &below) &&
		       snprintf(own, size, "%s/%.*s", mount->point, (int)below.length, below.text) < (int)size;
	}
	return false;
}

static bool is_writable(int directory_fd)
{
	return faccessat(directory_fd, ".", W_OK, AT_EACCESS) == 0;
}

bool fw_cgroup_wants_scope(const struct fw_root *root)
{
	fw_cleanup_free struct fw_cgroup_mount *mount = fw_alloc(sizeof *mount);
	fw_cleanup_free char *own = fw_alloc(PATH_SIZE);
	unsigned wanted = 1u << FW_CONTROLLER_CPU | 1u << FW_CONTROLLER_MEMORY | 1u << FW_CONTROLLER_PIDS;

	if (!find_v2(root, mount, own, PATH_SIZE))
		return false;
	fw_cleanup_fd int top = openat(root->fd, mount->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fw_cleanup_fd int group = openat(root->fd, own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (top < 0 || group < 0 || !(fw_cgroup_v2_controllers(top, "cgroup.controllers") & wanted) || is_writable(top))
		return false;
	return !is_writable(group) || !fw_cgroup_v2_is_alone(group);
}
