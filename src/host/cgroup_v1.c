/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits where controllers are mounted as version 1. Memory before memory + swap, because the second may never be below
 * the first; a kernel without swap accounting has no second limit, and that is no error.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/cgroup_internal.h"

static int limit_memory(struct fw_cgroup *group, int64_t bytes, struct fw_error **err)
{
	int rc = fw_cgroup_file_write_number(group, FW_FILE_V1_MEMORY_LIMIT, bytes, err);

	if (rc == FW_OK)
		(void)fw_cgroup_file_write_number(group, FW_FILE_V1_MEMORY_SWAP, bytes, NULL);
	return rc;
}

int fw_cgroup_v1_set_cpu(struct fw_cgroup *group, int64_t quota_us, int64_t period_us, struct fw_error **err)
{
	if (!fw_cgroup_has_file(group->cgroups, FW_FILE_V1_CPU_QUOTA))
		return FW_OK;
	if (quota_us > 0 && group->cpu_period_us != period_us) {
		int rc = fw_cgroup_file_write_number(group, FW_FILE_V1_CPU_PERIOD, period_us, err);

		if (rc != FW_OK)
			return rc;
		group->cpu_period_us = period_us;
	}
	return fw_cgroup_file_write_number(group, FW_FILE_V1_CPU_QUOTA, quota_us > 0 ? quota_us : -1, err);
}

int fw_cgroup_v1_limit(struct fw_cgroup *group, const struct fw_cgroup_limits *limits, struct fw_error **err)
{
	const struct fw_cgroups *cgroups = group->cgroups;
	int rc = FW_OK;

	if (limits->memory_bytes > 0 && fw_cgroup_has_file(cgroups, FW_FILE_V1_MEMORY_LIMIT))
		rc = limit_memory(group, limits->memory_bytes, err);
	if (rc == FW_OK && limits->cpu_quota_us > 0)
		rc = fw_cgroup_v1_set_cpu(group, limits->cpu_quota_us, limits->cpu_period_us, err);
	if (rc == FW_OK && limits->pids > 0 && fw_cgroup_has_file(cgroups, FW_FILE_V1_PIDS_MAX))
		rc = fw_cgroup_file_write_number(group, FW_FILE_V1_PIDS_MAX, limits->pids, err);
	return rc;
}

/* Freezing takes its time while processes are in the kernel; after 20 ms the sweep goes on without. */
bool fw_cgroup_v1_freeze(struct fw_cgroup *group, bool frozen)
{
	char text[32];
	struct fw_str state;

	if (fw_cgroup_file_write(group, FW_FILE_V1_FREEZER, frozen ? "FROZEN" : "THAWED", NULL) != FW_OK)
		return false;
	for (int i = 0; frozen && i < 100; i++) {
		if (!fw_cgroup_file_text(group, FW_FILE_V1_FREEZER, text, sizeof text, &state) ||
		    fw_str_is(fw_str_trim(state), "FROZEN"))
			break;
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
	return true;
}
