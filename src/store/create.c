/* SPDX-License-Identifier: Apache-2.0
 *
 * A new store: built beside its place and renamed into it, so that there is a complete store or none, whatever ends us.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/tree.h"
#include "store/store_internal.h"

/* As the XDG specification asks: directories that are missing are made for the user alone. */
static int make_parents(const char *path, struct fw_error **err)
{
	fw_cleanup_free char *copy = fw_strdup(path);

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0700) != 0 && errno != EEXIST)
			return fw_error_hint(err, fw_fail_errno(err, errno, "store %s: make the directory %s", path, copy),
			                     "FLEXWATT_STORE=PATH names another place");
		*slash = '/';
	}
	return FW_OK;
}

static int build(const char *temporary, struct fw_error **err)
{
	FW_CLEANUP(fw_store_close) struct fw_store *store = fw_alloc(sizeof *store);

	store->path = fw_strdup(temporary);
	int rc = fw_store_connect(store, SQLITE_OPEN_READWRITE, false, err);
	if (rc == FW_OK)
		rc = fw_store_execute(store, "PRAGMA synchronous = OFF", err); /* synchronised once, before the rename */
	if (rc == FW_OK)
		rc = fw_schema_migrate(store, err);
	if (rc == FW_OK)
		rc = fw_store_execute(store, "PRAGMA journal_mode = WAL", err);
	return rc;
}

static int synchronise(const char *temporary, struct fw_error **err)
{
	fw_cleanup_fd int fd = open(temporary, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fdatasync(fd) != 0)
		return fw_fail_errno(err, errno, "synchronise it");
	return FW_OK;
}

/* An empty file is replaced; a store that another process has made meanwhile is left. */
static int move_into_place(const char *temporary, const char *path, struct fw_error **err)
{
	struct stat status;
	bool empty = lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0;

	if ((empty ? rename(temporary, path) : fw_rename_new(AT_FDCWD, temporary, AT_FDCWD, path)) == 0 || errno == EEXIST)
		return FW_OK;
	return fw_fail_errno(err, errno, "put it into place");
}

static void remove_rests(const char *temporary)
{
	static const char *const suffixes[] = {"", "-journal", "-wal", "-shm"};

	for (size_t i = 0; i < FW_COUNT_OF(suffixes); i++) {
		fw_cleanup_free char *file = fw_printf("%s%s", temporary, suffixes[i]);
		unlink(file); /* most are not there */
	}
}

int fw_store_create(const char *path, struct fw_error **err)
{
	fw_cleanup_free char *temporary = fw_printf("%s.new-XXXXXX", path);
	int rc = make_parents(path, err);

	if (rc != FW_OK)
		return rc;
	int fd = mkostemp(temporary, O_CLOEXEC); /* mode 0600: the store tells what a user runs */
	if (fd < 0) {
		rc = fw_fail_errno(err, errno, "store %s: make it", path);
		return fw_error_hint(err, rc, "FLEXWATT_STORE=PATH names another place");
	}
	close(fd);
	rc = build(temporary, err);
	if (rc == FW_OK)
		rc = synchronise(temporary, err);
	if (rc == FW_OK)
		rc = move_into_place(temporary, path, err);
	remove_rests(temporary);
	return rc == FW_OK ? FW_OK : fw_error_wrap(err, rc, "make the store %s", path);
}
