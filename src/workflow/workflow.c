/* SPDX-License-Identifier: Apache-2.0
 *
 * The workflow as others use it: what they ask of it, and its end.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

enum { MB_PER_VCPU = 1769 }; /* Lambda: a whole vCPU at 1,769 MB, proportionally below and above */

static void free_function(struct fw_function *function)
{
	free(function->path);
	free(function->handler);
	free(function->interpreter);
	for (size_t i = 0; i < function->command.count; i++)
		free(function->command.items[i]);
	free(function->command.items);
	json_decref(function->environment);
}

static void free_stage(struct fw_stage *stage)
{
	free(stage->name);
	free_function(&stage->function);
	for (size_t i = 0; i < stage->inputs.count; i++) {
		free(stage->inputs.items[i].name);
		free(stage->inputs.items[i].keys);
		free(stage->inputs.items[i].from_output);
	}
	free(stage->inputs.items);
	for (size_t i = 0; i < stage->outputs.count; i++) {
		free(stage->outputs.items[i].name);
		free(stage->outputs.items[i].suffix);
		free(stage->outputs.items[i].from);
		free(stage->outputs.items[i].keys);
	}
	free(stage->outputs.items);
	free(stage->after.items);
	free(stage->producers.items);
	free(stage->when.path);
	json_decref(stage->when.value);
	json_decref(stage->params);
	json_decref(stage->payload);
}

void fw_workflow_free(struct fw_workflow *workflow)
{
	if (!workflow)
		return;
	for (size_t i = 0; i < workflow->stages.count; i++)
		free_stage(&workflow->stages.items[i]);
	free(workflow->stages.items);
	free(workflow->order.items);
	free(workflow->name);
	free(workflow->path);
	free(workflow->directory);
	free(workflow->text);
	free(workflow->digest);
	free(workflow->storage);
	json_decref(workflow->effective);
	free(workflow);
}

const struct fw_stage *fw_workflow_stage(const struct fw_workflow *workflow, const char *name)
{
	for (size_t i = 0; i < workflow->stages.count; i++)
		if (strcmp(workflow->stages.items[i].name, name) == 0)
			return &workflow->stages.items[i];
	return NULL;
}

const struct fw_input *fw_stage_partitioned(const struct fw_stage *stage)
{
	for (size_t i = 0; i < stage->inputs.count; i++)
		if (stage->inputs.items[i].edge != FW_EDGE_BROADCAST)
			return &stage->inputs.items[i];
	return NULL;
}

bool fw_stage_is_each(const struct fw_stage *stage)
{
	const struct fw_input *input = fw_stage_partitioned(stage);

	return input && input->edge == FW_EDGE_EACH;
}

int64_t fw_memory_millivcpus(int64_t memory_mb)
{
	return memory_mb * 1000 / MB_PER_VCPU;
}
