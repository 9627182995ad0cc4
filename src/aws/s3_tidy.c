/* SPDX-License-Identifier: Apache-2.0
 *
 * Multipart uploads under a key that nobody knows of, because the answer to their beginning was lost: they are listed and
 * aborted. Who writes a key is alone with it: so another upload under it can only be an earlier one of his own.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/s3_internal.h"
#include "base/memory.h"

struct tidying {
	struct fw_s3_task task;
	struct fw_s3_task *list;
	char *key, *ours;
};

static void tidying_release(struct fw_s3_task *task)
{
	struct tidying *tidying = (struct tidying *)task;

	fw_s3_cancel(tidying->list);
	free(tidying->key);
	free(tidying->ours);
}

static bool abort_others(void *context, const struct fw_s3_item *items, size_t count)
{
	const struct tidying *tidying = context;

	for (size_t i = 0; i < count; i++)
		if (strcmp(items[i].key, tidying->key) == 0 && items[i].upload_id &&
		    !(tidying->ours && strcmp(items[i].upload_id, tidying->ours) == 0))
			fw_s3_abort_upload(tidying->task.s3, items[i].key, items[i].upload_id, NULL, NULL);
	return true;
}

static void tidied(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct tidying *tidying = context;

	tidying->list = NULL;
	fw_s3_task_end(&tidying->task, rc, answer, err);
}

struct fw_s3_task *fw_s3_tidy(struct fw_s3 *s3, const char *key, const char *ours, fw_s3_done_fn *done, void *context)
{
	struct tidying *tidying = fw_alloc(sizeof *tidying);

	fw_s3_task_begin(&tidying->task, s3, "tidy", key, tidying_release, done, context);
	tidying->key = fw_strdup(key);
	tidying->ours = fw_strdup(ours);
	tidying->list = fw_s3_list_uploads(s3, key, abort_others, tidied, tidying);
	tidying->list->inner = true;
	tidying->task.inner = done != NULL;
	return &tidying->task;
}
