/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing an object: one request, or, above the size of a part, a multipart upload: begin, parts side by side, complete.
 * Each part, and the whole, goes with its CRC-32C, which the server checks. An upload that does not come to its end is
 * aborted before that is told, and also when its caller has left. An answer may be lost although all was done: then an
 * upload is open that nobody knows of (s3_tidy.c), or the next attempt hears that there is no such upload, or that the object
 * exists already. It is looked up: where it has our size and checksum, it was us.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/crc.h"
#include "aws/s3_internal.h"
#include "base/memory.h"

enum { MAX_PARTS = 10000, MAX_COMPLETE_BYTES = 4 << 20 };
#define LEAST_PART_BYTES ((int64_t)5 << 20) /* S3's own rule, but for the last */

struct part {
	char *etag;
	uint64_t crc32c;
	struct fw_s3_request *request; /* NULL: not begun, or done */
};

struct put {
	struct fw_s3_task task;
	char *key;
	struct fw_s3_body body;
	bool if_absent;
	struct fw_s3_request *request; /* the single one, or that which begins, completes or looks */
	struct fw_s3_task *tidying;    /* before the parts are sent */
	char *upload_id;               /* NULL: none is open */
	int64_t part_bytes;
	struct part *parts;
	size_t part_count, next_part, open_parts;
	struct fw_buffer complete;
	char *etag;
	uint64_t crc32c; /* of the whole */
	struct fw_error *failure; /* told when the upload is aborted */
};

static void abort_upload(struct fw_s3 *s3, const char *key, const char *upload_id)
{
	if (!s3->stopped)
		fw_s3_abort_upload(s3, key, upload_id, NULL, NULL);
}

/* The answer to a beginning whose caller has left. */
static void orphan_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	fw_cleanup_s3_xml struct fw_s3_xml document = {0};

	(void)err;
	if (request->s3->stopped)
		return;
	if (request->answer_lost)
		fw_s3_tidy(request->s3, request->key, NULL, NULL, NULL);
	else if (rc == FW_OK && fw_s3_xml_read(request->answer.data, request->answer.length, &document, NULL) == FW_OK &&
	         document.upload_id)
		abort_upload(request->s3, request->key, document.upload_id);
}

static const struct fw_s3_request_ops orphan_ops = {.done = orphan_done};
static const struct fw_s3_request_ops begin_ops;

static void stop_parts(struct put *put)
{
	for (size_t i = 0; i < put->part_count; i++)
		if (put->parts[i].request)
			fw_s3_request_cancel(FW_TAKE(put->parts[i].request));
	put->open_parts = 0;
}

static void put_release(struct fw_s3_task *task)
{
	struct put *put = (struct put *)task;

	if (put->request && put->request->ops == &begin_ops && put->request->is_active && !task->s3->stopped) {
		put->request->ops = &orphan_ops;
	} else if (put->request) {
		if (put->request->ops == &begin_ops && put->request->answer_lost && !task->s3->stopped)
			fw_s3_tidy(task->s3, put->key, NULL, NULL, NULL);
		fw_s3_request_cancel(put->request);
	}
	fw_s3_cancel(put->tidying);
	stop_parts(put);
	for (size_t i = 0; i < put->part_count; i++)
		free(put->parts[i].etag);
	fw_error_free(put->failure);
	if (put->upload_id)
		abort_upload(task->s3, put->key, put->upload_id);
	free(put->parts);
	free(put->upload_id);
	free(put->key);
	free(put->etag);
	fw_buffer_done(&put->complete);
}

static void aborted(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct put *put = request->owner;

	(void)rc; /* what is left is found by who lists the uploads that are open */
	(void)err;
	put->request = NULL;
	fw_s3_task_end(&put->task, fw_error_code(put->failure), NULL, put->failure);
}

static const struct fw_s3_request_ops abort_ops = {.done = aborted};

static void end_badly(struct put *put, int rc, const struct fw_error *err)
{
	if (!put->upload_id) {
		fw_s3_task_end(&put->task, rc, NULL, err);
		return;
	}
	stop_parts(put);
	if (!put->failure) {
		fw_fail(&put->failure, rc, "%s", fw_error_message(err));
		if (fw_error_hint_text(err))
			fw_error_hint(&put->failure, rc, "%s", fw_error_hint_text(err));
	}
	put->request = fw_s3_request_new(put->task.s3, "DELETE", put->key, &abort_ops, put);
	fw_s3_request_query(put->request, "uploadId", put->upload_id);
	free(FW_TAKE(put->upload_id));
}

static void end_well(struct put *put)
{
	struct fw_s3_answer answer = {.object_bytes = put->body.bytes, .etag = put->etag};

	fw_s3_task_end(&put->task, FW_OK, &answer, NULL);
}

static void keep_etag(char **target, const struct fw_s3_request *request)
{
	free(*target);
	*target = fw_strdup(fw_s3_request_answer_field(request, "etag"));
}

/* A server that knows the checksum answers with what it has. */
static int verify_sum(struct fw_s3_request *request, struct fw_error **err)
{
	const char *theirs = fw_s3_request_answer_field(request, "x-amz-checksum-crc32c");

	if (theirs && !fw_crc_is(FW_CRC32C, request->crc32c, theirs)) {
		char ours[FW_CRC_TEXT];

		fw_crc_text(FW_CRC32C, request->crc32c, ours);
		return fw_fail(err, FW_E_IO, "the server stored another checksum (%s) than was sent (%s)", theirs, ours);
	}
	return FW_OK;
}

/* Of the whole, from those of the parts. */
static uint64_t whole_sum(const struct put *put)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < put->part_count; i++) {
		int64_t start = (int64_t)i * put->part_bytes, left = put->body.bytes - start;
		int64_t bytes = left < put->part_bytes ? left : put->part_bytes;

		sum = fw_crc_combine(FW_CRC32C, sum, put->parts[i].crc32c, (uint64_t)bytes);
	}
	return sum;
}

/* Is it ours, all of it? The checksum says. */
static void look_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct put *put = request->owner;
	const char *theirs = fw_s3_request_answer_field(request, "x-amz-checksum-crc32c");

	put->request = NULL;
	if (rc == FW_OK && fw_s3_request_answer_number(request, "content-length") == put->body.bytes && theirs &&
	    fw_crc_is(FW_CRC32C, put->crc32c, theirs)) {
		keep_etag(&put->etag, request);
		free(FW_TAKE(put->upload_id));
		end_well(put);
	} else if (rc == FW_OK || rc == FW_E_ABSENT) {
		end_badly(put, fw_error_code(put->failure), put->failure);
	} else {
		end_badly(put, rc, err);
	}
}

static const struct fw_s3_request_ops look_ops = {.done = look_done};

/* The answer to an earlier attempt was lost: was it done? If not, it failed by `err`. */
static void look(struct put *put, const struct fw_error *err)
{
	fw_fail(&put->failure, fw_error_code(err), "%s", fw_error_message(err));
	put->request = fw_s3_request_new(put->task.s3, "HEAD", put->key, &look_ops, put);
	fw_s3_request_field(put->request, "x-amz-checksum-mode", "ENABLED");
}

static void single_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct put *put = request->owner;

	put->request = NULL;
	put->crc32c = request->crc32c;
	/* An empty object says nothing of whose it is. */
	if (rc == FW_E_CONFLICT && request->answer_lost && put->body.bytes > 0) {
		look(put, err);
	} else if (rc != FW_OK) {
		end_badly(put, rc, err);
	} else {
		keep_etag(&put->etag, request);
		end_well(put);
	}
}

static const struct fw_s3_request_ops single_ops = {.verify = verify_sum, .done = single_done};

static void complete_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct put *put = request->owner;
	fw_cleanup_s3_xml struct fw_s3_xml document = {0};

	put->request = NULL;
	if ((rc == FW_E_ABSENT || rc == FW_E_CONFLICT) && request->answer_lost) {
		look(put, err);
	} else if (rc != FW_OK) {
		end_badly(put, rc, err);
	} else {
		free(FW_TAKE(put->upload_id));
		if (fw_s3_xml_read(request->answer.data, request->answer.length, &document, NULL) == FW_OK)
			put->etag = FW_TAKE(document.etag);
		end_well(put);
	}
}

static const struct fw_s3_request_ops complete_ops = {.done = complete_done};

static void complete(struct put *put)
{
	char sum[FW_CRC_TEXT];
	struct fw_s3_request *request = fw_s3_request_new(put->task.s3, "POST", put->key, &complete_ops, put);

	fw_buffer_text(&put->complete, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < put->part_count; i++) {
		fw_crc_text(FW_CRC32C, put->parts[i].crc32c, sum);
		/* An ETag is a quoted word of the server's; '<' and '&' were refused when it came. */
		fw_buffer_printf(&put->complete,
		                 "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag><ChecksumCRC32C>%s</ChecksumCRC32C></Part>",
		                 i + 1, put->parts[i].etag, sum);
	}
	fw_buffer_text(&put->complete, "</CompleteMultipartUpload>");
	fw_s3_request_query(request, "uploadId", put->upload_id);
	fw_s3_request_field(request, "content-type", "application/xml");
	put->crc32c = whole_sum(put);
	fw_crc_text(FW_CRC32C, put->crc32c, sum);
	fw_s3_request_field(request, "x-amz-checksum-crc32c", "%s", sum);
	fw_s3_request_field(request, "x-amz-checksum-type", "FULL_OBJECT");
	if (put->if_absent)
		fw_s3_request_field(request, "if-none-match", "*");
	request->body = (struct fw_s3_body){.bytes = (int64_t)put->complete.length, .data = put->complete.data, .fd = -1};
	request->may_hide_error = true;
	put->request = request;
}

static int verify_part(struct fw_s3_request *request, struct fw_error **err)
{
	const char *etag = fw_s3_request_answer_field(request, "etag");

	if (!etag || strpbrk(etag, "<>&") || strlen(etag) > 128)
		return fw_fail(err, FW_E_IO, "the server gives a part no ETag");
	return verify_sum(request, err);
}

static const struct fw_s3_request_ops upload_ops;

static void send_parts(struct put *put)
{
	while (put->next_part < put->part_count && put->open_parts < put->task.s3->parallel) {
		size_t i = put->next_part++;
		struct fw_s3_request *request = fw_s3_request_new(put->task.s3, "PUT", put->key, &upload_ops, put);
		int64_t start = (int64_t)i * put->part_bytes, left = put->body.bytes - start;
		fw_cleanup_free char *number = fw_printf("%zu", i + 1);

		fw_s3_request_query(request, "partNumber", number);
		fw_s3_request_query(request, "uploadId", put->upload_id);
		request->number = i;
		request->with_checksum = true;
		request->body = (struct fw_s3_body){
			.bytes = left < put->part_bytes ? left : put->part_bytes,
			.data = put->body.data ? put->body.data + start : NULL,
			.fd = put->body.fd,
			.fd_offset = put->body.fd_offset + start,
		};
		put->parts[i].request = request;
		put->open_parts++;
	}
}

static void upload_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct put *put = request->owner;
	struct part *part = &put->parts[request->number];

	part->request = NULL;
	put->open_parts--;
	if (rc != FW_OK) {
		end_badly(put, rc, err);
		return;
	}
	keep_etag(&part->etag, request);
	part->crc32c = request->crc32c;
	send_parts(put);
	if (put->open_parts == 0)
		complete(put);
}

static const struct fw_s3_request_ops upload_ops = {.verify = verify_part, .done = upload_done};

static int verify_begun(struct fw_s3_request *request, struct fw_error **err)
{
	fw_cleanup_s3_xml struct fw_s3_xml document = {0};
	int rc = fw_s3_xml_read(request->answer.data, request->answer.length, &document, err);

	return rc == FW_OK && !document.upload_id ? fw_fail(err, FW_E_IO, "the server gives the upload no id") : rc;
}

static void tidy_now(void *context, int rc, const struct fw_s3_answer *answer, const struct fw_error *err)
{
	struct put *put = context;

	(void)rc; /* what is left is found by who lists the uploads that are open */
	(void)answer;
	(void)err;
	put->tidying = NULL;
	send_parts(put);
}

static void begun(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct put *put = request->owner;
	fw_cleanup_s3_xml struct fw_s3_xml document = {0};

	put->request = NULL;
	if (rc != FW_OK) {
		if (request->answer_lost)
			fw_s3_tidy(put->task.s3, put->key, NULL, NULL, NULL);
		fw_s3_task_end(&put->task, rc, NULL, err);
		return;
	}
	if (fw_s3_xml_read(request->answer.data, request->answer.length, &document, NULL) == FW_OK)
		put->upload_id = FW_TAKE(document.upload_id);
	if (request->answer_lost)
		put->tidying = fw_s3_tidy(put->task.s3, put->key, put->upload_id, tidy_now, put);
	else
		send_parts(put);
}

static const struct fw_s3_request_ops begin_ops = {.verify = verify_begun, .done = begun};

static void begin_upload(struct put *put)
{
	int64_t bytes = put->task.s3->part_bytes;

	if (bytes < LEAST_PART_BYTES)
		bytes = LEAST_PART_BYTES;
	if ((put->body.bytes - 1) / bytes + 1 > MAX_PARTS)
		bytes = (put->body.bytes - 1) / MAX_PARTS + 1;
	put->part_bytes = bytes;
	put->part_count = (size_t)((put->body.bytes - 1) / bytes + 1);
	put->parts = fw_alloc_array(put->part_count, sizeof *put->parts);
	put->request = fw_s3_request_new(put->task.s3, "POST", put->key, &begin_ops, put);
	put->request->body.bytes = 0;
	fw_s3_request_query(put->request, "uploads", NULL);
	fw_s3_request_field(put->request, "x-amz-checksum-algorithm", "CRC32C");
	fw_s3_request_field(put->request, "x-amz-checksum-type", "FULL_OBJECT");
}

struct fw_s3_task *fw_s3_put(struct fw_s3 *s3, const struct fw_s3_put *asked, fw_s3_done_fn *done, void *context)
{
	struct put *put = fw_alloc(sizeof *put);

	fw_s3_task_begin(&put->task, s3, "put", asked->key, put_release, done, context);
	put->key = fw_strdup(asked->key);
	put->body = (struct fw_s3_body){asked->length, asked->data, asked->fd, asked->fd_offset};
	put->if_absent = asked->if_absent;
	fw_buffer_init(&put->complete, MAX_COMPLETE_BYTES);
	if (asked->length > s3->part_bytes && asked->length > LEAST_PART_BYTES) {
		begin_upload(put);
		return &put->task;
	}
	put->request = fw_s3_request_new(s3, "PUT", asked->key, &single_ops, put);
	put->request->body = put->body;
	put->request->with_checksum = true;
	if (asked->if_absent)
		fw_s3_request_field(put->request, "if-none-match", "*");
	return &put->task;
}
