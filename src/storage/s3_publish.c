/* SPDX-License-Identifier: Apache-2.0
 *
 * Publication of an attempt in a bucket: the outbox checks and freezes what the function left, as a directory storage does,
 * then each file is uploaded under its key. Some are under way at a time; each appears whole or not at all, and nothing
 * counts before the commit event. When one fails, what was uploaded is deleted again. An attempt
 * that is there already is another's and stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/s3_internal.h"

enum { SIDE_BY_SIDE = 8 };

struct upload {
	struct publishing *publishing;
	struct fw_storage_object *object;
	struct fw_s3_task *task; /* NULL: none */
	int fd;
};

struct publishing {
	struct fw_s3_job job; /* while verbs of the bucket are under way */
	struct fw_s3_storage *storage;
	char *prefix; /* of the attempt */
	fw_storage_publish_fn *done;
	void *context;
	struct fw_storage_objects objects;
	uint32_t *output_of;
	struct upload uploads[SIDE_BY_SIDE];
	bool there;     /* the attempt has been published before */
	size_t begun;   /* of the objects, from the first on */
	size_t running; /* uploads, or deletions */
	int rc;
	struct fw_error *error;
};

static void tell(struct publishing *publishing)
{
	if (publishing->rc != FW_OK)
		fw_storage_objects_done(&publishing->objects);
	publishing->done(publishing->context, publishing->rc, &publishing->objects, publishing->output_of, publishing->error);
	fw_storage_objects_done(&publishing->objects);
	free(publishing->output_of);
	fw_error_free(publishing->error);
	free(publishing->prefix);
	free(publishing);
}

/* ---- the end ---- */

static void discarded(void *context, int rc, const struct fw_error *error)
{
	(void)rc;
	(void)error; /* the place of the engine goes as a whole */
	tell(context);
}

static void finish(struct publishing *publishing)
{
	struct fw_storage *outbox = publishing->storage->place->outbox;
	fw_cleanup_free char *directory = outbox->ops->local_path(outbox, publishing->prefix);

	fw_s3_job_remove(&publishing->job);
	outbox->ops->discard(outbox, directory, discarded, publishing);
}

static void undo(struct publishing *publishing);

static void undone(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *error)
{
	struct publishing *publishing = context;

	(void)answer;
	(void)error;
	if (rc != FW_OK)
		publishing->begun = 0; /* the sweep at the end of the run tries again, and finds the others as well */
	publishing->running--;
	undo(publishing);
}

static void undo(struct publishing *publishing)
{
	while (publishing->begun > 0 && publishing->running < SIDE_BY_SIDE) {
		fw_cleanup_free char *key =
			fw_s3_key(publishing->storage, publishing->objects.list.items[--publishing->begun].key);

		publishing->running++;
		fw_s3_delete(publishing->storage->s3, key, undone, publishing);
	}
	if (publishing->running == 0)
		finish(publishing);
}

static void end_uploads(struct publishing *publishing)
{
	for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
		struct upload *upload = &publishing->uploads[i];

		if (!upload->publishing)
			continue;
		if (upload->task)
			fw_s3_cancel(upload->task);
		close(upload->fd);
		*upload = (struct upload){0};
	}
	publishing->running = 0;
}

static void fail(struct publishing *publishing, int rc, struct fw_error *error)
{
	publishing->rc = rc;
	publishing->error = error;
	end_uploads(publishing);
	undo(publishing);
}

/* What may be tried again keeps its code. Any other refusal is neither the function's fault nor mended by another attempt. */
static void fail_by_bucket(struct publishing *publishing, int rc, const struct fw_error *why)
{
	bool passing = rc == FW_E_IO || rc == FW_E_TIMEOUT || rc == FW_E_CONFLICT || rc == FW_E_BUSY || rc == FW_E_NO_SPACE;
	struct fw_error *error = NULL;
	int code = passing ? rc : FW_E_ENVIRONMENT;

	fw_fail(&error, code, "%s", fw_error_message(why));
	if (fw_error_hint_text(why))
		fw_error_hint(&error, code, "%s", fw_error_hint_text(why));
	fail(publishing, code, error);
}

/* The verbs of the bucket have ended by themselves. */
static void cancel(struct fw_s3_job *job)
{
	struct publishing *publishing = (struct publishing *)job;

	for (size_t i = 0; i < SIDE_BY_SIDE; i++)
		publishing->uploads[i].task = NULL;
	end_uploads(publishing);
	fw_s3_job_remove(job);
	if (publishing->rc == FW_OK)
		publishing->rc = fw_s3_cancelled(&publishing->error);
	tell(publishing);
}

/* ---- uploads ---- */

static void go_on(struct publishing *publishing);

static void uploaded(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *error)
{
	struct upload *upload = context;
	struct publishing *publishing = upload->publishing;

	if (rc == FW_OK)
		upload->object->version = fw_s3_version(answer->etag);
	close(upload->fd);
	*upload = (struct upload){0};
	publishing->running--;
	if (rc == FW_OK)
		go_on(publishing);
	else
		fail_by_bucket(publishing, rc, error);
}

static int begin_upload(struct publishing *publishing, struct upload *upload, struct fw_error **err)
{
	struct fw_storage *outbox = publishing->storage->place->outbox;
	struct fw_storage_object *object = &publishing->objects.list.items[publishing->begun];
	fw_cleanup_free char *path = outbox->ops->local_path(outbox, object->key);
	fw_cleanup_free char *key = fw_s3_key(publishing->storage, object->key);
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return fw_fail_errno(err, errno, "open %s", path);
	*upload = (struct upload){.publishing = publishing, .object = object, .fd = fd};
	publishing->begun++;
	publishing->running++;
	upload->task = fw_s3_put(publishing->storage->s3, &(struct fw_s3_put){.key = key, .fd = fd, .length = object->bytes},
	                         uploaded, upload);
	return FW_OK;
}

static void go_on(struct publishing *publishing)
{
	struct fw_error *error = NULL;
	int rc = FW_OK;

	for (size_t i = 0; i < SIDE_BY_SIDE && rc == FW_OK && publishing->begun < publishing->objects.list.count; i++)
		if (!publishing->uploads[i].publishing)
			rc = begin_upload(publishing, &publishing->uploads[i], &error);
	if (rc != FW_OK)
		fail(publishing, rc, error);
	else if (publishing->running == 0)
		finish(publishing);
}

/* ---- before: the outbox, and whether it is there ---- */

static bool page(void *context, const struct fw_s3_item *items, size_t count)
{
	struct publishing *publishing = context;

	(void)items;
	publishing->there = publishing->there || count > 0;
	return count == 0;
}

static void looked(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *error)
{
	struct publishing *publishing = context;
	struct fw_error *refusal = NULL;

	(void)answer;
	if (publishing->there) {
		rc = fw_fail(&refusal, FW_E_CONFLICT, "publish %s: it is there already", publishing->prefix);
		fail(publishing, rc, refusal);
	} else if (rc != FW_OK) {
		fail_by_bucket(publishing, rc, error);
	} else {
		go_on(publishing);
	}
}

static void look(struct publishing *publishing)
{
	fw_cleanup_free char *attempt = fw_s3_key(publishing->storage, publishing->prefix);
	fw_cleanup_free char *prefix = fw_printf("%s/", attempt);

	fw_s3_list(publishing->storage->s3, &(struct fw_s3_list){.prefix = prefix, .page = page}, looked, publishing);
}

static uint32_t *copy_of(const uint32_t *output_of, size_t count)
{
	uint32_t *copy = fw_alloc_array(count + 1, sizeof *copy);

	for (size_t i = 0; i < count; i++)
		copy[i] = output_of[i];
	return copy;
}

static void checked(void *context, int rc, struct fw_storage_objects *objects, const uint32_t *output_of,
                    const struct fw_error *error)
{
	struct publishing *publishing = context;

	if (rc != FW_OK) {
		publishing->rc = rc;
		publishing->error = fw_error_copy(error);
		tell(publishing);
		return;
	}
	publishing->output_of = copy_of(output_of, objects->list.count);
	publishing->objects = *objects;
	*objects = (struct fw_storage_objects){0};
	fw_s3_job_add(&publishing->storage->jobs, &publishing->job, cancel);
	if (publishing->storage->cancelled)
		cancel(&publishing->job);
	else
		look(publishing);
}

void fw_s3_storage_publish(struct fw_storage *base, const struct fw_publication *publication, fw_storage_publish_fn *done,
                           void *context)
{
	struct fw_s3_storage *storage = (struct fw_s3_storage *)base;
	struct fw_storage *outbox = storage->place->outbox;
	struct publishing *publishing = fw_alloc(sizeof *publishing);

	*publishing = (struct publishing){
		.storage = storage, .prefix = fw_attempt_prefix(&publication->key), .done = done, .context = context};
	outbox->ops->publish(outbox, publication, checked, publishing);
}
