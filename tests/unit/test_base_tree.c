/* SPDX-License-Identifier: Apache-2.0
 *
 * Directory trees: what is removed, and what a link that a stranger put there must not reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tree.h"
#include "tests/unit/support.h"

static bool exists(const struct tree *tree, const char *path)
{
	return faccessat(tree->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void removes_a_tree_with_its_links_and_not_what_they_name(void **state)
{
	(void)state;
	fw_cleanup_tree struct tree tree =
		tree_of("old/a/b/c", "x", "old/link", "-> ../kept", "kept/file", "y", NULL);

	assert_ok(fw_tree_remove(tree.fd, "old", NULL), NULL);
	assert_false(exists(&tree, "old"));
	assert_true(exists(&tree, "kept/file"));
	assert_ok(fw_tree_remove(tree.fd, "old", NULL), NULL); /* what is gone already is removed */
}

static bool set_append_only(int fd, bool on)
{
	int flags = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0)
		return false;
	flags = on ? flags | FS_APPEND_FL : flags & ~FS_APPEND_FL;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

/* A name that cannot be removed is taken for a directory; when it is a link, what it names must stay as it is. */
static void removing_never_changes_what_a_link_names(void **state)
{
	(void)state;
	fw_cleanup_tree struct tree tree = tree_of("old/link", "-> ../kept", "kept", "y", NULL);
	int fd = openat(tree.fd, "old", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat before, after;

	if (!set_append_only(fd, true)) {
		print_message("skipped: append-only directories need root and a file system that has them\n");
		close(fd);
		tree_remove_cleanup(&tree); /* skip() does not return */
		skip();
	}
	assert_int_equal(fstatat(tree.fd, "kept", &before, 0), 0);
	int rc = fw_tree_remove(tree.fd, "old", NULL);

	assert_true(set_append_only(fd, false));
	close(fd);
	assert_int_not_equal(rc, FW_OK);
	assert_int_equal(fstatat(tree.fd, "kept", &after, 0), 0);
	assert_int_equal(before.st_mode, after.st_mode);
}

/* A function may nest as deep as it likes: neither the depth of the stack nor the number of open files may be its choice. */
static void removes_a_tree_of_any_depth_with_few_open_files(void **state)
{
	(void)state;
	fw_cleanup_tree struct tree tree = tree_of("old/lifted-1/x", "1", "old/lifted-0", "-> x", NULL);
	struct rlimit before, few;
	int fd = openat(tree.fd, "old", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int depth = 0; depth < 300; depth++) {
		assert_int_equal(mkdirat(fd, "d", 0700), 0);
		assert_int_equal(mkdirat(fd, "e", 0700), 0);
		int below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		close(fd);
		fd = below;
	}
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){128, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	fw_cleanup_error struct fw_error *err = NULL;
	int rc = fw_tree_remove(tree.fd, "old", &err);

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_ok(rc, err);
	assert_int_not_equal(faccessat(tree.fd, "old", F_OK, AT_SYMLINK_NOFOLLOW), 0);
}

FW_TESTS(removes_a_tree_of_any_depth_with_few_open_files, removes_a_tree_with_its_links_and_not_what_they_name, removing_never_changes_what_a_link_names)
