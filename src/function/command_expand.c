/* SPDX-License-Identifier: Apache-2.0
 *
 * Placeholders of command functions: {input.NAME}, {output.NAME}, {param.NAME}, {task}, {workers}. Anything else in braces
 * is the program's own (awk, jq) and stays. An argument never goes through a shell, so that no name can be read as code.
 */
#include <stdio.h>
#include <string.h>

#include "function/command.h"

enum { WORDS_MAX = 4096 };

enum placeholder_kind { NONE, INPUT, OUTPUT, PARAMETER, TASK, WORKERS };

struct placeholder {
	enum placeholder_kind kind;
	const char *name; /* in the invocation's memory */
	size_t length;    /* of the whole placeholder, braces included */
};

static bool is_name(char character)
{
	return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
	       (character >= '0' && character <= '9') || character == '_' || character == '-';
}

/* What stands at the text, which begins with '{'. */
static struct placeholder read_placeholder(struct fw_sdk_arena *arena, const char *text)
{
	static const struct {
		const char *start;
		enum placeholder_kind kind;
		bool named;
	} known[] = {{"{input.", INPUT, true}, {"{output.", OUTPUT, true}, {"{param.", PARAMETER, true}, {"{task", TASK, false},
	             {"{workers", WORKERS, false}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t start = strlen(known[i].start), length = 0;

		if (strncmp(text, known[i].start, start) != 0)
			continue;
		while (is_name(text[start + length]))
			length++;
		if (text[start + length] == '}' && (length > 0) == known[i].named)
			return (struct placeholder){known[i].kind, fw_sdk_copy(arena, text + start, length), start + length + 1};
	}
	return (struct placeholder){.kind = NONE, .length = 1};
}

static int read_words(struct fw_command *command, struct fw_sdk_text list)
{
	struct fw_sdk_arena *arena = &command->invocation->arena;
	struct fw_sdk_each each = fw_sdk_json_each(list);
	size_t count = 0;

	command->words = fw_sdk_take(arena, (WORDS_MAX + 1) * sizeof *command->words);
	for (struct fw_sdk_text value; count < WORDS_MAX && fw_sdk_json_next(&each, NULL, &value);) {
		command->words[count] = fw_sdk_json_string(arena, value);
		if (!command->words[count++])
			return FW_ERROR;
	}
	return count > 0 && count < WORDS_MAX ? FW_OK : FW_ERROR;
}

int fw_command_read(struct fw_command *command, struct fw_sdk_text json)
{
	struct fw_sdk_text value;

	if (!fw_sdk_json_check(json) || !fw_sdk_json_member(json, "command", &value) || *value.bytes != '[' ||
	    read_words(command, value) != FW_OK)
		return fw_fail_invocation(command->invocation, "Command.Malformed",
		                          "FLEXWATT_COMMAND is not {\"command\": [words]}: %.200s", json.bytes);
	command->per_object = fw_sdk_json_member(json, "per_object", &value) && *value.bytes == 't';
	return FW_OK;
}

static int load_input(struct fw_command *command, const char *name)
{
	struct fw_invocation *invocation = command->invocation;
	struct fw_command_input **end = &command->inputs, *input;
	struct fw_object object;
	int rc;

	while (*end && strcmp((*end)->name, name) != 0)
		end = &(*end)->next;
	if (*end)
		return FW_OK;
	input = *end = fw_sdk_take(&invocation->arena, sizeof *input);
	input->name = name;
	while ((rc = fw_next_input(invocation, name, &object)) == FW_OK) {
		const char *path = fw_command_cut(command, &object);

		if (!path)
			return FW_ERROR;
		if (input->count == input->capacity) {
			size_t capacity = input->capacity ? 2 * input->capacity : 16;
			const char **paths = fw_sdk_take(&invocation->arena, capacity * sizeof *paths);

			if (input->count)
				memcpy(paths, input->paths, input->count * sizeof *paths);
			input->paths = paths;
			input->capacity = capacity;
		}
		input->paths[input->count++] = path;
	}
	return rc == FW_END ? FW_OK : FW_ERROR;
}

int fw_command_load_inputs(struct fw_command *command)
{
	for (const char **word = command->words; *word; word++) {
		for (const char *at = strchr(*word, '{'); at; at = strchr(at + 1, '{')) {
			struct placeholder found = read_placeholder(&command->invocation->arena, at);

			if (found.kind == INPUT && load_input(command, found.name) != FW_OK)
				return FW_ERROR;
		}
	}
	if (command->per_object && !command->inputs)
		return fw_fail_invocation(command->invocation, "Command.Placeholder",
		                          "the command runs once per object but names no {input.NAME}");
	return FW_OK;
}

static const struct fw_command_input *find_input(const struct fw_command *command, const char *name)
{
	const struct fw_command_input *input = command->inputs;

	while (strcmp(input->name, name) != 0) /* all that the command names are loaded */
		input = input->next;
	return input;
}

static int append_input(struct fw_command *command, const char *word, const char *name, struct fw_sdk_buffer *out)
{
	const struct fw_command_input *input = find_input(command, name);
	size_t index = command->per_object && input == command->inputs ? command->turn : 0;

	if (input->count == 0 || (index == 0 && input->count > 1 && !(command->per_object && input == command->inputs)))
		return fw_fail_invocation(command->invocation, "Command.Placeholder",
		                          "'%s' takes one object of input '%s', but the task has %zu", word, name, input->count);
	fw_sdk_append_text(out, input->paths[index]);
	return FW_OK;
}

/* The same prefix wherever one turn names the output; what follows in the word is kept, else the declared suffix. */
static int append_output(struct fw_command *command, const struct placeholder *found, bool last, struct fw_sdk_buffer *out)
{
	struct fw_invocation *invocation = command->invocation;
	const char *directory = fw_output_directory(invocation, found->name);

	if (!directory)
		return FW_ERROR;
	fw_sdk_append_text(out, fw_sdk_format(&invocation->arena, "%s/%04lld-%03zu", directory, (long long)invocation->task,
	                                      command->turn));
	for (const struct fw_sdk_output *output = invocation->outputs; last && output; output = output->next)
		if (strcmp(output->name, found->name) == 0)
			fw_sdk_append_text(out, output->suffix);
	return FW_OK;
}

/* Texts without their quotes, the rest as JSON. */
static int append_parameter(struct fw_command *command, const char *name, struct fw_sdk_buffer *out)
{
	const char *json = fw_param_json(command->invocation, name);

	if (!json)
		return fw_fail_invocation(command->invocation, "Command.Placeholder", "the stage has no parameter '%s'", name);
	fw_sdk_append_text(out, *json == '"' ? fw_param_text(command->invocation, name, "") : json);
	return FW_OK;
}

static int append_placeholder(struct fw_command *command, const char *word, const struct placeholder *found, bool last,
                              struct fw_sdk_buffer *out)
{
	switch (found->kind) {
	case INPUT: return append_input(command, word, found->name, out);
	case OUTPUT: return append_output(command, found, last, out);
	case PARAMETER: return append_parameter(command, found->name, out);
	case TASK: fw_sdk_append_integer(out, fw_task(command->invocation)); return FW_OK;
	case WORKERS: fw_sdk_append_integer(out, fw_workers(command->invocation)); return FW_OK;
	case NONE: break;
	}
	fw_sdk_append(out, "{", 1);
	return FW_OK;
}

static char *expand_word(struct fw_command *command, const char *word)
{
	struct fw_sdk_arena *arena = &command->invocation->arena;
	struct fw_sdk_buffer out = {.max = 1 << 20};
	char *expanded = NULL;
	int rc = FW_OK;

	for (const char *at = word; *at && rc == FW_OK;) {
		size_t plain = strcspn(at, "{");

		fw_sdk_append(&out, at, plain);
		at += plain;
		if (!*at)
			break;
		struct placeholder found = read_placeholder(arena, at);
		at += found.length;
		rc = append_placeholder(command, word, &found, !*at, &out);
	}
	if (out.full)
		rc = fw_fail_invocation(command->invocation, "Command.Placeholder", "'%.200s' becomes too long", word);
	if (rc == FW_OK)
		expanded = fw_sdk_copy(arena, out.bytes ? out.bytes : "", out.length);
	fw_sdk_buffer_done(&out);
	return expanded;
}

/* The input that a word is exactly, when it stands for as many arguments as there are objects; or NULL. */
static const struct fw_command_input *whole_input(struct fw_command *command, const char *word)
{
	struct placeholder found = *word == '{' ? read_placeholder(&command->invocation->arena, word) : (struct placeholder){0};

	if (found.kind != INPUT || word[found.length])
		return NULL;
	const struct fw_command_input *input = find_input(command, found.name);
	return command->per_object && input == command->inputs ? NULL : input;
}

char **fw_command_expand(struct fw_command *command)
{
	size_t total = 0, count = 0;

	for (const char **word = command->words; *word; word++) {
		const struct fw_command_input *input = whole_input(command, *word);

		total += input ? input->count : 1;
	}
	char **arguments = fw_sdk_take(&command->invocation->arena, (total + 1) * sizeof *arguments);
	for (const char **word = command->words; *word; word++) {
		const struct fw_command_input *input = whole_input(command, *word);

		for (size_t i = 0; input && i < input->count; i++)
			arguments[count++] = fw_sdk_copy(&command->invocation->arena, input->paths[i], strlen(input->paths[i]));
		if (!input && !(arguments[count++] = expand_word(command, *word)))
			return NULL;
	}
	return arguments;
}
