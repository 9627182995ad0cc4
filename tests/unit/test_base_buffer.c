/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/support.h"

static void an_empty_buffer_is_empty_text(void **state)
{
	fw_cleanup_buffer struct fw_buffer buffer;

	(void)state;
	fw_buffer_init(&buffer, 10);
	assert_string_equal(buffer.data, "");
	assert_int_equal(fw_buffer_str(&buffer).length, 0);
}

static void what_is_appended_stays_terminated(void **state)
{
	fw_cleanup_buffer struct fw_buffer buffer;

	(void)state;
	fw_buffer_init(&buffer, 1000);
	for (int i = 0; i < 100; i++)
		assert_int_equal(fw_buffer_printf(&buffer, "%d,", i % 10), FW_OK);
	assert_int_equal(fw_buffer_append(&buffer, "a\0b", 3), FW_OK);
	assert_int_equal(buffer.length, 203);
	assert_int_equal(strlen(buffer.data), 201);
}

static void the_maximum_is_reached_but_not_passed(void **state)
{
	fw_cleanup_buffer struct fw_buffer buffer;

	(void)state;
	fw_buffer_init(&buffer, 3);
	assert_int_equal(fw_buffer_text(&buffer, "abc"), FW_OK);
	assert_int_equal(fw_buffer_text(&buffer, "d"), FW_E_LIMIT);
	assert_string_equal(buffer.data, "abc");
}

static void a_failed_buffer_stays_failed_until_cleared(void **state)
{
	fw_cleanup_buffer struct fw_buffer buffer;

	(void)state;
	fw_buffer_init(&buffer, 3);
	assert_int_equal(fw_buffer_printf(&buffer, "%s", "abcd"), FW_E_LIMIT);
	assert_int_equal(fw_buffer_text(&buffer, "a"), FW_E_LIMIT);
	fw_buffer_clear(&buffer);
	assert_int_equal(fw_buffer_text(&buffer, "a"), FW_OK);
}

static void what_is_taken_is_the_callers(void **state)
{
	fw_cleanup_buffer struct fw_buffer buffer;

	(void)state;
	fw_buffer_init(&buffer, 10);
	fw_cleanup_free char *empty = fw_buffer_take(&buffer);
	fw_buffer_text(&buffer, "x");
	fw_cleanup_free char *taken = fw_buffer_take(&buffer);
	fw_buffer_text(&buffer, "y");
	assert_string_equal(empty, "");
	assert_string_equal(taken, "x");
	assert_string_equal(buffer.data, "y");
}

static void a_whole_file_is_read(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("a/b", "content\n", NULL);
	fw_cleanup_buffer struct fw_buffer buffer;
	fw_cleanup_error struct fw_error *err = NULL;

	(void)state;
	fw_buffer_init(&buffer, 100);
	fw_buffer_text(&buffer, "old");
	assert_ok(fw_read_file(tree.fd, "a/b", &buffer, &err), err);
	assert_string_equal(buffer.data, "content\n");
}

static void a_file_that_cannot_be_read_leaves_the_buffer_alone(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("large", "0123456789", NULL);
	fw_cleanup_buffer struct fw_buffer buffer;
	struct fw_error *err = NULL;

	(void)state;
	fw_buffer_init(&buffer, 9);
	fw_buffer_text(&buffer, "old");
	assert_error_is(fw_read_file(tree.fd, "none", &buffer, &err), &err, FW_E_ABSENT, "open none: No such file or directory");
	assert_error_is(fw_read_file(tree.fd, "large", &buffer, &err), &err, FW_E_LIMIT, "read large: more than 9 bytes");
	assert_string_equal(buffer.data, "old");
	assert_int_equal(fw_buffer_text(&buffer, "er"), FW_OK);
}

static void a_written_file_replaces_the_old_one_and_leaves_nothing_beside(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("d/f", "old", NULL);
	fw_cleanup_buffer struct fw_buffer buffer;
	fw_cleanup_error struct fw_error *err = NULL;
	struct stat status;

	(void)state;
	fw_buffer_init(&buffer, 100);
	assert_ok(fw_write_file(tree.fd, "d/f", "new", 3, 0600, &err), err);
	assert_ok(fw_read_file(tree.fd, "d/f", &buffer, &err), err);
	assert_string_equal(buffer.data, "new");
	assert_int_equal(fstatat(tree.fd, "d/f", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(unlinkat(tree.fd, "d/f", 0), 0);
	assert_int_equal(unlinkat(tree.fd, "d", AT_REMOVEDIR), 0);
}

static void a_write_that_fails_leaves_nothing_beside(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("d/target/", "", NULL);
	struct fw_error *err = NULL;

	(void)state;
	assert_error_is(fw_write_file(tree.fd, "d/target", "x", 1, 0644, &err), &err, FW_E_IO, "write d/target: Is a directory");
	assert_int_equal(unlinkat(tree.fd, "d/target", AT_REMOVEDIR), 0);
	assert_int_equal(unlinkat(tree.fd, "d", AT_REMOVEDIR), 0);
}

FW_TESTS(an_empty_buffer_is_empty_text, what_is_appended_stays_terminated, the_maximum_is_reached_but_not_passed,
         a_failed_buffer_stays_failed_until_cleared, what_is_taken_is_the_callers, a_whole_file_is_read,
         a_file_that_cannot_be_read_leaves_the_buffer_alone,
         a_written_file_replaces_the_old_one_and_leaves_nothing_beside, a_write_that_fails_leaves_nothing_beside)
