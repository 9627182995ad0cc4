/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading an object, whole or a range, into a sink or a file. A sink gets one request, taken up again where it was cut. A
 * file gets parts side by side: the first request is for all that is wanted and tells how much there is; when that is more
 * than a part, it ends after its first part and the others are asked for. All under the ETag that the first one saw.
 * Where all of an object was read and the server tells a CRC of it all, that must agree. It tells one only to who asks
 * without a range: hence `object_bytes` of who knows how large it is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aws/crc.h"
#include "aws/s3_internal.h"
#include "base/memory.h"
#include "http/range.h"

enum { MAX_PARTS = 10000, ROUNDS = 3, PROGRESS_BYTES = 64 * 1024, FREE_CUTS = 16, CUT_BYTES = 16 << 20 };

struct part {
	int64_t start, bytes;  /* in the object; bytes -1: not known yet */
	int64_t received, received_before; /* this attempt */
	int64_t cuts;          /* attempts that were cut and led somewhere */
	uint64_t sum;
	bool began;            /* the head of this attempt's answer is checked */
	struct fw_s3_request *request; /* NULL: not asked for, or done */
};

struct get {
	struct fw_s3_task task;
	char *key, *etag;
	int64_t offset, length; /* as asked */
	int64_t known_bytes;    /* by who asks; 0: not */
	int64_t object_bytes;   /* -1: not known yet */
	char *object_sum;       /* of all of it, or NULL */
	enum fw_crc sum_kind;
	bool past_end;          /* the server says that nothing is there from the offset on */
	fw_s3_sink_fn *sink;
	int fd;
	int64_t fd_offset;
	struct part *parts;
	size_t part_count, next_part, open_parts;
	unsigned round;
};

static const struct fw_s3_request_ops part_ops;

static void stop_parts(struct get *get)
{
	for (size_t i = 0; i < get->part_count; i++)
		if (get->parts[i].request)
			fw_s3_request_cancel(FW_TAKE(get->parts[i].request));
	get->open_parts = 0;
}

static void get_release(struct fw_s3_task *task)
{
	struct get *get = (struct get *)task;

	stop_parts(get);
	free(get->parts);
	free(get->key);
	free(get->etag);
	free(get->object_sum);
}

static void ask_part(struct get *get, size_t i)
{
	struct fw_s3_request *request = fw_s3_request_new(get->task.s3, "GET", get->key, &part_ops, get);

	request->number = i;
	if (get->parts[i].bytes == 0)
		request->method = "HEAD";
	get->parts[i].request = request;
	get->open_parts++;
}

static void ask_parts(struct get *get)
{
	while (get->next_part < get->part_count && get->open_parts < get->task.s3->parallel)
		ask_part(get, get->next_part++);
}

static void prepare_part(struct fw_s3_request *request)
{
	struct get *get = request->owner;
	struct part *part = &get->parts[request->number];
	int64_t from = part->start + part->received;

	part->began = false;
	/* A poor connection, but it leads somewhere: as long as it is not cut all the time. */
	if (part->received - part->received_before >= PROGRESS_BYTES &&
	    part->cuts < FREE_CUTS + part->received / CUT_BYTES) {
		part->cuts++;
		request->attempt = 1;
	}
	part->received_before = part->received;
	fw_s3_request_field(request, "x-amz-checksum-mode", "ENABLED");
	if (part->bytes > 0)
		fw_s3_request_field(request, "range", "bytes=%" PRId64 "-%" PRId64, from, part->start + part->bytes - 1);
	else if (part->bytes < 0 && from > 0)
		fw_s3_request_field(request, "range", "bytes=%" PRId64 "-", from);
	if (get->etag)
		fw_s3_request_field(request, "if-match", "%s", get->etag);
	request->expected_bytes = part->bytes < 0 ? get->known_bytes - from : part->bytes - part->received;
}

/* Only a sum of the whole object: that of an upload in parts may be one of sums ("...-3"). */
static void keep_checksum(struct get *get, const struct fw_s3_request *request)
{
	const char *type = fw_s3_request_answer_field(request, "x-amz-checksum-type");

	if (fw_s3_request_status(request) != 200 || (type && strcmp(type, "FULL_OBJECT") != 0))
		return;
	for (unsigned kind = 0; kind < FW_CRC_KINDS && !get->object_sum; kind++) {
		fw_cleanup_free char *name = fw_printf("x-amz-checksum-%s", fw_crc_name(kind));
		const char *sum = fw_s3_request_answer_field(request, name);

		if (sum && !strchr(sum, '-')) {
			get->object_sum = fw_strdup(sum);
			get->sum_kind = kind;
		}
	}
}

/* Now that the object's size is known: how much is wanted of it, in which parts. */
static void plan_parts(struct get *get)
{
	int64_t end = get->length < 0 || get->length > get->object_bytes - get->offset ? get->object_bytes
	                                                                              : get->offset + get->length;
	int64_t wanted = end - get->offset, part_bytes = get->task.s3->part_bytes;

	if (get->sink || wanted <= part_bytes) {
		get->parts[0].bytes = wanted;
		return;
	}
	if ((wanted - 1) / part_bytes + 1 > MAX_PARTS)
		part_bytes = (wanted - 1) / MAX_PARTS + 1;
	get->part_count = (size_t)((wanted - 1) / part_bytes + 1);
	get->parts = fw_realloc_array(get->parts, get->part_count, sizeof *get->parts);
	get->parts[0].bytes = part_bytes;
	for (size_t i = 1; i < get->part_count; i++) {
		int64_t start = get->offset + (int64_t)i * part_bytes;

		get->parts[i] = (struct part){.start = start, .bytes = end - start < part_bytes ? end - start : part_bytes};
	}
}

/* The head of an answer: is it what was asked for, and, for the first, how large is the object? */
static int check_head(struct get *get, const struct fw_s3_request *request, struct fw_error **err)
{
	const struct part *part = &get->parts[request->number];
	int64_t from = part->start + part->received, first = 0, whole;
	struct fw_str content_range = fw_str_of(fw_s3_request_answer_field(request, "content-range"));
	struct fw_http_range range;
	const char *etag = fw_s3_request_answer_field(request, "etag");
	bool partial = fw_s3_request_status(request) == 206;

	if (partial && (!fw_http_content_range(content_range.text, content_range.length, &range) || range.first < 0))
		return fw_fail(err, FW_E_IO, "the server answers 206 without a Content-Range that can be read");
	if (partial)
		first = range.first;
	whole = partial ? range.whole : fw_s3_request_answer_number(request, "content-length");
	if (whole < 0)
		return fw_fail(err, FW_E_IO, "the server does not say how large the object is");
	if (part->bytes == 0) /* HEAD: nothing comes, from wherever */
		first = from;
	if (first != from || (whole < from && part->bytes != 0))
		return fw_fail(err, FW_E_IO, "the server answers from byte %" PRId64 " on, asked for from %" PRId64, first, from);
	if (get->known_bytes > 0 && whole != get->known_bytes)
		return fw_fail(err, FW_E_IO, "the server says that the object has %" PRId64 " bytes, it has %" PRId64, whole,
		               get->known_bytes);
	if ((get->object_bytes >= 0 && get->object_bytes != whole) || (get->past_end && whole > get->offset) ||
	    (get->etag && etag && strcmp(get->etag, etag) != 0))
		return fw_fail(err, FW_E_CONFLICT, "the object was replaced while it was being read");
	keep_checksum(get, request);
	if (get->object_bytes >= 0)
		return FW_OK;
	get->object_bytes = whole;
	if (!get->etag && etag)
		get->etag = fw_strdup(etag);
	if (part->bytes != 0)
		plan_parts(get);
	ask_parts(get);
	return FW_OK;
}

static int write_all(const struct get *get, const char *bytes, size_t length, int64_t at, struct fw_error **err)
{
	while (length > 0) {
		ssize_t written = pwrite(get->fd, bytes, length, at);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			int rc = fw_fail_errno(err, written < 0 ? errno : ENOSPC, "write what came");

			return rc == FW_E_IO ? FW_E_ENVIRONMENT : rc; /* asking the server again does not help */
		}
		bytes += written;
		length -= (size_t)written;
		at += written;
	}
	return FW_OK;
}

static int take_piece(struct fw_s3_request *request, const char *bytes, size_t length, struct fw_error **err)
{
	struct get *get = request->owner;
	struct part *part = &get->parts[request->number];
	int64_t left;
	int rc = part->began ? FW_OK : check_head(get, request, err);

	if (rc != FW_OK)
		return rc;
	part = &get->parts[request->number]; /* planning moves them */
	part->began = true;
	left = part->bytes - part->received;
	if ((int64_t)length > left)
		length = (size_t)left;
	if (get->sink && length > 0 && !get->sink(get->task.context, bytes, length))
		rc = fw_fail(err, FW_E_CANCELLED, "no more is wanted");
	else if (!get->sink)
		rc = write_all(get, bytes, length, get->fd_offset + part->start - get->offset + part->received, err);
	if (rc != FW_OK)
		return rc;
	if (get->object_sum)
		part->sum = fw_crc_add(get->sum_kind, part->sum, bytes, length);
	part->received += (int64_t)length;
	/* The first request is for all there is, which may be more than its part. */
	return part->received == part->bytes && get->part_count > 1 && fw_s3_request_status(request) == 200 ? FW_S3_ENOUGH
	                                                                                                    : FW_OK;
}

static int verify_part(struct fw_s3_request *request, struct fw_error **err)
{
	struct get *get = request->owner;
	const struct part *part = &get->parts[request->number];
	int rc = part->began ? FW_OK : check_head(get, request, err); /* no byte came: an empty object */

	part = &get->parts[request->number];
	if (rc == FW_OK && part->received != part->bytes)
		rc = fw_fail(err, FW_E_IO, "%" PRId64 " bytes came of %" PRId64, part->received, part->bytes);
	return rc;
}

static uint64_t checksum(const struct get *get)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < get->part_count; i++)
		sum = fw_crc_combine(get->sum_kind, sum, get->parts[i].sum, (uint64_t)get->parts[i].bytes);
	return sum;
}

static bool is_right(const struct get *get)
{
	if (!get->object_sum || get->offset > 0 || (get->length >= 0 && get->length < get->object_bytes))
		return true;
	return fw_crc_is(get->sum_kind, checksum(get), get->object_sum);
}

/* How much the first request asks for; -1 is all there is from the offset on. Only who asks for all of it is told the sum. */
static int64_t first_bytes(const struct get *get)
{
	int64_t part_bytes = get->task.s3->part_bytes, most = INT64_MAX - get->offset;

	if (part_bytes > most)
		part_bytes = most;
	if (get->offset == 0 && (get->length < 0 || (get->known_bytes > 0 && get->length >= get->known_bytes)))
		return -1;
	if (get->sink)
		return get->length;
	return get->length < 0 || get->length > part_bytes ? part_bytes : get->length;
}

/* Nothing is known but the ETag, when it is not the first round. */
static void begin_round(struct get *get)
{
	free(FW_TAKE(get->object_sum));
	get->object_bytes = -1;
	get->part_count = get->next_part = 1;
	get->parts[0] = (struct part){.start = get->offset, .bytes = first_bytes(get)};
	get->round++;
	ask_part(get, 0);
}

static void all_came(struct get *get)
{
	fw_cleanup_error struct fw_error *error = NULL;
	struct fw_s3_answer answer = {.object_bytes = get->object_bytes, .etag = get->etag};
	int rc;

	for (size_t i = 0; i < get->part_count; i++)
		answer.transferred += get->parts[i].received;
	if (is_right(get)) {
		fw_s3_task_end(&get->task, FW_OK, &answer, NULL);
	} else if (!get->sink && get->round < ROUNDS) {
		begin_round(get);
	} else {
		rc = fw_fail(&error, FW_E_IO, "what came has another checksum than the object (%s %s)", fw_crc_name(get->sum_kind),
		             get->object_sum);
		fw_s3_task_end(&get->task, rc, NULL, error);
	}
}

/* -1 when 416 does not say it. */
static int64_t size_past_end(const struct fw_s3_request *request)
{
	struct fw_str text = fw_str_of(fw_s3_request_answer_field(request, "content-range"));
	struct fw_http_range range;

	return fw_http_content_range(text.text, text.length, &range) ? range.whole : -1;
}

static void part_done(struct fw_s3_request *request, int rc, const struct fw_error *err)
{
	struct get *get = request->owner;

	get->parts[request->number].request = NULL;
	get->open_parts--;
	if (rc != FW_OK && fw_s3_request_status(request) == 416 && get->object_bytes < 0 && !get->past_end) {
		/* Nothing is there from the offset on; few servers say how large it is. */
		get->object_bytes = size_past_end(request);
		get->past_end = true;
		get->parts[0].bytes = 0;
		if (get->object_bytes >= 0)
			all_came(get);
		else
			ask_part(get, 0);
	} else if (rc != FW_OK) {
		fw_s3_task_end(&get->task, rc, NULL, err);
	} else {
		ask_parts(get);
		if (get->open_parts == 0)
			all_came(get);
	}
}

static const struct fw_s3_request_ops part_ops = {
	.prepare = prepare_part, .sink = take_piece, .verify = verify_part, .done = part_done};

struct fw_s3_task *fw_s3_get(struct fw_s3 *s3, const struct fw_s3_get *asked, fw_s3_done_fn *done, void *context)
{
	struct get *get = fw_alloc(sizeof *get);

	fw_s3_task_begin(&get->task, s3, "get", asked->key, get_release, done, context);
	get->key = fw_strdup(asked->key);
	get->etag = fw_strdup(asked->etag);
	get->offset = asked->offset;
	/* No object ends behind the largest number. */
	get->length = asked->length > INT64_MAX - asked->offset ? INT64_MAX - asked->offset : asked->length;
	get->known_bytes = asked->object_bytes;
	get->sink = asked->sink;
	get->fd = asked->fd;
	get->fd_offset = asked->fd_offset;
	get->parts = fw_alloc(sizeof *get->parts);
	begin_round(get);
	return &get->task;
}
