/* SPDX-License-Identifier: Apache-2.0
 *
 * A stranger's zip, unpacked into a directory of its own: whatever it holds, only plain directories, files without special
 * modes and links that stay inside come of it, and nothing beside the directory. Sources: src/runtime/package*.c, libarchive.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/tree.h"
#include "runtime/package_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* A link may lead nowhere or in a circle, but never out. */
static bool link_leaves(int root_fd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
	fw_cleanup_fd int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);

	return fd < 0 && errno == EXDEV;
}

static int look_at(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                   struct fw_error **err)
{
	const struct fw_package_copy *copy = context;

	(void)parent_fd;
	(void)name;
	(void)err;
	require(S_ISDIR(stat->st_mode) || S_ISREG(stat->st_mode) || S_ISLNK(stat->st_mode));
	require(S_ISLNK(stat->st_mode) || !(stat->st_mode & 07022));
	require(!S_ISLNK(stat->st_mode) || !link_leaves(copy->root_fd, path));
	return FW_OK;
}

static int count(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                 struct fw_error **err)
{
	(void)path;
	(void)parent_fd;
	(void)name;
	(void)stat;
	(void)err;
	++*(unsigned *)context;
	return FW_TREE_SKIP;
}

/* <base>/a/b/root: three levels for names that climb. */
static void unpack(int base_fd, const uint8_t *data, size_t size)
{
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	unsigned beside = 0;

	require(fw_make_directories(base_fd, "a/b/root", 0755, NULL) == FW_OK);
	fw_cleanup_fd int root_fd = openat(base_fd, "a/b/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fw_package_copy copy = {.root_fd = root_fd};
	int rc = fw_package_unzip(data, size, &copy, &err);

	require((rc == FW_OK) == (err == NULL));
	require(copy.bytes <= ((int64_t)FW_PACKAGE_MAX_MB << 20) + 65536 && copy.entries <= FW_PACKAGE_MAX_ENTRIES + 1);
	require(fw_tree_walk(root_fd, ".", look_at, &copy, NULL) == FW_OK || rc != FW_OK);
	require(fw_tree_walk(base_fd, "a/b", count, &beside, NULL) == FW_OK);
	require(fw_tree_walk(base_fd, "a", count, &beside, NULL) == FW_OK);
	require(fw_tree_walk(base_fd, ".", count, &beside, NULL) == FW_OK && beside == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char base[] = "/dev/shm/fuzz_package-XXXXXX";

	umask(022);
	require(mkdtemp(base) != NULL);
	fw_cleanup_fd int base_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	unpack(base_fd, data, size);
	require(fw_tree_remove(AT_FDCWD, base, NULL) == FW_OK);
	return 0;
}
