/* SPDX-License-Identifier: Apache-2.0
 *
 * Verbs of one request without bodies that matter: look at a bucket or an object, delete, abort an upload.
 */
#include <string.h>

#include "aws/s3_internal.h"
#include "base/memory.h"

struct simple {
	struct fw_s3_task task;
	struct fw_s3_request *request;
	bool may_be_absent;
};

static void simple_release(struct fw_s3_task *task)
{
	struct simple *simple = (struct simple *)task;

	if (simple->request)
		fw_s3_request_cancel(simple->request);
}

static void simple_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct simple *simple = request->owner;
	struct fw_s3_answer answer = {.object_bytes = -1};

	simple->request = NULL;
	if (rc == FW_OK && strcmp(request->method, "HEAD") == 0 && request->key) {
		answer.object_bytes = fw_s3_request_answer_number(request, "content-length");
		answer.etag = fw_s3_request_answer_field(request, "etag");
	}
	if (rc == FW_E_ABSENT && simple->may_be_absent)
		rc = FW_OK;
	fw_s3_task_end(&simple->task, rc, &answer, err);
}

static int verify_head(struct fw_s3_request *request, struct fw_error **err)
{
	if (request->key && strcmp(request->method, "HEAD") == 0 && fw_s3_request_answer_number(request, "content-length") < 0)
		return fw_fail(err, FW_E_IO, "the server does not say how large the object is");
	return FW_OK;
}

static const struct fw_s3_request_ops simple_ops = {.verify = verify_head, .done = simple_done};

static struct simple *begin(struct fw_s3 *s3, const char *verb, const char *method, const char *key,
                            fw_s3_done_fn *done, void *context)
{
	struct simple *simple = fw_alloc(sizeof *simple);

	fw_s3_task_begin(&simple->task, s3, verb, key, simple_release, done, context);
	simple->request = fw_s3_request_new(s3, method, key, &simple_ops, simple);
	return simple;
}

struct fw_s3_task *fw_s3_head_bucket(struct fw_s3 *s3, fw_s3_done_fn *done, void *context)
{
	return &begin(s3, "look at", "HEAD", NULL, done, context)->task;
}

struct fw_s3_task *fw_s3_head(struct fw_s3 *s3, const char *key, fw_s3_done_fn *done, void *context)
{
	return &begin(s3, "look at", "HEAD", key, done, context)->task;
}

struct fw_s3_task *fw_s3_delete(struct fw_s3 *s3, const char *key, fw_s3_done_fn *done, void *context)
{
	struct simple *simple = begin(s3, "delete", "DELETE", key, done, context);

	simple->may_be_absent = true;
	return &simple->task;
}

struct fw_s3_task *fw_s3_abort_upload(struct fw_s3 *s3, const char *key, const char *upload_id, fw_s3_done_fn *done,
                                      void *context)
{
	struct simple *simple = begin(s3, "abort the upload of", "DELETE", key, done, context);

	simple->may_be_absent = true;
	fw_s3_request_query(simple->request, "uploadId", upload_id);
	return &simple->task;
}
