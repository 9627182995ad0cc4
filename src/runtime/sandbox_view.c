/* SPDX-License-Identifier: Apache-2.0
 *
 * What a sandbox sees, as steps. The part that is the same for all workers of a package goes into a template and is put
 * together when there is none yet; what holds anything of one worker's (its /tmp, its attempts, a bind translated to its
 * uid) and all that lies below such a place is its own and made at its start. Paths inside are the same as outside.
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

static void add_bind(struct fw_steps *steps, const char *source, const char *target, uint64_t attributes)
{
	struct stat stat_;
	struct fw_step *step = fw_steps_add(steps, FW_STEP_BIND, source, target);

	step->attributes = attributes;
	step->recursive = true;
	if (stat(source, &stat_) != 0)
		return; /* the open pass says so */
	step->is_file = !S_ISDIR(stat_.st_mode);
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
	if (realpath("/etc/resolv.conf", resolver) && !fw_path_is_below(resolver, "/etc"))
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
	const char *mask[3];
	size_t masks;
	char *parent;
};

/* Store, logs and packages lie in the state directory: a storage that holds it, as a home directory does, is shown without. */
static void find_places(const struct fw_sandboxes *shared, const struct fw_sandbox_spec *spec, struct places *places)
{
	bool shown = spec->hidden && spec->attempts && fw_path_is_below(spec->attempts, spec->hidden);
	bool shows_state = false;

	if (spec->hidden)
		places->mask[places->masks++] = spec->hidden;
	for (size_t i = 0; spec->read_only && spec->read_only[i]; i++) {
		shown = shown || (spec->attempts && fw_path_is_below(spec->attempts, spec->read_only[i]));
		shows_state = shows_state || (fw_path_is_below(shared->state_directory, spec->read_only[i]) &&
		                              strcmp(shared->state_directory, spec->read_only[i]) != 0);
	}
	if (shows_state)
		places->mask[places->masks++] = shared->state_directory;
	if (!spec->attempts || shown)
		return;
	/* Nothing shows it: its parent is made, empty but for it. */
	places->parent = fw_strdup(spec->attempts);
	char *slash = strrchr(places->parent, '/');
	if (slash > places->parent && !fw_path_is_below("/tmp", places->parent)) {
		*slash = '\0';
		places->mask[places->masks++] = places->parent;
	}
}

static bool is_own(const struct places *places, const char *path)
{
	for (size_t i = 0; i < places->masks; i++)
		if (fw_path_is_below(path, places->mask[i]))
			return true;
	return fw_path_is_below(path, "/tmp");
}

/* Something shown read-only: in the template, or at each start, where its owner is translated to the sandbox's or the
 * place is one worker's. */
struct shown {
	const char *path;
	struct stat stat;
	bool own, translated;
};

static bool is_owned(const struct fw_sandbox_spec *spec, const char *path)
{
	for (size_t i = 0; spec->owned && spec->owned[i]; i++)
		if (strcmp(path, spec->owned[i]) == 0)
			return true;
	return false;
}

static int inspect(const struct fw_sandboxes *shared, const struct fw_sandbox_spec *spec, const struct places *places,
                   const char *path, struct shown *shown, struct fw_error **err)
{
	if (path[0] != '/' || strcmp(path, "/") == 0 || fw_path_is_below("/tmp", path))
		return fw_error_hint(err, fw_fail(err, FW_E_INVALID, "%s cannot be shown to a function", path),
		                     "keep data in a directory of its own, not in / or /tmp itself");
	*shown = (struct shown){.path = path};
	if (stat(path, &shown->stat) != 0)
		return fw_fail_errno(err, errno, "show %s to a function", path);
	shown->own = is_own(places, path);
	shown->translated = shared->own_uid && shared->isolation == FW_ISOLATION_FULL &&
	                    (is_owned(spec, path) || !fw_readable_by_others(&shown->stat));
	return FW_OK;
}

static int add_read_only(const struct fw_sandboxes *shared, const struct fw_sandbox *sandbox,
                         const struct fw_sandbox_spec *spec, const char *path, const struct places *places, struct fw_steps *own, struct fw_buffer *key, struct fw_error **err)
{
	struct shown shown = {0};
	int rc = inspect(shared, spec, places, path, &shown, err);

	if (rc != FW_OK)
		return rc;
	if (!shown.own)
		fw_buffer_printf(key, "%s %jx:%jx %d\n", path, (uintmax_t)shown.stat.st_dev, (uintmax_t)shown.stat.st_ino,
		                 shown.translated);
	if (!shown.own && !shown.translated)
		return FW_OK;
	add_bind(own, path, path, READ_ONLY);
	if (shown.translated)
		rc = fw_idmap_open(shown.stat.st_uid, shown.stat.st_gid, sandbox->uid,
		                   &own->list.items[own->list.count - 1].idmap_fd, err);
	return rc;
}

static int by_target(const void *left, const void *right)
{
	const struct fw_step *a = left, *b = right;

	return strcmp(a->target, b->target);
}

/* Another directory at the same path is another view, another resolver too; system directories stay while a run lasts. */
static void add_identity(struct fw_buffer *key, const char *path)
{
	struct stat stat_ = {0};

	if (path && stat(path, &stat_) == 0)
		fw_buffer_printf(key, "%s %jx:%jx\n", path, (uintmax_t)stat_.st_dev, (uintmax_t)stat_.st_ino);
}

int fw_view_own(const struct fw_sandboxes *shared, const struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec,
                struct fw_steps *own, struct fw_buffer *key, struct fw_error **err)
{
	struct places places = {0};
	int rc = FW_OK;

	find_places(shared, spec, &places);
	fw_buffer_printf(key, "%u\n", fw_sandbox_cpus(spec->memory_mb, shared->machine->cpus_allowed));
	add_identity(key, "/etc/resolv.conf");
	add_identity(key, spec->package);
	for (size_t i = 0; spec->read_only && spec->read_only[i] && rc == FW_OK; i++)
		rc = add_read_only(shared, sandbox, spec, spec->read_only[i], &places, own, key, err);
	for (size_t i = 0; i < places.masks; i++) {
		fw_buffer_printf(key, "mask %s\n", places.mask[i]);
		fw_steps_add(own, FW_STEP_MEMORY, "64k", places.mask[i]);
	}
	if (spec->attempts)
		add_bind(own, spec->attempts, spec->attempts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	/* Parents before children, whatever order they came in. */
	if (own->list.count > 0)
		qsort(own->list.items, own->list.count, sizeof *own->list.items, by_target);
	for (size_t i = 0; i < places.masks; i++)
		fw_steps_add(own, FW_STEP_SEAL, NULL, places.mask[i]);
	fw_steps_add(own, FW_STEP_PROC, NULL, "proc");
	free(places.parent);
	return rc;
}

/* A mount point where the mount itself is each worker's: the root is sealed by then. */
static int add_common(const struct fw_sandboxes *shared, const struct fw_sandbox_spec *spec, const struct places *places,
                      const char *path, struct fw_steps *common, struct fw_error **err)
{
	struct shown shown = {0};
	int rc = inspect(shared, spec, places, path, &shown, err);

	if (rc != FW_OK || shown.own)
		return rc;
	if (!shown.translated)
		add_bind(common, path, path, READ_ONLY);
	else if (S_ISDIR(shown.stat.st_mode))
		fw_steps_add(common, FW_STEP_DIRECTORY, NULL, path);
	else
		fw_steps_add(common, FW_STEP_FILE, "", path);
	return FW_OK;
}

int fw_view_common(const struct fw_sandboxes *shared, const struct fw_sandbox_spec *spec, struct fw_steps *common,
                   struct fw_error **err)
{
	static const char *const directories[] = {"proc", "tmp", "var/task", "run", "root", "home"};
	struct places places = {0};
	int rc = FW_OK;

	add_system(common);
	for (size_t i = 0; i < FW_COUNT_OF(directories); i++)
		fw_steps_add(common, FW_STEP_DIRECTORY, NULL, directories[i]);
	fw_steps_add(common, FW_STEP_LINK, "../tmp", "var/tmp");
	add_devices(common);
	add_cpus(common, fw_sandbox_cpus(spec->memory_mb, shared->machine->cpus_allowed));
	if (spec->package)
		add_bind(common, spec->package, "var/task", READ_ONLY);
	size_t first = common->list.count;
	find_places(shared, spec, &places);
	for (size_t i = 0; spec->read_only && spec->read_only[i] && rc == FW_OK; i++)
		rc = add_common(shared, spec, &places, spec->read_only[i], common, err);
	if (common->list.count > first)
		qsort(common->list.items + first, common->list.count - first, sizeof *common->list.items, by_target);
	for (size_t i = 0; i < places.masks; i++)
		if (!fw_path_is_below(places.mask[i], "/tmp"))
			fw_steps_add(common, FW_STEP_DIRECTORY, NULL, places.mask[i]);
	fw_steps_add(common, FW_STEP_SEAL, NULL, "");
	free(places.parent);
	return rc;
}
