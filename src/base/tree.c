/* SPDX-License-Identifier: Apache-2.0
 *
 * Directory trees, by descriptors: every step is openat() with O_NOFOLLOW from the directory before, so that a link that
 * a stranger put there, even in between, is never followed.
 */
#include "base/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

static void closedir_cleanup(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

/* NULL: *rc says why. */
static DIR *open_directory(int dirfd, const char *path, int *rc, struct fw_error **err)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	*rc = directory ? FW_OK : fw_fail_errno(err, errno, "open directory %s", path);
	if (!directory && fd >= 0)
		close(fd);
	return directory;
}

/* The next entry that is not "." or ".."; NULL at the end. */
static struct dirent *next_entry(DIR *directory)
{
	struct dirent *entry;

	do
		entry = readdir(directory);
	while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry;
}

struct walk {
	fw_tree_fn *visit;
	void *context;
	char path[PATH_MAX];
};

static int walk_directory(struct walk *walk, int parent_fd, const char *name, unsigned depth, struct fw_error **err);

static int walk_entry(struct walk *walk, int parent_fd, const char *name, unsigned depth, struct fw_error **err)
{
	size_t before = strlen(walk->path);
	struct stat stat;

	if (fstatat(parent_fd, name, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? FW_OK : fw_fail_errno(err, errno, "stat %s/%s", walk->path, name);
	if ((size_t)snprintf(walk->path + before, sizeof walk->path - before, "%s%s", before ? "/" : "", name) >=
	    sizeof walk->path - before)
		return fw_fail(err, FW_E_LIMIT, "the path of %s is too long", name);

	int rc = walk->visit(walk->context, walk->path, parent_fd, name, &stat, err);

	if (rc == FW_OK && S_ISDIR(stat.st_mode))
		rc = walk_directory(walk, parent_fd, name, depth + 1, err);
	walk->path[before] = '\0';
	return rc == FW_TREE_SKIP ? FW_OK : rc;
}

static int walk_directory(struct walk *walk, int parent_fd, const char *name, unsigned depth, struct fw_error **err)
{
	struct dirent *entry;
	int rc = FW_OK;

	if (depth > FW_TREE_MAX_DEPTH)
		return fw_fail(err, FW_E_LIMIT, "%s is more than %d directories deep", walk->path, FW_TREE_MAX_DEPTH);
	__attribute__((cleanup(closedir_cleanup))) DIR *directory = open_directory(parent_fd, name, &rc, err);

	while (directory && rc == FW_OK && (entry = next_entry(directory)))
		rc = walk_entry(walk, dirfd(directory), entry->d_name, depth, err);
	return rc;
}

int fw_tree_walk(int dirfd, const char *path, fw_tree_fn *visit, void *context, struct fw_error **err)
{
	struct walk walk = {.visit = visit, .context = context};

	return walk_directory(&walk, dirfd, path, 0, err);
}

/* ---- removing ---- */

enum { REMOVE_MAX_DEPTH = 64 }; /* each level holds a descriptor */

struct removal {
	int top_fd;
	unsigned lifted; /* directories that were too deep and are at the top now */
};

/* Directories of a worker may lack our permissions: root needs none, others take them back first. */
static void take_back(int parent_fd, const char *name)
{
	if (geteuid() != 0)
		fchmodat(parent_fd, name, 0700, AT_SYMLINK_NOFOLLOW);
}

/* However deep a function has nested directories: what is too deep goes on at the top. */
static int lift(struct removal *removal, int parent_fd, const char *name, struct fw_error **err)
{
	char place[32];
	int rc;

	take_back(parent_fd, name);
	do {
		snprintf(place, sizeof place, "lifted-%u", removal->lifted++);
		rc = fw_rename_new(parent_fd, name, removal->top_fd, place);
	} while (rc < 0 && (errno == EEXIST || errno == ENOTEMPTY));
	return rc == 0 || errno == ENOENT ? FW_OK : fw_fail_errno(err, errno, "move %s up", name);
}

static int remove_entry(struct removal *removal, int parent_fd, const char *name, unsigned depth, struct fw_error **err);

static int empty_directory(struct removal *removal, DIR *directory, unsigned depth, struct fw_error **err)
{
	struct dirent *entry;
	int rc = FW_OK;

	while (rc == FW_OK && (entry = next_entry(directory)))
		rc = remove_entry(removal, dirfd(directory), entry->d_name, depth, err);
	return rc;
}

static int remove_directory(struct removal *removal, int parent_fd, const char *name, unsigned depth,
                            struct fw_error **err)
{
	int rc = FW_OK;

	take_back(parent_fd, name);
	__attribute__((cleanup(closedir_cleanup))) DIR *directory = open_directory(parent_fd, name, &rc, err);
	if (!directory)
		return rc;
	rc = empty_directory(removal, directory, depth + 1, err);
	if (rc == FW_OK && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = fw_fail_errno(err, errno, "remove directory %s", name);
	return rc;
}

static int remove_entry(struct removal *removal, int parent_fd, const char *name, unsigned depth, struct fw_error **err)
{
	if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT)
		return FW_OK;
	if (errno != EISDIR && errno != EPERM)
		return fw_fail_errno(err, errno, "remove %s", name);
	return depth > REMOVE_MAX_DEPTH ? lift(removal, parent_fd, name, err)
	                                : remove_directory(removal, parent_fd, name, depth, err);
}

static int remove_tree(int parent_fd, const char *path, struct fw_error **err)
{
	struct removal removal = {0};
	unsigned before;
	int rc = FW_OK;

	take_back(parent_fd, path);
	__attribute__((cleanup(closedir_cleanup))) DIR *directory = open_directory(parent_fd, path, &rc, err);
	if (!directory)
		return rc;
	removal.top_fd = dirfd(directory);
	do {
		before = removal.lifted;
		rewinddir(directory);
		rc = empty_directory(&removal, directory, 1, err);
	} while (rc == FW_OK && removal.lifted != before);
	if (rc == FW_OK && unlinkat(parent_fd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = fw_fail_errno(err, errno, "remove directory %s", path);
	return rc;
}

int fw_tree_remove(int dirfd, const char *path, struct fw_error **err)
{
	struct stat stat;

	if (fstatat(dirfd, path, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? FW_OK : fw_fail_errno(err, errno, "stat %s", path);
	if (S_ISDIR(stat.st_mode))
		return remove_tree(dirfd, path, err);
	if (unlinkat(dirfd, path, 0) < 0 && errno != ENOENT)
		return fw_fail_errno(err, errno, "remove %s", path);
	return FW_OK;
}

static int add_usage(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                     struct fw_error **err)
{
	int64_t *bytes = context;

	(void)path;
	(void)parent_fd;
	(void)name;
	(void)err;
	*bytes += (int64_t)stat->st_blocks * 512;
	return FW_OK;
}

int fw_tree_usage(int dirfd, const char *path, int64_t *bytes, struct fw_error **err)
{
	struct stat stat;
	int64_t total = 0;

	if (fstatat(dirfd, path, &stat, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return fw_fail_errno(err, errno, "stat %s", path);
		*bytes = 0;
		return FW_OK;
	}
	total = (int64_t)stat.st_blocks * 512;
	int rc = S_ISDIR(stat.st_mode) ? fw_tree_walk(dirfd, path, add_usage, &total, err) : FW_OK;

	if (rc == FW_OK)
		*bytes = total;
	return rc;
}

int fw_make_directories(int dirfd, const char *path, unsigned mode, struct fw_error **err)
{
	char partial[PATH_MAX];

	if ((size_t)snprintf(partial, sizeof partial, "%s", path) >= sizeof partial)
		return fw_fail(err, FW_E_LIMIT, "the path %s is too long", path);
	for (char *slash = partial; slash;) {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (mkdirat(dirfd, partial, mode) < 0 && errno != EEXIST)
			return fw_fail_errno(err, errno, "make directory %s", partial);
		if (slash)
			*slash = '/';
	}
	struct stat stat;

	if (fstatat(dirfd, path, &stat, 0) < 0)
		return fw_fail_errno(err, errno, "make directory %s", path);
	if (!S_ISDIR(stat.st_mode))
		return fw_fail(err, FW_E_IO, "%s is in the way: it is not a directory", path);
	return FW_OK;
}
