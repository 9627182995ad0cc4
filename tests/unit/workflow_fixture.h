/* SPDX-License-Identifier: Apache-2.0
 *
 * The code that the workflows under tests/workflows name, made in a directory of the test's own.
 */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "tests/unit/support.h"
#include "workflow/workflow.h"

/* A central directory with one empty member, and its end: all that is looked at. */
static inline size_t fixture_zip(char *bytes, const char *member, unsigned mode)
{
	size_t name = strlen(member);

	memset(bytes, 0, 46 + name + 22);
	memcpy(bytes, "PK\1\2", 4);
	bytes[5] = 3; /* made on Unix */
	bytes[28] = (char)name;
	bytes[40] = (char)(mode & 0xff);
	bytes[41] = (char)(mode >> 8);
	memcpy(bytes + 46, member, name);
	memcpy(bytes + 46 + name, "PK\5\6", 4);
	bytes[46 + name + 10] = 1; /* entries */
	return 46 + name + 22;
}

static inline void fixture_write_zip(struct tree *tree, const char *path, const char *member, unsigned mode)
{
	char bytes[256];
	size_t length = fixture_zip(bytes, member, mode);

	assert_ok(fw_write_file(tree->fd, path, bytes, length, 0644, NULL), NULL);
}

static inline struct tree fixture_tree(void)
{
	struct tree tree = tree_of(
		"functions/bootstrap", "#!/bin/sh\n", "plain/bootstrap", "#!/bin/sh\n", "empty/", "", "notes.txt", "no zip\n",
		"scripts/count.py", "def words(event, context):\n    return 1\n",
		"scripts/lib/index.mjs", "export const main = async () => 1;\n", "scripts/python3", "#!/bin/sh\n", NULL);

	assert_int_equal(fchmodat(tree.fd, "functions/bootstrap", 0755, 0), 0);
	assert_int_equal(fchmodat(tree.fd, "scripts/python3", 0755, 0), 0);
	fixture_write_zip(&tree, "package.zip", "bootstrap", 0100755);
	fixture_write_zip(&tree, "plain.zip", "bootstrap", 0100644);
	fixture_write_zip(&tree, "other.zip", "readme", 0100755);
	return tree;
}

/* Below the sources: newly allocated. */
static inline char *source_path(const char *path)
{
	return fw_printf("%s/%s", getenv("FLEXWATT_SOURCE"), path);
}

static inline char *read_text(const char *path, size_t *length)
{
	struct fw_buffer text;

	fw_buffer_init(&text, 8 << 20);
	if (fw_read_file(AT_FDCWD, path, &text, NULL) != FW_OK) {
		fw_buffer_done(&text);
		return NULL;
	}
	if (length)
		*length = text.length;
	return fw_buffer_take(&text);
}

/* Copies the *.yaml of a source directory into the tree and calls `each` with their names, from within the tree. */
static inline size_t for_each_workflow(const char *directory, struct tree *tree,
                                       void (*each)(const char *directory, const char *name))
{
	fw_cleanup_free char *path = source_path(directory);
	DIR *listing = opendir(path);
	size_t count = 0;

	assert_non_null(listing);
	assert_int_equal(fchdir(tree->fd), 0);
	for (const struct dirent *entry; (entry = readdir(listing));) {
		size_t length = strlen(entry->d_name), size = 0;

		if (length < 5 || strcmp(entry->d_name + length - 5, ".yaml") != 0)
			continue;
		fw_cleanup_free char *from = fw_printf("%s/%s", path, entry->d_name);
		fw_cleanup_free char *text = read_text(from, &size);
		assert_non_null(text);
		assert_ok(fw_write_file(tree->fd, entry->d_name, text, size, 0644, NULL), NULL);
		each(path, entry->d_name);
		count++;
	}
	closedir(listing);
	return count;
}
