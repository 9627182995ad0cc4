/* SPDX-License-Identifier: Apache-2.0
 *
 * Finds the hierarchies that our groups live in and makes the parent group there: at the top of each mount where that is
 * allowed, else in the group that this process was given. As few hierarchies as possible, because each costs every worker
 * a directory and a migration: where the v2 leaf tells CPU time and kills, cpuacct and freezer of v1 are not used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/cgroup_internal.h"
#include "host/procfs.h"

enum { MAX_MOUNTS = 16, MAX_TEXT = 1 << 20 };

struct probe {
	const struct fw_root *root;
	struct fw_cgroups *cgroups;
	struct fw_cgroup_mount *mounts;
	size_t mount_count;
	struct fw_buffer own; /* /proc/self/cgroup */
	int errnum;           /* why the last hierarchy could not be used */
	bool crowded;         /* other processes in our group keep its controllers from ours */
};

static int read_mounts(struct probe *probe, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_str rest, line;
	int rc;

	fw_buffer_init(&text, MAX_TEXT);
	if ((rc = fw_root_read(probe->root, "proc/self/mountinfo", &text, err)) != FW_OK ||
	    (rc = fw_root_read(probe->root, "proc/self/cgroup", &probe->own, err)) != FW_OK)
		return rc;
	probe->mounts = fw_alloc_array(MAX_MOUNTS, sizeof *probe->mounts);
	rest = fw_buffer_str(&text);
	while (probe->mount_count < MAX_MOUNTS && fw_str_next_line(&rest, &line))
		if (fw_cgroup_mount_parse(line, &probe->mounts[probe->mount_count]))
			probe->mount_count++;
	if (probe->mount_count == 0)
		return fw_error_hint(err, fw_fail(err, FW_E_ABSENT, "no control groups are mounted"),
		                     "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
	return FW_OK;
}

/* Makes the parent group in the directory `path`; false with errno in probe->errnum. */
static bool try_base(struct probe *probe, struct fw_hierarchy *hierarchy, const char *path)
{
	hierarchy->base_fd = openat(probe->root->fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	hierarchy->parent_fd = -1;
	snprintf(hierarchy->path, sizeof hierarchy->path, "%s", path);
	if (hierarchy->base_fd < 0) {
		probe->errnum = errno;
		return false;
	}
	if (fw_cgroup_open_parent(probe->cgroups, hierarchy, NULL) == FW_OK)
		return true;
	probe->errnum = errno;
	close(hierarchy->base_fd);
	hierarchy->base_fd = -1;
	return false;
}

/* An engine that moved itself aside sits in <base>/flexwatt/engine: its base is still <base>. */
static struct fw_str without_engine(const struct probe *probe, struct fw_str below)
{
	fw_cleanup_free char *tail = fw_printf("%s/engine", probe->cgroups->parent);
	size_t length = strlen(tail);

	if (!fw_str_ends(below, tail) || (below.length > length && below.text[below.length - length - 1] != '/'))
		return below;
	below.length -= below.length > length ? length + 1 : length;
	return below;
}

static bool use_mount(struct probe *probe, const struct fw_cgroup_mount *mount, unsigned controllers)
{
	struct fw_cgroups *cgroups = probe->cgroups;
	struct fw_hierarchy *hierarchy = &cgroups->hierarchies[cgroups->count];
	int controller = mount->v2 ? -1 : __builtin_ctz(mount->controllers);
	struct fw_str own, below = {0};
	bool inside = fw_cgroup_own_path(fw_buffer_str(&probe->own), controller, &own) &&
	              fw_cgroup_below_mount(mount, own, &below);
	bool own_group = false;

	if (cgroups->count == FW_MAX_HIERARCHIES)
		return false;
	*hierarchy = (struct fw_hierarchy){
		.v2 = mount->v2, .controllers = mount->v2 ? 0 : controllers, .mount_length = strlen(mount->point)};
	below = without_engine(probe, below);
	if (try_base(probe, hierarchy, mount->point)) {
		own_group = inside && below.length == 0;
	} else {
		fw_cleanup_free char *path = fw_printf("%s/%.*s", mount->point, (int)below.length, below.text);

		if (!inside || below.length == 0 || !try_base(probe, hierarchy, path))
			return false;
		own_group = true;
	}
	if (mount->v2)
		probe->crowded = !fw_cgroup_v2_enable(hierarchy, own_group, controllers);
	cgroups->count++;
	return true;
}

static bool parent_has(const struct fw_hierarchy *hierarchy, const char *file)
{
	return faccessat(hierarchy->parent_fd, file, F_OK, 0) == 0;
}

/* Which v1 controllers our groups need beside a v2 hierarchy that already gives `given`. */
static unsigned wanted_of_v1(const struct fw_cgroups *cgroups)
{
	unsigned wanted = 1u << FW_CONTROLLER_CPU | 1u << FW_CONTROLLER_MEMORY | 1u << FW_CONTROLLER_PIDS;
	const struct fw_hierarchy *v2 = cgroups->v2 < 0 ? NULL : &cgroups->hierarchies[cgroups->v2];

	if (!v2 || !parent_has(v2, "cpu.stat"))
		wanted |= 1u << FW_CONTROLLER_CPUACCT;
	if (!v2 || !parent_has(v2, "cgroup.kill"))
		wanted |= 1u << FW_CONTROLLER_FREEZER;
	return v2 ? wanted & ~v2->controllers : wanted;
}

static void use_mounts(struct probe *probe)
{
	unsigned wanted;

	probe->cgroups->v2 = -1;
	for (size_t i = 0; i < probe->mount_count && probe->cgroups->v2 < 0; i++)
		if (probe->mounts[i].v2 &&
		    use_mount(probe, &probe->mounts[i], 1u << FW_CONTROLLER_CPU | 1u << FW_CONTROLLER_MEMORY |
		                                            1u << FW_CONTROLLER_PIDS | 1u << FW_CONTROLLER_IO))
			probe->cgroups->v2 = 0;
	wanted = wanted_of_v1(probe->cgroups);
	for (size_t i = 0; i < probe->mount_count; i++) {
		unsigned controllers = probe->mounts[i].controllers & wanted;

		if (!probe->mounts[i].v2 && controllers && use_mount(probe, &probe->mounts[i], controllers))
			wanted &= ~controllers;
	}
}

static unsigned capabilities(const struct fw_cgroups *cgroups)
{
	static const unsigned of_controller[FW_CONTROLLER_COUNT] = {
		[FW_CONTROLLER_CPU] = FW_CAN_CPU, [FW_CONTROLLER_CPUACCT] = FW_CAN_CPUACCT,
		[FW_CONTROLLER_MEMORY] = FW_CAN_MEMORY, [FW_CONTROLLER_PIDS] = FW_CAN_PIDS,
		[FW_CONTROLLER_FREEZER] = FW_CAN_FREEZE,
	};
	unsigned can = 0;

	for (size_t i = 0; i < cgroups->count; i++) {
		const struct fw_hierarchy *hierarchy = &cgroups->hierarchies[i];

		for (int c = 0; c < FW_CONTROLLER_COUNT; c++)
			if (hierarchy->controllers & 1u << c)
				can |= of_controller[c];
		if (hierarchy->v2)
			can |= FW_CAN_IDENTITY | (parent_has(hierarchy, "cgroup.kill") ? FW_CAN_KILL : 0) |
			       (parent_has(hierarchy, "cgroup.freeze") ? FW_CAN_FREEZE : 0) |
			       (parent_has(hierarchy, "cpu.stat") ? FW_CAN_CPUACCT : 0);
	}
	return can;
}

static const char *why_missing(const struct probe *probe)
{
	if (probe->crowded)
		return "other processes are in this control group (one of its own: systemd-run --user --scope -p Delegate=yes)";
	if (probe->errnum == EACCES || probe->errnum == EPERM || probe->errnum == EROFS)
		return "the control groups that would enforce it are not writable for this user";
	return "the controller is not mounted or not handed down to this control group";
}

static char *describe_missing(const struct probe *probe)
{
	static const struct {
		unsigned can;
		const char *what;
	} limits[] = {
		{FW_CAN_MEMORY, "memory limit"}, {FW_CAN_CPU, "CPU quota"}, {FW_CAN_PIDS, "limit of processes"},
		{FW_CAN_CPUACCT, "exact CPU time"},
	};
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 512);
	for (size_t i = 0; i < FW_COUNT_OF(limits); i++)
		if (!(probe->cgroups->can & limits[i].can))
			fw_buffer_printf(&text, "%s%s", text.length ? ", " : "no ", limits[i].what);
	if (text.length == 0)
		return NULL;
	fw_buffer_printf(&text, ": %s", why_missing(probe));
	return fw_buffer_take(&text);
}

static int refuse(const struct probe *probe, struct fw_error **err)
{
	const char *point = probe->mounts[0].point;
	int rc = probe->errnum == EACCES || probe->errnum == EPERM || probe->errnum == EROFS
	             ? fw_fail(err, FW_E_PERMISSION, "make the control group %s below /%s: %s", probe->cgroups->parent,
	                       point, strerror(probe->errnum))
	             : fw_fail_errno(err, probe->errnum, "make the control group %s below /%s", probe->cgroups->parent,
	                             point);

	return fw_error_hint(err, rc, "run as root, or in a delegated scope: systemd-run --user --scope -p Delegate=yes");
}

int fw_cgroups_open(const struct fw_root *root, const char *parent, struct fw_cgroups **cgroups, struct fw_error **err)
{
	struct probe probe = {.root = root, .cgroups = fw_alloc(sizeof *probe.cgroups)};
	int rc;

	probe.cgroups->parent = fw_strdup(parent);
	probe.cgroups->v2 = -1;
	fw_buffer_init(&probe.own, MAX_TEXT);
	rc = read_mounts(&probe, err);
	if (rc == FW_OK) {
		use_mounts(&probe);
		if (probe.cgroups->count == 0)
			rc = refuse(&probe, err);
	}
	if (rc == FW_OK) {
		bool v1 = probe.cgroups->count > (probe.cgroups->v2 < 0 ? 0u : 1u);

		probe.cgroups->mode = probe.cgroups->v2 < 0 ? FW_CGROUP_V1 : v1 ? FW_CGROUP_HYBRID : FW_CGROUP_V2;
		probe.cgroups->can = capabilities(probe.cgroups);
		probe.cgroups->missing = describe_missing(&probe);
		*cgroups = FW_TAKE(probe.cgroups);
	}
	fw_cgroups_close(probe.cgroups);
	fw_buffer_done(&probe.own);
	free(probe.mounts);
	return rc == FW_OK ? FW_OK : fw_error_wrap(err, rc, "control groups");
}
