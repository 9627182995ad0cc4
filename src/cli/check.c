/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt check: validates a workflow without starting anything, and draws it.
 */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/overrides.h"
#include "cli/terminal.h"
#include "workflow/workflow.h"

/* graph: NULL where it was not asked for. */
static json_t *to_json(const struct fw_workflow *workflow, const char *graph)
{
	json_t *order = json_array();

	for (size_t i = 0; i < workflow->order.count; i++)
		json_array_append_new(order, json_string(workflow->stages.items[workflow->order.items[i]].name));
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:O, s:s*}", "workflow", workflow->name, "path", workflow->path, "digest",
	                 workflow->digest, "storage", workflow->storage, "order", order, "effective", workflow->effective, "graph",
	                 graph);
}

static int print(const struct fw_workflow *workflow, const char *graph, bool json, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 64 << 20);
	if (!graph && !json)
		fw_buffer_printf(&out, "%s: valid, %zu %s\n", workflow->name, workflow->stages.count,
		                 workflow->stages.count == 1 ? "stage" : "stages");
	int rc = graph || !json ? fw_workflow_graph(workflow, graph ? graph : "text", &out, err) : FW_OK;

	if (rc != FW_OK)
		return rc;
	return json ? fw_print_json(to_json(workflow, graph ? out.data : NULL), err) : fw_print(&out, err);
}

static int check(const char *path, const struct fw_override_options *variables, const struct fw_override_options *given,
                 const char *graph, bool json, struct fw_error **err)
{
	FW_CLEANUP(fw_workflow_free) struct fw_workflow *workflow = NULL;
	fw_cleanup_collected struct fw_collected collected = {0};

	fw_collected_add_options(&collected, variables, true);
	fw_collected_add_bucket(&collected, given);
	fw_collected_add_options(&collected, given, false);
	int rc = fw_workflow_load(path, &collected.overrides, &workflow, err);

	return rc == FW_OK ? print(workflow, graph, json, err) : rc;
}

static int run(int argc, char **argv, struct fw_error **err)
{
	fw_cleanup_text_list struct fw_text_list positional = {0};
	struct fw_override_options given = {0}, environment = {0};
	const char *graph = NULL;
	bool json = false, help = false;
	const struct fw_option options[] = {
		{"graph", "FORMAT", "only the graph: text, dot or svg", FW_OPTION_TEXT, &graph, NULL},
		FW_OVERRIDE_OPTIONS(&given),
		{"json", NULL, "the workflow as flexwatt understands it", FW_OPTION_FLAG, &json, NULL},
	};
	const struct fw_option variables[] = {FW_OVERRIDE_OPTIONS(&environment)};
	int rc = fw_options_read(&fw_command_check, options, FW_COUNT_OF(options), argc, argv, 1, 1, &positional, &help, err);

	if (rc == FW_OK && !help)
		rc = fw_options_read_variables(variables, FW_COUNT_OF(variables), err);
	if (rc == FW_OK && !help)
		rc = check(positional.texts.items[0], &environment, &given, graph, json, err);
	fw_override_options_done(&given);
	fw_override_options_done(&environment);
	return rc;
}

const struct fw_command fw_command_check = {
	.name = "check",
	.arguments = "WORKFLOW",
	.summary = "validate a workflow file and show its graph; nothing is started",
	.example = "  flexwatt check examples/video/workflow.yaml --graph svg > video.svg",
	.run = run,
};
