/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups of workers, and those made beforehand with a /tmp each: what a start need not wait for. The stock belongs
 * to the engine's run by name, so that what a killed engine leaves of it is found as its workers' groups are.
 */
#include <stdio.h>

#include "runtime/sandbox_internal.h"

enum { NAMES_TRIED = 1000 };

/* A name that another engine of this run left in use is passed over: its orphans are ended by name elsewhere. */
static int make_group(struct fw_sandboxes *shared, int64_t memory_mb, struct fw_cgroup **group, struct fw_error **err)
{
	const struct fw_cgroup_limits limits = {.memory_bytes = memory_mb * 1048576, .pids = FW_SANDBOX_PIDS};

	for (unsigned attempt = 0;; attempt++) {
		fw_cleanup_error struct fw_error *reason = NULL;
		char name[192];

		pthread_mutex_lock(&shared->lock);
		unsigned number = shared->next_group++;
		pthread_mutex_unlock(&shared->lock);
		snprintf(name, sizeof name, "fw-%s-%s-%u", shared->run, shared->engine, number);
		int rc = fw_cgroup_new(shared->cgroups, name, &limits, group, &reason);
		if (rc == FW_E_BUSY && attempt < NAMES_TRIED)
			continue;
		if (rc != FW_OK && err)
			*err = FW_TAKE(reason);
		return rc;
	}
}

static struct fw_cgroup *from_stock(struct fw_sandboxes *shared, int64_t memory_mb)
{
	struct fw_cgroup *group = NULL;

	pthread_mutex_lock(&shared->lock);
	for (size_t i = shared->ready_groups.count; i-- > 0 && !group;)
		if (shared->ready_groups.items[i].memory_mb == memory_mb) {
			group = shared->ready_groups.items[i].group;
			shared->ready_groups.items[i] = shared->ready_groups.items[--shared->ready_groups.count];
		}
	pthread_mutex_unlock(&shared->lock);
	return group;
}

int fw_group_take(struct fw_sandboxes *shared, int64_t memory_mb, struct fw_cgroup **group, struct fw_error **err)
{
	if (!shared->cgroups)
		return FW_OK;
	*group = from_stock(shared, memory_mb);
	return *group ? FW_OK : make_group(shared, memory_mb, group, err);
}

static size_t count_ready(struct fw_sandboxes *shared, int64_t memory_mb)
{
	size_t count = 0;

	pthread_mutex_lock(&shared->lock);
	for (size_t i = 0; i < shared->ready_groups.count; i++)
		count += shared->ready_groups.items[i].memory_mb == memory_mb;
	pthread_mutex_unlock(&shared->lock);
	return count;
}

static int add_group(struct fw_sandboxes *shared, int64_t memory_mb, struct fw_error **err)
{
	struct fw_cgroup *group;
	int procs_fds[8], rc = make_group(shared, memory_mb, &group, err);

	if (rc != FW_OK)
		return rc;
	(void)fw_cgroup_procs_fds(group, procs_fds); /* opens them, once */
	pthread_mutex_lock(&shared->lock);
	FW_PUSH(&shared->ready_groups, (struct fw_ready_group){group, memory_mb});
	pthread_mutex_unlock(&shared->lock);
	return FW_OK;
}

static int add_scratch(struct fw_sandboxes *shared, int64_t tmp_mb, struct fw_error **err)
{
	struct fw_scratch *scratch;
	int rc = fw_scratch_make(shared, tmp_mb, &scratch, err);

	if (rc != FW_OK)
		return rc;
	fw_scratch_make_direct(scratch);
	fw_scratch_give_back(shared, scratch, NULL, 0);
	return FW_OK;
}

static void end_group(struct fw_cgroup *group)
{
	(void)fw_cgroup_remove(group, NULL);
	fw_cgroup_close(group);
}

int fw_sandboxes_prepare(struct fw_sandboxes *sandboxes, int64_t memory_mb, int64_t tmp_mb, size_t count,
                         struct fw_error **err)
{
	int rc = FW_OK;

	if (sandboxes->cgroups) {
		size_t ready = count_ready(sandboxes, memory_mb);
		struct fw_cgroup *surplus;

		for (; ready < count && rc == FW_OK; ready++)
			rc = add_group(sandboxes, memory_mb, err);
		for (; ready > count && (surplus = from_stock(sandboxes, memory_mb)); ready--)
			end_group(surplus);
	}
	for (size_t ready = fw_scratch_count(sandboxes, tmp_mb); sandboxes->loop_devices && ready < count && rc == FW_OK; ready++)
		rc = add_scratch(sandboxes, tmp_mb, err);
	return rc;
}

void fw_groups_end(struct fw_sandboxes *shared)
{
	for (size_t i = 0; i < shared->ready_groups.count; i++)
		end_group(shared->ready_groups.items[i].group);
	free(shared->ready_groups.items);
}
