/* SPDX-License-Identifier: Apache-2.0
 *
 * Opens the directory that stands for "/" and reads whole small files below it. Control files are read in one go and
 * never grow under the reader, so that the maximum is a bound on foreign data and not a paging scheme.
 */
#include "host/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int fw_root_open(const char *path, struct fw_root *root, struct fw_error **err)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fw_fail_errno(err, errno, "open the root directory %s", path);
	root->fd = fd;
	return FW_OK;
}

void fw_root_close(struct fw_root *root)
{
	if (root->fd >= 0)
		close(root->fd);
	root->fd = -1;
}

int fw_root_open_file(const struct fw_root *root, const char *path)
{
	int fd = openat(root->fd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)))
		return fd;
	close(fd);
	errno = EBADMSG;
	return -1;
}

int fw_root_read(const struct fw_root *root, const char *path, struct fw_buffer *buffer, struct fw_error **err)
{
	struct stat status;

	if (fstatat(root->fd, path, &status, 0) == 0 && !S_ISREG(status.st_mode))
		return fw_fail(err, FW_E_INVALID, "read %s: it is no plain file", path);
	return fw_read_file(root->fd, path, buffer, err);
}

bool fw_root_is_live(const struct fw_root *root)
{
	struct stat given, own;

	return fstat(root->fd, &given) == 0 && stat("/", &own) == 0 && given.st_dev == own.st_dev &&
	       given.st_ino == own.st_ino;
}

bool fw_root_has_sysfs(const struct fw_root *root)
{
	fw_cleanup_fd int fd = openat(root->fd, "sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs about;

	return fd >= 0 && fstatfs(fd, &about) == 0 && about.f_type == SYSFS_MAGIC;
}

ssize_t fw_root_peek(const struct fw_root *root, const char *path, char *text, size_t size)
{
	fw_cleanup_fd int fd = fw_root_open_file(root, path);

	if (fd < 0)
		return -1;
	return fw_pread_text(fd, text, size);
}

ssize_t fw_pread_text(int fd, char *text, size_t size)
{
	size_t length = 0;

	while (length < size - 1) {
		ssize_t got = pread(fd, text + length, size - 1 - length, (off_t)length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		length += (size_t)got;
		if (got == 0 || length < size - 1)
			break; /* the kernel's control files come in one piece, unless the buffer ends first */
	}
	size_t cut = length;

	while (length == size - 1 && cut > 0 && text[cut - 1] != ' ' && text[cut - 1] != '\n')
		cut--;
	if (length == size - 1 && cut > 0)
		length = cut; /* half a number is another number */
	text[length] = '\0';
	return (ssize_t)length;
}
