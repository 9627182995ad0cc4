/* SPDX-License-Identifier: Apache-2.0
 *
 * The limits that this process itself lives under: the tightest memory limit and CPU quota from its own group up to the
 * top of the mount. A container that mounts its sub-tree sees no higher, and need not.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "host/cgroup_internal.h"
#include "host/sysfs.h"

static void take_memory(int64_t bytes, struct fw_cgroup_own *own)
{
	if (bytes > 0 && (own->memory_bytes < 0 || bytes < own->memory_bytes))
		own->memory_bytes = bytes;
}

static void take_cpus(int64_t quota_us, int64_t period_us, struct fw_cgroup_own *own)
{
	double cpus = (double)quota_us / (double)period_us;

	if (quota_us > 0 && period_us > 0 && (own->cpus < 0 || cpus < own->cpus))
		own->cpus = cpus;
}

static void read_v2_quota(const struct fw_root *root, const char *path, struct fw_cgroup_own *own)
{
	char text[64];
	struct fw_str rest, quota, period;
	int64_t quota_us, period_us;

	if (!fw_sysfs_text(root, text, sizeof text, "%s/cpu.max", path))
		return;
	rest = fw_str_of(text);
	if (fw_str_next_word(&rest, &quota) && fw_str_next_word(&rest, &period) && fw_str_to_i64(quota, &quota_us) &&
	    fw_str_to_i64(period, &period_us))
		take_cpus(quota_us, period_us, own);
}

static void read_level(const struct fw_root *root, const struct fw_cgroup_mount *mount, const char *path,
                       struct fw_cgroup_own *own)
{
	int64_t bytes, quota_us, period_us;

	if (mount->v2) {
		if (fw_sysfs_number(root, &bytes, "%s/memory.max", path))
			take_memory(bytes, own);
		read_v2_quota(root, path, own);
		return;
	}
	if (fw_sysfs_number(root, &bytes, "%s/memory.limit_in_bytes", path))
		take_memory(bytes, own);
	if (fw_sysfs_number(root, &quota_us, "%s/cpu.cfs_quota_us", path) &&
	    fw_sysfs_number(root, &period_us, "%s/cpu.cfs_period_us", path))
		take_cpus(quota_us, period_us, own);
}

/* From our group to the mount's directory, each level by cutting the last name off. */
static void read_levels(const struct fw_root *root, const struct fw_cgroup_mount *mount, struct fw_str below,
                        struct fw_cgroup_own *own)
{
	for (;;) {
		fw_cleanup_free char *path = fw_printf("%s/%.*s", mount->point, (int)below.length, below.text);
		const char *slash;

		read_level(root, mount, path, own);
		if (below.length == 0)
			return;
		slash = memrchr(below.text, '/', below.length);
		below.length = slash ? (size_t)(slash - below.text) : 0;
	}
}

void fw_cgroup_read_own(const struct fw_root *root, struct fw_cgroup_own *own)
{
	fw_cleanup_buffer struct fw_buffer mounts, paths;
	fw_cleanup_free struct fw_cgroup_mount *mount = fw_alloc(sizeof *mount);
	struct fw_str rest, line, path, below;

	*own = (struct fw_cgroup_own){-1, -1};
	fw_buffer_init(&mounts, 1 << 20);
	fw_buffer_init(&paths, 1 << 20);
	if (fw_root_read(root, "proc/self/mountinfo", &mounts, NULL) != FW_OK ||
	    fw_root_read(root, "proc/self/cgroup", &paths, NULL) != FW_OK)
		return;
	rest = fw_buffer_str(&mounts);
	while (fw_str_next_line(&rest, &line))
		if (fw_cgroup_mount_parse(line, mount) &&
		    fw_cgroup_own_path(fw_buffer_str(&paths), mount->v2 ? -1 : __builtin_ctz(mount->controllers), &path) &&
		    fw_cgroup_below_mount(mount, path, &below))
			read_levels(root, mount, below, own);
}
