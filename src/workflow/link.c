/* SPDX-License-Identifier: Apache-2.0
 *
 * References between stages: inputs, after, when and payloads become indices and links; then the rules of edges.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

void fw_add_link(struct fw_reader *reader, size_t producer, size_t consumer, const struct fw_setting *where)
{
	FW_PUSH(&reader->links, (struct fw_link){producer, consumer, where});
}

int fw_find_stage(const struct fw_reader *reader, const struct fw_setting *where, const char *name, size_t length,
                  size_t *index, struct fw_error **err)
{
	const struct fw_workflow *workflow = reader->workflow;
	fw_cleanup_free char *wanted = fw_strndup(name, length);
	struct fw_names names = {0};

	for (size_t i = 0; i < workflow->stages.count; i++) {
		FW_PUSH(&names.list, workflow->stages.items[i].name);
		if (strcmp(workflow->stages.items[i].name, wanted) == 0) {
			free(names.list.items);
			*index = i;
			return FW_OK;
		}
	}
	return fw_fail_unknown(err, where, &names, "stages", wanted, "no stage named");
}

static int find_output(const struct fw_stage *stage, const struct fw_setting *where, const char *name,
                       struct fw_error **err)
{
	struct fw_names names = {0};

	for (size_t i = 0; i < stage->outputs.count; i++) {
		FW_PUSH(&names.list, stage->outputs.items[i].name);
		if (strcmp(stage->outputs.items[i].name, name) == 0) {
			free(names.list.items);
			return FW_OK;
		}
	}
	fw_cleanup_free char *message = fw_printf("stage '%s' has no output", stage->name);
	fw_cleanup_free char *what = fw_printf("outputs of '%s'", stage->name);
	return fw_fail_unknown(err, where, &names, what, name, message);
}

static int fail_no_reference(struct fw_error **err, const struct fw_setting *from)
{
	int rc = fw_setting_fail(err, from, FW_E_INVALID, "'%.80s' is not STAGE.OUTPUT", from->text);

	if (strpbrk(from->text, "/*?"))
		return fw_error_hint(err, rc, "objects of the storage: {keys: \"%.80s\"}", from->text);
	return fw_error_hint(err, rc, "for example split.chunks: the output 'chunks' of the stage 'split'");
}

static int link_input(struct fw_reader *reader, size_t consumer, const struct fw_setting *from, struct fw_input *input,
                      struct fw_error **err)
{
	const char *dot = strchr(from->text, '.');

	if (!dot || strpbrk(from->text, "/*?"))
		return fail_no_reference(err, from);
	int rc = fw_find_stage(reader, from, from->text, (size_t)(dot - from->text), &input->from_stage, err);
	if (rc == FW_OK)
		rc = find_output(&reader->workflow->stages.items[input->from_stage], from, dot + 1, err);
	if (rc != FW_OK)
		return rc;
	input->from_output = fw_strdup(dot + 1);
	fw_add_link(reader, input->from_stage, consumer, from);
	return FW_OK;
}

static int link_inputs(struct fw_reader *reader, size_t index, const struct fw_setting *setting, struct fw_error **err)
{
	struct fw_stage *stage = &reader->workflow->stages.items[index];

	for (size_t i = 0; i < stage->inputs.count; i++) {
		struct fw_input *input = &stage->inputs.items[i];
		const struct fw_setting *from = fw_setting_get(fw_setting_get(fw_setting_get(setting, "inputs"), input->name),
		                                               "from");
		int rc = from ? link_input(reader, index, from, input, err) : FW_OK;

		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "input '%s'", input->name);
	}
	return FW_OK;
}

static int link_after(struct fw_reader *reader, size_t index, const struct fw_setting *after, struct fw_error **err)
{
	struct fw_stage *stage = &reader->workflow->stages.items[index];

	for (size_t i = 0; after && i < after->entries.count; i++) {
		const struct fw_setting *name = after->entries.items[i].value;
		size_t producer = 0;
		int rc = fw_find_stage(reader, name, name->text, strlen(name->text), &producer, err);

		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "after");
		for (size_t k = 0; k < stage->after.count; k++)
			if (stage->after.items[k] == producer)
				return fw_error_hint(err, fw_setting_fail(err, name, FW_E_INVALID, "after: '%s' is named twice", name->text),
				                     "remove one");
		FW_PUSH(&stage->after, producer);
		fw_add_link(reader, producer, index, name);
	}
	return FW_OK;
}

static enum fw_operator operator_of(const char *name)
{
	enum fw_operator operator_ = FW_OP_EQ;

	while (operator_ < FW_OP_GE && strcmp(fw_operator_name(operator_), name) != 0)
		operator_++;
	return operator_;
}

static int link_condition(struct fw_reader *reader, size_t index, const struct fw_setting *when, struct fw_error **err)
{
	struct fw_condition *condition = &reader->workflow->stages.items[index].when;
	const struct fw_setting *result = fw_setting_get(when, "result");
	const struct fw_setting *value = fw_setting_get(when, "value");

	if (!when)
		return FW_OK;
	size_t length = strcspn(result->text, ".");
	int rc = fw_find_stage(reader, result, result->text, length, &condition->stage, err);
	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "when");
	condition->path = fw_strdup(result->text + length + (result->text[length] == '.'));
	condition->operator_ = operator_of(fw_setting_get(when, "op")->text);
	condition->value = fw_setting_json(value);
	fw_add_link(reader, condition->stage, index, result);
	if (condition->operator_ > FW_OP_NE && value->kind == FW_SETTING_BOOLEAN)
		return fw_error_hint(err, fw_setting_fail(err, value, FW_E_INVALID, "when: '%s' cannot compare a truth value",
		                                          fw_operator_name(condition->operator_)),
		                     "use == or !=");
	return FW_OK;
}

/* ---- edges ---- */

static const struct fw_setting *said_of(const struct fw_setting *stage, const struct fw_input *input, const char *key)
{
	return fw_setting_get(fw_setting_get(fw_setting_get(stage, "inputs"), input->name), key);
}

static const struct fw_setting *edge_of(const struct fw_setting *stage, const struct fw_input *input)
{
	return said_of(stage, input, "edge");
}

static int check_range(const struct fw_setting *setting, const struct fw_stage *stage, const struct fw_input *input,
                       struct fw_error **err)
{
	const struct fw_setting *edge = edge_of(setting, input), *range = said_of(setting, input, "range");

	if (edge && fw_edge_of(edge->text) != FW_EDGE_SCATTER)
		return fw_error_hint(err, fw_setting_fail(err, edge, FW_E_INVALID, "edge: %s takes whole objects, but range: %s cuts "
		                                          "them", edge->text, range->text),
		                     "leave one of the two out");
	if (stage->workers != FW_WORKERS_AUTO)
		return FW_OK;
	const struct fw_setting *workers = fw_setting_get(setting, "workers");
	return fw_error_hint(err, fw_setting_fail(err, workers ? workers : range, FW_E_INVALID,
	                                          "range: %s cuts the objects for a number of workers, but workers is auto",
	                                          range->text),
	                     "say how many ranges there shall be: workers: 8");
}

static int read_range(const struct fw_setting *setting, const struct fw_stage *stage, struct fw_input *input,
                      struct fw_error **err)
{
	const struct fw_setting *range = said_of(setting, input, "range");
	const struct fw_setting *delimiter = said_of(setting, input, "delimiter"), *header = said_of(setting, input, "header");
	const struct fw_setting *of_csv = delimiter ? delimiter : header;
	struct fw_range_format format = {range ? fw_range_of(range->text) : FW_RANGE_NONE, FW_RANGE_DELIMITER, true};

	if (of_csv && format.kind != FW_RANGE_CSV)
		return fw_error_hint(err, fw_setting_fail(err, of_csv, FW_E_INVALID, "'%s' says how to read range: csv, but %s%s",
		                                          delimiter ? "delimiter" : "header",
		                                          range ? "this is range: " : "nothing is cut here",
		                                          range ? range->text : ""),
		                     "leave it out, or write range: csv");
	if (!range)
		return FW_OK;
	if (delimiter)
		format.delimiter = strlen(delimiter->text) == 1 ? *delimiter->text : '\t';
	format.header = !header || json_is_true(header->json);
	input->range = format;
	input->edge = FW_EDGE_SCATTER;
	return check_range(setting, stage, input, err);
}

static void read_workers(const struct fw_setting *setting, struct fw_stage *stage)
{
	const struct fw_setting *workers = fw_setting_get(setting, "workers");

	stage->workers = workers && workers->kind == FW_SETTING_INTEGER ? json_integer_value(workers->json) : 1;
	if (workers && workers->kind == FW_SETTING_TEXT)
		stage->workers = FW_WORKERS_AUTO;
	for (size_t i = 0; !workers && i < stage->inputs.count; i++) {
		const struct fw_setting *edge = edge_of(setting, &stage->inputs.items[i]);

		if (edge && strcmp(edge->text, "each") == 0)
			stage->workers = FW_WORKERS_AUTO;
	}
}

static int read_edge(const struct fw_setting *setting, const struct fw_stage *stage, struct fw_input *input,
                     struct fw_error **err)
{
	const struct fw_setting *edge = edge_of(setting, input);

	int rc = read_range(setting, stage, input, err);

	if (rc != FW_OK || input->range.kind != FW_RANGE_NONE)
		return rc;
	input->edge = stage->workers == FW_WORKERS_AUTO ? FW_EDGE_EACH : FW_EDGE_SCATTER;
	if (!edge)
		return FW_OK;
	input->edge = fw_edge_of(edge->text);
	if (input->edge != FW_EDGE_EACH || stage->workers == FW_WORKERS_AUTO)
		return FW_OK;
	const struct fw_setting *workers = fw_setting_get(setting, "workers");
	return fw_error_hint(err, fw_setting_fail(err, workers->override ? workers : edge, FW_E_INVALID,
	                                          "edge: each starts one task for every object, but workers is %lld",
	                                          (long long)stage->workers),
	                     "write workers: auto, or edge: scatter");
}

static int check_partitioned(const struct fw_setting *setting, const struct fw_stage *stage, struct fw_error **err)
{
	const struct fw_input *first = NULL;

	for (size_t i = 0; i < stage->inputs.count; i++) {
		const struct fw_input *input = &stage->inputs.items[i];

		if (input->edge == FW_EDGE_BROADCAST)
			continue;
		if (first)
			return fw_error_hint(err, fw_setting_fail(err, fw_setting_get(fw_setting_get(setting, "inputs"), input->name),
			                                          FW_E_INVALID, "inputs '%s' and '%s' are both dealt out to tasks",
			                                          first->name, input->name),
			                     "at most one input may be; give the other one edge: broadcast");
		first = input;
	}
	return FW_OK;
}

int fw_link_edges(const struct fw_setting *setting, struct fw_stage *stage, struct fw_error **err)
{
	const struct fw_input *partitioned = NULL;

	read_workers(setting, stage);
	for (size_t i = 0; i < stage->inputs.count; i++) {
		int rc = read_edge(setting, stage, &stage->inputs.items[i], err);

		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "input '%s'", stage->inputs.items[i].name);
	}
	int rc = check_partitioned(setting, stage, err);
	if (rc != FW_OK || stage->workers != FW_WORKERS_AUTO)
		return rc;
	partitioned = fw_stage_partitioned(stage);
	if (partitioned && partitioned->edge == FW_EDGE_EACH)
		return FW_OK;
	return fw_error_hint(err, fw_setting_fail(err, fw_setting_get(setting, "workers"), FW_E_INVALID,
	                                          "workers: auto needs an input with edge: each"),
	                     "auto means one task for every object of that input; else give a number of workers");
}

int fw_link_stages(struct fw_reader *reader, struct fw_error **err)
{
	const struct fw_setting *stages = fw_setting_get(reader->root, "stages");

	for (size_t i = 0; i < stages->entries.count; i++) {
		const struct fw_setting *setting = stages->entries.items[i].value;
		const struct fw_setting *payload = fw_setting_get(setting, "payload");
		struct fw_stage *stage = &reader->workflow->stages.items[i];
		int rc = link_inputs(reader, i, setting, err);

		if (rc == FW_OK)
			rc = link_after(reader, i, fw_setting_get(setting, "after"), err);
		if (rc == FW_OK)
			rc = link_condition(reader, i, fw_setting_get(setting, "when"), err);
		if (rc == FW_OK && payload)
			rc = fw_link_payload(reader, i, payload, err);
		if (rc == FW_OK)
			rc = fw_link_edges(setting, stage, err);
		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "stage '%s'", stage->name);
	}
	return fw_order_stages(reader, err);
}
