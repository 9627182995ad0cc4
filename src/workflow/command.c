/* SPDX-License-Identifier: Apache-2.0
 *
 * Placeholders of command functions: {input.NAME}, {output.NAME} and {param.NAME} must name what the stage declares. Other
 * braces are the command's own (awk programs, JSON) and stay untouched.
 */
#include <stdlib.h>
#include <string.h>

#include "workflow/workflow_internal.h"

struct placeholder {
	char kind[16];
	char name[128];
};

/* The next "{word.word}" from *text on; moves it behind. */
static bool next_placeholder(const char **text, struct placeholder *placeholder)
{
	for (const char *open = strchr(*text, '{'); open; open = strchr(open + 1, '{')) {
		size_t kind = strspn(open + 1, "abcdefghijklmnopqrstuvwxyz");
		const char *name = open + 1 + kind + 1;
		size_t length = 0;

		if (kind == 0 || kind >= sizeof placeholder->kind || open[1 + kind] != '.')
			continue;
		length = strcspn(name, "{}");
		if (name[length] != '}' || length == 0 || length >= sizeof placeholder->name)
			continue;
		memcpy(placeholder->kind, open + 1, kind);
		placeholder->kind[kind] = '\0';
		memcpy(placeholder->name, name, length);
		placeholder->name[length] = '\0';
		*text = name + length + 1;
		return true;
	}
	return false;
}

static void names_of(const struct fw_stage *stage, const char *kind, struct fw_names *names)
{
	const char *key = NULL;
	json_t *value = NULL;

	if (strcmp(kind, "input") == 0)
		for (size_t i = 0; i < stage->inputs.count; i++)
			FW_PUSH(&names->list, stage->inputs.items[i].name);
	else if (strcmp(kind, "output") == 0)
		for (size_t i = 0; i < stage->outputs.count; i++)
			FW_PUSH(&names->list, stage->outputs.items[i].name);
	else
		json_object_foreach(stage->params, key, value)
			FW_PUSH(&names->list, key);
}

static int check_placeholder(const struct fw_stage *stage, const struct placeholder *placeholder,
                             const struct fw_setting *word, struct fw_error **err)
{
	static const char *const kinds[] = {"input", "output", "param"};
	const char *kind = fw_nearest(placeholder->kind, kinds, FW_COUNT_OF(kinds));
	struct fw_names names = {0};
	bool known = false;

	if (!kind)
		return FW_OK; /* the command's own braces */
	if (strcmp(kind, placeholder->kind) != 0)
		return fw_setting_fail(err, word, FW_E_INVALID, "command: unknown placeholder '{%s.%s}' (did you mean '{%s.%s}'?)",
		                       placeholder->kind, placeholder->name, kind, placeholder->name);
	names_of(stage, kind, &names);
	for (size_t i = 0; i < names.list.count; i++)
		known = known || strcmp(names.list.items[i], placeholder->name) == 0;
	if (known) {
		free(names.list.items);
		return FW_OK;
	}
	fw_cleanup_free char *message = fw_printf("command: the stage has no %s", kind);
	fw_cleanup_free char *what = fw_printf("%ss of the stage", kind);
	return fw_fail_unknown(err, word, &names, what, placeholder->name, message);
}

int fw_check_command(const struct fw_stage *stage, const struct fw_setting *words, struct fw_error **err)
{
	for (size_t i = 0; i < words->entries.count; i++) {
		const struct fw_setting *word = words->entries.items[i].value;
		const char *text = word->text;
		struct placeholder placeholder;

		while (next_placeholder(&text, &placeholder)) {
			int rc = check_placeholder(stage, &placeholder, word, err);

			if (rc != FW_OK)
				return rc;
		}
	}
	return FW_OK;
}
