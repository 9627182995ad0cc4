/* SPDX-License-Identifier: Apache-2.0
 *
 * The event of an invocation. Only what every function needs is read at once; inputs and parameters stay text until they
 * are asked for. A plain event (not version 1) has no inputs, outputs or parameters: handlers read its text.
 */
#include <string.h>

#include "function/sdk.h"

static int malformed(struct fw_invocation *invocation, const char *what)
{
	return fw_fail_invocation(invocation, "Runtime.MalformedEvent", "the event's %s is missing or malformed", what);
}

static int64_t count_items(struct fw_sdk_each each)
{
	struct fw_sdk_text value;
	int64_t count = 0;

	while (fw_sdk_json_next(&each, NULL, &value))
		count++;
	return count;
}

static int read_input(struct fw_invocation *invocation, struct fw_sdk_text key, struct fw_sdk_text value)
{
	struct fw_sdk_input *input = fw_sdk_take(&invocation->arena, sizeof *input);
	struct fw_sdk_text manifest, count;

	input->name = fw_sdk_json_string(&invocation->arena, key);
	input->futures_end = &input->futures;
	if (!input->name)
		return malformed(invocation, "input name");
	if (fw_sdk_json_member(value, "manifest", &manifest)) {
		input->manifest = fw_sdk_json_string(&invocation->arena, manifest);
		if (!input->manifest || !fw_sdk_json_member(value, "count", &count) ||
		    !fw_sdk_json_integer(count, &input->count))
			return malformed(invocation, "manifest");
		input->items = (struct fw_sdk_each){0};
	} else {
		input->items = fw_sdk_json_each(value);
		if (input->items.object || *value.bytes != '[')
			return malformed(invocation, "list of input objects");
		input->count = count_items(input->items);
	}
	input->next = invocation->inputs;
	invocation->inputs = input;
	return FW_OK;
}

static int read_output(struct fw_invocation *invocation, struct fw_sdk_text key, struct fw_sdk_text value)
{
	struct fw_sdk_output *output = fw_sdk_take(&invocation->arena, sizeof *output);
	struct fw_sdk_text directory, suffix;

	output->name = fw_sdk_json_string(&invocation->arena, key);
	if (fw_sdk_json_member(value, "directory", &directory))
		output->directory = fw_sdk_json_string(&invocation->arena, directory);
	if (fw_sdk_json_member(value, "suffix", &suffix))
		output->suffix = fw_sdk_json_string(&invocation->arena, suffix);
	if (!output->name || !output->directory)
		return malformed(invocation, "output");
	if (!output->suffix)
		output->suffix = "";
	/* Outputs keep their order: the answer lists them as the event does. */
	struct fw_sdk_output **end = &invocation->outputs;
	while (*end)
		end = &(*end)->next;
	*end = output;
	return FW_OK;
}

static int read_members(struct fw_invocation *invocation, const char *name,
                        int (*read)(struct fw_invocation *, struct fw_sdk_text, struct fw_sdk_text))
{
	struct fw_sdk_text container, key, value;

	if (!fw_sdk_json_member(invocation->event, name, &container))
		return FW_OK;
	struct fw_sdk_each each = fw_sdk_json_each(container);
	while (fw_sdk_json_next(&each, &key, &value))
		if (read(invocation, key, value) != FW_OK)
			return FW_ERROR;
	return FW_OK;
}

static int read_number(struct fw_invocation *invocation, const char *name, int64_t *number)
{
	struct fw_sdk_text value;

	if (fw_sdk_json_member(invocation->event, name, &value) && !fw_sdk_json_integer(value, number))
		return malformed(invocation, name);
	return FW_OK;
}

int fw_sdk_event_read(struct fw_invocation *invocation)
{
	struct fw_sdk_text value;
	int64_t version = 0;

	invocation->workers = invocation->attempt = 1;
	if (!fw_sdk_json_check(invocation->event))
		return fw_fail_invocation(invocation, "Runtime.MalformedEvent", "the event is not JSON");
	if (!fw_sdk_json_member(invocation->event, "flexwatt", &value))
		return FW_OK;
	if (!fw_sdk_json_integer(value, &version) || version != 1)
		return fw_fail_invocation(invocation, "Runtime.EventVersion",
		                          "this function understands events of version 1, not %.*s", (int)value.length, value.bytes);
	invocation->staged = true;
	if (fw_sdk_json_member(invocation->event, "handler", &value))
		invocation->handler = fw_sdk_json_string(&invocation->arena, value);
	fw_sdk_json_member(invocation->event, "params", &invocation->params);
	if (read_number(invocation, "task", &invocation->task) != FW_OK ||
	    read_number(invocation, "workers", &invocation->workers) != FW_OK ||
	    read_number(invocation, "attempt", &invocation->attempt) != FW_OK ||
	    read_members(invocation, "inputs", read_input) != FW_OK)
		return FW_ERROR;
	return read_members(invocation, "outputs", read_output);
}

const char *fw_event_text(const struct fw_invocation *invocation, size_t *length)
{
	if (length)
		*length = invocation->event.length;
	return invocation->event.bytes;
}

int64_t fw_task(const struct fw_invocation *invocation)
{
	return invocation->task;
}

int64_t fw_workers(const struct fw_invocation *invocation)
{
	return invocation->workers;
}

int64_t fw_attempt(const struct fw_invocation *invocation)
{
	return invocation->attempt;
}

const char *fw_request_id(const struct fw_invocation *invocation)
{
	return invocation->request_id;
}
