/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/workflow_fixture.h"

static char *draw(const char *text, const char *format)
{
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	struct fw_workflow *workflow FW_CLEANUP(fw_workflow_free) = NULL;
	fw_cleanup_buffer struct fw_buffer out;

	assert_ok(fw_workflow_parse("w.yaml", text, strlen(text), NULL, false, &workflow, &err), err);
	fw_buffer_init(&out, 1 << 20);
	assert_ok(fw_workflow_graph(workflow, format, &out, &err), err);
	return fw_buffer_take(&out);
}

static const char waits[] =
	"name: waits\n"
	"storage: data\n"
	"function: {package: functions}\n"
	"stages:\n"
	"  clean:\n"
	"    inputs: {tables: {keys: \"a<b&c>/*.csv\", edge: each}}\n"
	"    outputs: {rows: }\n"
	"  pca:\n"
	"    inputs: {rows: clean.rows}\n"
	"    outputs: {vectors: }\n"
	"  train:\n"
	"    workers: 8\n"
	"    inputs: {rows: clean.rows, vectors: {from: pca.vectors, edge: broadcast}}\n"
	"  mail:\n"
	"    after: [clean]\n"
	"    when: {result: train.name, op: \"!=\", value: '\"<&'}\n"
	"  ask:\n"
	"    payload: \"${train.result}\"\n";

static void text_lists_the_stages_by_steps(void **state)
{
	fw_cleanup_free char *text = draw(waits, "text");

	(void)state;
	assert_string_equal(text,
	                    "waits · 5 stages in 4 steps\n"
	                    "   1  clean  1 task per object  ← a<b&c>/*.csv (each)\n"
	                    "   2  pca    1 task             ← clean.rows (scatter)\n"
	                    "   3  train  8 tasks            ← clean.rows (scatter)\n"
	                    "                                ← pca.vectors (broadcast)\n"
	                    "   4  mail   1 task             after clean\n"
	                    "                                when train.name != \"\\\"<&\"\n"
	                    "      ask    1 task             after train\n");
}

static void dot_quotes_what_the_user_wrote(void **state)
{
	fw_cleanup_free char *text = draw(waits, "dot");

	(void)state;
	assert_non_null(strstr(text, "digraph \"waits\" {\n"));
	assert_non_null(strstr(text, "\t\"keys: a<b&c>/*.csv\" -> \"clean\";\n"));
	assert_non_null(strstr(text, "\t\"clean\" -> \"train\" [label=\"rows, scatter\"];\n"));
	assert_non_null(strstr(text, "\t\"clean\" -> \"mail\" [label=\"after\", style=dashed];\n"));
	assert_non_null(strstr(text, "\t\"train\" -> \"mail\" [label=\"train.name != \\\"\\\\\\\"<&\\\"\", style=dashed];\n"));
	assert_non_null(strstr(text, "\t\"train\" -> \"ask\" [label=\"result\", style=dashed];\n"));
}

static size_t count(const char *text, const char *part)
{
	size_t found = 0;

	for (; (text = strstr(text, part)); text += strlen(part))
		found++;
	return found;
}

static void svg_escapes_and_draws_every_stage_and_edge(void **state)
{
	fw_cleanup_free char *text = draw(waits, "svg");

	(void)state;
	assert_int_equal(count(text, "<g class=\"stage\">"), 5);
	assert_int_equal(count(text, "marker-end"), 6); /* every edge ends in one arrow */
	assert_non_null(strstr(text, "a&lt;b&amp;c&gt;/*.csv"));
	assert_non_null(strstr(text, "train.name != &quot;\\&quot;&lt;&amp;&quot;"));
	assert_int_equal(count(text, "<"), count(text, ">"));
}

static int number_behind(const char *text, const char *mark)
{
	const char *found = strstr(text, mark);

	assert_non_null(found);
	return atoi(found + strlen(mark));
}

/* Two chains written alternately: the columns are sorted so that they run side by side. */
static void svg_keeps_chains_apart(void **state)
{
	fw_cleanup_free char *text = draw("{name: w, storage: d, function: {package: p}, stages: {a1: {}, b1: {}, "
	                                  "b2: {after: [b1]}, a2: {after: [a1]}}}", "svg");
	int rows[4];
	const char *const names[] = {"a1", "a2", "b1", "b2"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		char mark[64];
		const char *stage = NULL;

		snprintf(mark, sizeof mark, "<title>%s</title>", names[i]);
		stage = strstr(text, mark);
		assert_non_null(stage);
		rows[i] = number_behind(stage, " y=\"");
	}
	assert_int_equal(rows[0], rows[1]);
	assert_int_equal(rows[2], rows[3]);
	assert_int_not_equal(rows[0], rows[2]);
}

static void an_unknown_format_is_refused(void **state)
{
	struct fw_workflow *workflow FW_CLEANUP(fw_workflow_free) = NULL;
	fw_cleanup_buffer struct fw_buffer out;
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_workflow_parse("w.yaml", waits, strlen(waits), NULL, false, &workflow, &err), err);
	fw_buffer_init(&out, 1 << 20);
	assert_error_is(fw_workflow_graph(workflow, "png", &out, &err), &err, FW_E_USAGE, "hint: text, dot or svg");
}

static void a_graph_that_does_not_fit_is_refused(void **state)
{
	struct fw_workflow *workflow FW_CLEANUP(fw_workflow_free) = NULL;
	fw_cleanup_buffer struct fw_buffer out;
	struct fw_error *err = NULL;

	(void)state;
	assert_ok(fw_workflow_parse("w.yaml", waits, strlen(waits), NULL, false, &workflow, &err), err);
	fw_buffer_init(&out, 40);
	assert_error_is(fw_workflow_graph(workflow, "svg", &out, &err), &err, FW_E_LIMIT, "too large to draw");
}

FW_TESTS(text_lists_the_stages_by_steps, dot_quotes_what_the_user_wrote, svg_escapes_and_draws_every_stage_and_edge,
         svg_keeps_chains_apart, an_unknown_format_is_refused, a_graph_that_does_not_fit_is_refused)
