/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as /proc/self/mountinfo and /proc/self/cgroup: a path that is found lies in the text, a mount is terminated; and
 * as cpuacct.usage_percpu: each CPU once, in order, and no time below 0. Sources: src/host/cgroup_mounts.c, cgroup*.c, src/base.
 */
#include <stdlib.h>
#include <string.h>

#include "host/cgroup_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct fw_str part, struct fw_str whole)
{
	if (part.text < whole.text || part.text + part.length > whole.text + whole.length)
		abort();
}

static void see_cpu(void *context, size_t cpu, int64_t ns)
{
	size_t *next = context;

	if (cpu != (*next)++ || ns < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fw_cgroup_mount mount;
	size_t next = 0;
	struct fw_str text = {(const char *)data, size}, rest = text, line, own, below;

	fw_cgroup_cpus_parse(text, see_cpu, &next);
	while (fw_str_next_line(&rest, &line)) {
		if (!fw_cgroup_mount_parse(line, &mount))
			continue;
		if (mount.root[0] != '/' || strlen(mount.point) >= sizeof mount.point)
			abort();
		for (int controller = -1; controller < FW_CONTROLLER_COUNT; controller++)
			if (fw_cgroup_own_path(text, controller, &own)) {
				inside(own, text);
				if (fw_cgroup_below_mount(&mount, own, &below))
					inside(below, own);
			}
	}
	return 0;
}
