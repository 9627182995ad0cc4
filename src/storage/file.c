/* SPDX-License-Identifier: Apache-2.0
 *
 * The storage that is a directory: "file:/absolute/directory". Its hooks wrap the blocking work of file_list.c and
 * file_publish.c into jobs for the pool; objects are never copied, a consumer reads the file itself.
 * What is thrown away has a thread of its own: it may be a million files, and nobody's publication waits for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/tree.h"
#include "storage/file_internal.h"

static struct fw_file_storage *of(struct fw_storage *storage)
{
	return (struct fw_file_storage *)storage;
}

static void file_close(struct fw_storage *base)
{
	struct fw_file_storage *storage = of(base);

	fw_pool_free(storage->removals);
	close(storage->root_fd);
	free(storage->root);
	free(storage);
}

static int open_root(const char *root, int *fd, struct fw_error **err)
{
	*fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0) {
		int rc = fw_fail_errno(err, errno, "open storage %s", root);

		return fw_error_hint(err, rc, "the storage is a directory that must exist: make it, or say --storage DIR");
	}
	if (faccessat(*fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0) {
		int rc = fw_fail_errno(err, errno, "write to storage %s", root);

		return fw_error_hint(err, rc, "outputs go below %s/runs: make it writable, or say --storage DIR", root);
	}
	return FW_OK;
}

static int file_open(const char *uri, const struct fw_storage_host *host, struct fw_storage **storage,
                     struct fw_error **err)
{
	const char *root = uri + strlen("file:");
	fw_cleanup_fd int fd = -1;

	if (root[0] != '/')
		return fw_fail(err, FW_E_INVALID, "storage %s: the path must be absolute", uri);
	int rc = open_root(root, &fd, err);

	if (rc != FW_OK)
		return rc;
	fw_cleanup_free char *resolved = realpath(root, NULL);
	if (!resolved)
		return fw_fail_errno(err, errno, "resolve storage %s", root);

	struct fw_pool *removals = NULL;

	rc = host->loop ? fw_pool_new(host->loop, 1, &removals, err) : FW_OK;
	if (rc != FW_OK)
		return rc;
	struct fw_file_storage *made = fw_alloc(sizeof *made);

	*made = (struct fw_file_storage){.base = {&fw_storage_file}, .pool = host->pool, .removals = removals,
	                                 .root = FW_TAKE(resolved), .root_fd = fw_take_fd(&fd)};
	*storage = &made->base;
	return FW_OK;
}

struct list_job {
	struct fw_file_storage *storage;
	char *pattern;
	fw_storage_list_fn *done;
	void *context;
	int rc;
	struct fw_storage_objects objects;
	struct fw_error *error;
};

static void list_work(void *context)
{
	struct list_job *job = context;

	job->rc = fw_file_list(job->storage, job->pattern, &job->objects, &job->error);
}

static void list_done(void *context)
{
	struct list_job *job = context;

	job->done(job->context, job->rc, &job->objects, job->error);
	fw_storage_objects_done(&job->objects);
	fw_error_free(job->error);
	free(job->pattern);
	free(job);
}

static void file_list(struct fw_storage *base, const char *pattern, fw_storage_list_fn *done, void *context)
{
	struct list_job *job = fw_alloc(sizeof *job);

	*job = (struct list_job){.storage = of(base), .pattern = fw_strdup(pattern), .done = done, .context = context};
	fw_pool_submit(job->storage->pool, list_work, list_done, job);
}

static char *file_local_path(struct fw_storage *base, const char *key)
{
	return fw_printf("%s/%s", of(base)->root, key);
}

/* Where a file is in the storage is where it is staged; the size is what it has now. */
static int find_range(const struct fw_file_storage *storage, const struct fw_storage_range *range, int64_t *length,
                      struct fw_error **err)
{
	struct stat stat;

	if (fstatat(storage->root_fd, range->key, &stat, 0) < 0)
		return fw_fail_errno(err, errno, "object %s", range->key);
	if (!S_ISREG(stat.st_mode))
		return fw_fail(err, FW_E_INVALID, "object %s is not a regular file", range->key);
	if (range->bytes > 0 && (int64_t)stat.st_size != range->bytes)
		return fw_storage_changed(range->key, err);
	return fw_staged_length(range->key, (int64_t)stat.st_size, range->offset, length, err);
}

static void file_stage_in(struct fw_storage *base, const struct fw_storage_range *range, fw_storage_stage_fn *done,
                          void *context)
{
	fw_cleanup_error struct fw_error *error = NULL;
	int64_t length = range->length;
	int rc = find_range(of(base), range, &length, &error);

	if (rc != FW_OK)
		return done(context, rc, NULL, error);
	struct fw_staged *staged = fw_alloc(sizeof *staged);

	*staged = (struct fw_staged){base->ops->local_path(base, range->key), range->offset, length};
	done(context, FW_OK, staged, NULL);
}

static void file_release(struct fw_storage *base, struct fw_staged *staged)
{
	(void)base;
	free(staged->path);
	free(staged);
}

static int file_claim(struct fw_storage *base, const char *run, struct fw_error **err)
{
	struct fw_file_storage *storage = of(base);
	fw_cleanup_free char *path = fw_printf("runs/%s", run);
	int rc = fw_make_directories(storage->root_fd, "runs", 0755, err);

	if (rc == FW_OK && mkdirat(storage->root_fd, path, 0755) < 0)
		rc = errno == EEXIST ? fw_fail(err, FW_E_CONFLICT, "%s is there already: another run has this name", path)
		                     : fw_fail_errno(err, errno, "make directory %s", path);
	return rc == FW_OK ? rc : fw_error_wrap(err, rc, "prepare storage %s", storage->root);
}

/* Workers pass through this directory to reach their own; none can list it. */
static int file_attempts_root(struct fw_storage *base, const char *run, char **directory, struct fw_error **err)
{
	struct fw_file_storage *storage = of(base);
	fw_cleanup_free char *path = fw_printf("runs/%s/.attempts", run);
	int rc = fw_make_directories(storage->root_fd, path, 0755, err);

	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "prepare storage %s", storage->root);
	if (fchmodat(storage->root_fd, path, 0711, 0) < 0)
		return fw_fail_errno(err, errno, "set the mode of %s/%s", storage->root, path);
	*directory = fw_printf("%s/%s", storage->root, path);
	return FW_OK;
}

static int file_inputs_root(struct fw_storage *base, const char *run, char **directory, struct fw_error **err)
{
	(void)run;
	(void)err;
	*directory = fw_strdup(of(base)->root);
	return FW_OK;
}

struct publish_job {
	struct fw_file_storage *storage;
	const struct fw_publication *publication; /* the caller keeps it until done */
	fw_storage_publish_fn *done;
	void *context;
	int rc;
	struct fw_storage_objects objects;
	uint32_t *output_of;
	bool published_itself;
	struct fw_error *error;
};

static void publish_work(void *context)
{
	struct publish_job *job = context;

	job->rc = fw_file_publish(job->storage, job->publication, &job->objects, &job->output_of, &job->published_itself,
	                          &job->error);
}

static void clear_work(void *context)
{
	struct publish_job *job = context;

	fw_tree_remove(AT_FDCWD, job->publication->directory, NULL);
}

static void tell_published(void *context)
{
	struct publish_job *job = context;

	job->done(job->context, job->rc, &job->objects, job->output_of, job->error);
	fw_storage_objects_done(&job->objects);
	free(job->output_of);
	fw_error_free(job->error);
	free(job);
}

static void publish_done(void *context)
{
	struct publish_job *job = context;

	if (job->publication->directory && !job->published_itself)
		fw_pool_submit(job->storage->removals, clear_work, tell_published, job);
	else
		tell_published(job);
}

static void file_publish(struct fw_storage *base, const struct fw_publication *publication, fw_storage_publish_fn *done,
                         void *context)
{
	struct publish_job *job = fw_alloc(sizeof *job);

	*job = (struct publish_job){.storage = of(base), .publication = publication, .done = done, .context = context};
	fw_pool_submit(job->storage->pool, publish_work, publish_done, job);
}

/* A discard or a sweep. */
struct remove_job {
	struct fw_file_storage *storage;
	char *directory;
	char *run;
	bool (*keep)(void *context, const struct fw_attempt_key *key);
	fw_storage_done_fn *done;
	void *context;
	int rc;
	struct fw_error *error;
};

static void remove_done(void *context)
{
	struct remove_job *job = context;

	job->done(job->context, job->rc, job->error);
	fw_error_free(job->error);
	free(job->directory);
	free(job->run);
	free(job);
}

static void discard_work(void *context)
{
	struct remove_job *job = context;

	job->rc = fw_tree_remove(AT_FDCWD, job->directory, &job->error);
}

static void file_discard(struct fw_storage *base, const char *directory, fw_storage_done_fn *done, void *context)
{
	struct remove_job *job = fw_alloc(sizeof *job);

	*job = (struct remove_job){
		.storage = of(base), .directory = fw_strdup(directory), .done = done, .context = context};
	fw_pool_submit(job->storage->removals, discard_work, remove_done, job);
}

/* Visits <stage>/<task>.<attempt> below a run's directory and removes what keep() does not want. */
static int sweep_entry(void *context, const char *path, int parent_fd, const char *name, const struct stat *stat,
                       struct fw_error **err)
{
	struct remove_job *job = context;
	const char *slash = strchr(path, '/');
	fw_cleanup_free char *stage = slash ? fw_strndup(path, (size_t)(slash - path)) : NULL;
	struct fw_attempt_key key = {.run = job->run, .stage = stage};

	if (!slash)
		return S_ISDIR(stat->st_mode) && name[0] != '.' ? FW_OK : FW_TREE_SKIP;
	if (!fw_attempt_read(name, &key.task, &key.attempt))
		return FW_TREE_SKIP; /* not ours */
	if (job->keep(job->context, &key))
		return FW_TREE_SKIP;
	int rc = fw_tree_remove(parent_fd, name, err);

	return rc == FW_OK ? FW_TREE_SKIP : rc;
}

static void sweep_work(void *context)
{
	struct remove_job *job = context;
	fw_cleanup_free char *directory = fw_printf("runs/%s", job->run);
	fw_cleanup_free char *attempts = fw_printf("%s/.attempts", directory);
	int root_fd = job->storage->root_fd;

	job->rc = fw_tree_remove(root_fd, attempts, &job->error);
	if (job->rc == FW_OK && faccessat(root_fd, directory, F_OK, 0) == 0)
		job->rc = fw_tree_walk(root_fd, directory, sweep_entry, job, &job->error);
}

static void file_sweep(struct fw_storage *base, const char *run,
                       bool (*keep)(void *context, const struct fw_attempt_key *key), fw_storage_done_fn *done,
                       void *context)
{
	struct remove_job *job = fw_alloc(sizeof *job);

	*job = (struct remove_job){
		.storage = of(base), .run = fw_strdup(run), .keep = keep, .done = done, .context = context};
	fw_pool_submit(job->storage->removals, sweep_work, remove_done, job);
}

static int file_remove_run(struct fw_storage *base, const char *run, struct fw_error **err)
{
	fw_cleanup_free char *directory = fw_printf("runs/%s", run);

	return fw_tree_remove(of(base)->root_fd, directory, err);
}

static int file_usage(struct fw_storage *base, const char *run, int64_t *bytes, struct fw_error **err)
{
	fw_cleanup_free char *directory = fw_printf("runs/%s", run);

	return fw_tree_usage(of(base)->root_fd, directory, bytes, err);
}

const struct fw_storage_ops fw_storage_file = {
	.scheme = "file",
	.open = file_open,
	.list = file_list,
	.stat = fw_file_stat,
	.is_still = fw_file_is_still,
	.read = fw_file_read,
	.local_path = file_local_path,
	.stage_in = file_stage_in,
	.release = file_release,
	.claim = file_claim,
	.attempts_root = file_attempts_root,
	.inputs_root = file_inputs_root,
	.publish = file_publish,
	.discard = file_discard,
	.sweep = file_sweep,
	.remove_run = file_remove_run,
	.usage = file_usage,
	.close = file_close,
};
