/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes of an object for the engine itself (planning ranges). Read on the pool through one small buffer, in jobs of some
 * milliseconds: nobody's publication waits behind a file of any size.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/time.h"
#include "storage/file_internal.h"

enum {
	READ_BUFFER = 256 << 10, /* stays in the second level of the cache */
	READ_PER_JOB = 32 << 20,
	SETTLES_S = 2, /* the coarsest clock of a file system's times (FAT) */
};

/* ---- stat ---- */

struct stat_job {
	struct fw_file_storage *storage;
	char *key;
	fw_storage_stat_fn *done;
	void *context;
	struct fw_storage_stat found;
	char *version;
	int rc;
	struct fw_error *error;
};

/* Without the device, whose number may be another one after the machine has started again. */
static char *version_of(const struct stat *stat)
{
	return fw_printf("%llx.%lld.%lld.%09ld.%lld.%09ld", (unsigned long long)stat->st_ino, (long long)stat->st_size,
	                 (long long)stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec, (long long)stat->st_ctim.tv_sec,
	                 stat->st_ctim.tv_nsec);
}

bool fw_file_is_still(struct fw_storage *base, const char *key, const char *version)
{
	struct stat stat;
	bool found = fstatat(((struct fw_file_storage *)base)->root_fd, key, &stat, 0) == 0;
	fw_cleanup_free char *now = found ? version_of(&stat) : NULL;

	return found && strcmp(now, version) == 0;
}

static void stat_work(void *context)
{
	struct stat_job *job = context;
	struct stat stat;

	if (fstatat(job->storage->root_fd, job->key, &stat, 0) < 0) {
		job->rc = fw_fail_errno(&job->error, errno, "object %s", job->key);
		return;
	}
	job->version = version_of(&stat);
	job->found = (struct fw_storage_stat){
		.bytes = (int64_t)stat.st_size,
		.version = job->version,
		.settled = ((int64_t)stat.st_mtim.tv_sec + SETTLES_S) * 1000 < (int64_t)fw_wall_ms(),
	};
}

static void stat_done(void *context)
{
	struct stat_job *job = context;

	job->done(job->context, job->rc, &job->found, job->error);
	fw_error_free(job->error);
	free(job->version);
	free(job->key);
	free(job);
}

void fw_file_stat(struct fw_storage *base, const char *key, fw_storage_stat_fn *done, void *context)
{
	struct stat_job *job = fw_alloc(sizeof *job);

	*job = (struct stat_job){
		.storage = (struct fw_file_storage *)base, .key = fw_strdup(key), .done = done, .context = context};
	fw_pool_submit(job->storage->pool, stat_work, stat_done, job);
}

/* ---- read ---- */

struct read_job {
	struct fw_file_storage *storage;
	char *key, *version;
	int fd;
	int64_t offset, left;
	fw_storage_sink_fn *sink;
	fw_storage_done_fn *done;
	void *context;
	void *buffer;
	int rc;
	struct fw_error *error;
};

static bool is_another(const struct read_job *job)
{
	struct stat stat;
	fw_cleanup_free char *version = job->version && fstat(job->fd, &stat) == 0 ? version_of(&stat) : NULL;

	return version && strcmp(version, job->version) != 0;
}

static int open_object(struct read_job *job)
{
	job->fd = openat(job->storage->root_fd, job->key, O_RDONLY | O_CLOEXEC);
	if (job->fd < 0)
		return fw_fail_errno(&job->error, errno, "open object %s", job->key);
	if (is_another(job))
		return fw_storage_changed(job->key, &job->error);
	posix_fadvise(job->fd, job->offset, job->left, POSIX_FADV_SEQUENTIAL);
	job->buffer = fw_alloc(READ_BUFFER);
	return FW_OK;
}

static int read_piece(struct read_job *job)
{
	size_t wanted = job->left < READ_BUFFER ? (size_t)job->left : READ_BUFFER;
	ssize_t length = pread(job->fd, job->buffer, wanted, job->offset);

	if (length < 0)
		return errno == EINTR ? FW_OK : fw_fail_errno(&job->error, errno, "read object %s", job->key);
	if (length == 0)
		return fw_storage_changed(job->key, &job->error);
	job->offset += length;
	job->left -= length;
	return job->sink(job->context, job->buffer, (size_t)length);
}

static void read_work(void *context)
{
	struct read_job *job = context;
	int64_t until = job->left > READ_PER_JOB ? job->left - READ_PER_JOB : 0;

	if (job->fd < 0)
		job->rc = open_object(job);
	while (job->rc == FW_OK && job->left > until)
		job->rc = read_piece(job);
}

static void read_done(void *context)
{
	struct read_job *job = context;

	if (job->rc == FW_OK && job->left > 0) {
		fw_pool_submit(job->storage->pool, read_work, read_done, job);
		return;
	}
	if (job->fd >= 0)
		close(job->fd);
	job->done(job->context, job->rc, job->error);
	fw_error_free(job->error);
	free(job->buffer);
	free(job->key);
	free(job->version);
	free(job);
}

void fw_file_read(struct fw_storage *base, const struct fw_storage_range *range, fw_storage_sink_fn *sink,
                  fw_storage_done_fn *done, void *context)
{
	struct read_job *job = fw_alloc(sizeof *job);

	*job = (struct read_job){.storage = (struct fw_file_storage *)base, .key = fw_strdup(range->key),
	                         .version = fw_strdup(range->version), .fd = -1, .offset = range->offset,
	                         .left = range->length, .sink = sink, .done = done, .context = context};
	fw_pool_submit(job->storage->pool, read_work, read_done, job);
}
