/* SPDX-License-Identifier: Apache-2.0
 *
 * The control group that events of a worker are counted in, where the kernel's controller perf_event is mounted as
 * version 1: then groups of v2 have no events, and the worker gets a group of its own there, which limits nothing.
 */
#pragma once

#include <sys/types.h>

#include "host/root.h"

struct fw_count_group;

/* True where perf_event is a v1 hierarchy, at its usual place. */
bool fw_count_group_is_needed(const struct fw_root *root);
/* Makes the group and moves the processes there; those that they fork follow. NULL where that is not allowed. */
struct fw_count_group *fw_count_group_new(const struct fw_root *root, const char *name, const pid_t *pids, size_t count);
/* Its directory. */
int fw_count_group_fd(const struct fw_count_group *group);
/* What still runs in it goes back to the top. */
void fw_count_group_free(struct fw_count_group *group);
/* Removes groups that engines which were killed left behind. */
void fw_count_group_sweep(const struct fw_root *root);
