/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of `command:` functions. FLEXWATT_COMMAND says what to run; it runs once per task, or once per object of
 * the first input that it names, and every regular file that it leaves in the output directories is an output object.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "function/command.h"

static int is_visible(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* In the order of their names, numbers by value: the order of an object is its ordinal. */
static int declare_files(struct fw_invocation *invocation, const struct fw_sdk_output *output)
{
	struct dirent **entries = NULL;
	int count = scandir(output->directory, &entries, is_visible, versionsort);

	if (count < 0)
		return fw_fail_invocation(invocation, "Command.Output", "list %s: %s", output->directory, strerror(errno));
	for (int i = 0; i < count; i++) {
		const char *path = fw_sdk_format(&invocation->arena, "%s/%s", output->directory, entries[i]->d_name);
		struct stat status;

		if (lstat(path, &status) == 0 && S_ISREG(status.st_mode))
			fw_output_named(invocation, output->name, entries[i]->d_name);
		else
			fw_log(invocation, "%s is no regular file: not an output object", path);
		free(entries[i]);
	}
	free(entries);
	return FW_OK;
}

static int run_turns(struct fw_command *command)
{
	struct fw_invocation *invocation = command->invocation;
	size_t turns = command->per_object ? command->inputs->count : 1;

	for (; command->turn < turns; command->turn++) {
		char **arguments = fw_command_expand(command);

		if (!arguments || fw_command_run(invocation, arguments) != FW_OK)
			return FW_ERROR;
		if (turns > 1)
			fw_progress(invocation, (double)command->turn + 1, (double)turns, NULL);
	}
	return FW_OK;
}

static int run_command(struct fw_invocation *invocation)
{
	const char *text = getenv("FLEXWATT_COMMAND");
	struct fw_command command = {.invocation = invocation};

	if (!text)
		return fw_fail_invocation(invocation, "Command.Malformed", "FLEXWATT_COMMAND is not set");
	if (fw_command_read(&command, (struct fw_sdk_text){text, strlen(text)}) != FW_OK)
		return FW_ERROR;
	int rc = fw_command_load_inputs(&command);
	if (rc == FW_OK)
		rc = run_turns(&command);
	fw_command_remove_cuts(&command);
	if (rc != FW_OK)
		return rc;
	for (const struct fw_sdk_output *output = invocation->outputs; output; output = output->next)
		if (declare_files(invocation, output) != FW_OK)
			return FW_ERROR;
	return FW_OK;
}

/* Whatever handler a workflow names: there is one thing to do. */
FW_FUNCTIONS({NULL, run_command})
