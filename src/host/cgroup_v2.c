/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits and delegation in the unified hierarchy. A group that hands controllers to its children may hold no processes
 * itself: when the parent's parent is our own group, this process first moves into <parent>/engine. Nobody else is moved:
 * with others in our group the controllers stay where they are, and that is said.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/cgroup_internal.h"

unsigned fw_cgroup_v2_controllers(int directory_fd, const char *file)
{
	fw_cleanup_fd int fd = openat(directory_fd, file, O_RDONLY | O_CLOEXEC);
	char text[512];
	ssize_t length = fd < 0 ? -1 : fw_pread_text(fd, text, sizeof text);
	struct fw_str rest, word;
	unsigned controllers = 0;

	if (length < 0)
		return 0;
	rest = fw_str_trim((struct fw_str){text, (size_t)length});
	while (fw_str_next_word(&rest, &word)) {
		int controller = fw_controller_by_name(word);

		if (controller >= 0)
			controllers |= 1u << controller;
	}
	return controllers;
}

static bool write_text(int directory_fd, const char *file, const char *text)
{
	fw_cleanup_fd int fd = openat(directory_fd, file, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

bool fw_cgroup_v2_is_alone(int directory_fd)
{
	fw_cleanup_fd int fd = openat(directory_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	char text[4096], own[16];
	ssize_t length = fd < 0 ? -1 : fw_pread_text(fd, text, sizeof text);
	struct fw_str rest, line;

	if (length < 0)
		return false;
	snprintf(own, sizeof own, "%d", (int)getpid());
	rest = (struct fw_str){text, (size_t)length};
	while (fw_str_next_line(&rest, &line))
		if (!fw_str_is(line, own))
			return false;
	return true;
}

static bool move_aside(const struct fw_hierarchy *hierarchy)
{
	return (mkdirat(hierarchy->parent_fd, "engine", 0755) == 0 || errno == EEXIST) &&
	       write_text(hierarchy->parent_fd, "engine/cgroup.procs", "0");
}

static unsigned missing_in(int directory_fd, unsigned wanted)
{
	return wanted & fw_cgroup_v2_controllers(directory_fd, "cgroup.controllers") &
	       ~fw_cgroup_v2_controllers(directory_fd, "cgroup.subtree_control");
}

/* One at a time, so that one that is refused does not hinder the others. */
static unsigned hand_down(int directory_fd, unsigned wanted)
{
	unsigned missing = missing_in(directory_fd, wanted);

	for (int controller = 0; controller < FW_CONTROLLER_COUNT; controller++) {
		char text[32];

		if (!(missing & 1u << controller))
			continue;
		snprintf(text, sizeof text, "+%s", fw_controller_name(controller));
		write_text(directory_fd, "cgroup.subtree_control", text);
	}
	return wanted & fw_cgroup_v2_controllers(directory_fd, "cgroup.subtree_control");
}

/* A group with processes would take cpu and pids all the same: it would become the root of a threaded tree, below which
 * no process may live. Hence this one leaves before anything is handed down. The top alone may have both. */
bool fw_cgroup_v2_enable(struct fw_hierarchy *hierarchy, bool own_group, unsigned wanted)
{
	bool top = faccessat(hierarchy->base_fd, "cgroup.type", F_OK, 0) != 0;
	bool crowded = own_group && !top && missing_in(hierarchy->base_fd, wanted) &&
	               !(fw_cgroup_v2_is_alone(hierarchy->base_fd) && move_aside(hierarchy));

	wanted = crowded ? wanted & fw_cgroup_v2_controllers(hierarchy->base_fd, "cgroup.subtree_control")
	                 : hand_down(hierarchy->base_fd, wanted);
	hierarchy->controllers = hand_down(hierarchy->parent_fd, wanted);
	return !crowded;
}

int fw_cgroup_v2_set_cpu(struct fw_cgroup *group, int64_t quota_us, int64_t period_us, struct fw_error **err)
{
	char text[64];

	if (!fw_cgroup_has_file(group->cgroups, FW_FILE_CPU_MAX))
		return FW_OK;
	if (quota_us > 0)
		snprintf(text, sizeof text, "%lld %lld", (long long)quota_us, (long long)period_us);
	else
		snprintf(text, sizeof text, "max");
	return fw_cgroup_file_write(group, FW_FILE_CPU_MAX, text, err);
}

int fw_cgroup_v2_limit(struct fw_cgroup *group, const struct fw_cgroup_limits *limits, struct fw_error **err)
{
	const struct fw_cgroups *cgroups = group->cgroups;
	int rc = FW_OK;

	if (limits->memory_bytes > 0 && fw_cgroup_has_file(cgroups, FW_FILE_MEMORY_MAX)) {
		rc = fw_cgroup_file_write_number(group, FW_FILE_MEMORY_MAX, limits->memory_bytes, err);
		(void)fw_cgroup_file_write_number(group, FW_FILE_MEMORY_SWAP_MAX, 0, NULL); /* absent on kernels without swap accounting */
	}
	if (rc == FW_OK && limits->cpu_quota_us > 0)
		rc = fw_cgroup_v2_set_cpu(group, limits->cpu_quota_us, limits->cpu_period_us, err);
	if (rc == FW_OK && limits->pids > 0 && fw_cgroup_has_file(cgroups, FW_FILE_PIDS_MAX))
		rc = fw_cgroup_file_write_number(group, FW_FILE_PIDS_MAX, limits->pids, err);
	return rc;
}
