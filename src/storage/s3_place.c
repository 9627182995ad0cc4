/* SPDX-License-Identifier: Apache-2.0
 *
 * The place of one engine on this machine (s3_internal.h): <scratch>/<run>.<random>, with <run>.<random>.lock beside it,
 * locked as long as the engine lives. A lock of a process dies with it, so that the next engine knows what is nobody's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tree.h"
#include "storage/s3_internal.h"

enum { TRIES = 100 };
static const char suffix[] = ".lock";

/* Half of what is free: the other half is for what functions write. */
static int64_t staging_bound(const char *directory)
{
	struct statvfs space;

	return statvfs(directory, &space) == 0 ? (int64_t)(space.f_bavail * space.f_frsize / 2) : INT64_MAX;
}

/* Of the open file, not of the process: another storage of this one is another engine as well. */
static bool lock(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &whole) == 0;
}

/* Who cleans up may have held the lock before, and taken the name away. */
static bool is_linked(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && stat.st_nlink > 0;
}

struct fetching {
	struct fw_s3_job job;
	struct fw_s3 *s3;
	struct fw_s3_task *task;
	char *key; /* the bucket's */
	struct fw_staging_entry *entry;
	struct fw_storage_range range; /* its texts are ours */
	bool looked; /* by HEAD */
};

static void fetching_free(struct fetching *fetching)
{
	fw_s3_job_remove(&fetching->job);
	free(fetching->key);
	free((char *)(uintptr_t)fetching->range.key);
	free((char *)(uintptr_t)fetching->range.version);
	free(fetching);
}

static void cancel(struct fw_s3_job *job)
{
	struct fetching *fetching = (struct fetching *)job;
	fw_cleanup_error struct fw_error *error = NULL;
	int rc = fw_s3_cancelled(&error);

	fw_staging_fetched(fetching->entry, rc, 0, error);
	fetching_free(fetching);
}

/* Nobody waits for it any more. */
static void give_up(void *context, const struct fw_staging_entry *entry)
{
	struct fw_s3_storage *storage = context;

	for (struct fw_s3_job *job = storage->jobs.first; job; job = job->next) {
		struct fetching *fetching = (struct fetching *)job;

		if (job->cancel != cancel || fetching->entry != entry)
			continue;
		fw_s3_cancel(fetching->task);
		fetching_free(fetching);
		return;
	}
}

/* HEAD, which has no condition here, tells of another version by its answer. */
static bool is_another(const struct fetching *fetching, int rc, const struct fw_s3_answer *answer)
{
	fw_cleanup_free char *version = rc == FW_OK ? fw_s3_version(answer->etag) : NULL;

	return rc == FW_E_CONFLICT || (version && fetching->range.version && strcmp(version, fetching->range.version) != 0);
}

static void fetched(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err);

static void look(struct fetching *fetching)
{
	fetching->looked = true;
	fetching->task = fw_s3_head(fetching->s3, fetching->key, fetched, fetching);
}

static void fetched(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct fetching *fetching = context;
	fw_cleanup_error struct fw_error *error = NULL;
	int64_t length = fetching->range.length;

	if (rc == FW_OK && !answer->etag && fetching->range.version && !fetching->looked)
		return look(fetching); /* nothing is there to read: of this object, or of another in its place? */
	if (is_another(fetching, rc, answer))
		rc = fw_storage_changed(fetching->range.key, &error);
	else if (rc == FW_OK)
		rc = fw_staged_length(fetching->range.key, answer->object_bytes, fetching->range.offset, &length, &error);
	fw_staging_fetched(fetching->entry, rc, length, error ? error : err);
	fetching_free(fetching);
}

static void fetch(void *context, const struct fw_storage_range *range, int fd, struct fw_staging_entry *entry)
{
	struct fw_s3_storage *storage = context;
	fw_cleanup_free char *etag = fw_s3_etag(range->version);
	struct fetching *fetching = fw_alloc(sizeof *fetching);

	*fetching = (struct fetching){
		.s3 = storage->s3,
		.key = fw_s3_key(storage, range->key),
		.entry = entry,
		.range = *range,
	};
	fetching->range.key = fw_strdup(range->key);
	fetching->range.version = fw_strdup(range->version);
	const struct fw_s3_get get = {.key = fetching->key, .offset = range->offset, .length = range->length, .etag = etag,
	                              .object_bytes = range->bytes, .fd = fd};
	fw_s3_job_add(&storage->jobs, &fetching->job, cancel);
	if (range->length == 0) /* servers differ on an empty range: it is enough that it lies within */
		look(fetching);
	else
		fetching->task = fw_s3_get(storage->s3, &get, fetched, fetching);
}

static int open_parts(struct fw_s3_storage *storage, struct fw_s3_place *place, struct fw_error **err)
{
	fw_cleanup_free char *staged = fw_printf("%s/staged", place->directory);
	fw_cleanup_free char *outbox = fw_printf("file:%s", place->directory);
	const struct fw_staging_options staging = {
		.directory = staged, .max_bytes = staging_bound(storage->scratch), .fetch = fetch, .give_up = give_up,
		.context = storage};
	int rc = fw_staging_new(&staging, &place->staging, err);

	if (rc == FW_OK)
		rc = fw_storage_file.open(outbox, &storage->host, &place->outbox, err);
	if (rc == FW_OK)
		((struct fw_file_storage *)place->outbox)->passing = true;
	return rc;
}

/* Between making and locking it, somebody who cleans up may take it away: then another. */
static int claim_name(const struct fw_s3_storage *storage, const char *run, struct fw_s3_place *place, struct fw_error **err)
{
	for (int tries = 0; tries < TRIES; tries++) {
		uint32_t random = 0;

		while (getrandom(&random, sizeof random, 0) < 0 && errno == EINTR)
			continue;
		fw_cleanup_free char *directory = fw_printf("%s/%s.%08x", storage->scratch, run, random);
		fw_cleanup_free char *path = fw_printf("%s%s", directory, suffix);
		fw_cleanup_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		if (fd < 0 && errno != EEXIST)
			return fw_fail_errno(err, errno, "make %s", path);
		if (fd < 0 || !lock(fd) || !is_linked(fd))
			continue;
		place->directory = FW_TAKE(directory);
		place->lock_path = FW_TAKE(path);
		place->lock_fd = fw_take_fd(&fd);
		return fw_make_directories(AT_FDCWD, place->directory, 0755, err);
	}
	return fw_fail(err, FW_E_BUSY, "no name is free");
}

int fw_s3_place_new(struct fw_s3_storage *storage, const char *run, struct fw_s3_place **place, struct fw_error **err)
{
	struct fw_s3_place *made = fw_alloc(sizeof *made);
	int rc = fw_make_directories(AT_FDCWD, storage->scratch, 0755, err);

	made->lock_fd = -1;
	if (rc == FW_OK)
		rc = claim_name(storage, run, made, err);
	if (rc == FW_OK)
		rc = open_parts(storage, made, err);
	if (rc != FW_OK) {
		fw_s3_place_free(made);
		return fw_error_wrap(err, rc, "prepare %s", storage->scratch);
	}
	*place = made;
	return FW_OK;
}

void fw_s3_place_free(struct fw_s3_place *place)
{
	if (!place)
		return;
	fw_staging_free(place->staging);
	fw_storage_close(place->outbox);
	if (place->lock_fd >= 0) {
		fw_tree_remove(AT_FDCWD, place->directory, NULL);
		unlink(place->lock_path);
		close(place->lock_fd);
	}
	free(place->directory);
	free(place->lock_path);
	free(place);
}

/* A directory goes before its lock: one without is nobody's work. */
static void clean(int scratch_fd, const char *name)
{
	fw_cleanup_free char *directory = fw_strndup(name, strlen(name) - strlen(suffix));
	fw_cleanup_fd int fd = openat(scratch_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && lock(fd) && fw_tree_remove(scratch_fd, directory, NULL) == FW_OK)
		unlinkat(scratch_fd, name, 0);
}

void fw_s3_places_clean(const char *scratch)
{
	DIR *entries = opendir(scratch);
	const struct dirent *entry;

	if (!entries)
		return;
	while ((entry = readdir(entries)))
		if (fw_str_ends(fw_str_of(entry->d_name), suffix))
			clean(dirfd(entries), entry->d_name);
	closedir(entries);
}
