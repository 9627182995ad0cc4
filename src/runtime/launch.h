/* SPDX-License-Identifier: Apache-2.0
 *
 * How a function is started: its package in the cache, the program, and what its sandbox must show besides.
 */
#pragma once

#include "runtime/sandbox.h"
#include "workflow/workflow.h"

struct fw_launch {
	char digest[65];           /* of the package; "" for a command */
	char *package;             /* directory in the cache, or NULL */
	FW_VECTOR(char *) argv;    /* without the handler */
	bool handler_is_argument;  /* the handler is appended to argv and bound for the worker's life */
	FW_VECTOR(char *) read_only; /* absolute paths of interpreters and their libraries */
	FW_VECTOR(char *) owned;   /* of those, what not everybody may read: shown as its owner sees it */
	char *command;             /* FLEXWATT_COMMAND, or NULL */
};

/* Copies the package into the cache, looks for the interpreter and its runtime client. Blocks: before a run starts.
 * FW_E_UNAVAILABLE names what is missing and how to get it. */
int fw_launch_prepare(struct fw_sandboxes *sandboxes, const struct fw_function *function, struct fw_launch **launch,
                      struct fw_error **err);
void fw_launch_free(struct fw_launch *launch);
FW_DEFINE_CLEANUP(struct fw_launch *, fw_launch_free)
