/* SPDX-License-Identifier: Apache-2.0
 *
 * One attempt of a request on its way: its path and fields, signed with the keys of now and the server's clock, its body from
 * memory or a file, and where the answer's body goes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aws/crc.h"
#include "aws/s3_internal.h"
#include "aws/settings.h"
#include "aws/signature.h"
#include "base/memory.h"
#include "base/time.h"

enum { CONNECT_MS = 10000, DATA_MS = 60000, MAX_PATH_BYTES = 8 * 1024, SENT_FIELDS = 5 };

static ssize_t give_body(void *context, char *bytes, size_t room)
{
	struct fw_s3_request *request = context;
	const struct fw_s3_body *body = &request->body;
	int64_t left = body->bytes - request->sent;
	size_t wanted = left < (int64_t)room ? (size_t)left : room;
	ssize_t given = (ssize_t)wanted;

	if (body->data)
		memcpy(bytes, body->data + request->sent, wanted);
	else
		given = pread(body->fd, bytes, wanted, body->fd_offset + request->sent);
	if (given < 0 || (given == 0 && wanted > 0)) {
		request->source_failed = true; /* cut short, or unreadable: no use to try again */
		return -1;
	}
	request->sent += given;
	request->s3->counts.bytes_up += (uint64_t)given;
	return given;
}

static bool take_body(void *context, struct fw_http_call *call, const char *bytes, size_t length)
{
	struct fw_s3_request *request = context;
	int status = fw_http_call_status(call);

	request->s3->counts.bytes_down += length;
	if (status / 100 == 2 && request->ops->sink) {
		request->sink_rc = request->ops->sink(request, bytes, length, &request->sink_error);
		return request->sink_rc == FW_OK;
	}
	size_t room = (status / 100 == 2 ? FW_S3_MAX_XML_BYTES : FW_S3_MAX_REFUSAL_BYTES) - request->answer.length;

	request->answer_too_long = length > room;
	fw_buffer_append(&request->answer, bytes, length < room ? length : room);
	return !request->answer_too_long;
}

static char *path_of(const struct fw_s3_request *request)
{
	fw_cleanup_buffer struct fw_buffer path;

	fw_buffer_init(&path, MAX_PATH_BYTES); /* a key three times as long, and more; a longer one is refused */
	fw_buffer_text(&path, request->s3->path);
	fw_buffer_text(&path, request->key || !*request->s3->path ? "/" : "");
	if (request->key)
		fw_aws_encode(&path, request->key, strlen(request->key), true);
	return fw_buffer_take(&path);
}

static uint64_t deadline_ms(const struct fw_s3_request *request)
{
	int64_t bytes = request->with_checksum ? request->body.bytes : request->expected_bytes;
	uint64_t control_ms = request->s3->control_ms;

	if (bytes <= 0)
		return control_ms;
	return (control_ms < DATA_MS ? control_ms : DATA_MS) + (uint64_t)bytes / FW_S3_LEAST_BYTES_S * 1000;
}

static void call(struct fw_s3_request *request, const char *path, const struct fw_aws_field *fields, size_t count,
                 const char *authorization, fw_http_done_fn *answered)
{
	struct fw_s3 *s3 = request->s3;
	char *lines[FW_S3_MAX_FIELDS + SENT_FIELDS + 1];
	size_t line_count = 0;
	fw_cleanup_free char *url =
		fw_printf("%s%s%s%s", s3->base, path, request->query ? "?" : "", request->query ? request->query : "");

	for (size_t i = 0; i < count; i++)
		lines[line_count++] = fw_printf("%s: %s", fields[i].name, fields[i].value);
	lines[line_count++] = fw_printf("authorization: %s", authorization);
	s3->counts.requests++;
	request->call = fw_http_call(s3->http,
	                             &(struct fw_http_question){
									 .method = request->method,
									 .url = url,
									 .fields = (const char *const *)lines,
									 .field_count = line_count,
									 .body_bytes = request->body.bytes,
									 .source = give_body,
									 .sink = take_body,
									 .connect_ms = CONNECT_MS,
									 .idle_ms = s3->idle_ms,
									 .total_ms = deadline_ms(request),
								 },
	                             answered, request);
	for (size_t i = 0; i < line_count; i++)
		fw_aws_free_secret(lines[i]); /* a session token is among them */
}

/* What every request says of itself, the verb's own fields behind it. */
static size_t collect_fields(const struct fw_s3_request *request, const struct fw_aws_keys *keys, const char *time,
                             const char *checksum, struct fw_aws_field fields[])
{
	size_t count = 0;

	fields[count++] = (struct fw_aws_field){"host", request->s3->host};
	fields[count++] = (struct fw_aws_field){"x-amz-date", time};
	fields[count++] = (struct fw_aws_field){"x-amz-content-sha256", request->payload_sha256};
	if (keys->session_token)
		fields[count++] = (struct fw_aws_field){"x-amz-security-token", keys->session_token};
	if (request->with_checksum)
		fields[count++] = (struct fw_aws_field){"x-amz-checksum-crc32c", checksum};
	for (size_t i = 0; i < request->field_count; i++)
		fields[count++] = (struct fw_aws_field){request->fields[i].name, request->fields[i].value};
	return count;
}

int fw_s3_send(struct fw_s3_request *request, fw_http_done_fn *answered, struct fw_error **err)
{
	struct fw_s3 *s3 = request->s3;
	struct fw_aws_field fields[FW_S3_MAX_FIELDS + SENT_FIELDS];
	size_t count;
	char time[FW_AWS_TIME], checksum[FW_CRC_TEXT];
	fw_cleanup_free char *path = path_of(request), *authorization = NULL;
	struct fw_aws_keys keys;
	int rc;

	if (request->key && (!*request->key || strlen(request->key) > FW_S3_MAX_KEY_BYTES))
		return fw_fail(err, FW_E_INVALID, "a key has 1 to %d bytes", FW_S3_MAX_KEY_BYTES);
	if (request->query_too_long)
		return fw_fail(err, FW_E_INVALID, "a prefix or a name in the question is too long");
	if (!fw_aws_credentials_keys(s3->credentials, &keys))
		return fw_fail(err, FW_E_PERMISSION, "the credentials have expired");
	request->keys = keys.generation;
	fw_aws_time((uint64_t)((int64_t)fw_wall_ms() + s3->clock_offset_ms), time);
	fw_crc_text(FW_CRC32C, request->crc32c, checksum);
	count = collect_fields(request, &keys, time, checksum, fields);
	rc = fw_aws_sign(
		&(struct fw_aws_signing){
			.method = request->method,
			.path = path,
			.query = request->query,
			.fields = fields,
			.field_count = count,
			.payload_sha256 = request->payload_sha256,
			.region = s3->region,
			.service = "s3",
			.time = time,
			.access_key = keys.access_key,
			.secret_key = keys.secret_key,
			.plain_path = true,
		},
		&authorization, err);
	if (rc == FW_OK)
		call(request, path, fields, count, authorization, answered);
	return rc;
}
