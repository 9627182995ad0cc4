/* SPDX-License-Identifier: Apache-2.0
 *
 * Against what AWS has published: the requests and signatures of its Signature Version 4 test suite, and the examples of
 * the S3 documentation ("Authenticating requests: using the Authorization header").
 */
#include <string.h>

#include "aws/signature.h"
#include "base/memory.h"
#include "tests/unit/support.h"

#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void sign(const struct fw_aws_signing *signing, char **authorization)
{
	fw_cleanup_error struct fw_error *error = NULL;

	assert_ok(fw_aws_sign(signing, authorization, &error), error);
}

static void assert_signature(const struct fw_aws_signing *signing, const char *expected)
{
	fw_cleanup_free char *authorization = NULL;

	sign(signing, &authorization);
	const char *signature = strstr(authorization, "Signature=");

	if (!signature || strcmp(signature + strlen("Signature="), expected) != 0)
		fail_msg("%s %s?%s: %s", signing->method, signing->path, signing->query ? signing->query : "", authorization);
}

static struct fw_aws_signing of_suite(const char *path, const char *query, const struct fw_aws_field *fields, size_t count)
{
	return (struct fw_aws_signing){
		.method = "GET",
		.path = path,
		.query = query,
		.fields = fields,
		.field_count = count,
		.payload_sha256 = EMPTY_SHA256,
		.region = "us-east-1",
		.service = "service",
		.time = "20150830T123600Z",
		.access_key = "AKIDEXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
	};
}

#define HOST {"Host", "example.amazonaws.com"}
#define DATE {"X-Amz-Date", "20150830T123600Z"}

static void paths_and_queries_of_the_suite_have_their_signatures(void **state)
{
	static const struct fw_aws_field fields[] = {HOST, DATE};
	static const char every[] = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	                            "=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const struct {
		const char *path, *query, *signature;
	} cases[] = {
		{"/", NULL, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"/example1/example2/../..", NULL, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"//example//", NULL, "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
		{"/./example", NULL, "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
		{"/example space/", NULL, "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
		{"/\xe1\x88\xb4", NULL, "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{"/", "Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
	     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
		{"/", "\xe1\x88\xb4=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"/", every, "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_aws_signing signing = of_suite(cases[i].path, cases[i].query, fields, FW_COUNT_OF(fields));

		assert_signature(&signing, cases[i].signature);
	}
}

static void a_plain_path_is_signed_as_it_is_sent(void **state)
{
	static const struct fw_aws_field fields[] = {HOST, DATE};
	struct fw_aws_signing signing = of_suite("//example//", NULL, fields, FW_COUNT_OF(fields));

	(void)state;
	signing.plain_path = true;
	assert_signature(&signing, "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5");
}

static void fields_of_the_suite_are_trimmed_and_joined_in_their_order(void **state)
{
	static const struct fw_aws_field duplicate[] = {
		HOST, {"My-Header1", "value2"}, {"My-Header1", "value2"}, {"My-Header1", "value1"}, DATE};
	static const struct fw_aws_field order[] = {
		HOST, {"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}, DATE};
	static const struct fw_aws_field lines[] = {
		HOST, {"My-Header1", "value1"}, {"My-Header1", "  value2"}, {"My-Header1", "     value3"}, DATE};
	static const struct fw_aws_field trim[] = {HOST, {"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}, DATE};
	static const struct fw_aws_field token[] = {
		HOST, {"X-Amz-Security-Token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"}, DATE};
	const struct {
		const struct fw_aws_field *fields;
		size_t count;
		const char *signature;
	} cases[] = {
		{duplicate, FW_COUNT_OF(duplicate), "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		{order, FW_COUNT_OF(order), "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
		{lines, FW_COUNT_OF(lines), "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
		{trim, FW_COUNT_OF(trim), "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{token, FW_COUNT_OF(token), "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_aws_signing signing = of_suite("/", NULL, cases[i].fields, cases[i].count);

		assert_signature(&signing, cases[i].signature);
	}
}

static struct fw_aws_signing of_s3(const char *method, const char *path, const char *query,
                                   const struct fw_aws_field *fields, size_t count, const char *payload_sha256)
{
	return (struct fw_aws_signing){
		.method = method,
		.path = path,
		.query = query,
		.fields = fields,
		.field_count = count,
		.payload_sha256 = payload_sha256,
		.region = "us-east-1",
		.service = "s3",
		.time = "20130524T000000Z",
		.access_key = "AKIAIOSFODNN7EXAMPLE",
		.secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		.plain_path = true,
	};
}

static void the_examples_of_the_s3_documentation_have_their_signatures(void **state)
{
	static const char welcome_sha256[] = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	static const struct fw_aws_field get[] = {{"Host", "examplebucket.s3.amazonaws.com"},
	                                          {"Range", "bytes=0-9"},
	                                          {"x-amz-content-sha256", EMPTY_SHA256},
	                                          {"x-amz-date", "20130524T000000Z"}};
	static const struct fw_aws_field put[] = {{"Host", "examplebucket.s3.amazonaws.com"},
	                                          {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
	                                          {"x-amz-content-sha256", welcome_sha256},
	                                          {"x-amz-date", "20130524T000000Z"},
	                                          {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
	static const struct fw_aws_field bucket[] = {{"Host", "examplebucket.s3.amazonaws.com"},
	                                             {"x-amz-content-sha256", EMPTY_SHA256},
	                                             {"x-amz-date", "20130524T000000Z"}};
	struct fw_aws_signing signing = of_s3("GET", "/test.txt", "", get, FW_COUNT_OF(get), EMPTY_SHA256);

	(void)state;
	assert_signature(&signing, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
	signing = of_s3("PUT", "/test%24file.text", "", put, FW_COUNT_OF(put), welcome_sha256);
	assert_signature(&signing, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	signing = of_s3("GET", "/", "lifecycle", bucket, FW_COUNT_OF(bucket), EMPTY_SHA256);
	assert_signature(&signing, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	signing = of_s3("GET", "/", "prefix=J&max-keys=2", bucket, FW_COUNT_OF(bucket), EMPTY_SHA256);
	assert_signature(&signing, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void the_authorization_names_key_scope_and_signed_fields(void **state)
{
	static const struct fw_aws_field fields[] = {HOST, DATE};
	struct fw_aws_signing signing = of_suite("/", NULL, fields, FW_COUNT_OF(fields));
	fw_cleanup_free char *authorization = NULL;

	(void)state;
	sign(&signing, &authorization);
	assert_string_equal(authorization,
	                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
	                    "SignedHeaders=host;x-amz-date, "
	                    "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

/* However a query spells its escapes, the signature is that of the one canonical spelling. */
static void a_query_is_canonical_whatever_its_spelling(void **state)
{
	static const struct fw_aws_field fields[] = {HOST};
	struct fw_aws_signing signing = of_suite("/", "b=%7e%2B+&a=%c3%bc&&c&a=%", fields, FW_COUNT_OF(fields));
	fw_cleanup_buffer struct fw_buffer canonical, names;

	(void)state;
	fw_buffer_init(&canonical, FW_AWS_MAX_SIGNED_BYTES);
	fw_buffer_init(&names, FW_AWS_MAX_SIGNED_BYTES);
	signing.payload_sha256 = FW_AWS_UNSIGNED_PAYLOAD;
	assert_int_equal(fw_aws_canonical_request(&signing, &canonical, &names), FW_OK);
	assert_string_equal(canonical.data, "GET\n/\na=%25&a=%C3%BC&b=~%2B%2B&c=\nhost:example.amazonaws.com\n\nhost\n"
	                                    "UNSIGNED-PAYLOAD");
}

static void a_key_is_encoded_once_and_keeps_its_slashes(void **state)
{
	static const char key[] = "a b/c+d%25//\xc3\xbc~.'(x)*&=?#";
	fw_cleanup_buffer struct fw_buffer out;

	(void)state;
	fw_buffer_init(&out, 256);
	assert_int_equal(fw_aws_encode(&out, key, strlen(key), true), FW_OK);
	assert_string_equal(out.data, "a%20b/c%2Bd%2525//%C3%BC~.%27%28x%29%2A%26%3D%3F%23");
}

static void a_request_that_is_too_large_is_not_signed(void **state)
{
	static const struct fw_aws_field fields[] = {HOST};
	fw_cleanup_error struct fw_error *error = NULL;
	fw_cleanup_free char *query = fw_alloc(FW_AWS_MAX_SIGNED_BYTES + 2), *authorization = NULL;
	struct fw_aws_signing signing = of_suite("/", memset(query, 'x', FW_AWS_MAX_SIGNED_BYTES + 1), fields, 1);

	(void)state;
	assert_error_is(fw_aws_sign(&signing, &authorization, &error), &error, FW_E_LIMIT, "more than 65536 bytes");
	assert_null(authorization);
}

static void a_time_is_written_as_the_signature_wants_it(void **state)
{
	char text[FW_AWS_TIME];

	(void)state;
	fw_aws_time(1440938160999, text);
	assert_string_equal(text, "20150830T123600Z");
}

FW_TESTS(paths_and_queries_of_the_suite_have_their_signatures, a_plain_path_is_signed_as_it_is_sent,
         fields_of_the_suite_are_trimmed_and_joined_in_their_order,
         the_examples_of_the_s3_documentation_have_their_signatures, the_authorization_names_key_scope_and_signed_fields,
         a_query_is_canonical_whatever_its_spelling, a_key_is_encoded_once_and_keeps_its_slashes,
         a_request_that_is_too_large_is_not_signed, a_time_is_written_as_the_signature_wants_it)
