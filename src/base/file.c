/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole files in and out (declared in buffer.h). A reader sees an old file or a new one, never half: the new bytes are
 * written beside the target and renamed over it. Durability against power loss is the store's business, not done here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/memory.h"

enum { CHUNK_BYTES = 64 * 1024 };

static int read_all(int fd, const char *path, struct fw_buffer *content, struct fw_error **err)
{
	fw_cleanup_free char *chunk = fw_alloc(CHUNK_BYTES);

	for (;;) {
		ssize_t got = read(fd, chunk, CHUNK_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fw_fail_errno(err, errno, "read %s", path);
		if (got == 0)
			return FW_OK;
		if (fw_buffer_append(content, chunk, (size_t)got) != FW_OK)
			return fw_fail(err, FW_E_LIMIT, "read %s: more than %zu bytes", path, content->maximum);
	}
}

/* Opening a named pipe would wait for a writer, who may never come; without one it is empty. What is no file waits for its
 * bytes only then. */
static int open_to_read(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat status;

	if (fd >= 0 && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode))
		fcntl(fd, F_SETFL, O_RDONLY);
	return fd;
}

int fw_read_file(int dirfd, const char *path, struct fw_buffer *buffer, struct fw_error **err)
{
	fw_cleanup_fd int fd = open_to_read(dirfd, path);
	fw_cleanup_buffer struct fw_buffer content;

	fw_buffer_init(&content, buffer->maximum);
	if (fd < 0)
		return fw_fail_errno(err, errno, "open %s", path);
	int rc = read_all(fd, path, &content, err);
	if (rc != FW_OK)
		return rc;

	struct fw_buffer old = *buffer;
	*buffer = content;
	content = old;
	return FW_OK;
}

static int write_all(int fd, const char *path, const char *bytes, size_t length, struct fw_error **err)
{
	while (length > 0) {
		ssize_t put = write(fd, bytes, length);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return fw_fail_errno(err, errno, "write %s", path);
		bytes += put;
		length -= (size_t)put;
	}
	return FW_OK;
}

/* "dir/name" gives "dir/.name.<process>.<number>.tmp": hidden, on the same filesystem, of one writer alone. */
static char *name_beside(const char *path)
{
	static atomic_uint number;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return fw_printf("%.*s.%s.%d.%u.tmp", (int)(name - path), path, name, (int)getpid(),
	                 atomic_fetch_add(&number, 1));
}

int fw_write_file(int dirfd, const char *path, const void *bytes, size_t length, unsigned mode, struct fw_error **err)
{
	fw_cleanup_free char *beside = name_beside(path);
	fw_cleanup_fd int fd = openat(dirfd, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)mode);

	if (fd < 0)
		return fw_fail_errno(err, errno, "write %s", path);
	int rc = write_all(fd, path, bytes, length, err);
	if (rc == FW_OK && renameat(dirfd, beside, dirfd, path) != 0)
		rc = fw_fail_errno(err, errno, "write %s", path);
	if (rc != FW_OK)
		unlinkat(dirfd, beside, 0);
	return rc;
}
