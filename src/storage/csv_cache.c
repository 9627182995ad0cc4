/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/csv_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/tree.h"

enum { FILE_MAX_BYTES = 64 << 20 }; /* the states of 16 TB */

char *fw_csv_cache_name(const char *place, const char *key, const char *version, const struct fw_range_format *format)
{
	fw_cleanup_free char *text =
		fw_printf("csv index 2\n%s\n%s\n%s\n%c %d\n", place, key, version, format->delimiter, format->header);
	char digest[FW_DIGEST_TEXT];

	fw_digest_of(text, strlen(text), digest);
	return fw_printf("%s.json", digest);
}

bool fw_csv_cache_load(const char *directory, const char *name, int64_t bytes, struct fw_csv_index *index)
{
	fw_cleanup_free char *path = fw_printf("%s/%s", directory, name);
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, FILE_MAX_BYTES);
	return fw_read_file(AT_FDCWD, path, &text, NULL) == FW_OK &&
	       fw_csv_index_decode(text.data, text.length, bytes, index, NULL) == FW_OK;
}

/* ---- storing ---- */

struct entry {
	char *name;
	struct timespec modified;
};

struct entries {
	FW_VECTOR(struct entry) list;
};

static int note(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                struct fw_error **err)
{
	struct entries *entries = context;

	(void)path;
	(void)parent_fd;
	(void)err;
	FW_PUSH(&entries->list, (struct entry){fw_strdup(name), stat->st_mtim});
	return S_ISDIR(stat->st_mode) ? FW_TREE_SKIP : FW_OK;
}

static int oldest_first(const void *left, const void *right)
{
	const struct timespec *a = &((const struct entry *)left)->modified, *b = &((const struct entry *)right)->modified;

	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

static void make_room(const char *directory)
{
	struct entries entries = {0};

	fw_tree_walk(AT_FDCWD, directory, note, &entries, NULL);
	if (entries.list.count >= FW_CSV_CACHE_FILES)
		qsort(entries.list.items, entries.list.count, sizeof *entries.list.items, oldest_first);
	for (size_t i = 0; i < entries.list.count; i++) {
		if (i + FW_CSV_CACHE_FILES <= entries.list.count) {
			fw_cleanup_free char *path = fw_printf("%s/%s", directory, entries.list.items[i].name);

			unlink(path);
		}
		free(entries.list.items[i].name);
	}
	free(entries.list.items);
}

int fw_csv_cache_store(const char *directory, const char *name, const struct fw_csv_index *index, struct fw_error **err)
{
	fw_cleanup_free char *path = fw_printf("%s/%s", directory, name);
	fw_cleanup_buffer struct fw_buffer text;
	int rc = fw_make_directories(AT_FDCWD, directory, 0700, err);

	fw_buffer_init(&text, FILE_MAX_BYTES);
	fw_csv_index_encode(index, &text);
	if (rc == FW_OK && text.failed)
		rc = fw_fail(err, FW_E_LIMIT, "the index of a CSV object is too large to keep");
	if (rc != FW_OK)
		return rc;
	make_room(directory);
	return fw_write_file(AT_FDCWD, path, text.data, text.length, 0600, err);
}
