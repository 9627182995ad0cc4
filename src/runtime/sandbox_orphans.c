/* SPDX-License-Identifier: Apache-2.0
 *
 * What a killed engine can leave behind: control groups by its run's name, rarely with processes in them, since process 1
 * of each sandbox ends with its engine; and directories of the state that it was filling. Everything else (images, mounts,
 * sockets) was held by descriptors alone.
 * A group is named "fw-<run>-<engine>-<n>", a directory ends alike, the engine by its pid namespace, pid and start: what
 * belongs to an engine that lives, or that this process cannot see, is never touched by a sweep.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "base/time.h"
#include "base/tree.h"
#include "host/procfs.h"
#include "runtime/sandbox_internal.h"

static const uint64_t end_deadline_ns = 2 * FW_NS_PER_S;

struct engine {
	uint64_t namespace, pid, start_ticks;
};

/* ---- names ---- */

static uint64_t own_namespace(void)
{
	struct stat stat_;

	return stat("/proc/self/ns/pid", &stat_) == 0 ? (uint64_t)stat_.st_ino : 0;
}

static bool read_stat(uint64_t pid, struct fw_proc_stat *stat)
{
	char path[64];
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 1 << 14);
	snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
	return fw_read_file(AT_FDCWD, path, &text, NULL) == FW_OK && fw_proc_stat_parse(fw_buffer_str(&text), stat);
}

void fw_orphans_name_engine(char *text, size_t size)
{
	struct fw_proc_stat stat = {.start_ticks = 0};

	(void)read_stat((uint64_t)getpid(), &stat);
	snprintf(text, size, "%llu.%d.%llu", (unsigned long long)own_namespace(), (int)getpid(),
	         (unsigned long long)stat.start_ticks);
}

/* "<namespace>.<pid>.<start>" */
static bool parse_engine(struct fw_str text, struct engine *engine)
{
	uint64_t *const numbers[] = {&engine->namespace, &engine->pid, &engine->start_ticks};
	struct fw_str field;

	for (size_t i = 0; i < FW_COUNT_OF(numbers); i++)
		if (!fw_str_next_field(&text, '.', &field) || !fw_str_to_u64(field, numbers[i]))
			return false;
	return text.length == 0;
}

/* "...<engine>-<n>"; *at is where the engine's part begins. */
static bool parse_tail(const char *name, const char **at, struct engine *engine)
{
	const char *number = strrchr(name, '-'), *start = number;
	uint64_t ignored;

	if (!number || !fw_str_to_u64(fw_str_of(number + 1), &ignored))
		return false;
	while (start > name && start[-1] != '-')
		start--;
	*at = start;
	return parse_engine((struct fw_str){start, (size_t)(number - start)}, engine);
}

static bool parse_name(const char *name, struct fw_str *run, struct engine *engine)
{
	const char *start;

	if (strncmp(name, "fw-", 3) != 0 || !parse_tail(name, &start, engine) || start <= name + 4)
		return false;
	*run = (struct fw_str){name + 3, (size_t)(start - 1 - (name + 3))};
	return true;
}

/* Also when it cannot be known: in another pid namespace, or hidden. */
static bool may_live(const struct engine *engine)
{
	struct fw_proc_stat stat;

	if (engine->namespace == 0 || engine->namespace != own_namespace() || engine->pid > INT32_MAX)
		return true;
	if (!fw_process_is_there((pid_t)engine->pid))
		return false;
	if (!read_stat(engine->pid, &stat))
		return true;
	return stat.start_ticks == engine->start_ticks && stat.state != 'Z' && stat.state != 'X';
}

void fw_orphans_sweep_directory(const char *path, const char *prefix)
{
	DIR *directory = opendir(path);
	const char *ignored;
	struct engine engine;

	if (!directory)
		return;
	for (struct dirent *entry; (entry = readdir(directory));)
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 && parse_tail(entry->d_name, &ignored, &engine) &&
		    !may_live(&engine))
			fw_tree_remove(dirfd(directory), entry->d_name, NULL);
	closedir(directory);
}

/* ---- ending ---- */

struct search {
	const char *run;     /* its groups, or NULL: those of dead engines of other runs than `own` */
	const char *own;
	uint64_t deadline_ns;
	FW_VECTOR(char *) names;
	size_t ended;        /* names, not directories: a group has one in each hierarchy */
	struct fw_error *error; /* the first */
};

static void collect(void *context, const char *name)
{
	struct search *search = context;
	struct engine engine;
	struct fw_str run;

	if (!parse_name(name, &run, &engine))
		return;
	if (search->run ? fw_str_is(run, search->run) : !fw_str_is(run, search->own) && !may_live(&engine))
		FW_PUSH(&search->names, fw_strdup(name));
}

static int end_group(struct fw_cgroups *cgroups, const char *name, uint64_t deadline_ns, struct fw_error **err)
{
	struct fw_cgroup *group;
	int rc = fw_cgroup_open(cgroups, name, &group, err);

	if (rc != FW_OK)
		return rc;
	while (fw_cgroup_pids(group, NULL, 0) > 0) {
		fw_cgroup_kill(group, NULL);
		if (fw_monotonic_ns() >= deadline_ns)
			break;
		poll(NULL, 0, 1);
	}
	rc = fw_cgroup_remove(group, err);
	fw_cgroup_close(group);
	return rc;
}

static void end_in(void *context, struct fw_cgroups *place)
{
	struct search *search = context;
	size_t first = search->names.count;

	(void)fw_cgroups_each(place, collect, search, search->error ? NULL : &search->error);
	for (size_t i = first; i < search->names.count; i++) {
		fw_cleanup_error struct fw_error *error = NULL;
		int rc = end_group(place, search->names.items[i], search->deadline_ns, &error);
		bool known = false;

		for (size_t earlier = 0; earlier < first && !known; earlier++)
			known = strcmp(search->names.items[earlier], search->names.items[i]) == 0;
		search->ended += rc == FW_OK && !known;
		if (rc != FW_OK && rc != FW_E_ABSENT && !search->error) /* absent: another engine was quicker */
			search->error = FW_TAKE(error);
	}
}

static void search_done(struct search *search)
{
	for (size_t i = 0; i < search->names.count; i++)
		free(search->names.items[i]);
	free(search->names.items);
	fw_error_free(search->error);
}

int fw_sandboxes_end_orphans(struct fw_cgroups *cgroups, const char *run, size_t *ended, struct fw_error **err)
{
	struct search search = {.run = run, .deadline_ns = fw_monotonic_ns() + end_deadline_ns};
	int rc = FW_OK;

	if (cgroups) {
		end_in(&search, cgroups);
		fw_cgroups_elsewhere(cgroups, end_in, &search);
	}
	*ended = search.ended;
	if (search.error) {
		rc = fw_error_code(search.error);
		if (err)
			*err = FW_TAKE(search.error);
		fw_error_wrap(err, rc, "end what run %s left", run);
	}
	search_done(&search);
	return rc;
}

/* Root's groups are at the top of each hierarchy; a user's may be below any scope that a shell of theirs was in. What
 * cannot be removed now is left to the next engine. */
void fw_orphans_sweep(struct fw_cgroups *cgroups, const char *own_run)
{
	struct search search = {.own = own_run, .deadline_ns = fw_monotonic_ns() + end_deadline_ns};

	if (!cgroups)
		return;
	end_in(&search, cgroups);
	if (geteuid() != 0)
		fw_cgroups_elsewhere(cgroups, end_in, &search);
	search_done(&search);
}
