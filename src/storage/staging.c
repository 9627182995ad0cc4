/* SPDX-License-Identifier: Apache-2.0
 *
 * See staging.h. An entry is being fetched (it has waiters), held (it has holders) or idle (it is in the list of idle
 * ones, the least recently used first, and may be removed). A file's name keeps the end of its key, since programs go by
 * it; its directory has a number, since keys may be anything.
 */
#include "storage/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/tree.h"

enum { NAME_MAX_BYTES = 200 };

struct waiter {
	fw_storage_stage_fn *done;
	void *context;
};

struct fw_staging_entry {
	struct fw_staging *staging;
	struct fw_staging_entry *older, *newer; /* of the idle */
	char *id, *path;
	uint64_t number;
	int fd; /* -1: it is whole */
	struct fw_storage_range range; /* its texts are ours */
	int64_t bytes;                 /* that it is counted with */
	size_t holders;
	bool again; /* it is fetched for the second time */
	FW_VECTOR(struct waiter) waiters;
};

struct held {
	struct fw_staged staged; /* first */
	struct fw_staging_entry *entry;
};

struct fw_staging {
	struct fw_staging_options options;
	char *directory;
	int directory_fd;
	struct fw_map *entries; /* by id */
	struct fw_staging_entry *oldest, *newest;
	int64_t bytes;
	uint64_t number;
};

int fw_staging_new(const struct fw_staging_options *options, struct fw_staging **staging, struct fw_error **err)
{
	int rc = fw_make_directories(AT_FDCWD, options->directory, 0755, err);

	if (rc != FW_OK)
		return rc;
	int fd = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fw_fail_errno(err, errno, "open %s", options->directory);
	struct fw_staging *made = fw_alloc(sizeof *made);

	*made = (struct fw_staging){.options = *options, .directory = fw_strdup(options->directory), .directory_fd = fd,
	                            .entries = fw_map_new()};
	*staging = made;
	return FW_OK;
}

static void entry_free(struct fw_staging_entry *entry)
{
	if (entry->fd >= 0)
		close(entry->fd);
	free(entry->waiters.items);
	free((char *)(uintptr_t)entry->range.key);
	free((char *)(uintptr_t)entry->range.version);
	free(entry->id);
	free(entry->path);
	free(entry);
}

/* ---- idle ones ---- */

static void idle_remove(struct fw_staging_entry *entry)
{
	struct fw_staging *staging = entry->staging;

	if (entry->older)
		entry->older->newer = entry->newer;
	else
		staging->oldest = entry->newer;
	if (entry->newer)
		entry->newer->older = entry->older;
	else
		staging->newest = entry->older;
	entry->older = entry->newer = NULL;
}

static void idle_add(struct fw_staging_entry *entry)
{
	struct fw_staging *staging = entry->staging;

	entry->older = staging->newest;
	*(staging->newest ? &staging->newest->newer : &staging->oldest) = entry;
	staging->newest = entry;
}

/* From disk, map and memory; it is in no list. */
static void drop(struct fw_staging_entry *entry)
{
	struct fw_staging *staging = entry->staging;
	char name[24];

	snprintf(name, sizeof name, "%llu", (unsigned long long)entry->number);
	if (unlink(entry->path) == 0 || errno == ENOENT)
		unlinkat(staging->directory_fd, name, AT_REMOVEDIR);
	staging->bytes -= entry->bytes;
	fw_map_remove(staging->entries, entry->id);
	entry_free(entry);
}

static void count(struct fw_staging_entry *entry, int64_t bytes)
{
	entry->staging->bytes += bytes - entry->bytes;
	entry->bytes = bytes;
}

static void make_room(struct fw_staging *staging, int64_t bytes)
{
	for (struct fw_staging_entry *entry = staging->oldest, *next; entry; entry = next) {
		if (bytes <= staging->options.max_bytes - staging->bytes)
			break;
		next = entry->newer;
		idle_remove(entry);
		drop(entry);
	}
}

/* ---- a new one ---- */

/* Programs choose by extension, and people read names: the key's last part, where it can be a name. */
static const char *name_of(const char *key)
{
	const char *slash = strrchr(key, '/');
	const char *name = slash ? slash + 1 : key;

	return strlen(name) <= NAME_MAX_BYTES && fw_path_is_inside(name) ? name : "object";
}

static int make_file(struct fw_staging_entry *entry, const char *key, struct fw_error **err)
{
	const struct fw_staging *staging = entry->staging;
	fw_cleanup_free char *parent = fw_printf("%s/%llu", staging->directory, (unsigned long long)entry->number);

	entry->path = fw_printf("%s/%s", parent, name_of(key));
	int rc = fw_make_directories(AT_FDCWD, parent, 0755, err);

	if (rc != FW_OK)
		return rc;
	entry->fd = open(entry->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return entry->fd < 0 ? fw_fail_errno(err, errno, "make %s", entry->path) : FW_OK;
}

static void give(struct fw_staging_entry *entry, struct waiter waiter)
{
	struct held *held = fw_alloc(sizeof *held);

	*held = (struct held){{entry->path, 0, entry->bytes}, entry};
	if (entry->holders++ == 0)
		idle_remove(entry);
	waiter.done(waiter.context, FW_OK, &held->staged, NULL);
}

static void start(struct fw_staging *staging, const char *id, const struct fw_storage_range *range, struct waiter waiter)
{
	struct fw_staging_entry *entry = fw_alloc(sizeof *entry);
	fw_cleanup_error struct fw_error *error = NULL;

	*entry = (struct fw_staging_entry){.staging = staging, .id = fw_strdup(id), .number = ++staging->number, .fd = -1,
	                                   .range = *range};
	entry->range.key = fw_strdup(range->key);
	entry->range.version = fw_strdup(range->version);
	make_room(staging, range->length > 0 ? range->length : 0);
	count(entry, range->length > 0 ? range->length : 0);
	int rc = make_file(entry, range->key, &error);

	if (rc != FW_OK) {
		drop(entry);
		waiter.done(waiter.context, rc, NULL, error);
		return;
	}
	FW_PUSH(&entry->waiters, waiter);
	fw_map_set(staging->entries, id, entry);
	staging->options.fetch(staging->options.context, range, entry->fd, entry);
}

void fw_staging_ask(struct fw_staging *staging, const struct fw_storage_range *range, fw_storage_stage_fn *done,
                    void *context)
{
	const char *version = range->version ? range->version : "";
	fw_cleanup_free char *id = fw_printf("%lld %lld %zu %s %s", (long long)range->offset, (long long)range->length,
	                                     strlen(version), version, range->key);
	struct fw_staging_entry *entry = fw_map_get(staging->entries, id);
	struct waiter waiter = {done, context};

	if (!entry)
		start(staging, id, range, waiter);
	else if (entry->fd >= 0)
		FW_PUSH(&entry->waiters, waiter);
	else
		give(entry, waiter);
}

static int finish(struct fw_staging_entry *entry, struct fw_error **err)
{
	int rc = fchmod(entry->fd, 0444) < 0 ? fw_fail_errno(err, errno, "set the mode of %s", entry->path) : FW_OK;

	if (rc == FW_OK) {
		close(entry->fd);
		entry->fd = -1;
	}
	return rc;
}

static void let_go(struct fw_staging_entry *entry)
{
	if (--entry->holders > 0)
		return;
	idle_add(entry);
	make_room(entry->staging, 0);
}

/* The disk is full, and some of it is kept for nobody: without that it may fit. */
static bool fetch_again(struct fw_staging_entry *entry)
{
	struct fw_staging *staging = entry->staging;

	if (entry->again || !staging->oldest || ftruncate(entry->fd, 0) < 0)
		return false;
	make_room(staging, INT64_MAX);
	entry->again = true;
	staging->options.fetch(staging->options.context, &entry->range, entry->fd, entry);
	return true;
}

void fw_staging_fetched(struct fw_staging_entry *entry, int rc, int64_t bytes, const struct fw_error *err)
{
	if (rc == FW_E_NO_SPACE && fetch_again(entry))
		return;
	fw_cleanup_error struct fw_error *error = NULL;
	FW_VECTOR(struct waiter) waiters = {.items = entry->waiters.items, .count = entry->waiters.count};

	if (rc == FW_OK)
		rc = finish(entry, &error);
	entry->waiters.items = NULL; /* whom it is given to may ask for more */
	entry->waiters.count = entry->waiters.capacity = 0;
	if (rc != FW_OK) {
		drop(entry);
		for (size_t i = 0; i < waiters.count; i++)
			waiters.items[i].done(waiters.items[i].context, rc, NULL, error ? error : err);
	} else {
		count(entry, bytes);
		entry->holders = 1; /* ourselves: one may give it back before the next one gets it */
		for (size_t i = 0; i < waiters.count; i++)
			give(entry, waiters.items[i]);
		let_go(entry);
	}
	free(waiters.items);
}

static bool forget_waiter(struct fw_staging_entry *entry, const void *context)
{
	for (size_t i = 0; i < entry->waiters.count; i++)
		if (entry->waiters.items[i].context == context) {
			entry->waiters.items[i] = entry->waiters.items[--entry->waiters.count];
			return true;
		}
	return false;
}

void fw_staging_forget(struct fw_staging *staging, const void *context)
{
	const char *id;
	void *value;

	for (size_t i = 0; fw_map_next(staging->entries, &i, &id, &value);) {
		struct fw_staging_entry *entry = value;

		if (entry->fd < 0 || !forget_waiter(entry, context))
			continue;
		if (entry->waiters.count == 0) {
			staging->options.give_up(staging->options.context, entry);
			drop(entry);
		}
		return;
	}
}

void fw_staging_release(struct fw_staged *staged)
{
	struct fw_staging_entry *entry = ((struct held *)staged)->entry;

	free(staged);
	let_go(entry);
}

const char *fw_staging_directory(const struct fw_staging *staging)
{
	return staging->directory;
}

int64_t fw_staging_bytes(const struct fw_staging *staging)
{
	return staging->bytes;
}

static void cancel(struct fw_staging_entry *entry)
{
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_fail(&error, FW_E_CANCELLED, "it is not fetched any more");

	for (size_t i = 0; i < entry->waiters.count; i++)
		entry->waiters.items[i].done(entry->waiters.items[i].context, rc, NULL, error);
}

void fw_staging_free(struct fw_staging *staging)
{
	const char *id;
	void *entry;

	if (!staging)
		return;
	for (size_t i = 0; fw_map_next(staging->entries, &i, &id, &entry);) {
		cancel(entry);
		entry_free(entry);
	}
	fw_map_free(staging->entries);
	close(staging->directory_fd);
	fw_tree_remove(AT_FDCWD, staging->directory, NULL);
	free(staging->directory);
	free(staging);
}
