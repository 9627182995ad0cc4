/* SPDX-License-Identifier: Apache-2.0
 *
 * Deleting what a run has left in a bucket: objects of attempts that lost, or all of it, and uploads in parts that a killed
 * engine never ended. Everything is listed first, page by page; a key that cannot be deleted does not keep the others.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/s3_internal.h"

enum { SIDE_BY_SIDE = 32 };

struct victim {
	char *key;
	char *upload_id; /* or NULL: an object */
};

struct removal {
	struct fw_s3_job job; /* when it is listed */
	struct fw_s3_removal of;
	char *prefix, *run;
	char *root; /* of the run's keys: "some/where/runs/<run>/" */
	FW_VECTOR(struct victim) victims;
	size_t next, running;
	int rc;
	struct fw_error *error; /* the first one */
};

static void removal_free(struct removal *removal)
{
	if (removal->job.link)
		fw_s3_job_remove(&removal->job);
	for (size_t i = 0; i < removal->victims.count; i++) {
		free(removal->victims.items[i].key);
		free(removal->victims.items[i].upload_id);
	}
	free(removal->victims.items);
	fw_error_free(removal->error);
	free(removal->prefix);
	free(removal->run);
	free(removal->root);
	free(removal);
}

static void finish(struct removal *removal)
{
	removal->of.done(removal->of.context, removal->rc, removal->error);
	removal_free(removal);
}

static void fail(struct removal *removal, int rc, const struct fw_error *err)
{
	if (removal->rc != FW_OK)
		return;
	removal->rc = rc;
	removal->error = fw_error_copy(err);
}

static void cancel(struct fw_s3_job *job)
{
	struct removal *removal = (struct removal *)job;
	fw_cleanup_error struct fw_error *error = NULL;

	int rc = fw_s3_cancelled(&error);

	fail(removal, rc, error);
	finish(removal);
}

/* "<stage>/<task>.<attempt>/…" below the run. Without keep() all goes; with it, what is no attempt's stays. */
static bool is_kept(const struct removal *removal, const char *below)
{
	fw_cleanup_free char *stage = fw_strndup(below, strcspn(below, "/"));
	const char *name = below[strlen(stage)] ? below + strlen(stage) + 1 : "";
	fw_cleanup_free char *attempt = fw_strndup(name, strcspn(name, "/"));
	struct fw_attempt_key key = {.run = removal->run, .stage = stage};

	if (!removal->of.keep)
		return false;
	return !fw_attempt_read(attempt, &key.task, &key.attempt) || removal->of.keep(removal->of.context, &key);
}

/* All uploads of the bucket come by: MinIO finds none by a prefix that is not the whole key. */
static bool page(void *context, const struct fw_s3_item *items, size_t count)
{
	struct removal *removal = context;
	size_t root = strlen(removal->root);

	for (size_t i = 0; i < count; i++)
		if (strncmp(items[i].key, removal->root, root) == 0 && (items[i].upload_id || !is_kept(removal, items[i].key + root)))
			FW_PUSH(&removal->victims, (struct victim){fw_strdup(items[i].key), fw_strdup(items[i].upload_id)});
	return true;
}

static void go_on(struct removal *removal);

static void removed(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct removal *removal = context;

	(void)answer;
	if (rc != FW_OK)
		fail(removal, rc, err);
	removal->running--;
	go_on(removal);
}

static void go_on(struct removal *removal)
{
	while (removal->running < SIDE_BY_SIDE && removal->next < removal->victims.count) {
		const struct victim *victim = &removal->victims.items[removal->next++];

		removal->running++;
		if (victim->upload_id)
			fw_s3_abort_upload(removal->of.s3, victim->key, victim->upload_id, removed, removal);
		else
			fw_s3_delete(removal->of.s3, victim->key, removed, removal);
	}
	if (removal->running == 0)
		finish(removal);
}

static void uploads_listed(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct removal *removal = context;

	(void)answer;
	if (rc != FW_OK)
		fail(removal, rc, err);
	go_on(removal);
}

static void objects_listed(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct removal *removal = context;

	(void)answer;
	if (rc != FW_OK)
		fail(removal, rc, err);
	fw_s3_list_uploads(removal->of.s3, "", page, uploads_listed, removal);
}

void fw_s3_remove(const struct fw_s3_removal *of)
{
	struct removal *removal = fw_alloc(sizeof *removal);

	*removal = (struct removal){.of = *of, .prefix = fw_strdup(of->prefix), .run = fw_strdup(of->run),
	                            .root = fw_printf("%sruns/%s/", of->prefix, of->run)};
	if (of->jobs)
		fw_s3_job_add(of->jobs, &removal->job, cancel);
	fw_s3_list(of->s3, &(struct fw_s3_list){.prefix = removal->root, .page = page}, objects_listed, removal);
}
