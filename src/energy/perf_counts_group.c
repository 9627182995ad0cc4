/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups below perf_event/flexwatt. One that has a process cannot be removed, so that a sweep takes none that is in use.
 */
#include "energy/perf_counts_group.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/str.h"

#define HIERARCHY "sys/fs/cgroup/perf_event"
#define PARENT "flexwatt"

struct fw_count_group {
	int top_fd, parent_fd, fd;
	char name[128];
};

bool fw_count_group_is_needed(const struct fw_root *root)
{
	return faccessat(root->fd, HIERARCHY "/cgroup.procs", F_OK, 0) == 0;
}

static bool move(int group_fd, pid_t pid)
{
	fw_cleanup_fd int fd = openat(group_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	char text[16];
	int length = snprintf(text, sizeof text, "%d", (int)pid);

	return fd >= 0 && write(fd, text, (size_t)length) == length;
}

static int open_directory(int at_fd, const char *name)
{
	return openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool make(struct fw_count_group *group, const struct fw_root *root, const char *name)
{
	group->top_fd = open_directory(root->fd, HIERARCHY);
	if (group->top_fd < 0)
		return false;
	(void)mkdirat(group->top_fd, PARENT, 0755); /* another engine may have */
	group->parent_fd = open_directory(group->top_fd, PARENT);
	if (group->parent_fd < 0)
		return false;
	snprintf(group->name, sizeof group->name, "%s", name);
	(void)mkdirat(group->parent_fd, group->name, 0755);
	group->fd = open_directory(group->parent_fd, group->name);
	return group->fd >= 0;
}

struct fw_count_group *fw_count_group_new(const struct fw_root *root, const char *name, const pid_t *pids, size_t count)
{
	struct fw_count_group *fresh = fw_alloc(sizeof *fresh);
	bool any = false;

	fresh->top_fd = fresh->parent_fd = fresh->fd = -1;
	if (make(fresh, root, name))
		for (size_t i = 0; i < count; i++)
			any = move(fresh->fd, pids[i]) || any;
	if (any)
		return fresh;
	fw_count_group_free(fresh);
	return NULL;
}

int fw_count_group_fd(const struct fw_count_group *group)
{
	return group->fd;
}

static void empty(const struct fw_count_group *group)
{
	char text[4096];
	fw_cleanup_fd int fd = openat(group->fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	ssize_t length = fd >= 0 ? fw_pread_text(fd, text, sizeof text) : -1;
	struct fw_str rest = {text, length > 0 ? (size_t)length : 0}, line;
	uint64_t pid;

	while (fw_str_next_line(&rest, &line))
		if (fw_str_to_u64(line, &pid))
			(void)move(group->top_fd, (pid_t)pid);
}

void fw_count_group_free(struct fw_count_group *group)
{
	if (!group)
		return;
	if (group->fd >= 0) {
		empty(group);
		close(group->fd);
		(void)unlinkat(group->parent_fd, group->name, AT_REMOVEDIR);
	}
	if (group->parent_fd >= 0) {
		close(group->parent_fd);
		(void)unlinkat(group->top_fd, PARENT, AT_REMOVEDIR); /* refused while others have groups in it */
	}
	if (group->top_fd >= 0)
		close(group->top_fd);
	free(group);
}

void fw_count_group_sweep(const struct fw_root *root)
{
	int fd = open_directory(root->fd, HIERARCHY "/" PARENT);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (const struct dirent *entry; (entry = readdir(directory));)
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			(void)unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	closedir(directory);
	(void)unlinkat(root->fd, HIERARCHY "/" PARENT, AT_REMOVEDIR);
}
