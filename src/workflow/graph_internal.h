/* SPDX-License-Identifier: Apache-2.0
 *
 * The graph of a workflow as its drawers see it: one edge a pair of stages, and the step in which a stage can start.
 */
#pragma once

#include "workflow/workflow.h"

struct fw_graph_edge {
	size_t producer, consumer;
	bool data;   /* objects flow; else the consumer only waits */
	char *label; /* "chunks, each", "after", "count > 0" */
};

struct fw_graph {
	const struct fw_workflow *workflow;
	FW_VECTOR(struct fw_graph_edge) edges; /* by consumer, then producer */
	size_t *steps; /* by stage, from 0: one more than the latest of its producers */
	size_t step_count;
};

char *fw_graph_tasks(const struct fw_stage *stage); /* "4 tasks", "1 task per object"; newly allocated */
const char *fw_graph_way(const struct fw_input *input); /* "scatter", "ranges of csv" */
char *fw_graph_condition(const struct fw_workflow *workflow, const struct fw_stage *stage); /* "split.count > 0" */

int fw_graph_text(const struct fw_graph *graph, struct fw_buffer *out);
int fw_graph_dot(const struct fw_graph *graph, struct fw_buffer *out);
int fw_graph_svg(const struct fw_graph *graph, struct fw_buffer *out);
