/* SPDX-License-Identifier: Apache-2.0
 *
 * A command, a newline, an event, and behind another newline the lines of its manifests: the program's arguments keep
 * their number and are never more than the words and the objects. Sources: src/function/command_expand.c, event.c, input.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "function/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No file is made of what an event says: that is command_cut.c, which the fuzzed files only call. */
const char *fw_command_cut(struct fw_command *command, const struct fw_object *object)
{
	(void)command;
	return object->path;
}

static void require(bool condition)
{
	if (!condition)
		abort();
}

static struct fw_sdk_text next_part(struct fw_sdk_text *rest)
{
	const char *end = rest->length ? memchr(rest->bytes, '\n', rest->length) : NULL;
	struct fw_sdk_text part = {rest->bytes, end ? (size_t)(end - rest->bytes) : rest->length};

	*rest = (struct fw_sdk_text){rest->bytes + part.length + (end != NULL), rest->length - part.length - (end != NULL)};
	return part;
}

/* Manifests are read from memory: an event of any bytes must not open any file. */
static int give_manifest(struct fw_invocation *invocation, struct fw_sdk_text lines)
{
	int fd = memfd_create("manifest", MFD_CLOEXEC);

	require(fd >= 0 && write(fd, lines.bytes, lines.length) == (ssize_t)lines.length);
	for (struct fw_sdk_input *input = invocation->inputs; input; input = input->next)
		if (input->manifest)
			input->manifest = fw_sdk_format(&invocation->arena, "/proc/self/fd/%d", fd);
	return fd;
}

static void expand(struct fw_command *command)
{
	size_t words = 0, objects = 0, arguments = 0;
	char **expanded = fw_command_expand(command);

	while (command->words[words])
		words++;
	for (const struct fw_command_input *input = command->inputs; input; input = input->next)
		objects += input->count;
	while (expanded && expanded[arguments])
		arguments++;
	require(expanded ? arguments <= words * (objects + 1) : command->invocation->error_type != NULL);
}

static void run(struct fw_invocation *invocation, struct fw_sdk_text json, struct fw_sdk_text lines)
{
	struct fw_command command = {.invocation = invocation};

	if (fw_sdk_event_read(invocation) != FW_OK)
		return require(invocation->error_type != NULL);
	int fd = give_manifest(invocation, lines);

	if (fw_command_read(&command, json) == FW_OK && fw_command_load_inputs(&command) == FW_OK) {
		size_t turns = command.per_object ? command.inputs->count : 1;

		for (; command.turn < turns && command.turn < 4 && !invocation->error_type; command.turn++)
			expand(&command);
	} else {
		require(invocation->error_type != NULL);
	}
	fw_sdk_inputs_close(invocation);
	close(fd);
}

/* Ends with a NUL, as what the SDK reads does. */
static struct fw_sdk_text copy_of(struct fw_sdk_arena *arena, struct fw_sdk_text text)
{
	return (struct fw_sdk_text){fw_sdk_copy(arena, text.length ? text.bytes : "", text.length), text.length};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_sdk_text rest = {(const char *)data, size}, command = next_part(&rest), event = next_part(&rest);
	struct fw_sdk_http http;
	struct fw_invocation invocation = {.http = &http, .request_id = "1"};

	require(fw_sdk_http_init(&http, "127.0.0.1:1") == FW_OK); /* nobody listens: no stage-in, no future */
	invocation.event = copy_of(&invocation.arena, event);
	run(&invocation, copy_of(&invocation.arena, command), rest);
	fw_sdk_http_done(&http);
	fw_sdk_arena_done(&invocation.arena);
	return 0;
}
