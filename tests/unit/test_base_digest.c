/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/support.h"

static void assert_digest_of(struct tree *tree, const char *path, bool same, const char *as)
{
	char text[FW_DIGEST_TEXT];
	fw_cleanup_error struct fw_error *err = NULL;

	assert_ok(fw_digest_tree(tree->fd, path, text, &err), err);
	assert_int_equal(strcmp(text, as) == 0, same);
}

static void digest_of_tree(struct tree *tree, char text[FW_DIGEST_TEXT])
{
	fw_cleanup_error struct fw_error *err = NULL;

	assert_ok(fw_digest_tree(tree->fd, ".", text, &err), err);
}

static void bytes_have_the_digest_that_the_standard_says(void **state)
{
	char text[FW_DIGEST_TEXT];

	(void)state;
	fw_digest_of("abc", 3, text);
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void bytes_may_come_in_pieces(void **state)
{
	char whole[FW_DIGEST_TEXT], pieces[FW_DIGEST_TEXT];
	struct fw_digest *digest = fw_digest_new();

	(void)state;
	fw_digest_of("abc", 3, whole);
	fw_digest_add(digest, "a", 1);
	fw_digest_add(digest, "bc", 2);
	fw_digest_finish(digest, pieces);
	assert_string_equal(whole, pieces);
}

static void equal_trees_have_equal_digests_whatever_their_order_and_modes(void **state)
{
	fw_cleanup_tree struct tree one = tree_of("a/x", "1", "b", "2", "l", "-> b", NULL);
	fw_cleanup_tree struct tree two = tree_of("l", "-> b", "b", "2", "a/x", "1", NULL);
	char text[FW_DIGEST_TEXT];

	(void)state;
	assert_int_equal(fchmodat(two.fd, "b", 0600, 0), 0);
	digest_of_tree(&one, text);
	assert_digest_of(&two, ".", true, text);

	assert_int_equal(fchmodat(one.fd, "b", 0700, 0), 0);
	assert_int_equal(fchmodat(two.fd, "b", 0645, 0), 0); /* may be executed, too */
	digest_of_tree(&one, text);
	assert_digest_of(&two, ".", true, text);
}

static void a_file_without_end_is_not_read(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("a/x", "1", NULL);
	fw_cleanup_error struct fw_error *err = NULL;
	char text[FW_DIGEST_TEXT];
	(void)state;

	fw_cleanup_fd int fd = openat(tree.fd, "a/x", O_RDWR | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, 300LL << 30), 0); /* takes no room */
	assert_error_is(fw_digest_tree(tree.fd, ".", text, &err), &err, FW_E_LIMIT, "a/x: 322.1 GB");
}

static void each_change_of_a_tree_changes_its_digest(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("a/x", "1", "b", "2", "l", "-> b", NULL);
	char before[FW_DIGEST_TEXT];

	(void)state;
	digest_of_tree(&tree, before);
	tree_write(&tree, "b", "3");
	assert_digest_of(&tree, ".", false, before);
	tree_write(&tree, "b", "2");
	assert_digest_of(&tree, ".", true, before);

	assert_int_equal(fchmodat(tree.fd, "b", 0755, 0), 0);
	assert_digest_of(&tree, ".", false, before);
	assert_int_equal(fchmodat(tree.fd, "b", 0644, 0), 0);
	assert_digest_of(&tree, ".", true, before);

	assert_int_equal(renameat(tree.fd, "b", tree.fd, "c"), 0);
	assert_digest_of(&tree, ".", false, before);
	assert_int_equal(renameat(tree.fd, "c", tree.fd, "b"), 0);

	assert_int_equal(unlinkat(tree.fd, "l", 0), 0);
	tree_write(&tree, "l", "-> a");
	assert_digest_of(&tree, ".", false, before);
	assert_int_equal(unlinkat(tree.fd, "l", 0), 0);
	tree_write(&tree, "l", "b");
	assert_digest_of(&tree, ".", false, before);
}

static void what_is_in_a_directory_differs_from_what_is_beside_it(void **state)
{
	fw_cleanup_tree struct tree one = tree_of("a/b", "1", "a/c", "2", NULL);
	fw_cleanup_tree struct tree two = tree_of("a/b", "1", "c", "2", NULL);
	char text[FW_DIGEST_TEXT];

	(void)state;
	digest_of_tree(&one, text);
	assert_digest_of(&two, ".", false, text);
}

static void a_file_alone_has_a_digest(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("a", "1", "b", "1", NULL);
	char text[FW_DIGEST_TEXT];
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_digest_tree(tree.fd, "a", text, &err), err);
	assert_digest_of(&tree, "b", true, text);
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("d/", "", NULL);
	char text[FW_DIGEST_TEXT] = "untouched";
	struct fw_error *err = NULL;

	(void)state;
	assert_int_equal(mkfifoat(tree.fd, "d/pipe", 0600), 0);
	assert_error_is(fw_digest_tree(tree.fd, "d", text, &err), &err, FW_E_INVALID,
	                "d/pipe is neither a file, a directory nor a link");
	assert_error_is(fw_digest_tree(tree.fd, "d/pipe", text, &err), &err, FW_E_INVALID, "neither a file nor a directory");
	assert_error_is(fw_digest_tree(tree.fd, "none", text, &err), &err, FW_E_ABSENT, "open none");
	assert_string_equal(text, "untouched");
}

static void too_deep_a_tree_is_refused(void **state)
{
	char path[512] = "";
	struct fw_error *err = NULL;
	char text[FW_DIGEST_TEXT];

	(void)state;
	for (int i = 0; i < 101; i++)
		strcat(path, "d/");
	fw_cleanup_tree struct tree tree = tree_of(path, "", NULL);
	assert_error_is(fw_digest_tree(tree.fd, ".", text, &err), &err, FW_E_LIMIT, "nested deeper than 100");
}

FW_TESTS(bytes_have_the_digest_that_the_standard_says, bytes_may_come_in_pieces,
         equal_trees_have_equal_digests_whatever_their_order_and_modes, each_change_of_a_tree_changes_its_digest,
         a_file_without_end_is_not_read,
         what_is_in_a_directory_differs_from_what_is_beside_it, a_file_alone_has_a_digest,
         what_is_no_file_is_refused_without_waiting, too_deep_a_tree_is_refused)
