/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sandbox sees, as steps. The part that is the same for all workers of a package goes into a template; what holds
 * anything of one worker's (its /tmp, its attempts, a bind translated to its uid) and all that lies below such a place is
 * its own and made at its start. Paths inside are the same as outside.
 */
#include <errno.h>
#include <limits.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "runtime/sandbox_internal.h"

enum { READ_ONLY = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };

static bool is_below(const char *path, const char *parent)
{
	size_t length = strlen(parent);

	return strncmp(path, parent, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void add_bind(struct fw_steps *steps, const char *source, const char *target, uint64_t attributes)
{
	struct stat stat_;
	struct fw_step *step = fw_steps_add(steps, FW_STEP_BIND, source, target);

	step->attributes = attributes;
	step->recursive = true;
	if (stat(source, &stat_) != 0)
		return; /* the open pass says so */
	step->is_file = !S_ISDIR(stat_.st_mode);
	step->device = stat_.st_dev;
	step->inode = stat_.st_ino;
}

char *fw_view_key(const struct fw_steps *common)
{
	struct fw_buffer key;

	fw_buffer_init(&key, SIZE_MAX);
	for (size_t i = 0; i < common->list.count; i++) {
		const struct fw_step *step = &common->list.items[i];

		fw_buffer_printf(&key, "%d %s %s %jx:%jx\n", step->kind, step->target, step->source ? step->source : "",
		                 (uintmax_t)step->device, (uintmax_t)step->inode);
	}
	return fw_buffer_take(&key);
}

/* /bin is a link to usr/bin where /usr is merged, a directory elsewhere. */
static void add_system_directory(struct fw_steps *steps, const char *path)
{
	char link[PATH_MAX];
	struct stat stat_;
	ssize_t length = readlink(path, link, sizeof link - 1);

	if (length > 0) {
		link[length] = '\0';
		fw_steps_add(steps, FW_STEP_LINK, link, path);
	} else if (stat(path, &stat_) == 0) {
		add_bind(steps, path, path, READ_ONLY);
	}
}

static void add_system(struct fw_steps *steps)
{
	static const char *const directories[] = {"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt"};
	char resolver[PATH_MAX];

	for (size_t i = 0; i < FW_COUNT_OF(directories); i++)
		add_system_directory(steps, directories[i]);
	/* Often a link to a file that some resolver keeps below /run. */
	if (realpath("/etc/resolv.conf", resolver) && !is_below(resolver, "/etc"))
		add_bind(steps, resolver, resolver, READ_ONLY | MOUNT_ATTR_NOEXEC);
}

static void add_devices(struct fw_steps *steps)
{
	static const char *const nodes[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"};
	static const char *const links[][2] = {
		{"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
		{"/proc/self/fd/2", "dev/stderr"}};

	for (size_t i = 0; i < FW_COUNT_OF(nodes); i++)
		add_bind(steps, nodes[i], nodes[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	for (size_t i = 0; i < FW_COUNT_OF(links); i++)
		fw_steps_add(steps, FW_STEP_LINK, links[i][0], links[i][1]);
}

unsigned fw_view_cpus(int64_t memory_mb, unsigned allowed)
{
	unsigned visible = memory_mb <= 3008 ? 2 : memory_mb <= 5307 ? 3 : memory_mb <= 7076 ? 4 : memory_mb <= 8845 ? 5 : 6;

	return visible < allowed || allowed == 0 ? visible : allowed;
}

/* Programs that do not ask for their affinity count the CPUs here. */
static void add_cpus(struct fw_steps *steps, unsigned count)
{
	char text[32];

	snprintf(text, sizeof text, count > 1 ? "0-%u\n" : "0\n", count - 1);
	fw_steps_add(steps, FW_STEP_FILE, text, "sys/devices/system/cpu/online");
	fw_steps_add(steps, FW_STEP_FILE, text, "sys/devices/system/cpu/possible");
	fw_steps_add(steps, FW_STEP_FILE, text, "sys/devices/system/cpu/present");
}

/* Places whose content is one worker's alone. */
struct places {
	const char *mask[2];
	size_t masks;
	char *parent;
};

static void find_places(const struct fw_sandbox_spec *spec, struct places *places)
{
	bool shown = spec->hidden && spec->attempts && is_below(spec->attempts, spec->hidden);

	if (spec->hidden)
		places->mask[places->masks++] = spec->hidden;
	for (size_t i = 0; spec->read_only && spec->read_only[i]; i++)
		shown = shown || (spec->attempts && is_below(spec->attempts, spec->read_only[i]));
	if (!spec->attempts || shown)
		return;
	/* Nothing shows it: its parent is made, empty but for it. */
	places->parent = fw_strdup(spec->attempts);
	char *slash = strrchr(places->parent, '/');
	if (slash > places->parent && !is_below("/tmp", places->parent)) {
		*slash = '\0';
		places->mask[places->masks++] = places->parent;
	}
}

static bool is_own(const struct places *places, const char *path)
{
	for (size_t i = 0; i < places->masks; i++)
		if (is_below(path, places->mask[i]))
			return true;
	return is_below(path, "/tmp");
}

static int add_read_only(const struct fw_sandboxes *shared, const struct fw_sandbox *sandbox, const char *path,
                         const struct places *places, struct fw_steps *common, struct fw_steps *own,
                         struct fw_error **err)
{
	mode_t mode;
	uid_t owner;
	gid_t group;

	if (path[0] != '/' || strcmp(path, "/") == 0 || is_below("/tmp", path))
		return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "%s cannot be shown to a function", path),
		                     "keep data in a directory of its own, not in / or /tmp itself");
	if (access(path, F_OK) != 0)
		return fw_fail_errno(err, errno, "show %s to a function", path);
	if (!shared->own_uid || shared->isolation != FW_ISOLATION_FULL || fw_readable_by_others(path, &mode, &owner, &group)) {
		add_bind(is_own(places, path) ? own : common, path, path, READ_ONLY);
		return FW_OK;
	}
	if (!is_own(places, path)) /* its mount point: the root is sealed by then */
		fw_steps_add(common, S_ISDIR(mode) ? FW_STEP_DIRECTORY : FW_STEP_FILE, S_ISDIR(mode) ? NULL : "", path);
	add_bind(own, path, path, READ_ONLY);
	return fw_idmap_open(owner, group, sandbox->uid, &own->list.items[own->list.count - 1].idmap_fd, err);
}

static int by_target(const void *left, const void *right)
{
	const struct fw_step *a = left, *b = right;

	return strcmp(a->target, b->target);
}

static void add_masks(const struct places *places, struct fw_steps *common, struct fw_steps *own)
{
	for (size_t i = 0; i < places->masks; i++) {
		if (!is_below(places->mask[i], "/tmp"))
			fw_steps_add(common, FW_STEP_DIRECTORY, NULL, places->mask[i]);
		fw_steps_add(own, FW_STEP_MEMORY, "64k", places->mask[i]);
	}
}

int fw_view_split(const struct fw_sandboxes *shared, const struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec,
                  struct fw_steps *common, struct fw_steps *own, struct fw_error **err)
{
	static const char *const directories[] = {"proc", "tmp", "var/task", "run", "root", "home"};
	struct places places = {0};
	int rc = FW_OK;

	add_system(common);
	for (size_t i = 0; i < FW_COUNT_OF(directories); i++)
		fw_steps_add(common, FW_STEP_DIRECTORY, NULL, directories[i]);
	fw_steps_add(common, FW_STEP_LINK, "../tmp", "var/tmp");
	add_devices(common);
	add_cpus(common, fw_view_cpus(spec->memory_mb, shared->machine->cpus_allowed));
	find_places(spec, &places);
	if (spec->package)
		add_bind(common, spec->package, "var/task", READ_ONLY);
	size_t first = common->list.count;
	for (size_t i = 0; spec->read_only && spec->read_only[i] && rc == FW_OK; i++)
		rc = add_read_only(shared, sandbox, spec->read_only[i], &places, common, own, err);
	/* Parents before children, whatever order they came in. */
	if (common->list.count > first)
		qsort(common->list.items + first, common->list.count - first, sizeof *common->list.items, by_target);
	add_masks(&places, common, own);
	fw_steps_add(common, FW_STEP_SEAL, NULL, "");
	if (spec->attempts)
		add_bind(own, spec->attempts, spec->attempts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (own->list.count > 0)
		qsort(own->list.items, own->list.count, sizeof *own->list.items, by_target);
	for (size_t i = 0; i < places.masks; i++)
		fw_steps_add(own, FW_STEP_SEAL, NULL, places.mask[i]);
	free(places.parent);
	return rc;
}
