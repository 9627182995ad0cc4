/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/s3_uri.h"

#include <string.h>

#include "base/memory.h"
#include "tests/unit/support.h"

static void assert_text(const char *said, const char *canonical)
{
	fw_cleanup_s3_uri struct fw_s3_uri uri = {0};
	struct fw_error *err = NULL;
	size_t offset = 0;

	assert_ok(fw_s3_uri_parse(said, strlen(said), &uri, &offset, &err), err);
	fw_cleanup_free char *text = fw_s3_uri_text(&uri);

	assert_string_equal(text, canonical);
}

static void assert_refused(const char *said, size_t at, const char *reason)
{
	struct fw_s3_uri uri = {0};
	struct fw_error *err = NULL;
	size_t offset = 0;
	int rc = fw_s3_uri_parse(said, strlen(said), &uri, &offset, &err);

	assert_error_is(rc, &err, rc, reason);
	assert_int_not_equal(rc, FW_OK);
	assert_int_equal(offset, at);
}

static void the_same_place_is_the_same_text(void **state)
{
	(void)state;
	assert_text("s3://bucket", "s3://bucket");
	assert_text("s3://bucket/", "s3://bucket");
	assert_text("s3://bucket/a b/c+%/", "s3://bucket/a b/c+%");
	assert_text("s3://a.b-1/in?style=path&endpoint=http://[::1]:9000&region=eu-west-1",
	            "s3://a.b-1/in?endpoint=http://[::1]:9000&region=eu-west-1&style=path");
	assert_text("s3://bucket?endpoint=http://h:9000/&region=eu", "s3://bucket?endpoint=http://h:9000&region=eu");
	assert_text("s3://bucket?endpoint=http://[::1]/", "s3://bucket?endpoint=http://[::1]");
	assert_text("s3://bucket?profile=my profile", "s3://bucket?profile=my profile");
}

static void what_is_wrong_is_pointed_at(void **state)
{
	(void)state;
	assert_refused("s4://bucket", 0, "the bucket is missing");
	assert_refused("s3:///in", 5, "the bucket is missing");
	assert_refused("s3://Bucket", 5, "no bucket can be named 'Bucket'");
	assert_refused("s3://-bucket", 5, "no bucket can be named");
	assert_refused("s3://bucket/../x", 12, "has empty, '.' or '..' parts");
	assert_refused("s3://bucket//", 12, "has empty");
	assert_refused("s3://bucket?", 12, "unknown option ''");
	assert_refused("s3://bucket?region=eu&", 22, "unknown option ''");
	assert_refused("s3://bucket?region", 12, "region has no value");
	assert_refused("s3://bucket?region=eu_west", 12, "'eu_west' is no region");
	assert_refused("s3://bucket?endpoint=http://", 12, "is no endpoint");
	assert_refused("s3://bucket?endpoint=http:///", 12, "is no endpoint");
	assert_refused("s3://bucket?endpoint=http://h//", 12, "is no endpoint");
	assert_refused("s3://bucket?endpoint=http://h:65536", 12, "has no port");
	assert_refused("s3://bucket?endpoint=http://h:0", 12, "has no port");
	assert_refused("s3://bucket?endpoint=http://[::1]:x", 12, "has no port");
	assert_refused("s3://bucket?endpoint=http://h/path", 12, "is no endpoint");
	assert_refused("s3://bucket?bucket=x", 12, "unknown option 'bucket'");
}

static void text_that_is_not_ended_is_read_to_its_length(void **state)
{
	(void)state;
	fw_cleanup_s3_uri struct fw_s3_uri uri = {0};
	size_t offset = 0;

	assert_ok(fw_s3_uri_parse("s3://bucket/in?x", 14, &uri, &offset, NULL), NULL);
	assert_string_equal(uri.part[FW_S3_URI_PREFIX], "in");
}

FW_TESTS(the_same_place_is_the_same_text, what_is_wrong_is_pointed_at, text_that_is_not_ended_is_read_to_its_length)
