/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/digest.h"
#include "record/event.h"
#include "tests/unit/support.h"

static struct fw_object_ref objects[] = {
	{.uri = "file:/d/c3.mp4", .path = "/d/c3.mp4", .bytes = 81234, .offset = -1},
	{.uri = "s3://b/k \"1\".csv", .bytes = -1, .offset = 0, .length = 1048576},
	{.future = "token"},
};
static struct fw_event_input input = {.name = "chunks", .objects = {objects, 3, 3}};
static struct fw_event_output output = {.name = "frames", .directory = "/o/frames", .suffix = ".png"};

static struct fw_event small_event(void)
{
	return (struct fw_event){.run = "20261121-094512-k3f", .stage = "extract", .handler = "extract_frames",
	                         .task = 3, .workers = 8, .attempt = 1, .inputs = {&input, 1, 1}, .outputs = {&output, 1, 1}};
}

static void an_event_is_these_bytes(void **state)
{
	struct fw_event event = small_event();
	size_t length = 0;
	(void)state;

	fw_cleanup_json json_t *params = json_pack("{s:f, s:[b]}", "fps", 0.5, "list", 1);
	event.params = params;
	fw_cleanup_free char *text = fw_event_encode(&event, &length);
	assert_string_equal(text,
		"{\"flexwatt\":1,\"run\":\"20261121-094512-k3f\",\"stage\":\"extract\",\"handler\":\"extract_frames\","
		"\"task\":3,\"workers\":8,\"attempt\":1,\"inputs\":{\"chunks\":["
		"{\"uri\":\"file:/d/c3.mp4\",\"path\":\"/d/c3.mp4\",\"bytes\":81234},"
		"{\"uri\":\"s3://b/k \\\"1\\\".csv\",\"offset\":0,\"length\":1048576},{\"future\":\"token\"}]},"
		"\"outputs\":{\"frames\":{\"directory\":\"/o/frames\",\"suffix\":\".png\"}},"
		"\"params\":{\"fps\":0.5,\"list\":[true]}}");
	assert_int_equal(length, strlen(text));
}

static void a_range_says_its_bytes_its_header_or_its_part(void **state)
{
	struct fw_object_ref ranges[] = {
		{.uri = "file:/d/a.csv", .path = "/d/a.csv", .bytes = 90, .offset = 4, .length = 8, .header = "a;\"b\"", .delimiter = ';'},
		{.uri = "file:/d/a.csv", .path = "/d/a.csv", .bytes = 90, .offset = 0, .length = 8},
		{.uri = "file:/d/f.mp4", .path = "/d/f.mp4", .bytes = 7, .offset = -1, .part = 2, .parts = 5},
	};
	struct fw_event_input cut = {.name = "rows", .objects = {ranges, 3, 3}};
	struct fw_event event = small_event();
	size_t length = 0;
	(void)state;

	event.inputs.items = &cut;
	fw_cleanup_free char *text = fw_event_encode(&event, &length);
	assert_non_null(strstr(text,
		"\"rows\":[{\"uri\":\"file:/d/a.csv\",\"path\":\"/d/a.csv\",\"bytes\":90,\"offset\":4,\"length\":8,"
		"\"header\":\"a;\\\"b\\\"\",\"delimiter\":\";\"},"
		"{\"uri\":\"file:/d/a.csv\",\"path\":\"/d/a.csv\",\"bytes\":90,\"offset\":0,\"length\":8},"
		"{\"uri\":\"file:/d/f.mp4\",\"path\":\"/d/f.mp4\",\"bytes\":7,\"part\":2,\"parts\":5}]"));
}

static void params_are_an_object_even_when_there_are_none(void **state)
{
	struct fw_event event = small_event();
	size_t length = 0;
	(void)state;

	event.inputs.count = event.outputs.count = 0;
	fw_cleanup_free char *text = fw_event_encode(&event, &length);
	assert_non_null(strstr(text, "\"inputs\":{},\"outputs\":{},\"params\":{}}"));
}

static void a_long_list_goes_by_manifest(void **state)
{
	struct fw_event_input many = {.name = "chunks"};
	char digest[65], expected[FW_DIGEST_TEXT];
	size_t length = 0, lines = 0;
	(void)state;

	assert_false(fw_event_needs_manifest(&input));
	for (int i = 0; i < 3000; i++)
		FW_PUSH(&many.objects, (struct fw_object_ref){.uri = "file:/data/runs/x/frames/0001.png", .bytes = i, .offset = -1});
	assert_true(fw_event_needs_manifest(&many));
	fw_cleanup_free char *manifest = fw_event_manifest(&many, &length, digest);
	assert_int_equal(strncmp(manifest, "{\"uri\":\"file:/data/runs/x/frames/0001.png\",\"bytes\":0}\n", 53), 0);
	for (const char *at = manifest; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 3000);
	fw_digest_of(manifest, length, expected);
	assert_string_equal(digest, expected);

	many.manifest = "/m/chunks.jsonl";
	many.manifest_count = 3000;
	many.manifest_sha256 = digest;
	struct fw_event event = small_event();
	event.inputs.items = &many;
	fw_cleanup_free char *text = fw_event_encode(&event, &length);
	assert_non_null(strstr(text, "\"chunks\":{\"manifest\":\"/m/chunks.jsonl\",\"count\":3000,\"sha256\":\""));
	assert_true(length < 1000);
	free(many.objects.items);
}

static void an_event_past_the_limit_of_lambda_is_not_made(void **state)
{
	struct fw_event event = small_event();
	size_t length = 0;
	(void)state;

	fw_cleanup_free char *huge = fw_alloc(FW_PAYLOAD_MAX_BYTES + 1);
	memset(huge, 'x', FW_PAYLOAD_MAX_BYTES);
	fw_cleanup_json json_t *params = json_pack("{s:s}", "text", huge);
	event.params = params;
	assert_null(fw_event_encode(&event, &length));
}

FW_TESTS(an_event_is_these_bytes, a_range_says_its_bytes_its_header_or_its_part, params_are_an_object_even_when_there_are_none, a_long_list_goes_by_manifest,
         an_event_past_the_limit_of_lambda_is_not_made)
