/* SPDX-License-Identifier: Apache-2.0
 *
 * AWS Signature Version 4 of one request, as its Authorization field. The path and the query are canonicalised from what
 * goes over the wire, so that signature and request cannot differ. Checked against the published vectors
 * (tests/unit/test_aws_signature.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/error.h"

#define FW_AWS_UNSIGNED_PAYLOAD "UNSIGNED-PAYLOAD"

enum { FW_AWS_TIME = 17, FW_AWS_MAX_SIGNED_BYTES = 64 * 1024 };

struct fw_aws_field {
	const char *name, *value;
};

struct fw_aws_signing {
	const char *method;
	const char *path;           /* as in the URL: percent-encoded, begins with '/', without the query */
	const char *query;          /* as in the URL, without '?'; NULL or "" when there is none */
	const struct fw_aws_field *fields; /* all that is signed: host, x-amz-date, ...; any case, any order */
	size_t field_count;
	const char *payload_sha256; /* hexadecimal, or FW_AWS_UNSIGNED_PAYLOAD */
	const char *region, *service;
	const char *time;           /* "20150830T123600Z", the same as in x-amz-date */
	const char *access_key, *secret_key;
	bool plain_path;            /* S3: the path is signed as it is sent. Others: dot segments and doubled slashes are
	                             * removed and what is left is percent-encoded once more */
};

/* The value of Authorization; newly allocated. FW_E_LIMIT when the request is larger than FW_AWS_MAX_SIGNED_BYTES. */
int fw_aws_sign(const struct fw_aws_signing *signing, char **authorization, struct fw_error **err);
/* The two steps before it, for tests. */
int fw_aws_canonical_request(const struct fw_aws_signing *signing, struct fw_buffer *out, struct fw_buffer *signed_names);

void fw_aws_time(uint64_t wall_ms, char out[FW_AWS_TIME]);
/* Percent-encodes all but unreserved characters (RFC 3986) and, with keep_slash, '/'. */
int fw_aws_encode(struct fw_buffer *out, const char *text, size_t length, bool keep_slash);
