/* SPDX-License-Identifier: Apache-2.0
 *
 * The URI of a bucket as storage: s3://bucket/prefix?endpoint=URL&region=R&profile=P&style=path|virtual. Credentials are
 * never part of it: they come from the environment or a profile.
 */
#pragma once

#include "aws/s3.h"
#include "base/error.h"

enum fw_s3_part { FW_S3_URI_BUCKET, FW_S3_URI_PREFIX, FW_S3_URI_ENDPOINT, FW_S3_URI_REGION, FW_S3_URI_PROFILE,
	FW_S3_URI_STYLE, FW_S3_URI_PARTS };
extern const char *const fw_s3_part_names[]; /* "bucket", "prefix", ...; ends with NULL */

/* Parts that are not said are NULL; the prefix has no '/' at its ends. */
struct fw_s3_uri {
	char *part[FW_S3_URI_PARTS];
};

/* Strict: unknown or repeated options, empty parts, credentials, names that no bucket has are refused. On failure *offset
 * is where in the text. */
int fw_s3_uri_parse(const char *text, size_t length, struct fw_s3_uri *uri, size_t *offset, struct fw_error **err);
void fw_s3_uri_done(struct fw_s3_uri *uri);
#define fw_cleanup_s3_uri __attribute__((cleanup(fw_s3_uri_done)))
/* In one order, so that what means the same is the same text; newly allocated. */
char *fw_s3_uri_text(const struct fw_s3_uri *uri);
/* Another value for one part. */
int fw_s3_uri_set(struct fw_s3_uri *uri, enum fw_s3_part part, const char *value, struct fw_error **err);
/* What it says of the bucket; its texts are the URI's. */
struct fw_s3_options fw_s3_uri_options(const struct fw_s3_uri *uri);
