/* SPDX-License-Identifier: Apache-2.0
 *
 * Unpacks a zip, by libarchive. The archive is a stranger's: names must stay inside, sizes are counted as they come out
 * rather than believed, links are made last and nothing is ever written through one.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/memory.h"
#include "base/str.h"
#include "base/tree.h"
#include "runtime/package_internal.h"

struct link {
	char *path, *target;
};

struct unzip {
	struct archive *archive;
	struct fw_package_copy *copy;
	FW_VECTOR(struct link) links;
};

/* The directory of an entry, made if need be, reached without following a link. */
static int open_parent(int root_fd, const char *path, const char **name, struct fw_error **err)
{
	fw_cleanup_free char *parent = fw_strdup(path);
	char *slash = strrchr(parent, '/');
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};

	if (slash)
		*slash = '\0';
	*name = slash ? path + (slash - parent) + 1 : path;
	if (slash && fw_make_directories(root_fd, parent, 0755, err) != FW_OK)
		return -1;
	int fd = (int)syscall(SYS_openat2, root_fd, slash ? parent : ".", &how, sizeof how);
	if (fd < 0)
		fw_fail_errno(err, errno, "open the directory");
	return fd;
}

static int write_content(struct unzip *unzip, int fd, struct fw_error **err)
{
	char block[65536];

	for (;;) {
		ssize_t got = archive_read_data(unzip->archive, block, sizeof block);

		if (got < 0)
			return fw_fail(err, FW_E_INVALID, "the zip is broken: %s", archive_error_string(unzip->archive));
		if (got == 0)
			return FW_OK;
		int rc = fw_package_count(unzip->copy, 0, got, err);
		if (rc != FW_OK)
			return rc;
		rc = fw_package_write(fd, block, (size_t)got, err);
		if (rc != FW_OK)
			return rc;
	}
}

static int make_file(struct unzip *unzip, const char *path, mode_t mode, struct fw_error **err)
{
	const char *name;
	fw_cleanup_fd int parent = open_parent(unzip->copy->root_fd, path, &name, err);

	if (parent < 0)
		return FW_E_INVALID;
	fw_cleanup_fd int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? fw_fail(err, FW_E_INVALID, "it is there twice") : fw_fail_errno(err, errno, "write");
	int rc = write_content(unzip, fd, err);
	return rc == FW_OK ? fw_package_finish(unzip->copy, fd, mode, err) : rc;
}

static int make_link(struct unzip *unzip, const struct link *link, struct fw_error **err)
{
	const char *name;
	int rc = fw_package_check_link(link->path, link->target, err);

	if (rc != FW_OK)
		return rc;
	fw_cleanup_fd int parent = open_parent(unzip->copy->root_fd, link->path, &name, err);
	if (parent < 0)
		return FW_E_INVALID;
	if (symlinkat(link->target, parent, name) == 0)
		return FW_OK;
	return errno == EEXIST ? fw_fail(err, FW_E_INVALID, "it is there twice") : fw_fail_errno(err, errno, "make the link");
}

static int make_entry(struct unzip *unzip, struct archive_entry *entry, const char *path, struct fw_error **err)
{
	mode_t type = archive_entry_filetype(entry);
	const char *target = archive_entry_symlink(entry);

	if (!fw_path_is_inside(path))
		return fw_fail(err, FW_E_INVALID, "the name leaves the package");
	if (type == AE_IFDIR)
		return fw_make_directories(unzip->copy->root_fd, path, 0755, err);
	if (type == AE_IFLNK && target) {
		FW_PUSH(&unzip->links, (struct link){fw_strdup(path), fw_strdup(target)});
		return FW_OK;
	}
	if (type != AE_IFREG)
		return fw_fail(err, FW_E_INVALID, "it is neither a file, a directory nor a link");
	return make_file(unzip, path, archive_entry_perm(entry), err);
}

static int read_entries(struct unzip *unzip, struct fw_error **err)
{
	struct archive_entry *entry;

	for (;;) {
		int got = archive_read_next_header(unzip->archive, &entry);

		if (got == ARCHIVE_EOF)
			return FW_OK;
		if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
			return fw_fail(err, FW_E_INVALID, "it is not a zip that can be read: %s", archive_error_string(unzip->archive));
		const char *name = archive_entry_pathname(entry);
		if (!name)
			name = archive_entry_pathname_utf8(entry);
		int rc = name ? fw_package_count(unzip->copy, 1, 0, err) : fw_fail(err, FW_E_INVALID, "an entry has no name");
		if (rc != FW_OK)
			return rc;
		fw_cleanup_free char *path = fw_strdup(name);
		for (size_t length = strlen(path); length > 1 && path[length - 1] == '/'; length--)
			path[length - 1] = '\0';
		rc = make_entry(unzip, entry, path, err);
		if (rc != FW_OK)
			return rc == FW_E_LIMIT ? rc : fw_error_wrap(err, rc, "'%s'", path);
	}
}

int fw_package_unzip(const void *bytes, size_t length, struct fw_package_copy *copy, struct fw_error **err)
{
	struct unzip unzip = {.archive = archive_read_new(), .copy = copy};
	int rc = FW_OK;

	archive_read_support_format_zip_seekable(unzip.archive);
	if (archive_read_open_memory(unzip.archive, bytes, length) != ARCHIVE_OK)
		rc = fw_fail(err, FW_E_INVALID, "it is neither a directory nor a zip: %s", archive_error_string(unzip.archive));
	if (rc == FW_OK)
		rc = read_entries(&unzip, err);
	for (size_t i = 0; i < unzip.links.count; i++) {
		if (rc == FW_OK && (rc = make_link(&unzip, &unzip.links.items[i], err)) != FW_OK)
			rc = fw_error_wrap(err, rc, "'%s'", unzip.links.items[i].path);
		free(unzip.links.items[i].path);
		free(unzip.links.items[i].target);
	}
	free(unzip.links.items);
	archive_read_free(unzip.archive);
	return rc;
}
