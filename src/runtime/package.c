/* SPDX-License-Identifier: Apache-2.0
 *
 * The package cache: <state>/packages/<digest>, a copy that all workers may read and nobody changes. A package is
 * unpacked beside its place and renamed into it when it is on the disk and has the digest that it is named by, so that it
 * is there whole or not at all, also after a power loss, and of two engines that do the same at once one wins and both go
 * on.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/tree.h"
#include "runtime/package_internal.h"
#include "runtime/sandbox_internal.h"

enum { SYNC_ONE_BY_ONE = 16 }; /* above this many files one syncfs() is cheaper */

int fw_package_count(struct fw_package_copy *copy, size_t entries, int64_t bytes, struct fw_error **err)
{
	copy->entries += entries;
	copy->bytes += bytes;
	if (copy->entries > FW_PACKAGE_MAX_ENTRIES)
		return fw_fail(err, FW_E_LIMIT, "it holds more than %d files", FW_PACKAGE_MAX_ENTRIES);
	if (copy->bytes > (int64_t)FW_PACKAGE_MAX_MB * 1048576)
		return fw_error_hint(err, fw_fail(err, FW_E_LIMIT, "it is larger than %d MB unpacked", FW_PACKAGE_MAX_MB),
		                     "keep data in the storage, not in the package");
	return FW_OK;
}

int fw_package_finish(struct fw_package_copy *copy, int fd, mode_t mode, struct fw_error **err)
{
	if (fchmod(fd, mode & 0111 ? 0755 : 0644) != 0)
		return fw_fail_errno(err, errno, "set the mode");
	if (++copy->files <= SYNC_ONE_BY_ONE && fdatasync(fd) != 0)
		return fw_fail_errno(err, errno, "write its copy");
	return FW_OK;
}

/* Counting levels is true only while every ".." stands first: behind a name that is itself a link it would climb from
 * where that link leads. With this, no chain of links leaves the package either. */
int fw_package_check_link(const char *path, const char *target, struct fw_error **err)
{
	struct fw_str rest = fw_str_of(path), part;
	int depth = -1; /* of the directory that the link is in */
	bool inside = target[0] != '/' && target[0] != '\0', named = false;

	while (fw_str_next_field(&rest, '/', &part))
		depth++;
	rest = fw_str_of(target);
	while (inside && fw_str_next_field(&rest, '/', &part)) {
		if (fw_str_is(part, "..") && named)
			return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "link '%s' goes down and up again, to %s", path, target),
			                     "write the link with every '..' first");
		if (fw_str_is(part, ".."))
			inside = --depth >= 0;
		else if (part.length > 0 && !fw_str_is(part, "."))
			named = true;
	}
	return inside ? FW_OK : fw_error_hint(err, fw_fail(err, FW_E_INVALID, "link '%s' leads out of it, to %s", path, target),
	                                      "replace the link by what it points at");
}

/* A disk that is nearly full takes a part; only the write after it says why. */
int fw_package_write(int fd, const char *bytes, size_t length, struct fw_error **err)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno != EINTR)
			return fw_fail_errno(err, errno, "write its copy");
		bytes += written > 0 ? written : 0;
		length -= written > 0 ? (size_t)written : 0;
	}
	return FW_OK;
}

static int copy_file(int from, int to, struct fw_package_copy *copy, struct fw_error **err)
{
	char block[65536];

	for (;;) {
		ssize_t got = read(from, block, sizeof block);

		if (got < 0)
			return fw_fail_errno(err, errno, "read");
		if (got == 0)
			return FW_OK;
		int rc = fw_package_count(copy, 0, got, err);
		if (rc != FW_OK)
			return rc;
		rc = fw_package_write(to, block, (size_t)got, err);
		if (rc != FW_OK)
			return rc;
	}
}

static int copy_regular(struct fw_package_copy *copy, const char *path, int parent_fd, const char *name, mode_t mode,
                        struct fw_error **err)
{
	fw_cleanup_fd int from = openat(parent_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	fw_cleanup_fd int to = openat(copy->root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (from < 0 || to < 0)
		return fw_fail_errno(err, errno, from < 0 ? "read" : "write");
	int rc = copy_file(from, to, copy, err);
	return rc == FW_OK ? fw_package_finish(copy, to, mode, err) : rc;
}

static int copy_link(struct fw_package_copy *copy, const char *path, int parent_fd, const char *name,
                     struct fw_error **err)
{
	char target[4096];
	ssize_t length = readlinkat(parent_fd, name, target, sizeof target - 1);

	if (length < 0)
		return fw_fail_errno(err, errno, "read the link");
	target[length] = '\0';
	int rc = fw_package_check_link(path, target, err);
	if (rc == FW_OK && symlinkat(target, copy->root_fd, path) != 0)
		rc = fw_fail_errno(err, errno, "make the link");
	return rc;
}

static int copy_entry(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                      struct fw_error **err)
{
	struct fw_package_copy *copy = context;
	int rc = fw_package_count(copy, 1, 0, err);

	if (rc != FW_OK)
		return rc;
	if (S_ISDIR(stat->st_mode))
		rc = mkdirat(copy->root_fd, path, 0755) == 0 ? FW_OK : fw_fail_errno(err, errno, "make the directory");
	else if (S_ISREG(stat->st_mode))
		rc = copy_regular(copy, path, parent_fd, name, stat->st_mode, err);
	else if (S_ISLNK(stat->st_mode))
		rc = copy_link(copy, path, parent_fd, name, err);
	else
		rc = fw_fail(err, FW_E_INVALID, "it is neither a file, a directory nor a link");
	return rc == FW_OK || rc == FW_E_LIMIT ? rc : fw_error_wrap(err, rc, "'%s'", path);
}

struct source {
	bool is_directory;
	const char *path;
	struct fw_buffer zip;
};

/* A zip is read as a whole: in a mapping of a file that is being written anew a byte may be gone when it is looked at. */
static int open_source(const char *path, struct source *source, struct fw_error **err)
{
	struct stat stat_;

	*source = (struct source){.path = path};
	fw_buffer_init(&source->zip, (size_t)FW_PACKAGE_MAX_MB << 20);
	if (stat(path, &stat_) != 0)
		return fw_fail_errno(err, errno, "open");
	source->is_directory = S_ISDIR(stat_.st_mode);
	if (source->is_directory)
		return FW_OK;
	if (!S_ISREG(stat_.st_mode) || stat_.st_size == 0 || stat_.st_size > (off_t)FW_PACKAGE_MAX_MB << 20)
		return fw_fail(err, FW_E_INVALID, "it is neither a directory nor a zip of at most %d MB", FW_PACKAGE_MAX_MB);
	return fw_read_file(AT_FDCWD, path, &source->zip, err);
}

static int unpack(const struct source *source, int directory_fd, struct fw_error **err)
{
	struct fw_package_copy copy = {.root_fd = directory_fd};
	int rc = source->is_directory ? fw_tree_walk(AT_FDCWD, source->path, copy_entry, &copy, err) :
	                                fw_package_unzip(source->zip.data, source->zip.length, &copy, err);

	if (rc == FW_OK && copy.files > SYNC_ONE_BY_ONE && syncfs(directory_fd) != 0)
		rc = fw_fail_errno(err, errno, "write its copy");
	return rc;
}

/* A directory may be built anew while it is copied: what is neither the old nor the new must not be kept as either. */
static int check_copy(int cache_fd, const char *fresh, const struct source *source, const char *digest,
                      struct fw_error **err)
{
	char copied[FW_DIGEST_TEXT];
	int rc = source->is_directory ? fw_digest_tree(cache_fd, fresh, copied, err) : FW_OK;

	if (rc != FW_OK || !source->is_directory || strcmp(copied, digest) == 0)
		return rc;
	return fw_error_hint(err, fw_fail(err, FW_E_CONFLICT, "it changed while it was read"), "run again when it is built");
}

/* Into a directory of our own beside the final one, then one rename. */
static int fill(int cache_fd, const char *engine, const struct source *source, const char *digest, struct fw_error **err)
{
	static _Atomic unsigned count;
	fw_cleanup_free char *fresh = fw_printf(".new-%s-%u", engine, count++);

	if (mkdirat(cache_fd, fresh, 0700) != 0)
		return fw_fail_errno(err, errno, "make a directory in the package cache");
	fw_cleanup_fd int fd = openat(cache_fd, fresh, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int rc = fd >= 0 ? unpack(source, fd, err) : fw_fail_errno(err, errno, "open the package cache");
	if (rc == FW_OK)
		rc = check_copy(cache_fd, fresh, source, digest, err);
	if (rc == FW_OK && fchmod(fd, 0755) != 0)
		rc = fw_fail_errno(err, errno, "open the package to all");
	if (rc == FW_OK && renameat(cache_fd, fresh, cache_fd, digest) == 0)
		return FW_OK;
	if (rc == FW_OK && errno != EEXIST && errno != ENOTEMPTY) /* else another engine was first */
		rc = fw_fail_errno(err, errno, "put the package into the cache");
	fw_tree_remove(cache_fd, fresh, NULL);
	return rc;
}

static int cache(int cache_fd, const char *engine, const struct source *source, char digest[65], struct fw_error **err)
{
	struct stat stat;
	int rc = FW_OK;

	if (source->is_directory)
		rc = fw_digest_tree(AT_FDCWD, source->path, digest, err);
	else
		fw_digest_of(source->zip.data, source->zip.length, digest);
	if (rc != FW_OK || fstatat(cache_fd, digest, &stat, AT_SYMLINK_NOFOLLOW) == 0)
		return rc;
	return fill(cache_fd, engine, source, digest, err);
}

static int cache_source(struct fw_sandboxes *sandboxes, const struct source *source, char digest[65], char **out,
                        struct fw_error **err)
{
	fw_cleanup_free char *directory = fw_printf("%s/packages", sandboxes->state_directory);
	char found[FW_DIGEST_TEXT];
	int rc = fw_make_directories(AT_FDCWD, directory, 0755, err);

	if (rc != FW_OK)
		return rc;
	fw_orphans_sweep_directory(directory, ".new-");
	fw_cleanup_fd int cache_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (cache_fd < 0)
		return fw_fail_errno(err, errno, "open %s", directory);
	rc = cache(cache_fd, sandboxes->engine, source, found, err);
	if (rc != FW_OK)
		return rc;
	memcpy(digest, found, sizeof found);
	*out = fw_printf("%s/%s", directory, found);
	return FW_OK;
}

int fw_package_cache(struct fw_sandboxes *sandboxes, const char *path, char digest[65], char **out, struct fw_error **err)
{
	fw_cleanup_free char *resolved = realpath(path, NULL); /* the package itself may be a link */
	struct source source = {0};
	int rc = open_source(resolved ? resolved : path, &source, err);

	if (rc == FW_OK)
		rc = cache_source(sandboxes, &source, digest, out, err);
	fw_buffer_done(&source.zip);
	return rc == FW_OK ? FW_OK : fw_error_wrap(err, rc, "package %s", path);
}

int fw_package_cache_bytes(struct fw_sandboxes *sandboxes, const void *zip, size_t length, char **out,
                           struct fw_error **err)
{
	char digest[FW_DIGEST_TEXT];
	struct source source = {.path = ""};

	fw_buffer_init(&source.zip, length);
	int rc = fw_buffer_append(&source.zip, zip, length);
	if (rc == FW_OK)
		rc = cache_source(sandboxes, &source, digest, out, err);
	fw_buffer_done(&source.zip);
	return rc;
}
