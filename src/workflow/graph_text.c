/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph for a terminal: the stages by steps, each with its tasks and, one a line, what it takes and waits for. Stages of
 * one step can run at the same time. Lines stay short however wide the graph is, which boxes and arrows would not.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/graph_internal.h"
#include "workflow/workflow_internal.h"

enum { TASKS_WIDTH = 17 }; /* "1 task per object" */

static size_t name_width(const struct fw_workflow *workflow)
{
	size_t width = 0;

	for (size_t i = 0; i < workflow->stages.count; i++)
		if (strlen(workflow->stages.items[i].name) > width)
			width = strlen(workflow->stages.items[i].name);
	return width;
}

struct lines {
	FW_VECTOR(char *) list;
};

static void describe_inputs(const struct fw_workflow *workflow, const struct fw_stage *stage, struct lines *lines)
{
	for (size_t i = 0; i < stage->inputs.count; i++) {
		const struct fw_input *input = &stage->inputs.items[i];
		const char *way = fw_graph_way(input);

		if (input->keys)
			FW_PUSH(&lines->list, fw_printf("← %s (%s)", input->keys, way));
		else
			FW_PUSH(&lines->list, fw_printf("← %s.%s (%s)", workflow->stages.items[input->from_stage].name,
			                                input->from_output, way));
	}
}

static bool is_only_waited_for(const struct fw_stage *stage, size_t producer)
{
	for (size_t i = 0; i < stage->inputs.count; i++)
		if (stage->inputs.items[i].from_stage == producer)
			return false;
	return stage->when.stage != producer;
}

static void describe_waits(const struct fw_workflow *workflow, const struct fw_stage *stage, struct lines *lines)
{
	for (size_t i = 0; i < stage->producers.count; i++)
		if (is_only_waited_for(stage, stage->producers.items[i]))
			FW_PUSH(&lines->list, fw_printf("after %s", workflow->stages.items[stage->producers.items[i]].name));
	if (stage->when.stage != SIZE_MAX) {
		fw_cleanup_free char *condition = fw_graph_condition(workflow, stage);

		FW_PUSH(&lines->list, fw_printf("when %s", condition));
	}
}

static void draw_stage(const struct fw_graph *graph, size_t index, int width, bool first, struct fw_buffer *out)
{
	const struct fw_stage *stage = &graph->workflow->stages.items[index];
	fw_cleanup_free char *tasks = fw_graph_tasks(stage);
	struct lines lines = {0};

	describe_inputs(graph->workflow, stage, &lines);
	describe_waits(graph->workflow, stage, &lines);
	if (first)
		fw_buffer_printf(out, "%4zu", graph->steps[index] + 1);
	else
		fw_buffer_printf(out, "%4s", "");
	if (lines.list.count == 0)
		fw_buffer_printf(out, "  %-*s  %s\n", width, stage->name, tasks);
	for (size_t i = 0; i < lines.list.count; i++) {
		if (i == 0)
			fw_buffer_printf(out, "  %-*s  %-*s  %s\n", width, stage->name, TASKS_WIDTH, tasks, lines.list.items[i]);
		else
			fw_buffer_printf(out, "%4s  %-*s  %-*s  %s\n", "", width, "", TASKS_WIDTH, "", lines.list.items[i]);
		free(lines.list.items[i]);
	}
	free(lines.list.items);
}

int fw_graph_text(const struct fw_graph *graph, struct fw_buffer *out)
{
	const struct fw_workflow *workflow = graph->workflow;
	int width = (int)name_width(workflow);

	fw_buffer_printf(out, "%s · %zu stage%s in %zu step%s\n", workflow->name, workflow->stages.count,
	                 workflow->stages.count == 1 ? "" : "s", graph->step_count, graph->step_count == 1 ? "" : "s");
	for (size_t step = 0; step < graph->step_count; step++) {
		bool first = true;

		for (size_t i = 0; i < workflow->stages.count; i++)
			if (graph->steps[i] == step) {
				draw_stage(graph, i, width, first, out);
				first = false;
			}
	}
	return out->failed ? FW_E_LIMIT : FW_OK;
}
