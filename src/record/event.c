/* SPDX-License-Identifier: Apache-2.0
 *
 * The event as bytes. Written straight into a buffer, without a JSON tree in between: this is on the way of every
 * invocation. The order of the keys is fixed, so that equal events are equal bytes.
 */
#include "record/event.h"

#include <string.h>

#include "base/digest.h"

#define LITERAL(buffer, text) fw_buffer_append(buffer, "" text, sizeof(text) - 1)

static void append_quoted(struct fw_buffer *out, const char *text)
{
	fw_json_quote(fw_str_of(text), out);
}

static void append_integer(struct fw_buffer *out, int64_t value)
{
	char digits[20], *at = digits + sizeof digits;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do
		*--at = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (value < 0)
		*--at = '-';
	fw_buffer_append(out, at, (size_t)(digits + sizeof digits - at));
}

static void append_object(struct fw_buffer *out, const struct fw_object_ref *object)
{
	if (object->future) {
		LITERAL(out, "{\"future\":");
		append_quoted(out, object->future);
		LITERAL(out, "}");
		return;
	}
	LITERAL(out, "{\"uri\":");
	append_quoted(out, object->uri);
	if (object->path) {
		LITERAL(out, ",\"path\":");
		append_quoted(out, object->path);
	}
	if (object->bytes >= 0) {
		LITERAL(out, ",\"bytes\":");
		append_integer(out, object->bytes);
	}
	if (object->offset >= 0) {
		LITERAL(out, ",\"offset\":");
		append_integer(out, object->offset);
		LITERAL(out, ",\"length\":");
		append_integer(out, object->length);
	}
	if (object->header) {
		LITERAL(out, ",\"header\":");
		append_quoted(out, object->header);
	}
	if (object->delimiter) {
		LITERAL(out, ",\"delimiter\":");
		append_quoted(out, (const char[2]){object->delimiter, '\0'});
	}
	if (object->parts > 0) {
		LITERAL(out, ",\"part\":");
		append_integer(out, object->part);
		LITERAL(out, ",\"parts\":");
		append_integer(out, object->parts);
	}
	LITERAL(out, "}");
}

static void append_list(struct fw_buffer *out, const struct fw_event_input *input)
{
	LITERAL(out, "[");
	for (size_t i = 0; i < input->objects.count && !out->failed; i++) {
		if (i > 0)
			LITERAL(out, ",");
		append_object(out, &input->objects.items[i]);
	}
	LITERAL(out, "]");
}

bool fw_event_needs_manifest(const struct fw_event_input *input)
{
	fw_cleanup_buffer struct fw_buffer list;

	fw_buffer_init(&list, FW_EVENT_LIST_MAX_BYTES);
	append_list(&list, input);
	return list.failed;
}

static void append_input(struct fw_buffer *out, const struct fw_event_input *input)
{
	append_quoted(out, input->name);
	LITERAL(out, ":");
	if (!input->manifest) {
		append_list(out, input);
		return;
	}
	LITERAL(out, "{\"manifest\":");
	append_quoted(out, input->manifest);
	LITERAL(out, ",\"count\":");
	append_integer(out, (int64_t)input->manifest_count);
	LITERAL(out, ",\"sha256\":");
	append_quoted(out, input->manifest_sha256);
	LITERAL(out, "}");
}

static void append_output(struct fw_buffer *out, const struct fw_event_output *output)
{
	append_quoted(out, output->name);
	LITERAL(out, ":{\"directory\":");
	append_quoted(out, output->directory);
	LITERAL(out, ",\"suffix\":");
	append_quoted(out, output->suffix);
	LITERAL(out, "}");
}

static void append_identity(struct fw_buffer *out, const struct fw_event *event)
{
	_Static_assert(FW_EVENT_VERSION == 1, "the text below says version 1");
	LITERAL(out, "{\"flexwatt\":1,\"run\":");
	append_quoted(out, event->run);
	LITERAL(out, ",\"stage\":");
	append_quoted(out, event->stage);
	LITERAL(out, ",\"handler\":");
	append_quoted(out, event->handler);
	LITERAL(out, ",\"task\":");
	append_integer(out, event->task);
	LITERAL(out, ",\"workers\":");
	append_integer(out, event->workers);
	LITERAL(out, ",\"attempt\":");
	append_integer(out, event->attempt);
}

char *fw_event_encode(const struct fw_event *event, size_t *length)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, FW_PAYLOAD_MAX_BYTES);
	append_identity(&out, event);
	LITERAL(&out, ",\"inputs\":{");
	for (size_t i = 0; i < event->inputs.count; i++) {
		if (i > 0)
			LITERAL(&out, ",");
		append_input(&out, &event->inputs.items[i]);
	}
	LITERAL(&out, "},\"outputs\":{");
	for (size_t i = 0; i < event->outputs.count; i++) {
		if (i > 0)
			LITERAL(&out, ",");
		append_output(&out, &event->outputs.items[i]);
	}
	LITERAL(&out, "},\"params\":");
	if (event->params)
		fw_json_append(event->params, &out);
	else
		LITERAL(&out, "{}");
	LITERAL(&out, "}");
	if (out.failed)
		return NULL;
	*length = out.length;
	return fw_buffer_take(&out);
}

char *fw_event_manifest(const struct fw_event_input *input, size_t *length, char sha256[65])
{
	fw_cleanup_buffer struct fw_buffer lines;

	fw_buffer_init(&lines, FW_MANIFEST_MAX_BYTES);
	for (size_t i = 0; i < input->objects.count && !lines.failed; i++) {
		append_object(&lines, &input->objects.items[i]);
		LITERAL(&lines, "\n");
	}
	if (lines.failed)
		return NULL;
	fw_digest_of(lines.data, lines.length, sha256);
	*length = lines.length;
	return fw_buffer_take(&lines);
}
