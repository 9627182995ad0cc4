/* SPDX-License-Identifier: Apache-2.0
 *
 * What is published must not change any more, though the worker that wrote it lives on and may have kept a descriptor or a
 * shared mapping. A read lease tells: the kernel grants it only while nobody has the file open or mapped for writing. Where
 * it is not granted, or the file system knows no leases, the content goes on in a file that nobody else has ever opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/file_internal.h"

enum { PIECE_BYTES = 1 << 16 };

bool fw_file_is_settled(int fd)
{
	/* Somebody who opens the file while the lease stands would have it broken by SIGIO, which ends a process. */
	if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return false;
	return fcntl(fd, F_SETLEASE, F_UNLCK) == 0;
}

/* One piece through memory, for file systems that cannot do it themselves; 0: nothing is there. */
static ssize_t copy_piece(int from_fd, int to_fd, off_t at, size_t length)
{
	char bytes[PIECE_BYTES];
	ssize_t got = pread(from_fd, bytes, length < sizeof bytes ? length : sizeof bytes, at);

	return got > 0 ? pwrite(to_fd, bytes, (size_t)got, at) : got;
}

static int copy_range(int from_fd, int to_fd, off_t at, off_t end)
{
	while (at < end) {
		off_t from = at, to = at;
		size_t length = (size_t)(end - at);
		ssize_t done = copy_file_range(from_fd, &from, to_fd, &to, length, 0);

		if (done < 0 && (errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS))
			done = copy_piece(from_fd, to_fd, at, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return (int)done; /* 0: it was cut meanwhile; the rest reads as zeros */
		at += done;
	}
	return 0;
}

/* Holes stay holes: a file of a terabyte that takes no disk must not fill it now. */
static int copy_content(int from_fd, int to_fd, off_t size)
{
	off_t at = 0;

	while (at < size) {
		off_t data = lseek(from_fd, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(from_fd, data, SEEK_HOLE);

		if (data < 0 && errno == ENXIO)
			break;
		if (hole < 0)
			return -1;
		at = hole < size ? hole : size;
		if (copy_range(from_fd, to_fd, data, at) < 0)
			return -1;
	}
	return ftruncate(to_fd, size);
}

int fw_file_copy(int from_fd, int64_t size, int directory_fd, const char *name, int *fd, struct fw_error **err)
{
	fw_cleanup_fd int made = openat(directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (made < 0 || fchmod(made, 0644) < 0 || copy_content(from_fd, made, (off_t)size) < 0)
		return fw_fail_errno(err, errno, "copy %s", name);
	*fd = fw_take_fd(&made);
	return FW_OK;
}
