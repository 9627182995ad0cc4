/* SPDX-License-Identifier: Apache-2.0
 *
 * The processes of a group: moved in, listed, signalled, killed as a whole. A group that forks while it is being killed
 * must not get away: cgroup.kill does it in the kernel, a frozen group cannot fork, and without either the sweep is
 * repeated until it finds nobody new.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/cgroup_internal.h"

enum { MAX_PIDS = 4096, MAX_SWEEPS = 64 };

static int procs_fd(struct fw_cgroup *group, size_t index)
{
	return fw_cgroup_kept_fd(group, &group->procs[index], index, "cgroup.procs", O_RDWR);
}

int fw_cgroup_add(struct fw_cgroup *group, pid_t pid, struct fw_error **err)
{
	char text[16];
	int length = snprintf(text, sizeof text, "%d", pid);

	for (size_t i = 0; i < group->cgroups->count; i++) {
		int fd = procs_fd(group, i);

		if (fd < 0 || write(fd, text, (size_t)length) != length)
			return fw_fail_errno(err, errno, "move process %d into the control group %s", pid, group->name);
	}
	return FW_OK;
}

size_t fw_cgroup_procs_fds(struct fw_cgroup *group, int fds[8])
{
	size_t count = 0;
	int v2 = group->cgroups->v2;

	for (size_t i = 0; i < group->cgroups->count; i++)
		if ((int)i != v2 && procs_fd(group, i) >= 0)
			fds[count++] = procs_fd(group, i);
	if (v2 >= 0 && procs_fd(group, (size_t)v2) >= 0)
		fds[count++] = procs_fd(group, (size_t)v2);
	return count;
}

/* Appends the numbers of one cgroup.procs text. */
static size_t add_pids(struct fw_str text, pid_t *pids, size_t capacity, size_t count)
{
	struct fw_str line;
	uint64_t pid;

	while (fw_str_next_line(&text, &line))
		if (fw_str_to_u64(line, &pid) && pid > 0 && pid <= INT32_MAX) {
			if (count < capacity)
				pids[count] = (pid_t)pid;
			count++;
		}
	return count;
}

/* The list may be longer than any buffer: whole lines are taken, the rest is read from behind them. */
static size_t pids_of(int fd, pid_t *pids, size_t capacity)
{
	char text[4096];
	size_t count = 0;
	off_t offset = 0;

	for (;;) {
		ssize_t length = pread(fd, text, sizeof text, offset);

		if (length <= 0)
			return count;
		const char *end = memrchr(text, '\n', (size_t)length);
		size_t whole = end ? (size_t)(end - text) + 1 : (size_t)length;

		count = add_pids((struct fw_str){text, whole}, pids, capacity, count);
		offset += (off_t)whole;
	}
}

/* On v1 an open list shows what it showed before for up to a second: it is opened each time. */
static size_t pids_in(struct fw_cgroup *group, size_t index, pid_t *pids, size_t capacity)
{
	char path[256];

	if ((int)index == group->cgroups->v2) {
		int kept = procs_fd(group, index);

		return kept < 0 ? 0 : pids_of(kept, pids, capacity);
	}
	snprintf(path, sizeof path, "%s/cgroup.procs", group->name);
	fw_cleanup_fd int fd = openat(group->cgroups->hierarchies[index].parent_fd, path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? 0 : pids_of(fd, pids, capacity);
}

size_t fw_cgroup_pids(struct fw_cgroup *group, pid_t *pids, size_t capacity)
{
	size_t count = 0;

	/* Every hierarchy tells the same, v2 (the first) at the least cost. Who is in v1 alone is still ours to end. */
	for (size_t i = 0; i < group->cgroups->count && count == 0; i++)
		count = pids_in(group, i, pids, capacity);
	return count;
}

int fw_cgroup_signal(struct fw_cgroup *group, int signal_number, struct fw_error **err)
{
	pid_t pids[MAX_PIDS];
	size_t count = fw_cgroup_pids(group, pids, MAX_PIDS);

	for (size_t i = 0; i < count && i < MAX_PIDS; i++)
		if (kill(pids[i], signal_number) != 0 && errno != ESRCH)
			return fw_fail_errno(err, errno, "signal process %d of the control group %s", pids[i], group->name);
	return FW_OK;
}

static int sweep(struct fw_cgroup *group, struct fw_error **err)
{
	size_t before = 0, now = fw_cgroup_pids(group, NULL, 0);
	int rc = FW_OK;

	/* Killed processes stay listed until they are gone: the end is a sweep that finds no more than the one before. */
	for (int i = 0; rc == FW_OK && i < MAX_SWEEPS && now > 0 && (i < 2 || now > before); i++) {
		before = now;
		rc = fw_cgroup_signal(group, SIGKILL, err);
		now = fw_cgroup_pids(group, NULL, 0);
	}
	return rc;
}

int fw_cgroup_kill(struct fw_cgroup *group, struct fw_error **err)
{
	int kill_fd = fw_cgroup_file_fd(group, FW_FILE_KILL);
	int rc;

	if (kill_fd >= 0) {
		if (pwrite(kill_fd, "1", 1, 0) != 1 && errno != ENODEV)
			return fw_fail_errno(err, errno, "kill the control group %s", group->name);
		if (group->cgroups->count == 1 || fw_cgroup_pids(group, NULL, 0) == 0)
			return FW_OK;
		return sweep(group, err); /* who never entered the leaf */
	}
	bool frozen = fw_cgroup_v1_freeze(group, true);
	rc = sweep(group, err);
	if (frozen)
		fw_cgroup_v1_freeze(group, false);
	return rc;
}
