/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "aws/s3_xml.h"
#include "base/buffer.h"
#include "tests/unit/support.h"

static void read_whole(const char *text, struct fw_s3_xml *answer)
{
	fw_cleanup_error struct fw_error *error = NULL;

	assert_ok(fw_s3_xml_read(text, strlen(text), answer, &error), error);
}

static void a_page_of_objects_and_prefixes_is_read_and_decoded(void **state)
{
	fw_cleanup_s3_xml struct fw_s3_xml page = {0};

	(void)state;
	read_whole("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	           "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>a+b%2F</Prefix>"
	           "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
	           "<NextContinuationToken>1+2/3=</NextContinuationToken>"
	           "<Contents><Key>a+b%2Fc%2Bd%25+%C3%BC%01</Key><Size>9000000000</Size><ETag>&quot;x-2&quot;</ETag>"
	           "<Owner><ID>1</ID><DisplayName>Key</DisplayName></Owner></Contents>"
	           "<CommonPrefixes><Prefix>a/b/</Prefix></CommonPrefixes></ListBucketResult>",
	           &page);
	assert_string_equal(page.root, "ListBucketResult");
	assert_true(page.truncated);
	assert_string_equal(page.next_token, "1+2/3=");
	assert_int_equal(page.items.count, 2);
	assert_string_equal(page.items.items[0].key, "a b/c+d% \xc3\xbc\x01");
	assert_string_equal(page.items.items[0].etag, "\"x-2\"");
	assert_int_equal(page.items.items[0].bytes, 9000000000);
	assert_string_equal(page.items.items[1].key, "a/b/");
	assert_true(page.items.items[1].common_prefix);
}

static void keys_are_left_alone_by_servers_that_do_not_encode(void **state)
{
	fw_cleanup_s3_xml struct fw_s3_xml page = {0};

	(void)state;
	read_whole("<ListBucketResult><Contents><Key>a+b%2F &amp; c</Key></Contents></ListBucketResult>", &page);
	assert_string_equal(page.items.items[0].key, "a+b%2F & c");
	assert_false(page.truncated);
}

static void errors_and_uploads_are_read(void **state)
{
	fw_cleanup_s3_xml struct fw_s3_xml error = {0}, uploads = {0}, begun = {0};

	(void)state;
	read_whole("<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-west-1</Region></Error>", &error);
	assert_string_equal(error.root, "Error");
	assert_string_equal(error.code, "AuthorizationHeaderMalformed");
	assert_string_equal(error.region, "eu-west-1");
	read_whole("<ListMultipartUploadsResult><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
	           "<IsTruncated> true </IsTruncated><Upload><Key>k</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>",
	           &uploads);
	assert_string_equal(uploads.items.items[0].upload_id, "u");
	assert_string_equal(uploads.next_key, "k");
	assert_string_equal(uploads.next_upload_id, "u");
	read_whole("<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>2~x</UploadId></InitiateMultipartUploadResult>", &begun);
	assert_string_equal(begun.upload_id, "2~x");
}

static void assert_refused(const char *text, const char *reason)
{
	fw_cleanup_error struct fw_error *error = NULL;
	struct fw_s3_xml answer;
	int rc = fw_s3_xml_read(text, strlen(text), &answer, &error);

	if (rc == FW_OK)
		fail_msg("taken: %s", text);
	assert_error_is(rc, &error, rc, reason);
	assert_null(answer.root);
}

static void what_is_not_an_answer_of_s3_is_refused(void **state)
{
	(void)state;
	assert_refused("", "no element found");
	assert_refused("{\"json\": 1}", "line 1");
	assert_refused("<Error><Code>x</Error>", "mismatched tag");
	assert_refused("<!DOCTYPE x [<!ENTITY a \"b\">]><Error><Code>&a;</Code></Error>", "declares a document type");
	assert_refused("<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", "has no key");
	assert_refused("<ListBucketResult><Contents><Key>k</Key><Size>-1</Size></Contents></ListBucketResult>", "no number of bytes");
}

static void depth_and_text_are_bounded(void **state)
{
	fw_cleanup_buffer struct fw_buffer deep, wide;

	(void)state;
	fw_buffer_init(&deep, 1 << 20);
	for (int i = 0; i < 20; i++)
		fw_buffer_text(&deep, "<a>");
	assert_refused(deep.data, "nested too deeply");
	fw_buffer_init(&wide, 1 << 20);
	fw_buffer_text(&wide, "<Error><Code>");
	for (int i = 0; i < 20000; i++)
		fw_buffer_text(&wide, "x");
	fw_buffer_text(&wide, "</Code></Error>");
	assert_refused(wide.data, "too long");
}

FW_TESTS(a_page_of_objects_and_prefixes_is_read_and_decoded, keys_are_left_alone_by_servers_that_do_not_encode,
         errors_and_uploads_are_read, what_is_not_an_answer_of_s3_is_refused, depth_and_text_are_bounded)
