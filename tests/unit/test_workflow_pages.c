/* SPDX-License-Identifier: Apache-2.0
 *
 * What is made from the grammar is what is committed: docs/workflow.schema.json and the reference of docs/workflow.md.
 * FLEXWATT_UPDATE=1 rewrites both.
 */
#include "tests/unit/workflow_fixture.h"

static const char reference_begin[] =
	"<!-- reference: made from the grammar by the unit test `workflow pages` with FLEXWATT_UPDATE=1 -->\n";
static const char reference_end[] = "<!-- end of the reference -->\n";

static void assert_committed(const char *name, const char *made)
{
	fw_cleanup_free char *path = source_path(name);

	if (getenv("FLEXWATT_UPDATE"))
		assert_ok(fw_write_file(AT_FDCWD, path, made, strlen(made), 0644, NULL), NULL);
	fw_cleanup_free char *committed = read_text(path, NULL);
	if (!committed || strcmp(committed, made) != 0)
		fail_msg("%s differs from the grammar; FLEXWATT_UPDATE=1 rewrites it", name);
}

static void the_committed_schema_is_that_of_the_grammar(void **state)
{
	fw_cleanup_free char *schema = fw_workflow_schema();

	(void)state;
	assert_committed("docs/workflow.schema.json", schema);
}

static void the_committed_reference_is_that_of_the_grammar(void **state)
{
	fw_cleanup_free char *path = source_path("docs/workflow.md");
	fw_cleanup_free char *page = read_text(path, NULL);
	fw_cleanup_free char *reference = fw_workflow_document();

	(void)state;
	assert_non_null(page);
	const char *begin = strstr(page, reference_begin), *end = strstr(page, reference_end);
	assert_non_null(begin);
	assert_non_null(end);
	fw_cleanup_free char *made = fw_printf("%.*s%s\n%s\n%s", (int)(begin - page), page, reference_begin, reference, end);
	assert_committed("docs/workflow.md", made);
}

static void the_schema_refuses_unknown_keys_everywhere(void **state)
{
	fw_cleanup_free char *text = fw_workflow_schema();
	fw_cleanup_json json_t *schema = json_loads(text, 0, NULL);
	const char *name = NULL;
	json_t *definition = NULL;

	(void)state;
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	json_object_foreach(json_object_get(schema, "$defs"), name, definition) {
		const json_t *either = json_object_get(definition, "anyOf");
		const json_t *object = either ? json_array_get(either, 1) : definition;

		if (!json_is_false(json_object_get(object, "additionalProperties")))
			fail_msg("%s takes any key", name);
	}
}

static void what_is_not_built_yet_is_not_offered(void **state)
{
	fw_cleanup_free char *text = fw_workflow_schema();

	(void)state;
	assert_null(strstr(text, "\"fuse\""));
	assert_null(strstr(text, "\"future\""));
	assert_non_null(strstr(text, "\"classic\""));
}

FW_TESTS(the_committed_schema_is_that_of_the_grammar, the_committed_reference_is_that_of_the_grammar,
         the_schema_refuses_unknown_keys_everywhere, what_is_not_built_yet_is_not_offered)
