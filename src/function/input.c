/* SPDX-License-Identifier: Apache-2.0
 *
 * Input objects, one at a time: from the event's list or, when the list was long, from a file of JSON lines that is read
 * as it is needed. Objects that are ready come first; those of producers still at work (futures) are waited for after
 * them. An object that is no local file is staged in by the host when its turn comes. All of it is timed as read.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "function/sdk.h"

struct fw_sdk_future {
	struct fw_sdk_future *next;
	const char *token;
};

static struct fw_sdk_input *find_input(struct fw_invocation *invocation, const char *name)
{
	struct fw_sdk_input *input = invocation->inputs;

	while (input && strcmp(input->name, name) != 0)
		input = input->next;
	if (!input && invocation->staged)
		fw_fail_invocation(invocation, "Function.Input", "the stage has no input '%s'", name);
	return input;
}

int64_t fw_input_count(struct fw_invocation *invocation, const char *name)
{
	const struct fw_sdk_input *input = find_input(invocation, name);

	return input ? input->count : 0;
}

/* FW_OK, or FW_ERROR with the host's reason recorded. */
static int ask(struct fw_invocation *invocation, const struct fw_sdk_request *request, const char *type,
               struct fw_sdk_text *body)
{
	struct fw_sdk_reply reply;
	struct fw_sdk_text message, name;

	if (fw_sdk_http_call(invocation->http, request, &reply) != FW_OK)
		return fw_fail_invocation(invocation, type, "%s: %s", request->path, strerror(errno));
	bool json = fw_sdk_json_check(reply.body);
	if (reply.status == 200 && json) {
		*body = reply.body;
		return FW_OK;
	}
	const char *reason = json && fw_sdk_json_member(reply.body, "errorMessage", &message)
	                         ? fw_sdk_json_string(&invocation->arena, message) : NULL;
	const char *given = json && fw_sdk_json_member(reply.body, "errorType", &name)
	                        ? fw_sdk_json_string(&invocation->arena, name) : NULL;
	return fw_fail_invocation(invocation, given ? given : type, "%s: %s (status %d)", request->path,
	                          reason ? reason : "refused", reply.status);
}

static int stage_in(struct fw_invocation *invocation, struct fw_object *object)
{
	struct fw_sdk_buffer body = {.max = 64 << 10};
	struct fw_sdk_request request = {.method = "POST", .path = "/flexwatt/1/stage-in"};
	struct fw_sdk_text reply = {0}, value;

	fw_sdk_append_text(&body, "{\"uri\":");
	fw_sdk_append_quoted(&body, object->uri);
	fw_sdk_append_text(&body, ",\"offset\":");
	fw_sdk_append_integer(&body, object->offset);
	fw_sdk_append_text(&body, ",\"length\":");
	fw_sdk_append_integer(&body, object->length);
	fw_sdk_append_text(&body, "}");
	request.body = (struct fw_sdk_text){body.bytes, body.length};
	int rc = body.full ? fw_fail_invocation(invocation, "Function.StageIn", "the URI of an input object is too long")
	                   : ask(invocation, &request, "Function.StageIn", &reply);
	fw_sdk_buffer_done(&body);
	if (rc != FW_OK)
		return rc;
	object->path = fw_sdk_json_member(reply, "path", &value) ? fw_sdk_json_string(&invocation->arena, value) : NULL;
	if (!object->path)
		return fw_fail_invocation(invocation, "Function.StageIn", "the host gave no path for %s", object->uri);
	if (fw_sdk_json_member(reply, "offset", &value))
		fw_sdk_json_integer(value, &object->offset);
	if (fw_sdk_json_member(reply, "length", &value))
		fw_sdk_json_integer(value, &object->length);
	return FW_OK;
}

/* What a range has beside its bytes. */
static void read_cut(struct fw_invocation *invocation, struct fw_sdk_text item, struct fw_object *object)
{
	struct fw_sdk_text value;

	if (fw_sdk_json_member(item, "header", &value))
		object->header = fw_sdk_json_string(&invocation->arena, value);
	if (fw_sdk_json_member(item, "delimiter", &value)) {
		const char *delimiter = fw_sdk_json_string(&invocation->arena, value);

		object->delimiter = delimiter ? *delimiter : '\0';
	}
	if (fw_sdk_json_member(item, "part", &value))
		fw_sdk_json_integer(value, &object->part);
	if (fw_sdk_json_member(item, "parts", &value))
		fw_sdk_json_integer(value, &object->parts);
}

static int read_object(struct fw_invocation *invocation, struct fw_sdk_text item, struct fw_object *object)
{
	struct fw_sdk_text value;

	*object = (struct fw_object){.bytes = -1, .length = -1};
	if (fw_sdk_json_member(item, "uri", &value))
		object->uri = fw_sdk_json_string(&invocation->arena, value);
	if (fw_sdk_json_member(item, "path", &value))
		object->path = fw_sdk_json_string(&invocation->arena, value);
	if (fw_sdk_json_member(item, "bytes", &value))
		fw_sdk_json_integer(value, &object->bytes);
	if (fw_sdk_json_member(item, "offset", &value))
		fw_sdk_json_integer(value, &object->offset);
	if (fw_sdk_json_member(item, "length", &value))
		fw_sdk_json_integer(value, &object->length);
	read_cut(invocation, item, object);
	object->start = object->offset;
	if (!object->uri)
		object->uri = object->path;
	if (!object->uri)
		return fw_fail_invocation(invocation, "Runtime.MalformedEvent", "an input object has neither uri nor path");
	return object->path ? FW_OK : stage_in(invocation, object);
}

static int fail_manifest(struct fw_invocation *invocation, const struct fw_sdk_input *input, const char *verb)
{
	return fw_fail_invocation(invocation, "Function.Input", "%s %s: %s", verb, input->manifest, strerror(errno));
}

/* The next line of a manifest; the file is opened when first asked for. */
static int next_line(struct fw_invocation *invocation, struct fw_sdk_input *input, struct fw_sdk_text *item)
{
	char *line = NULL;
	size_t capacity = 0;
	FILE *file = input->manifest_file;

	if (!file) {
		file = input->manifest_file = fopen(input->manifest, "re");
		if (!file)
			return fail_manifest(invocation, input, "open");
	}
	ssize_t length = getline(&line, &capacity, file);
	if (length > 0)
		*item = (struct fw_sdk_text){fw_sdk_copy(&invocation->arena, line, (size_t)length), (size_t)length};
	free(line);
	if (length <= 0)
		return ferror(file) ? fail_manifest(invocation, input, "read") : FW_END;
	if (!fw_sdk_json_check(*item))
		return fw_fail_invocation(invocation, "Function.Input", "%s: a line is not JSON", input->manifest);
	return FW_OK;
}

/* A producer's list takes the place of its future. */
static int resolve_future(struct fw_invocation *invocation, struct fw_sdk_input *input)
{
	struct fw_sdk_future *future = input->futures;
	struct fw_sdk_request request = {.method = "GET"};
	struct fw_sdk_text reply = {0}, objects;

	input->futures = future->next;
	request.path = fw_sdk_format(&invocation->arena, "/flexwatt/1/future/%s", future->token);
	if (ask(invocation, &request, "Function.Producer", &reply) != FW_OK)
		return FW_ERROR;
	if (!fw_sdk_json_member(reply, "objects", &objects) || *objects.bytes != '[')
		return fw_fail_invocation(invocation, "Function.Producer", "%s: the host gave no objects", request.path);
	const char *kept = fw_sdk_copy(&invocation->arena, objects.bytes, objects.length);
	input->items = fw_sdk_json_each((struct fw_sdk_text){kept, objects.length});
	struct fw_sdk_each each = input->items;
	input->count--;
	for (struct fw_sdk_text value; fw_sdk_json_next(&each, NULL, &value);)
		input->count++;
	return FW_OK;
}

static int next_item(struct fw_invocation *invocation, struct fw_sdk_input *input, struct fw_sdk_text *item)
{
	if (fw_sdk_json_next(&input->items, NULL, item))
		return FW_OK;
	if (input->manifest)
		return next_line(invocation, input, item);
	return FW_END;
}

static bool keep_future(struct fw_invocation *invocation, struct fw_sdk_input *input, struct fw_sdk_text item)
{
	struct fw_sdk_text token;

	if (!fw_sdk_json_member(item, "future", &token))
		return false;
	struct fw_sdk_future *future = fw_sdk_take(&invocation->arena, sizeof *future);
	future->token = fw_sdk_json_string(&invocation->arena, token);
	if (!future->token)
		return false;
	*input->futures_end = future;
	input->futures_end = &future->next;
	return true;
}

static int next_object(struct fw_invocation *invocation, struct fw_sdk_input *input, struct fw_object *object)
{
	struct fw_sdk_text item;

	for (;;) {
		int rc = next_item(invocation, input, &item);

		if (rc == FW_END && input->futures)
			rc = resolve_future(invocation, input);
		else if (rc == FW_OK && !keep_future(invocation, input, item))
			return read_object(invocation, item, object);
		if (rc != FW_OK)
			return rc;
	}
}

int fw_next_input(struct fw_invocation *invocation, const char *name, struct fw_object *object)
{
	uint64_t start = fw_sdk_now_ns();
	struct fw_sdk_input *input = find_input(invocation, name);

	if (!input)
		return invocation->staged ? FW_ERROR : FW_END;
	int rc = next_object(invocation, input, object);
	if (rc == FW_OK)
		object->index = input->given++;
	invocation->read_ns += fw_sdk_now_ns() - start;
	return rc;
}

void fw_sdk_inputs_close(struct fw_invocation *invocation)
{
	for (struct fw_sdk_input *input = invocation->inputs; input; input = input->next)
		if (input->manifest_file)
			fclose(input->manifest_file);
	while (invocation->readers)
		fw_read_close(invocation->readers);
}
