/* SPDX-License-Identifier: Apache-2.0
 *
 * One control group of ours under every hierarchy in use: made, filled, emptied, removed. Paths are relative to kept
 * descriptors of the parent group, so that a cold start pays for a directory and the writes of its limits and no more.
 */
#include "host/cgroup_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"

FW_DEFINE_CLEANUP(struct fw_cgroup *, fw_cgroup_close)
FW_DEFINE_CLEANUP(DIR *, closedir)

/* errno tells why it failed, so that the probe can choose another place. */
int fw_cgroup_open_parent(struct fw_cgroups *cgroups, struct fw_hierarchy *hierarchy, struct fw_error **err)
{
	int fd, errnum;

	if (mkdirat(hierarchy->base_fd, cgroups->parent, 0755) != 0 && errno != EEXIST)
		goto failed;
	fd = openat(hierarchy->base_fd, cgroups->parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		goto failed;
	if (faccessat(fd, ".", W_OK, AT_EACCESS) != 0) {
		errnum = errno;
		close(fd);
		errno = errnum;
		goto failed;
	}
	if (hierarchy->parent_fd >= 0)
		close(hierarchy->parent_fd);
	hierarchy->parent_fd = fd;
	return FW_OK;
failed:
	errnum = errno;
	int rc = fw_fail_errno(err, errnum, "make the control group /%s/%s", hierarchy->path, cgroups->parent);
	errno = errnum;
	return rc;
}

void fw_cgroups_close(struct fw_cgroups *cgroups)
{
	if (!cgroups)
		return;
	for (size_t i = 0; i < cgroups->count; i++) {
		struct fw_hierarchy *hierarchy = &cgroups->hierarchies[i];

		/* Leaves nothing behind when it is empty; another engine that uses it keeps it alive. */
		unlinkat(hierarchy->base_fd, cgroups->parent, AT_REMOVEDIR);
		close(hierarchy->parent_fd);
		close(hierarchy->base_fd);
	}
	free(cgroups->parent);
	free(cgroups->missing);
	free(cgroups);
}

enum fw_cgroup_mode fw_cgroups_mode(const struct fw_cgroups *cgroups)
{
	return cgroups->mode;
}

unsigned fw_cgroups_can(const struct fw_cgroups *cgroups)
{
	return cgroups->can;
}

const char *fw_cgroups_missing(const struct fw_cgroups *cgroups)
{
	return cgroups->missing;
}

static int check_name(const char *name, struct fw_error **err)
{
	if (!fw_path_is_inside(name) || strchr(name, '/') || strlen(name) > 200)
		return fw_fail(err, FW_E_INVALID, "'%s' is no name of a control group", name);
	return FW_OK;
}

static struct fw_cgroup *group_alloc(struct fw_cgroups *cgroups, const char *name)
{
	struct fw_cgroup *group = fw_alloc(sizeof *group);

	group->cgroups = cgroups;
	group->name = fw_strdup(name);
	group->v2_fd = -1;
	group->cpu_period_us = -1;
	return group;
}

static int open_leaf(struct fw_cgroup *group)
{
	struct fw_cgroups *cgroups = group->cgroups;

	if (cgroups->v2 >= 0)
		group->v2_fd = openat(cgroups->hierarchies[cgroups->v2].parent_fd, group->name,
		                      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return group->v2_fd;
}

static int make_directory(struct fw_cgroups *cgroups, struct fw_hierarchy *hierarchy, const char *name,
                          struct fw_error **err)
{
	if (mkdirat(hierarchy->parent_fd, name, 0755) == 0)
		return FW_OK;
	/* Another engine that ended has removed the parent, which was empty. */
	if (errno == ENOENT && fw_cgroup_open_parent(cgroups, hierarchy, NULL) == FW_OK &&
	    mkdirat(hierarchy->parent_fd, name, 0755) == 0)
		return FW_OK;
	if (errno == EEXIST)
		return fw_fail(err, FW_E_BUSY, "the control group /%s/%s/%s exists already", hierarchy->path, cgroups->parent,
		               name);
	return fw_fail_errno(err, errno, "make the control group /%s/%s/%s", hierarchy->path, cgroups->parent, name);
}

static void undo(struct fw_cgroups *cgroups, const char *name, size_t made)
{
	for (size_t i = 0; i < made; i++)
		unlinkat(cgroups->hierarchies[i].parent_fd, name, AT_REMOVEDIR);
}

int fw_cgroup_new(struct fw_cgroups *cgroups, const char *name, const struct fw_cgroup_limits *limits,
                  struct fw_cgroup **group, struct fw_error **err)
{
	int rc = check_name(name, err);
	size_t made = 0;

	for (; rc == FW_OK && made < cgroups->count; made += rc == FW_OK)
		rc = make_directory(cgroups, &cgroups->hierarchies[made], name, err);
	if (rc == FW_OK) {
		FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *fresh = group_alloc(cgroups, name);

		if (cgroups->v2 >= 0 && open_leaf(fresh) < 0)
			rc = fw_fail_errno(err, errno, "open the control group %s", name);
		if (rc == FW_OK)
			rc = fw_cgroup_v1_limit(fresh, limits, err);
		if (rc == FW_OK)
			rc = fw_cgroup_v2_limit(fresh, limits, err);
		if (rc == FW_OK) {
			*group = FW_TAKE(fresh);
			return FW_OK;
		}
	}
	undo(cgroups, name, made);
	return rc;
}

int fw_cgroup_open(struct fw_cgroups *cgroups, const char *name, struct fw_cgroup **group, struct fw_error **err)
{
	bool found = false;
	int rc = check_name(name, err);

	if (rc != FW_OK)
		return rc;
	for (size_t i = 0; i < cgroups->count && !found; i++)
		found = faccessat(cgroups->hierarchies[i].parent_fd, name, F_OK, 0) == 0;
	if (!found)
		return fw_fail(err, FW_E_ABSENT, "no control group %s/%s", cgroups->parent, name);
	*group = group_alloc(cgroups, name);
	open_leaf(*group); /* an orphan may have lost its leaf already */
	return FW_OK;
}

/* A name that an earlier hierarchy has too was told already. */
static bool is_first(const struct fw_cgroups *cgroups, size_t index, const char *name)
{
	for (size_t i = 0; i < index; i++)
		if (faccessat(cgroups->hierarchies[i].parent_fd, name, F_OK, 0) == 0)
			return false;
	return true;
}

int fw_cgroups_each(struct fw_cgroups *cgroups, void (*visit)(void *context, const char *name), void *context,
                    struct fw_error **err)
{
	for (size_t i = 0; i < cgroups->count; i++) {
		int fd = openat(cgroups->hierarchies[i].parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		FW_CLEANUP(closedir) DIR *directory = fd < 0 ? NULL : fdopendir(fd);

		if (!directory) {
			int errnum = errno;

			if (fd >= 0)
				close(fd);
			if (errnum == ENOENT)
				continue;
			return fw_fail_errno(err, errnum, "list the control groups of %s", cgroups->parent);
		}
		for (struct dirent *entry; (entry = readdir(directory));) {
			struct stat status;

			if (entry->d_name[0] == '.' || strcmp(entry->d_name, "engine") == 0 ||
			    fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(status.st_mode))
				continue;
			if (is_first(cgroups, i, entry->d_name))
				visit(context, entry->d_name);
		}
	}
	return FW_OK;
}

const char *fw_cgroup_name(const struct fw_cgroup *group)
{
	return group->name;
}

int fw_cgroup_v2_fd(const struct fw_cgroup *group)
{
	return group->v2_fd;
}

int fw_cgroup_set_cpu(struct fw_cgroup *group, int64_t quota_us, int64_t period_us, struct fw_error **err)
{
	int rc = fw_cgroup_v1_set_cpu(group, quota_us, period_us, err);

	return rc == FW_OK ? fw_cgroup_v2_set_cpu(group, quota_us, period_us, err) : rc;
}

int fw_cgroup_remove(struct fw_cgroup *group, struct fw_error **err)
{
	struct fw_cgroups *cgroups = group->cgroups;

	for (size_t i = 0; i < cgroups->count; i++) {
		if (unlinkat(cgroups->hierarchies[i].parent_fd, group->name, AT_REMOVEDIR) == 0 || errno == ENOENT)
			continue;
		if (errno == EBUSY || errno == ENOTEMPTY)
			return fw_fail(err, FW_E_BUSY, "the control group %s still has processes", group->name);
		return fw_fail_errno(err, errno, "remove the control group %s", group->name);
	}
	return FW_OK;
}

static void close_kept(atomic_int *slot)
{
	int kept = atomic_load(slot);

	if (kept > 0)
		close(kept - 1);
}

void fw_cgroup_close(struct fw_cgroup *group)
{
	if (!group)
		return;
	for (size_t i = 0; i < FW_FILE_COUNT; i++)
		close_kept(&group->files[i]);
	for (size_t i = 0; i < FW_MAX_HIERARCHIES; i++)
		close_kept(&group->procs[i]);
	if (group->v2_fd >= 0)
		close(group->v2_fd);
	free(group->name);
	free(group);
}
