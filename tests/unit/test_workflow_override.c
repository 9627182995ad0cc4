/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/workflow_fixture.h"

static const char text[] =
	"name: w\n"
	"storage: ./data\n"
	"function: {command: [cp, \"{input.in}\", there]}\n"
	"stages:\n"
	"  a: {inputs: {in: {keys: \"*.csv\"}}, outputs: {out: }, params: {n: 1}}\n"
	"  b: {inputs: {in: a.out}, workers: 2, memory: 256}\n";

static int parse(const char *first, const char *second, struct fw_workflow **workflow, struct fw_error **err)
{
	struct fw_overrides overrides = {0};

	FW_PUSH(&overrides.settings, (struct fw_override){.text = first});
	if (second)
		FW_PUSH(&overrides.settings, (struct fw_override){.text = second});
	int rc = fw_workflow_parse("/w/w.yaml", text, strlen(text), &overrides, false, workflow, err);
	free(overrides.settings.items);
	return rc;
}

static struct fw_workflow *parse_ok(const char *first, const char *second)
{
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	struct fw_workflow *workflow = NULL;

	assert_ok(parse(first, second, &workflow, &err), err);
	return workflow;
}
#define WORKFLOW struct fw_workflow *workflow FW_CLEANUP(fw_workflow_free)

static void assert_refused(const char *override, const char *message)
{
	struct fw_error *err = NULL;
	struct fw_workflow *workflow = NULL;
	int rc = parse(override, NULL, &workflow, &err);

	assert_int_equal(fw_code_exit_status(rc), 2);
	assert_error_is(rc, &err, rc, message);
}

static void a_param_is_set(void **state)
{
	WORKFLOW = parse_ok("stages.a.params.n=5", "stages.a.params.deep.er=[1, {x: y}]");
	const json_t *params = workflow->stages.items[0].params;

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(params, "n")), 5);
	assert_string_equal(json_string_value(fw_json_at(params, "deep.er.1.x")), "y");
}

static void quotes_make_text(void **state)
{
	WORKFLOW = parse_ok("stages.a.params.n=\"5\"", "stages.a.params.m=a=b");
	const json_t *params = workflow->stages.items[0].params;

	(void)state;
	assert_string_equal(json_string_value(json_object_get(params, "n")), "5");
	assert_string_equal(json_string_value(json_object_get(params, "m")), "a=b");
}

static void a_star_sets_every_stage_and_the_later_override_wins(void **state)
{
	WORKFLOW = parse_ok("*.memory=2048", "stages.b.memory=512");

	(void)state;
	assert_int_equal(workflow->stages.items[0].memory_mb, 2048);
	assert_int_equal(workflow->stages.items[1].memory_mb, 512);
}

static void defaults_may_be_set_where_the_file_has_none(void **state)
{
	WORKFLOW = parse_ok("defaults.memory=2048", NULL);

	(void)state;
	assert_int_equal(workflow->stages.items[0].memory_mb, 2048);
	assert_int_equal(workflow->stages.items[1].memory_mb, 256);
}

static void the_short_form_of_an_input_takes_an_edge(void **state)
{
	WORKFLOW = parse_ok("stages.b.inputs.in.edge=broadcast", NULL);

	(void)state;
	assert_int_equal(workflow->stages.items[1].inputs.items[0].edge, FW_EDGE_BROADCAST);
	assert_string_equal(workflow->stages.items[1].inputs.items[0].from_output, "out");
}

static void an_item_of_a_list_is_set_by_its_number(void **state)
{
	WORKFLOW = parse_ok("function.command.2=here", NULL);

	(void)state;
	assert_string_equal(workflow->stages.items[0].function.command.items[2], "here");
}

static void paths_are_relative_to_where_they_were_typed(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x/", "", NULL);
	fw_cleanup_free char *expected = fw_printf("file:%s/x", tree.path);

	(void)state;
	assert_int_equal(fchdir(tree.fd), 0);
	WORKFLOW = parse_ok("storage=./x", NULL);
	assert_string_equal(workflow->storage, expected);
}

static void a_bad_override_is_an_error_that_names_the_setting(void **state)
{
	(void)state;
	assert_refused("stages.a.memory", "expected SETTING=VALUE");
	assert_refused("=3", "expected SETTING=VALUE");
	assert_refused("stages..memory=3", "a part of the setting's name is empty");
	assert_refused("stages.a.=3", "a part of the setting's name is empty");
	assert_refused("a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=1", "too many parts");
	assert_refused("stages.c.memory=512", "no stage named 'c'");
	assert_refused("stages.a.memroy=512", "stage 'a': unknown key 'memroy' (did you mean 'memory'?)  override:1:10\n"
	                                      "  stages.a.memroy=512\n           ^");
	assert_refused("stages.a.memory=64", "stage 'a': memory: 64 MB is out of range (128 to 10240 MB)  override:1:17\n"
	                                     "  stages.a.memory=64\n                  ^");
	assert_refused("*.memory=lots", "override:1:10\n  *.memory=lots");
	assert_refused("*=512", "'*' needs a setting behind it");
	assert_refused("name.x=1", "'name' is not a mapping");
	assert_refused("function.command.7=x", "the list has no such item");
	assert_refused("stages.a.params={n: ", "override:1:");
	assert_refused("storage=s3://b", "storage: no bucket can be named 'b'  override:1:14");
	assert_refused("storage.region=eu-west-1", "the storage is no bucket: say storage=s3://bucket");
	assert_refused("stages.b.inputs.in.edge=each", "edge: each starts one task for every object, but workers is 2");
}

static void a_part_of_a_bucket_is_set(void **state)
{
	static const char bucket[] = "storage=s3://bucket/in?region=eu-west-1";
	static const char *const parts[][2] = {
		{"storage.region=us-east-2", "s3://bucket/in?region=us-east-2"},
		{"storage.prefix=some/where", "s3://bucket/some/where?region=eu-west-1"},
		{"storage.endpoint=http://127.0.0.1:9000", "s3://bucket/in?endpoint=http://127.0.0.1:9000&region=eu-west-1"},
		{"storage.bucket=other", "s3://other/in?region=eu-west-1"},
		{"storage.profile=test", "s3://bucket/in?region=eu-west-1&profile=test"},
	};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(parts); i++) {
		WORKFLOW = parse_ok(bucket, parts[i][0]);

		assert_string_equal(workflow->storage, parts[i][1]);
	}
	struct fw_error *err = NULL;
	struct fw_workflow *workflow = NULL;

	assert_error_is(parse(bucket, "storage.regoin=x", &workflow, &err), &err, FW_E_USAGE,
	                "a storage has bucket, prefix, endpoint, region, profile and style  override:1:9");
	assert_error_is(parse(bucket, "storage.bucket=X", &workflow, &err), &err, FW_E_INVALID,
	                "storage: no bucket can be named 'X'  override:1:16");
}

FW_TESTS(a_part_of_a_bucket_is_set, a_param_is_set, quotes_make_text, a_star_sets_every_stage_and_the_later_override_wins,
         defaults_may_be_set_where_the_file_has_none, the_short_form_of_an_input_takes_an_edge,
         an_item_of_a_list_is_set_by_its_number, paths_are_relative_to_where_they_were_typed,
         a_bad_override_is_an_error_that_names_the_setting)
