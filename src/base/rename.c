/* SPDX-License-Identifier: Apache-2.0
 *
 * Renaming without replacing (tree.h). Not every filesystem knows RENAME_NOREPLACE: NFS and some overlays answer EINVAL, old
 * kernels ENOSYS. There a file gets its new name by link() and a directory by mkdir(), which both refuse a name that is
 * taken, so that of two who rename to one name still only one succeeds.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tree.h"

/* A rename onto an empty directory replaces it in one step. */
static int rename_directory(int from_fd, const char *from, int to_fd, const char *to)
{
	if (mkdirat(to_fd, to, 0700) != 0)
		return -1;
	if (renameat(from_fd, from, to_fd, to) == 0)
		return 0;
	int reason = errno;

	unlinkat(to_fd, to, AT_REMOVEDIR);
	errno = reason;
	return -1;
}

static int rename_file(int from_fd, const char *from, int to_fd, const char *to)
{
	if (linkat(from_fd, from, to_fd, to, 0) == 0)
		return unlinkat(from_fd, from, 0);
	if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK)
		return -1;
	/* No links there either (exFAT): the name is claimed by an empty file, which the rename replaces. */
	int claim = openat(to_fd, to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (claim < 0)
		return -1;
	close(claim);
	return renameat(from_fd, from, to_fd, to);
}

int fw_rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
	struct stat status;

	if (renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (fstatat(from_fd, from, &status, AT_SYMLINK_NOFOLLOW) != 0)
		return -1;
	return S_ISDIR(status.st_mode) ? rename_directory(from_fd, from, to_fd, to) : rename_file(from_fd, from, to_fd, to);
}
