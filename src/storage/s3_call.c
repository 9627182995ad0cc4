/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to a bucket (s3_internal.h): keeping account of those under way, and waiting for one. Who waits has a loop of his
 * own: that of a run does not turn yet, or there is none.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/s3_internal.h"

enum { ATTEMPTS = 3, CONTROL_MS = 30000 }; /* somebody waits at the prompt */

int fw_s3_wait_begin(const struct fw_s3_storage *storage, struct fw_s3_wait *wait, struct fw_error **err)
{
	struct fw_s3_options options = fw_s3_uri_options(&storage->uri);

	options.attempts = ATTEMPTS;
	options.control_ms = CONTROL_MS;
	int rc = fw_loop_new(&wait->loop, err);

	return rc == FW_OK ? fw_s3_open(wait->loop, NULL, &options, &wait->s3, err) : rc;
}

void fw_s3_wait_end(struct fw_s3_wait *wait)
{
	fw_s3_close(wait->s3);
	fw_loop_free(wait->loop);
	fw_error_free(wait->error);
}

void fw_s3_wait_ended(void *context, int rc, const struct fw_error *err)
{
	struct fw_s3_wait *wait = context;

	wait->rc = rc;
	wait->error = fw_error_copy(err);
	fw_loop_stop(wait->loop);
}

void fw_s3_wait_done(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	(void)answer;
	fw_s3_wait_ended(context, rc, err);
}

int fw_s3_wait(struct fw_s3_wait *wait, struct fw_error **err)
{
	fw_error_free(FW_TAKE(wait->error));
	wait->rc = FW_E_INTERNAL;
	int rc = fw_loop_run(wait->loop, err);

	if (rc != FW_OK || wait->rc == FW_OK)
		return rc;
	if (err)
		*err = FW_TAKE(wait->error);
	return wait->rc;
}

int fw_s3_cancelled(struct fw_error **err)
{
	return fw_fail(err, FW_E_CANCELLED, "it was given up: the run ends");
}

char *fw_s3_key(const struct fw_s3_storage *storage, const char *key)
{
	return fw_printf("%s%s", storage->prefix, key);
}

void fw_s3_job_add(struct fw_s3_jobs *jobs, struct fw_s3_job *job, void (*cancel)(struct fw_s3_job *job))
{
	*job = (struct fw_s3_job){jobs->first, &jobs->first, cancel};
	if (job->next)
		job->next->link = &job->next;
	jobs->first = job;
}

void fw_s3_job_remove(struct fw_s3_job *job)
{
	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
}
