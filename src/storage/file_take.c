/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking over one file or directory of an attempt: it is opened without following links, becomes the engine's, and is
 * replaced by a copy where somebody may still write to it. The name is never trusted twice: the descriptor is what is
 * checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/file_publish_internal.h"

int fw_take_refuse(struct fw_error **err, const char *output, const char *path, const char *what)
{
	int rc = fw_fail(err, FW_E_FUNCTION, "output '%s': the function left %s: %s", output, what, path);

	return fw_error_hint(err, rc, "only regular files inside the output's directory can be published");
}

/* What a function did to its own files and directories is its fault (a lease on one makes it EWOULDBLOCK), anything else
 * the machine's. */
int fw_take_fail_open(struct fw_error **err, const char *path)
{
	int error_number = errno;

	if (error_number == EWOULDBLOCK)
		return fw_fail(err, FW_E_FUNCTION, "the function holds a lease on %s", path);
	if (error_number != ENOENT && error_number != ENOTDIR && error_number != ELOOP)
		return fw_fail_errno(err, error_number, "open %s", path);
	return fw_fail(err, FW_E_FUNCTION, "the function removed or replaced %s: %s", path, strerror(error_number));
}

const char *fw_take_forbidden(const struct stat *stat)
{
	if (S_ISLNK(stat->st_mode))
		return "a symbolic link";
	if (S_ISFIFO(stat->st_mode))
		return "a FIFO";
	if (S_ISSOCK(stat->st_mode))
		return "a socket";
	if (S_ISCHR(stat->st_mode) || S_ISBLK(stat->st_mode))
		return "a device";
	if (S_ISREG(stat->st_mode) && stat->st_nlink != 1)
		return "a hard link";
	return NULL;
}

int fw_take_over(int fd, const char *name, mode_t mode, struct fw_error **err)
{
	struct stat stat;

	if (fstat(fd, &stat) < 0 || (stat.st_uid != geteuid() && fchown(fd, geteuid(), getegid()) < 0))
		return fw_fail_errno(err, errno, "take over %s", name);
	return fchmod(fd, mode) < 0 ? fw_fail_errno(err, errno, "set the mode of %s", name) : FW_OK;
}

/* What its owner made unreadable is opened all the same, as root does. */
int fw_take_open(int parent_fd, const char *name, bool directory, int *fd, struct fw_error **err)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (directory ? O_DIRECTORY : 0);

	*fd = openat(parent_fd, name, flags);
	if (*fd < 0 && errno == EACCES && fchmodat(parent_fd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		*fd = openat(parent_fd, name, flags);
	return *fd < 0 ? fw_take_fail_open(err, name) : FW_OK;
}

static char *path_of(const struct fw_publishing *publishing, const char *path)
{
	return fw_printf("%s/%s", publishing->output, path);
}

static int count_in(struct fw_publishing *publishing, int64_t bytes, struct fw_error **err)
{
	if (publishing->seen++ == FW_PUBLISH_MAX_OBJECTS)
		return fw_fail(err, FW_E_FUNCTION, "the function left more than %d files and directories", FW_PUBLISH_MAX_OBJECTS);
	publishing->bytes += bytes;
	if (publishing->bytes > FW_PUBLISH_MAX_BYTES)
		return fw_fail(err, FW_E_FUNCTION, "the function left more than %lld bytes", (long long)FW_PUBLISH_MAX_BYTES);
	return FW_OK;
}

/* The descriptor, not the name, is made ours: the name could be exchanged in between. */
int fw_take_directory(struct fw_publishing *publishing, const char *path, int parent_fd, const char *name,
                      struct fw_error **err)
{
	fw_cleanup_free char *fresh = path_of(publishing, path);
	fw_cleanup_fd int fd = -1;
	int rc = *path ? count_in(publishing, 0, err) : FW_OK;

	if (rc == FW_OK)
		rc = fw_take_open(parent_fd, name, true, &fd, err);
	if (rc != FW_OK || publishing->fresh_fd < 0)
		return rc == FW_OK ? fw_take_over(fd, name, 0755, err) : rc;
	return mkdirat(publishing->fresh_fd, fresh, 0755) < 0 ? fw_fail_errno(err, errno, "make %s", fresh) : FW_OK;
}

/* In the place of *fd comes a copy of what it holds now. */
static int replace_by_copy(struct fw_publishing *publishing, const char *path, int parent_fd, const char *name,
                           int64_t bytes, int *fd, struct fw_error **err)
{
	bool fresh = publishing->fresh_fd >= 0;
	fw_cleanup_free char *target = fresh ? path_of(publishing, path) : fw_strdup(name);
	int copy = -1;

	if (!fresh && unlinkat(parent_fd, name, 0) < 0)
		return fw_fail_errno(err, errno, "replace %s", name);
	int rc = fw_file_copy(*fd, bytes, fresh ? publishing->fresh_fd : parent_fd, target, &copy, err);

	if (rc != FW_OK)
		return rc;
	close(*fd);
	*fd = copy;
	return FW_OK;
}

/* The file is ours and frozen afterwards; its size is taken when nobody can change it any more. */
int fw_take_file(struct fw_publishing *publishing, const char *path, int parent_fd, const char *name, int64_t *bytes,
                 struct fw_error **err)
{
	bool fresh = publishing->fresh_fd >= 0;
	fw_cleanup_fd int fd = -1;
	struct stat stat;
	int rc = fw_take_open(parent_fd, name, false, &fd, err);

	if (rc == FW_OK && !fresh)
		rc = fw_take_over(fd, name, 0644, err);
	if (rc != FW_OK)
		return rc;
	bool settled = !fresh && fw_file_is_settled(fd);

	if (fstat(fd, &stat) < 0)
		return fw_fail_errno(err, errno, "look at %s", name);
	if (fw_take_forbidden(&stat))
		return fw_take_refuse(err, publishing->output, path, fw_take_forbidden(&stat));
	*bytes = (int64_t)stat.st_size;
	rc = count_in(publishing, *bytes, err);
	if (rc == FW_OK && !settled)
		rc = replace_by_copy(publishing, path, parent_fd, name, *bytes, &fd, err);
	if (rc == FW_OK && !publishing->storage->passing && publishing->seen <= FW_PUBLISH_SYNC_ONE_BY_ONE && fdatasync(fd) < 0)
		rc = fw_fail_errno(err, errno, "write %s", name);
	return rc;
}
