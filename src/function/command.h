/* SPDX-License-Identifier: Apache-2.0
 *
 * The built-in bootstrap of `command:` functions: a program of the workflow's author, called with paths in place of its
 * placeholders. What its three files share.
 */
#pragma once

#include "function/sdk.h"

/* The objects of an input that the command names. */
struct fw_command_input {
	struct fw_command_input *next;
	const char *name;
	const char **paths;
	size_t count, capacity;
};

struct fw_command {
	struct fw_invocation *invocation;
	const char **words; /* as the workflow file has them; NULL-terminated */
	bool per_object;
	struct fw_command_input *inputs; /* the first one that the command names is first */
	size_t turn;                     /* which object of the first input, when per object */
	char *cuts;                      /* directory of the files that hold ranges, or NULL */
	struct fw_command_cut *cut;
	size_t cut_count;
};

/* A file that holds the object's range and nothing else, behind its header when it has one: the object's own where that is
 * so already, else a copy, until fw_command_remove_cuts(). NULL: failed, recorded. */
const char *fw_command_cut(struct fw_command *command, const struct fw_object *object);
void fw_command_remove_cuts(struct fw_command *command);

/* Reads {"command": […], "per_object": …}. */
int fw_command_read(struct fw_command *command, struct fw_sdk_text json);
/* Fetches the objects of every input that the command names. */
int fw_command_load_inputs(struct fw_command *command);
/* The arguments of this turn, NULL-terminated, in the invocation's memory; NULL: failed, recorded. */
char **fw_command_expand(struct fw_command *command);
/* Runs a program to its end; what it says on stderr goes to the log, its last lines into the failure. */
int fw_command_run(struct fw_invocation *invocation, char **arguments);
