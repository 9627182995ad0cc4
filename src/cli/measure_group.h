/* SPDX-License-Identifier: Apache-2.0
 *
 * The control group of a measured command: exact for all its processes, whoever their parents are. Where there is none the
 * processes that end come back to us, who wait for them.
 */
#pragma once

#include "host/cgroup.h"

/* Where groups can be made; NULL and the reason where not. Removes empty ones that a killed `measure` left. */
struct fw_cgroups *fw_measure_groups_open(const struct fw_root *root, struct fw_error **reason);
/* A fresh group for one repetition with the process in it; NULL and the reason. */
struct fw_cgroup *fw_measure_group_new(struct fw_cgroups *cgroups, pid_t pid, struct fw_error **reason);
/* Removes it; returns how many processes still run in it, which keep it. Takes NULL. */
size_t fw_measure_group_end(struct fw_cgroup *group);
