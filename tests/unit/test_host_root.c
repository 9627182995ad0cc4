/* SPDX-License-Identifier: Apache-2.0 */
#include "host/root.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/support.h"

/* The test program ends by the signal where something waits. */
enum { DEADLINE_S = 20 };

static struct fw_root root_of(const struct tree *tree)
{
	struct fw_root root;
	struct fw_error *err = NULL;

	assert_ok(fw_root_open(tree->path, &root, &err), err);
	return root;
}

/* With a writer that never writes, and without any. */
static void a_pipe_is_no_file_and_nobody_waits_for_it(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("plain", "12\n", NULL);
	struct fw_root root = root_of(&tree);
	int writer = -1;

	(void)state;
	assert_int_equal(mkfifoat(tree.fd, "pipe", 0600), 0);
	alarm(DEADLINE_S);
	for (int has_writer = 0; has_writer < 2; has_writer++) {
		fw_cleanup_buffer struct fw_buffer buffer;
		struct fw_error *err = NULL;
		char text[16];

		if (has_writer)
			writer = openat(tree.fd, "pipe", O_RDWR | O_CLOEXEC);
		fw_buffer_init(&buffer, 64);
		assert_int_equal(fw_root_open_file(&root, "pipe"), -1);
		assert_int_equal(errno, EBADMSG);
		assert_int_equal(fw_root_peek(&root, "pipe", text, sizeof text), -1);
		assert_error_is(fw_root_read(&root, "pipe", &buffer, &err), &err, FW_E_INVALID, "no plain file");
	}
	alarm(0);
	close(writer);
	fw_root_close(&root);
}

static void a_plain_file_is_read(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("plain", "12\n", "directory/", "", NULL);
	struct fw_root root = root_of(&tree);
	char text[16];

	(void)state;
	assert_int_equal(fw_root_peek(&root, "plain", text, sizeof text), 3);
	assert_string_equal(text, "12\n");
	assert_int_equal(fw_root_open_file(&root, "directory"), -1);
	assert_int_equal(errno, EBADMSG);
	assert_int_equal(fw_root_open_file(&root, "absent"), -1);
	assert_int_equal(errno, ENOENT);
	fw_root_close(&root);
}

FW_TESTS(a_pipe_is_no_file_and_nobody_waits_for_it, a_plain_file_is_read)
