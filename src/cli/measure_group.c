/* SPDX-License-Identifier: Apache-2.0
 *
 * Groups are named "measure-<pid namespace>.<pid>-<n>". One whose process has gone is removed by the next `measure`, unless
 * processes that the command left behind still run in it: those are their owner's business.
 */
#include "cli/measure_group.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/str.h"
#include "host/procfs.h"

static unsigned long long own_namespace(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

/* "measure-<pid namespace>.<pid>-<n>" of this namespace: the pid, else 0. */
static pid_t maker_of(const char *name)
{
	struct fw_str rest = fw_str_of(name), prefix, space, maker;
	uint64_t number = 0, pid = 0;
	bool ours = fw_str_next_field(&rest, '-', &prefix) && fw_str_is(prefix, "measure") && fw_str_next_field(&rest, '.', &space) &&
	            fw_str_to_u64(space, &number) && number == own_namespace() && fw_str_next_field(&rest, '-', &maker) &&
	            fw_str_to_u64(maker, &pid) && pid <= INT32_MAX;

	return ours ? (pid_t)pid : 0;
}

static void remove_if_left(void *context, const char *name)
{
	struct fw_cgroups *cgroups = context;
	struct fw_cgroup *group;
	pid_t pid = maker_of(name);

	if (pid <= 0 || fw_process_is_there(pid) || fw_cgroup_open(cgroups, name, &group, NULL) != FW_OK)
		return;
	(void)fw_cgroup_remove(group, NULL); /* busy: left to the next one */
	fw_cgroup_close(group);
}

struct fw_cgroups *fw_measure_groups_open(const struct fw_root *root, struct fw_error **reason)
{
	struct fw_cgroups *cgroups = NULL;

	if (fw_cgroups_open(root, "flexwatt", &cgroups, reason) != FW_OK)
		return NULL;
	(void)fw_cgroups_each(cgroups, remove_if_left, cgroups, NULL);
	return cgroups;
}

struct fw_cgroup *fw_measure_group_new(struct fw_cgroups *cgroups, pid_t pid, struct fw_error **reason)
{
	static unsigned number;
	struct fw_cgroup_limits none = {0};
	struct fw_cgroup *group = NULL;
	fw_cleanup_free char *name = fw_printf("measure-%llu.%d-%u", own_namespace(), (int)getpid(), ++number);

	if (fw_cgroup_new(cgroups, name, &none, &group, reason) != FW_OK)
		return NULL;
	if (fw_cgroup_add(group, pid, reason) == FW_OK)
		return group;
	(void)fw_cgroup_remove(group, NULL);
	fw_cgroup_close(group);
	return NULL;
}

size_t fw_measure_group_end(struct fw_cgroup *group)
{
	if (!group)
		return 0;
	size_t left = fw_cgroup_pids(group, NULL, 0);

	if (left == 0)
		(void)fw_cgroup_remove(group, NULL);
	fw_cgroup_close(group);
	return left;
}
