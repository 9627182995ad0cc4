/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ways to prepare a function share: one file per kind that needs more than a few lines.
 */
#pragma once

#include "runtime/launch.h"

#define FW_LAUNCH_TASK "/var/task"

/* System directories and the package are shown by every sandbox; anything else that a worker reads is named here. */
void fw_launch_show(struct fw_launch *launch, const char *path);
void fw_launch_add_argument(struct fw_launch *launch, const char *argument);
/* First of $PATH's directories that has it; newly allocated, NULL when none. */
char *fw_launch_find_program(const char *name);
/* Where the user's own programs look for their parts: HOME and PATH, and nothing else of our environment. Newly allocated
 * texts in envp[0] and envp[1]; envp[2] is NULL. */
void fw_launch_probe_environment(char *envp[3]);

int fw_launch_python(struct fw_sandboxes *sandboxes, struct fw_launch *launch, const struct fw_function *function,
                     struct fw_error **err);
int fw_launch_node(struct fw_launch *launch, struct fw_error **err);
