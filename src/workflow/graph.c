/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph of a workflow: edges and steps, drawn by graph_text.c, graph_dot.c and graph_svg.c.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/graph_internal.h"
#include "workflow/workflow_internal.h"

char *fw_graph_tasks(const struct fw_stage *stage)
{
	if (stage->workers == FW_WORKERS_AUTO)
		return fw_strdup("1 task per object");
	return fw_printf("%lld task%s", (long long)stage->workers, stage->workers == 1 ? "" : "s");
}

char *fw_graph_condition(const struct fw_workflow *workflow, const struct fw_stage *stage)
{
	const struct fw_condition *when = &stage->when;
	fw_cleanup_free char *value = fw_json_dump(when->value);

	return fw_printf("%s%s%s %s %s", workflow->stages.items[when->stage].name, *when->path ? "." : "", when->path,
	                 fw_operator_name(when->operator_), value);
}

const char *fw_graph_way(const struct fw_input *input)
{
	static const char *const cut[] = {[FW_RANGE_BYTES] = "ranges of bytes", [FW_RANGE_LINES] = "ranges of lines",
	                                  [FW_RANGE_CSV] = "ranges of csv", [FW_RANGE_SECONDS] = "ranges of seconds"};

	return input->range.kind == FW_RANGE_NONE ? fw_edge_name(input->edge) : cut[input->range.kind];
}

static void add_label(struct fw_buffer *label, const char *text)
{
	fw_buffer_printf(label, "%s%s", label->length > 0 ? "; " : "", text);
}

static bool is_after(const struct fw_stage *stage, size_t producer)
{
	for (size_t i = 0; i < stage->after.count; i++)
		if (stage->after.items[i] == producer)
			return true;
	return false;
}

static void add_edge(struct fw_graph *graph, size_t producer, size_t consumer)
{
	const struct fw_stage *stage = &graph->workflow->stages.items[consumer];
	struct fw_graph_edge edge = {.producer = producer, .consumer = consumer};
	fw_cleanup_buffer struct fw_buffer label;

	fw_buffer_init(&label, 1 << 16);
	for (size_t i = 0; i < stage->inputs.count; i++)
		if (stage->inputs.items[i].from_stage == producer) {
			fw_cleanup_free char *text = fw_printf("%s, %s", stage->inputs.items[i].from_output,
			                                       fw_graph_way(&stage->inputs.items[i]));

			add_label(&label, text);
			edge.data = true;
		}
	if (stage->when.stage == producer) {
		fw_cleanup_free char *condition = fw_graph_condition(graph->workflow, stage);

		add_label(&label, condition);
	}
	if (label.length == 0)
		add_label(&label, is_after(stage, producer) ? "after" : "result"); /* a payload refers to a result */
	edge.label = fw_buffer_take(&label);
	FW_PUSH(&graph->edges, edge);
}

static void graph_init(struct fw_graph *graph, const struct fw_workflow *workflow)
{
	*graph = (struct fw_graph){.workflow = workflow,
	                           .steps = fw_alloc_array(workflow->stages.count, sizeof *graph->steps)};
	for (size_t i = 0; i < workflow->order.count; i++) {
		size_t index = workflow->order.items[i];
		const struct fw_stage *stage = &workflow->stages.items[index];

		for (size_t k = 0; k < stage->producers.count; k++)
			if (graph->steps[stage->producers.items[k]] >= graph->steps[index])
				graph->steps[index] = graph->steps[stage->producers.items[k]] + 1;
		if (graph->steps[index] >= graph->step_count)
			graph->step_count = graph->steps[index] + 1;
	}
	for (size_t i = 0; i < workflow->stages.count; i++)
		for (size_t k = 0; k < workflow->stages.items[i].producers.count; k++)
			add_edge(graph, workflow->stages.items[i].producers.items[k], i);
}

static void graph_done(struct fw_graph *graph)
{
	for (size_t i = 0; i < graph->edges.count; i++)
		free(graph->edges.items[i].label);
	free(graph->edges.items);
	free(graph->steps);
}

int fw_workflow_graph(const struct fw_workflow *workflow, const char *format, struct fw_buffer *out, struct fw_error **err)
{
	static const struct {
		const char *name;
		int (*draw)(const struct fw_graph *graph, struct fw_buffer *out);
	} formats[] = {{"text", fw_graph_text}, {"dot", fw_graph_dot}, {"svg", fw_graph_svg}};
	struct fw_graph graph;
	int rc = FW_E_USAGE;

	for (size_t i = 0; i < FW_COUNT_OF(formats); i++)
		if (strcmp(formats[i].name, format) == 0) {
			graph_init(&graph, workflow);
			rc = formats[i].draw(&graph, out);
			graph_done(&graph);
			return rc == FW_OK ? FW_OK : fw_fail(err, FW_E_LIMIT, "the graph is too large to draw");
		}
	return fw_error_hint(err, fw_fail(err, rc, "unknown format of a graph '%s'", format), "text, dot or svg");
}
