/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands, one file each.
 */
#pragma once

#include "cli/options.h"

extern const struct fw_command fw_command_run;
extern const struct fw_command fw_command_check;
extern const struct fw_command fw_command_runs;
extern const struct fw_command fw_command_show;
extern const struct fw_command fw_command_measure;
extern const struct fw_command fw_command_monitors;
extern const struct fw_command fw_command_recompute;

/* Prints the chain to standard error, frees it, returns the exit status of rc. */
int fw_print_error(struct fw_error *error, int rc);

/* Undoes what main() did to the dispositions of signals: in a child, before it executes what is not ours. */
void fw_signals_as_found(void);
