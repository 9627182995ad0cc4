/* SPDX-License-Identifier: Apache-2.0
 *
 * What a refusal means: by S3's code where the answer has one, else by the status (HEAD has no body). Other servers have
 * codes of their own; what is unknown goes by its status. A server's words become part of one line, and a short one.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/s3_internal.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/time.h"
#include "http/date.h"

struct meaning {
	const char *code;
	enum fw_s3_verdict verdict;
	int rc;
	const char *hint; /* or NULL */
};

static const struct meaning meanings[] = {
	{"NoSuchKey", FW_S3_FAILED, FW_E_ABSENT, NULL},
	{"NoSuchUpload", FW_S3_FAILED, FW_E_ABSENT, NULL},
	{"NoSuchBucket", FW_S3_FAILED, FW_E_ABSENT, "make the bucket, or correct its name; flexwatt makes none"},
	{"AccessDenied", FW_S3_FAILED, FW_E_PERMISSION,
	 "these credentials may not do this: they need s3:ListBucket, s3:GetObject, s3:PutObject, s3:DeleteObject, "
	 "s3:AbortMultipartUpload and s3:ListBucketMultipartUploads"},
	{"AllAccessDisabled", FW_S3_FAILED, FW_E_PERMISSION, NULL},
	{"InvalidAccessKeyId", FW_S3_FAILED, FW_E_PERMISSION, "the server does not know this access key"},
	{"XAdminUserNotFound", FW_S3_FAILED, FW_E_PERMISSION, "the server does not know this access key"},
	{"SignatureDoesNotMatch", FW_S3_FAILED, FW_E_PERMISSION, "the secret key is not the one of this access key"},
	{"InvalidToken", FW_S3_AGAIN_WITH_NEW_KEYS, FW_E_PERMISSION, "the session token is not valid: fetch new credentials"},
	{"InvalidTokenId", FW_S3_AGAIN_WITH_NEW_KEYS, FW_E_PERMISSION,
	 "the server does not know this session token or this access key: fetch new credentials"},
	{"ExpiredToken", FW_S3_AGAIN_WITH_NEW_KEYS, FW_E_PERMISSION, "the session has ended: fetch new credentials"},
	{"TokenRefreshRequired", FW_S3_AGAIN_WITH_NEW_KEYS, FW_E_PERMISSION, "the session has ended: fetch new credentials"},
	{"RequestTimeTooSkewed", FW_S3_AGAIN_WITH_CLOCK, FW_E_PERMISSION, "this machine's clock and the server's differ"},
	{"RequestExpired", FW_S3_AGAIN_WITH_CLOCK, FW_E_PERMISSION, "this machine's clock and the server's differ"},
	{"PreconditionFailed", FW_S3_FAILED, FW_E_CONFLICT, NULL},
	{"AuthorizationHeaderMalformed", FW_S3_FAILED, FW_E_INVALID, NULL}, /* the hint names the region */
	{"PermanentRedirect", FW_S3_FAILED, FW_E_INVALID, NULL},
	{"TemporaryRedirect", FW_S3_AGAIN, FW_E_IO,
	 "the bucket is new, or is being moved: its address is not known everywhere yet; try again in some minutes"},
	{"NotImplemented", FW_S3_FAILED, FW_E_UNAVAILABLE, NULL},
	{"InvalidBucketName", FW_S3_FAILED, FW_E_INVALID, NULL},
	{"EntityTooLarge", FW_S3_FAILED, FW_E_LIMIT, NULL},
	{"BadDigest", FW_S3_AGAIN, FW_E_IO, NULL},
	{"InvalidDigest", FW_S3_AGAIN, FW_E_IO, NULL},
	{"XAmzContentSHA256Mismatch", FW_S3_AGAIN, FW_E_IO, NULL},
	{"XAmzContentChecksumMismatch", FW_S3_AGAIN, FW_E_IO, NULL},
	{"IncompleteBody", FW_S3_AGAIN, FW_E_IO, NULL},
	{"RequestTimeout", FW_S3_AGAIN, FW_E_TIMEOUT, NULL},
	{"OperationAborted", FW_S3_AGAIN, FW_E_IO, NULL},
	{"ConditionalRequestConflict", FW_S3_AGAIN, FW_E_CONFLICT, NULL},
	{"SlowDown", FW_S3_AGAIN, FW_E_IO, NULL},
	{"InternalError", FW_S3_AGAIN, FW_E_IO, NULL},
	{"ServiceUnavailable", FW_S3_AGAIN, FW_E_IO, NULL},
};

static struct meaning by_status(int status)
{
	struct meaning meaning = {NULL, FW_S3_FAILED, FW_E_IO, NULL};

	if (status == 404)
		meaning.rc = FW_E_ABSENT;
	else if (status == 501)
		meaning.rc = FW_E_UNAVAILABLE;
	else if (status == 401 || status == 403)
		meaning.rc = FW_E_PERMISSION;
	else if (status == 412)
		meaning.rc = FW_E_CONFLICT;
	else if (status / 100 == 3)
		meaning.rc = FW_E_INVALID;
	else if (status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504 ||
	         status / 100 == 2) /* an error behind 200 came after the server had begun */
		meaning.verdict = FW_S3_AGAIN;
	if (status == 403)
		meaning.hint = "the credentials are wrong, or may not do this";
	return meaning;
}

static struct meaning look_up(const char *code, int status)
{
	for (size_t i = 0; code && i < FW_COUNT_OF(meanings); i++)
		if (strcmp(meanings[i].code, code) == 0)
			return meanings[i];
	return by_status(status);
}

/* A refusal whose clock is not ours may be for that. */
static bool clock_differs(const struct fw_s3_request *request)
{
	static const int64_t allowed_s = 240;
	struct fw_str text = fw_str_of(fw_s3_request_answer_field(request, "date"));
	int64_t seconds, ours_s = ((int64_t)fw_wall_ms() + request->s3->clock_offset_ms) / 1000;

	return fw_http_date(text.text, text.length, &seconds) && llabs(seconds - ours_s) > allowed_s;
}

enum { WORDS_BYTES = 300 };

/* Without what a terminal or a reader of lines would take for something else; cut between two characters. */
static char *plain(const char *words)
{
	fw_cleanup_buffer struct fw_buffer text;
	size_t length = strlen(words), at = 0;

	fw_buffer_init(&text, WORDS_BYTES + 8);
	while (at < length && text.length < WORDS_BYTES) {
		uint32_t character;
		size_t bytes = fw_utf8_next(words + at, length - at, &character);

		if (bytes == 0)
			break;
		if (character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x2028 || character == 0x2029)
			fw_buffer_text(&text, " ");
		else
			fw_buffer_append(&text, words + at, bytes);
		at += bytes;
	}
	if (at < length)
		fw_buffer_text(&text, "...");
	return fw_buffer_take(&text);
}

/* HEAD has no body to say what is wrong; what it may be can be told from the clock and the keys. */
static struct meaning guess(const struct fw_s3_request *request, int status)
{
	struct fw_aws_keys keys;
	bool session = fw_aws_credentials_keys(request->s3->credentials, &keys) && keys.session_token;
	struct meaning meaning = by_status(status);

	if ((status == 403 || status == 400) && clock_differs(request))
		return look_up("RequestTimeTooSkewed", status);
	if (status == 400 && session)
		return look_up("ExpiredToken", status);
	if (status == 403 && session)
		meaning.verdict = FW_S3_AGAIN_WITH_NEW_KEYS;
	return meaning;
}

enum fw_s3_verdict fw_s3_judge(struct fw_s3_request *request, int status, struct fw_error **err)
{
	fw_cleanup_s3_xml struct fw_s3_xml document = {0};
	const char *region = fw_s3_request_answer_field(request, "x-amz-bucket-region");
	struct meaning meaning;

	if (request->answer.length > 0)
		fw_s3_xml_read(request->answer.data, request->answer.length, &document, NULL);
	meaning = document.code ? look_up(document.code, status) : guess(request, status);
	if (document.code) {
		fw_cleanup_free char *code = plain(document.code), *message = plain(document.message ? document.message : "");

		fw_fail(err, meaning.rc, "the server answers %d %s%s%s", status, code, *message ? ": " : "", message);
	} else {
		fw_fail(err, meaning.rc, "the server answers %d", status);
	}
	region = document.region ? document.region : region;
	if (meaning.rc == FW_E_INVALID && region && strcmp(region, request->s3->region) != 0)
		fw_error_hint(err, meaning.rc, "the bucket is in region %s: say so (?region=%s, or AWS_REGION)", region, region);
	else if (meaning.hint)
		fw_error_hint(err, meaning.rc, "%s", meaning.hint);
	return meaning.verdict;
}
