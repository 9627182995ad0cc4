/* SPDX-License-Identifier: Apache-2.0
 *
 * What a workflow file becomes: structures, defaults, paths, edges, order, digest.
 */
#include "tests/unit/workflow_fixture.h"

/* Parses the text as /w/w.yaml, packages unread. */
static struct fw_workflow *parse(const char *text, const char *override)
{
	struct fw_overrides overrides = {0};
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	struct fw_workflow *workflow = NULL;

	if (override)
		FW_PUSH(&overrides.settings, (struct fw_override){.text = override});
	assert_ok(fw_workflow_parse("/w/w.yaml", text, strlen(text), &overrides, false, &workflow, &err), err);
	free(overrides.settings.items);
	return workflow;
}
#define WORKFLOW struct fw_workflow *workflow FW_CLEANUP(fw_workflow_free)

static struct fw_workflow *parse_file(const char *path)
{
	fw_cleanup_free char *absolute = source_path(path);
	fw_cleanup_free char *text = read_text(absolute, NULL);

	assert_non_null(text);
	return parse(text, NULL);
}

static const struct fw_stage *stage_of(const struct fw_workflow *workflow, const char *name)
{
	const struct fw_stage *stage = fw_workflow_stage(workflow, name);

	assert_non_null(stage);
	return stage;
}

static void the_video_workflow_is_read(void **state)
{
	WORKFLOW = parse_file("tests/workflows/good/video.yaml");
	const struct fw_stage *split = stage_of(workflow, "split"), *extract = stage_of(workflow, "extract");

	(void)state;
	assert_string_equal(workflow->name, "video");
	assert_string_equal(workflow->path, "/w/w.yaml");
	assert_string_equal(workflow->directory, "/w");
	assert_string_equal(workflow->storage, "file:/w/data");
	assert_int_equal(workflow->stages.count, 4);
	assert_int_equal(split->function.kind, FW_FUNCTION_PACKAGE);
	assert_string_equal(split->function.path, "/w/functions");
	assert_string_equal(split->function.handler, "split_videos");
	assert_int_equal(split->workers, 4);
	assert_int_equal(split->timeout_ms, 300000);
	assert_int_equal(json_integer_value(json_object_get(split->params, "chunk_seconds")), 10);
	assert_string_equal(split->inputs.items[0].keys, "videos/*.mp4");
	assert_true(split->inputs.items[0].from_stage == SIZE_MAX);
	assert_int_equal(split->inputs.items[0].edge, FW_EDGE_SCATTER);
	assert_string_equal(split->outputs.items[0].suffix, ".mp4");
	assert_int_equal(extract->workers, FW_WORKERS_AUTO);
	assert_true(fw_stage_is_each(extract));
	assert_int_equal(extract->inputs.items[0].from_stage, 0);
	assert_string_equal(extract->inputs.items[0].from_output, "chunks");
	assert_int_equal(extract->line, 12);
}

static void a_stage_says_what_defaults_do_not(void **state)
{
	WORKFLOW = parse("name: w\nstorage: d\nfunction: {package: p}\ndefaults: {memory: 512, network: none}\n"
	                 "stages:\n  a: {}\n  b: {memory: 2048, timeout: 1.5, network: host}\n", NULL);
	const struct fw_stage *a = stage_of(workflow, "a"), *b = stage_of(workflow, "b");

	(void)state;
	assert_int_equal(a->memory_mb, 512);
	assert_int_equal(a->network, FW_NETWORK_NONE);
	assert_int_equal(a->timeout_ms, 300000);
	assert_int_equal(a->retries, 2);
	assert_int_equal(a->tmp_mb, 512);
	assert_int_equal(a->workers, 1);
	assert_int_equal(a->on_failure, FW_FAILURE_STOP);
	assert_false(a->grow);
	assert_string_equal(a->function.handler, "a");
	assert_true(a->when.stage == SIZE_MAX);
	assert_int_equal(b->memory_mb, 2048);
	assert_int_equal(b->network, FW_NETWORK_HOST);
	assert_int_equal(b->timeout_ms, 1500);
}

static void functions_of_four_kinds_are_read(void **state)
{
	WORKFLOW = parse_file("tests/workflows/good/kinds.yaml");
	const struct fw_function *packed = &stage_of(workflow, "packed")->function;
	const struct fw_function *counted = &stage_of(workflow, "counted")->function;
	const struct fw_function *zipped = &stage_of(workflow, "zipped")->function;

	(void)state;
	assert_string_equal(workflow->storage, "file:/tmp/kinds/data");
	assert_string_equal(packed->path, "/w/package.zip");
	assert_string_equal(json_string_value(json_object_get(packed->environment, "LEVEL")), "4");
	assert_string_equal(json_string_value(json_object_get(packed->environment, "VERBOSE")), "true");
	assert_int_equal(counted->kind, FW_FUNCTION_PYTHON);
	assert_string_equal(counted->interpreter, "/w/scripts/python3");
	assert_string_equal(stage_of(workflow, "scripted")->function.handler, "lib/index.main");
	assert_int_equal(zipped->kind, FW_FUNCTION_COMMAND);
	assert_int_equal(zipped->command.count, 7);
	assert_string_equal(zipped->command.items[2], "-{param.level}");
	assert_true(zipped->per_object);
	assert_null(zipped->path);
}

static void stages_are_ordered_after_their_producers_and_else_as_in_the_file(void **state)
{
	WORKFLOW = parse_file("tests/workflows/good/waits.yaml");
	const size_t order[] = {3, 4, 1, 2, 0}; /* clean, pca, train, report, last */
	const struct fw_stage *last = stage_of(workflow, "last"), *train = stage_of(workflow, "train");

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(order); i++)
		assert_int_equal(workflow->order.items[i], order[i]);
	assert_int_equal(last->after.count, 2);
	assert_int_equal(last->producers.count, 2);
	assert_int_equal(last->producers.items[0], 1);
	assert_int_equal(last->when.stage, 1);
	assert_string_equal(last->when.path, "accuracy.test");
	assert_int_equal(last->when.operator_, FW_OP_GE);
	assert_int_equal(train->producers.items[1], 4);
	assert_string_equal(fw_stage_partitioned(train)->name, "rows");
}

static void an_explicit_each_makes_workers_auto(void **state)
{
	WORKFLOW = parse_file("tests/workflows/good/waits.yaml");

	(void)state;
	assert_int_equal(stage_of(workflow, "clean")->workers, FW_WORKERS_AUTO);
}

static void broadcast_alone_leaves_the_number_of_workers(void **state)
{
	WORKFLOW = parse_file("tests/workflows/good/waits.yaml");
	const struct fw_stage *report = stage_of(workflow, "report");

	(void)state;
	assert_int_equal(report->workers, 4);
	assert_null(fw_stage_partitioned(report));
	assert_false(fw_stage_is_each(report));
}

static void references_of_a_payload_are_producers(void **state)
{
	WORKFLOW = parse_file("tests/workflows/good/payload.yaml");
	const struct fw_stage *store = stage_of(workflow, "store");

	(void)state;
	assert_int_equal(store->producers.count, 1);
	assert_int_equal(store->producers.items[0], 0);
	assert_string_equal(store->outputs.items[0].keys, "*.json");
	assert_string_equal(store->outputs.items[1].from, "/made/0");
	assert_true(json_is_null(stage_of(workflow, "nothing")->payload));
	assert_null(stage_of(workflow, "use")->payload);
}

static const char small[] = "name: w\nstorage: ./data\nfunction: {package: p}\nstages: {a: {memory: 512, params: {x: 1, y: 2}}}\n";

static void the_digest_knows_neither_spelling_nor_storage(void **state)
{
	WORKFLOW = parse(small, NULL);
	struct fw_workflow *respelt FW_CLEANUP(fw_workflow_free) = parse(
		"stages:\n  a:\n    params: {y: 2, x: 1} # the same\n    memory: 512\nfunction:\n  package: ./p/\n"
		"storage: /elsewhere\nname: \"w\"\n", NULL);

	(void)state;
	assert_string_equal(workflow->digest, respelt->digest);
	assert_string_not_equal(workflow->storage, respelt->storage);
	assert_int_equal(strlen(workflow->digest), 64);
}

static void the_digest_knows_every_other_change(void **state)
{
	static const char *const changes[] = {
		"name=v", "*.memory=513", "*.params.x=2", "*.retries=3", "*.handler=b", "*.environment.X=1", "*.timeout=1.5",
		"*.tmp=16", "*.grow=true", "*.network=none", "*.on_failure=continue", "*.outputs.o={}", "*.inputs.i={keys: x}",
		"*.workers=2", "*.payload=1", "function.package=q"};
	WORKFLOW = parse(small, NULL);

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(changes); i++) {
		struct fw_workflow *changed FW_CLEANUP(fw_workflow_free) = parse(small, changes[i]);

		if (strcmp(changed->digest, workflow->digest) == 0)
			fail_msg("%s leaves the digest as it was", changes[i]);
	}
}

static void a_missing_file_is_named(void **state)
{
	struct fw_error *err = NULL;
	struct fw_workflow *workflow = NULL;
	int rc = fw_workflow_load("/nowhere/w.yaml", NULL, &workflow, &err);

	(void)state;
	assert_error_is(rc, &err, FW_E_USAGE, "/nowhere/w.yaml");
	assert_error_is(fw_workflow_load("/", NULL, &workflow, &err), &err, FW_E_USAGE, "it is a directory");
	assert_null(workflow);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = fw_printf("%s/large.yaml", tree.path);
	fw_cleanup_free char *text = fw_alloc(5 << 20);
	struct fw_error *err = NULL;
	struct fw_workflow *workflow = NULL;

	(void)state;
	memset(text, '#', (5 << 20) - 1);
	tree_write(&tree, "large.yaml", text);
	assert_error_is(fw_workflow_load(path, NULL, &workflow, &err), &err, FW_E_LIMIT,
	                "large.yaml: larger than a workflow file may be, 4 MiB");
	assert_error_is(fw_workflow_load(path, NULL, &workflow, &err), &err, FW_E_LIMIT, "data belongs into the storage");
}

static void more_stages_than_allowed_are_refused(void **state)
{
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_error *err = NULL;
	struct fw_workflow *workflow = NULL;

	(void)state;
	fw_buffer_init(&text, 1 << 20);
	fw_buffer_text(&text, "name: w\nstorage: d\nfunction: {package: p}\nstages:\n");
	for (int i = 0; i < 1001; i++)
		fw_buffer_printf(&text, "  s%d: {}\n", i);
	assert_error_is(fw_workflow_parse("w.yaml", text.data, text.length, NULL, false, &workflow, &err), &err, FW_E_LIMIT,
	                "more than 1000 stages");
}

static void memory_buys_cpu(void **state)
{
	(void)state;
	assert_int_equal(fw_memory_millivcpus(1769), 1000);
	assert_int_equal(fw_memory_millivcpus(128), 72);
	assert_int_equal(fw_memory_millivcpus(10240), 5788);
}

FW_TESTS(the_video_workflow_is_read, a_stage_says_what_defaults_do_not, functions_of_four_kinds_are_read,
         stages_are_ordered_after_their_producers_and_else_as_in_the_file, an_explicit_each_makes_workers_auto,
         broadcast_alone_leaves_the_number_of_workers, references_of_a_payload_are_producers,
         the_digest_knows_neither_spelling_nor_storage, the_digest_knows_every_other_change, a_missing_file_is_named,
         a_file_that_is_too_large_is_refused, more_stages_than_allowed_are_refused, memory_buys_cpu)
