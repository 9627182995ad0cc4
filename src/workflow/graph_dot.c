/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph in the language of Graphviz. Solid edges carry objects, dashed ones only wait.
 */
#include <stdlib.h>

#include "workflow/graph_internal.h"

static void quote(struct fw_buffer *out, const char *text)
{
	fw_buffer_append(out, "\"", 1);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fw_buffer_append(out, "\\", 1);
		fw_buffer_append(out, *text == '\n' ? " " : text, 1);
	}
	fw_buffer_append(out, "\"", 1);
}

static void draw_stage(const struct fw_stage *stage, struct fw_buffer *out)
{
	fw_cleanup_free char *tasks = fw_graph_tasks(stage);

	fw_buffer_printf(out, "\t\"%s\" [label=\"%s\\n%s\\n%lld MB\"];\n", stage->name, stage->name, tasks,
	                 (long long)stage->memory_mb);
	for (size_t i = 0; i < stage->inputs.count; i++) {
		if (!stage->inputs.items[i].keys)
			continue;
		fw_cleanup_free char *source = fw_printf("keys: %s", stage->inputs.items[i].keys);
		fw_buffer_text(out, "\t");
		quote(out, source);
		fw_buffer_text(out, " [shape=plaintext, label=");
		quote(out, stage->inputs.items[i].keys);
		fw_buffer_text(out, "];\n\t");
		quote(out, source);
		fw_buffer_printf(out, " -> \"%s\";\n", stage->name);
	}
}

int fw_graph_dot(const struct fw_graph *graph, struct fw_buffer *out)
{
	const struct fw_workflow *workflow = graph->workflow;

	fw_buffer_printf(out, "digraph \"%s\" {\n\trankdir=LR;\n\tnode [shape=box, style=rounded, fontname=\"sans-serif\"];\n"
	                      "\tedge [fontname=\"sans-serif\", fontsize=10];\n", workflow->name);
	for (size_t i = 0; i < workflow->stages.count; i++)
		draw_stage(&workflow->stages.items[i], out);
	for (size_t i = 0; i < graph->edges.count; i++) {
		const struct fw_graph_edge *edge = &graph->edges.items[i];

		fw_buffer_printf(out, "\t\"%s\" -> \"%s\" [label=", workflow->stages.items[edge->producer].name,
		                 workflow->stages.items[edge->consumer].name);
		quote(out, edge->label);
		fw_buffer_printf(out, "%s];\n", edge->data ? "" : ", style=dashed");
	}
	fw_buffer_text(out, "}\n");
	return out->failed ? FW_E_LIMIT : FW_OK;
}
