/* SPDX-License-Identifier: Apache-2.0
 *
 * Where else engines of this user had their groups. As a normal user an engine's parent group is below the scope that the
 * shell was in, and the next shell is in another one: what a killed engine left is found by walking each hierarchy from
 * its top. Only directories of our parent's name and of this user count.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/cgroup_internal.h"

enum { MAX_DEPTH = 12, MAX_DIRECTORIES = 20000 };

FW_DEFINE_CLEANUP(DIR *, closedir)

struct walk {
	const struct fw_cgroups *cgroups;
	const struct fw_hierarchy *hierarchy;
	void (*visit)(void *context, struct fw_cgroups *place);
	void *context;
	size_t seen;
};

static bool is_another_of_ours(const struct walk *walk, int fd)
{
	struct stat found, own;

	return fstat(fd, &found) == 0 && fstat(walk->hierarchy->parent_fd, &own) == 0 && found.st_uid == geteuid() &&
	       (found.st_dev != own.st_dev || found.st_ino != own.st_ino);
}

static void visit_place(const struct walk *walk, int base_fd, int parent_fd)
{
	struct fw_cgroups *place = fw_alloc(sizeof *place);

	place->mode = walk->hierarchy->v2 ? FW_CGROUP_V2 : FW_CGROUP_V1;
	place->can = walk->cgroups->can;
	place->parent = fw_strdup(walk->cgroups->parent);
	place->v2 = walk->hierarchy->v2 ? 0 : -1;
	place->hierarchies[0] = *walk->hierarchy;
	place->hierarchies[0].base_fd = fcntl(base_fd, F_DUPFD_CLOEXEC, 3);
	place->hierarchies[0].parent_fd = fcntl(parent_fd, F_DUPFD_CLOEXEC, 3);
	place->count = 1;
	if (place->hierarchies[0].base_fd >= 0 && place->hierarchies[0].parent_fd >= 0)
		walk->visit(walk->context, place);
	fw_cgroups_close(place);
}

static void walk_directory(struct walk *walk, int own_fd, unsigned depth)
{
	FW_CLEANUP(closedir) DIR *directory = fdopendir(own_fd);

	if (!directory) {
		close(own_fd);
		return;
	}
	for (struct dirent *entry; walk->seen < MAX_DIRECTORIES && (entry = readdir(directory));) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		int fd = openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd < 0)
			continue; /* gone meanwhile, or another user's */
		walk->seen++;
		if (strcmp(entry->d_name, walk->cgroups->parent) != 0 && depth < MAX_DEPTH) {
			walk_directory(walk, fd, depth + 1);
			continue;
		}
		if (strcmp(entry->d_name, walk->cgroups->parent) == 0 && is_another_of_ours(walk, fd))
			visit_place(walk, dirfd(directory), fd);
		close(fd);
	}
}

/* The top of the mount, from the base as many directories up as its path is below. */
static int open_top(const struct fw_hierarchy *hierarchy)
{
	char up[FW_CGROUP_PATH] = ".";
	size_t length = 1;

	for (const char *at = hierarchy->path + hierarchy->mount_length; *at; at++)
		if (at[0] == '/' && at[1] && at[1] != '/' && length + 4 < sizeof up) {
			memcpy(up + length, "/..", 4);
			length += 3;
		}
	return openat(hierarchy->base_fd, up, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void fw_cgroups_elsewhere(struct fw_cgroups *cgroups, void (*visit)(void *context, struct fw_cgroups *place),
                          void *context)
{
	for (size_t i = 0; i < cgroups->count; i++) {
		struct walk walk = {.cgroups = cgroups, .hierarchy = &cgroups->hierarchies[i], .visit = visit, .context = context};
		int fd = open_top(walk.hierarchy);

		if (fd >= 0)
			walk_directory(&walk, fd, 0);
	}
}
