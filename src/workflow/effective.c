/* SPDX-License-Identifier: Apache-2.0
 *
 * The effective workflow: a file of the same grammar that says everything, after overrides and defaults. Reading it again
 * gives the same workflow; its digest tells whether a run can be resumed with it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "workflow/workflow_internal.h"

static const char *const edge_names[] = {
	[FW_EDGE_SCATTER] = "scatter", [FW_EDGE_BROADCAST] = "broadcast", [FW_EDGE_EACH] = "each"};

const char *fw_edge_name(enum fw_edge edge)
{
	return edge_names[edge];
}

enum fw_edge fw_edge_of(const char *name)
{
	for (size_t i = 0; i < FW_COUNT_OF(edge_names); i++)
		if (strcmp(edge_names[i], name) == 0)
			return (enum fw_edge)i;
	return FW_EDGE_SCATTER;
}

static const char *const range_names[] = {
	[FW_RANGE_NONE] = "none", [FW_RANGE_BYTES] = "bytes", [FW_RANGE_LINES] = "lines", [FW_RANGE_CSV] = "csv",
	[FW_RANGE_SECONDS] = "seconds"};

const char *fw_range_name(enum fw_range_kind kind)
{
	return range_names[kind];
}

enum fw_range_kind fw_range_of(const char *name)
{
	for (size_t i = 0; i < FW_COUNT_OF(range_names); i++)
		if (strcmp(range_names[i], name) == 0)
			return (enum fw_range_kind)i;
	return FW_RANGE_NONE;
}

/* Below the workflow's directory a path stays relative, so that a workflow may move together with its functions. */
static json_t *path_json(const struct fw_workflow *workflow, const char *path)
{
	size_t length = strlen(workflow->directory);

	if (strcmp(path, workflow->directory) == 0)
		return json_string(".");
	if (length > 1 && strncmp(path, workflow->directory, length) == 0 && path[length] == '/')
		return json_sprintf(".%s", path + length);
	return json_string(path);
}

static json_t *function_json(const struct fw_workflow *workflow, const struct fw_function *function)
{
	json_t *json = json_object();
	json_t *words = NULL;

	switch (function->kind) {
	case FW_FUNCTION_PACKAGE:
		json_object_set_new(json, "package", path_json(workflow, function->path));
		break;
	case FW_FUNCTION_PYTHON:
		json_object_set_new(json, "python", json_object());
		json_object_set_new(json_object_get(json, "python"), "path", path_json(workflow, function->path));
		if (function->interpreter)
			json_object_set_new(json_object_get(json, "python"), "interpreter",
			                    path_json(workflow, function->interpreter));
		break;
	case FW_FUNCTION_NODE:
		json_object_set_new(json, "node", path_json(workflow, function->path));
		break;
	case FW_FUNCTION_COMMAND:
		words = json_array();
		for (size_t i = 0; i < function->command.count; i++)
			json_array_append_new(words, json_string(function->command.items[i]));
		json_object_set_new(json, "command", words);
		json_object_set_new(json, "per", json_string(function->per_object ? "object" : "task"));
	}
	if (function->style != FW_STYLE_FOUND)
		json_object_set_new(json, "style", json_string(function->style == FW_STYLE_STAGE ? "stage" : "event"));
	if (function->handler)
		json_object_set_new(json, "handler", json_string(function->handler));
	if (function->environment)
		json_object_set(json, "environment", function->environment);
	return json;
}

static void set_range(const struct fw_range_format *range, json_t *json)
{
	json_object_set_new(json, "range", json_string(fw_range_name(range->kind)));
	if (range->kind != FW_RANGE_CSV)
		return;
	json_object_set_new(json, "delimiter", json_stringn(&range->delimiter, 1));
	json_object_set_new(json, "header", json_boolean(range->header));
}

static json_t *inputs_json(const struct fw_workflow *workflow, const struct fw_stage *stage)
{
	json_t *inputs = json_object();

	for (size_t i = 0; i < stage->inputs.count; i++) {
		const struct fw_input *input = &stage->inputs.items[i];
		json_t *json = json_object();

		if (input->keys)
			json_object_set_new(json, "keys", json_string(input->keys));
		else
			json_object_set_new(json, "from", json_sprintf("%s.%s", workflow->stages.items[input->from_stage].name,
			                                               input->from_output));
		if (input->range.kind == FW_RANGE_NONE)
			json_object_set_new(json, "edge", json_string(fw_edge_name(input->edge)));
		else
			set_range(&input->range, json);
		json_object_set_new(inputs, input->name, json);
	}
	return inputs;
}

static json_t *outputs_json(const struct fw_stage *stage)
{
	json_t *outputs = json_object();

	for (size_t i = 0; i < stage->outputs.count; i++) {
		const struct fw_output *output = &stage->outputs.items[i];
		json_t *json = json_object();

		json_object_set_new(json, "suffix", json_string(output->suffix));
		if (output->from)
			json_object_set_new(json, "from", json_string(output->from));
		if (output->keys)
			json_object_set_new(json, "keys", json_string(output->keys));
		json_object_set_new(outputs, output->name, json);
	}
	return outputs;
}

static void set_waits(const struct fw_workflow *workflow, const struct fw_stage *stage, json_t *json)
{
	const struct fw_condition *when = &stage->when;
	json_t *after = json_array();

	for (size_t i = 0; i < stage->after.count; i++)
		json_array_append_new(after, json_string(workflow->stages.items[stage->after.items[i]].name));
	json_object_set_new(json, "after", after);
	if (when->stage == SIZE_MAX)
		return;
	json_t *condition = json_object();
	json_object_set_new(condition, "result", json_sprintf("%s%s%s", workflow->stages.items[when->stage].name,
	                                                      *when->path ? "." : "", when->path));
	json_object_set_new(condition, "op", json_string(fw_operator_name(when->operator_)));
	json_object_set(condition, "value", when->value);
	json_object_set_new(json, "when", condition);
}

static json_t *seconds_json(int64_t milliseconds)
{
	return milliseconds % 1000 == 0 ? json_integer(milliseconds / 1000) : json_real((double)milliseconds / 1000);
}

static json_t *stage_json(const struct fw_workflow *workflow, const struct fw_stage *stage)
{
	json_t *json = json_object();

	json_object_set_new(json, "function", function_json(workflow, &stage->function));
	json_object_set_new(json, "workers",
	                    stage->workers == FW_WORKERS_AUTO ? json_string("auto") : json_integer(stage->workers));
	json_object_set_new(json, "memory", json_integer(stage->memory_mb));
	json_object_set_new(json, "timeout", seconds_json(stage->timeout_ms));
	json_object_set_new(json, "retries", json_integer(stage->retries));
	json_object_set_new(json, "grow", json_boolean(stage->grow));
	json_object_set_new(json, "tmp", json_integer(stage->tmp_mb));
	json_object_set_new(json, "network", json_string(stage->network == FW_NETWORK_NONE ? "none" : "host"));
	json_object_set_new(json, "on_failure", json_string(stage->on_failure == FW_FAILURE_CONTINUE ? "continue" : "stop"));
	json_object_set_new(json, "inputs", inputs_json(workflow, stage));
	json_object_set_new(json, "outputs", outputs_json(stage));
	json_object_set(json, "params", stage->params);
	if (stage->payload)
		json_object_set(json, "payload", stage->payload);
	set_waits(workflow, stage, json);
	return json;
}

json_t *fw_workflow_effective(const struct fw_workflow *workflow)
{
	json_t *json = json_object();
	json_t *stages = json_object();

	json_object_set_new(json, "name", json_string(workflow->name));
	json_object_set_new(json, "storage", json_string(workflow->storage));
	for (size_t i = 0; i < workflow->stages.count; i++)
		json_object_set_new(stages, workflow->stages.items[i].name, stage_json(workflow, &workflow->stages.items[i]));
	json_object_set_new(json, "stages", stages);
	return json;
}

void fw_workflow_digest(const struct fw_workflow *workflow, char text[FW_DIGEST_TEXT])
{
	fw_cleanup_json json_t *json = json_copy(workflow->effective);

	json_object_del(json, "storage");
	fw_cleanup_free char *canonical = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
	fw_digest_of(canonical, strlen(canonical), text);
}
