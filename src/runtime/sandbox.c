/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one sandbox: slot, start, settle, signals, end. A sandbox that fails to start leaves nothing behind, and
 * freeing one ends every process in it, waits for them and takes away its group, mounts and /tmp.
 */
#include <errno.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "base/log.h"
#include "base/time.h"
#include "base/tree.h"
#include "runtime/sandbox_internal.h"

static const uint64_t end_deadline_ns = 10 * FW_NS_PER_S; /* a thousand processes on a slow machine */

int fw_sandbox_new(struct fw_sandboxes *sandboxes, enum fw_network network, struct fw_sandbox **out,
                   struct fw_error **err)
{
	struct fw_sandbox *sandbox = fw_alloc(sizeof *sandbox);

	*sandbox = (struct fw_sandbox){.shared = sandboxes, .reservation_fd = -1, .listener_fd = -1, .network_fd = -1,
		.pidfd = -1, .init_pidfd = -1};
	int rc = fw_slot_take(sandbox, err);
	if (rc == FW_OK)
		rc = fw_slot_listen(sandbox, network, err);
	if (rc != FW_OK) {
		fw_sandbox_free(sandbox);
		return rc;
	}
	*out = sandbox;
	return FW_OK;
}

struct fw_sandbox_address fw_sandbox_address(const struct fw_sandbox *sandbox)
{
	return sandbox->address;
}

int fw_sandbox_take_listener(struct fw_sandbox *sandbox)
{
	return fw_take_fd(&sandbox->listener_fd);
}

uid_t fw_sandbox_uid(const struct fw_sandbox *sandbox)
{
	return sandbox->uid;
}

pid_t fw_sandbox_pid(const struct fw_sandbox *sandbox)
{
	return sandbox->pid;
}

/* Without namespaces the worker is its keeper's child: the keeper ends as the worker did, when nothing of it is left. */
static bool is_kept(const struct fw_sandbox *sandbox)
{
	return sandbox->shared->isolation == FW_ISOLATION_PLAIN;
}

int fw_sandbox_pidfd(const struct fw_sandbox *sandbox)
{
	return is_kept(sandbox) ? sandbox->init_pidfd : sandbox->pidfd;
}

struct fw_cgroup *fw_sandbox_cgroup(const struct fw_sandbox *sandbox)
{
	return sandbox->group;
}

static int64_t quota_us(int64_t memory_mb)
{
	return memory_mb * FW_SANDBOX_CPU_PERIOD_US / FW_SANDBOX_MB_PER_CPU;
}

/* /tmp, and what is below it of the view, first: parents before children. */
static int add_scratch(struct fw_sandbox *sandbox, int64_t tmp_mb, struct fw_steps *own, int *mount_fd,
                       struct fw_error **err)
{
	struct fw_sandboxes *shared = sandbox->shared;
	struct fw_step *step;
	int rc;

	if (shared->loop_devices) {
		rc = fw_scratch_take(shared, tmp_mb, &sandbox->scratch, mount_fd, err);
		if (rc == FW_OK)
			fw_steps_add(own, FW_STEP_TREE, NULL, "tmp")->fd = *mount_fd;
		return rc;
	}
	rc = fw_scratch_directory(shared, sandbox->uid, &sandbox->scratch_directory, err);
	if (rc != FW_OK)
		return rc;
	step = fw_steps_add(own, FW_STEP_BIND, sandbox->scratch_directory, "tmp");
	step->attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	return FW_OK;
}

static void remember_mount_points(struct fw_sandbox *sandbox, const struct fw_steps *own)
{
	for (size_t i = 0; i < own->list.count; i++)
		if (strncmp(own->list.items[i].target, "tmp/", 4) == 0)
			FW_PUSH(&sandbox->made, fw_strdup(own->list.items[i].target + 4));
}

/* The window of CPUs moves with the slot, so that workers spread over the machine. */
static void choose_cpus(const struct fw_sandbox *sandbox, cpu_set_t *cpus)
{
	const struct fw_machine *machine = sandbox->shared->machine;
	unsigned visible = fw_sandbox_cpus(sandbox->memory_mb, machine->cpus_allowed), seen = 0;
	unsigned allowed = machine->cpus_allowed > 0 ? machine->cpus_allowed : 1;
	unsigned first = sandbox->slot * visible % allowed;

	CPU_ZERO(cpus);
	for (unsigned i = 0; i < machine->cpu_count && i < CPU_SETSIZE; i++) {
		if (!machine->cpus[i].allowed || !machine->cpus[i].online)
			continue;
		if ((seen + allowed - first) % allowed < visible)
			CPU_SET(i, cpus);
		seen++;
	}
}

static int spawn_failed(const struct fw_spawn *spawn, const struct fw_sandbox_spec *spec, struct fw_error **err)
{
	const struct fw_child_failure *failure = &spawn->failure;

	if (strcmp(failure->doing, "exec") == 0)
		return fw_exec_failed(err, failure->error_number, spec);
	if (failure->index < 0)
		return fw_fail_errno(err, failure->error_number, "start a sandbox: %s", failure->doing);
	const struct fw_step *step = &spawn->own->list.items[failure->index];
	int rc = fw_fail_errno(err, failure->error_number, "start a sandbox: %s %s", failure->doing,
	                       step->source && step->kind == FW_STEP_BIND ? step->source : step->target);
	if (step->idmap_fd >= 0 && (failure->error_number == EINVAL || failure->error_number == EPERM))
		return fw_error_hint(err, rc, "functions may not read %s and its file system has no idmapped mounts: "
		                     "`chmod a+rX %s`, or move it", step->source, step->source);
	return rc;
}

/* Without a view of its own /var/task is where the package lies. */
static const char **translate(const struct fw_sandbox_spec *spec, const char *const *texts, bool values)
{
	size_t count = 0;

	while (texts[count])
		count++;
	const char **translated = fw_alloc_array(count + 1, sizeof *translated);
	for (size_t i = 0; i < count; i++) {
		const char *equals = values ? strchr(texts[i], '=') : NULL;
		fw_cleanup_free char *path = fw_host_path(spec, equals ? equals + 1 : texts[i]);

		translated[i] = equals ? fw_printf("%.*s%s", (int)(equals + 1 - texts[i]), texts[i], path) : FW_TAKE(path);
	}
	return translated;
}

static void free_texts(const char **texts)
{
	for (size_t i = 0; texts[i]; i++)
		free((char *)texts[i]);
	free(texts);
}

static int spawn_plain(struct fw_spawn *spawn, const struct fw_sandbox_spec *spec)
{
	const char **argv = translate(spec, spec->argv, false), **envp = translate(spec, spec->envp, true);

	spawn->argv = argv;
	spawn->envp = envp;
	spawn->directory = spec->package ? spec->package : "/";
	int rc = fw_spawn(spawn);
	free_texts(argv);
	free_texts(envp);
	return rc;
}

static int run(struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec, struct fw_steps *own, int mounts_fd,
               struct fw_error **err)
{
	struct fw_spawn spawn = {.shared = sandbox->shared, .own = own, .mounts_fd = mounts_fd,
		.network_fd = sandbox->network_fd, .uid = sandbox->uid, .argv = spec->argv, .envp = spec->envp,
		.directory = "/var/task", .stdout_fd = spec->stdout_fd, .stderr_fd = spec->stderr_fd};

	choose_cpus(sandbox, &spawn.cpus);
	if (sandbox->group)
		spawn.procs_count = fw_cgroup_procs_fds(sandbox->group, spawn.procs_fds);
	int rc = sandbox->shared->isolation == FW_ISOLATION_PLAIN ? spawn_plain(&spawn, spec) : fw_spawn(&spawn);
	if (rc != 0)
		return spawn_failed(&spawn, spec, err);
	sandbox->pid = spawn.pid;
	sandbox->pidfd = spawn.pidfd;
	sandbox->init_pid = spawn.init_pid;
	sandbox->init_pidfd = spawn.init_pidfd;
	return FW_OK;
}

static int start_isolated(struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer key;
	struct fw_steps own = {0};
	fw_cleanup_fd int scratch_fd = -1;
	int mounts_fd = -1;

	fw_buffer_init(&key, SIZE_MAX);
	int rc = add_scratch(sandbox, spec->tmp_mb, &own, &scratch_fd, err);
	if (rc == FW_OK)
		rc = fw_view_own(sandbox->shared, sandbox, spec, &own, &key, err);
	if (rc == FW_OK) {
		remember_mount_points(sandbox, &own);
		rc = fw_template_get(sandbox->shared, key.data, spec, &mounts_fd, err);
	}
	if (rc == FW_OK)
		rc = run(sandbox, spec, &own, mounts_fd, err);
	for (size_t i = 0; i < own.list.count; i++)
		if (own.list.items[i].idmap_fd >= 0)
			close(own.list.items[i].idmap_fd);
	fw_steps_done(&own);
	return rc;
}

/* Everything but the slot. A /tmp that a process may still write to is never another's. */
static void undo_start(struct fw_sandbox *sandbox, bool ended)
{
	if (sandbox->group) {
		fw_cgroup_remove(sandbox->group, NULL);
		fw_cgroup_close(sandbox->group);
	}
	if (sandbox->scratch && !ended)
		fw_scratch_free(sandbox->scratch);
	else if (sandbox->scratch)
		fw_scratch_give_back(sandbox->shared, sandbox->scratch, sandbox->made.items, sandbox->made.count);
	if (sandbox->scratch_directory)
		fw_tree_remove(AT_FDCWD, sandbox->scratch_directory, NULL);
	free(sandbox->scratch_directory);
	for (size_t i = 0; i < sandbox->made.count; i++)
		free(sandbox->made.items[i]);
	free(sandbox->made.items);
	sandbox->group = NULL;
	sandbox->scratch = NULL;
	sandbox->scratch_directory = NULL;
	sandbox->made.items = NULL;
	sandbox->made.count = sandbox->made.capacity = 0;
}

int fw_sandbox_start(struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec, struct fw_error **err)
{
	sandbox->memory_mb = spec->memory_mb;
	int rc = fw_group_take(sandbox->shared, spec->memory_mb, &sandbox->group, err);
	if (rc == FW_OK && !spec->boost)
		rc = fw_sandbox_settle(sandbox, err);
	if (rc == FW_OK && sandbox->shared->isolation != FW_ISOLATION_PLAIN)
		rc = start_isolated(sandbox, spec, err);
	else if (rc == FW_OK)
		rc = run(sandbox, spec, &(struct fw_steps){0}, -1, err);
	if (rc != FW_OK)
		undo_start(sandbox, true);
	return rc;
}

int fw_sandbox_settle(struct fw_sandbox *sandbox, struct fw_error **err)
{
	int64_t quota = quota_us(sandbox->memory_mb);
	int64_t cap = (int64_t)sandbox->shared->machine->cpus_allowed * FW_SANDBOX_CPU_PERIOD_US;

	if (!sandbox->group || !(fw_cgroups_can(sandbox->shared->cgroups) & FW_CAN_CPU))
		return FW_OK;
	if (quota < 1000) /* the kernel's least */
		quota = 1000;
	return fw_cgroup_set_cpu(sandbox->group, cap > 0 && quota > cap ? cap : quota, FW_SANDBOX_CPU_PERIOD_US, err);
}

static int send(int pidfd, int signal_number)
{
	return pidfd < 0 || syscall(SYS_pidfd_send_signal, pidfd, signal_number, NULL, 0) == 0 || errno == ESRCH ? 0 : -1;
}

int fw_sandbox_signal(struct fw_sandbox *sandbox, int signal_number, struct fw_error **err)
{
	if (sandbox->pidfd < 0)
		return FW_OK;
	if (signal_number != SIGKILL && sandbox->group)
		return fw_cgroup_signal(sandbox->group, signal_number, err);
	if (signal_number == SIGKILL) {
		/* Process 1 first: the kernel ends its namespace as one, also what is being forked. A keeper must live for that. */
		if (!is_kept(sandbox))
			send(sandbox->init_pidfd, SIGKILL);
		if (sandbox->group)
			fw_cgroup_kill(sandbox->group, NULL); /* beside them */
	} else if (is_kept(sandbox) && syscall(SYS_pidfd_send_signal, sandbox->pidfd, 0, NULL, 0) == 0) {
		kill(-sandbox->pid, signal_number); /* its session: the others there are asked, too */
	}
	return send(sandbox->pidfd, signal_number) == 0 ? FW_OK : fw_fail_errno(err, errno, "signal process %d", sandbox->pid);
}

bool fw_sandbox_out_of_memory(struct fw_sandbox *sandbox)
{
	int64_t kills = sandbox->group ? fw_cgroup_read_oom_kills(sandbox->group) : -1;
	bool killed = kills > sandbox->oom_kills;

	if (killed)
		sandbox->oom_kills = kills;
	return killed;
}

int fw_sandbox_reap(struct fw_sandbox *sandbox, int *wait_status, struct fw_error **err)
{
	if (!sandbox->reaped) {
		pid_t pid = is_kept(sandbox) ? sandbox->init_pid : sandbox->pid;
		pid_t got = pid > 0 ? waitpid(pid, &sandbox->wait_status, __WALL | WNOHANG) : 0;

		if (got < 0)
			return fw_fail_errno(err, errno, "wait for process %d", pid);
		if (got == 0)
			return fw_fail(err, FW_E_BUSY, "process %d runs still", pid);
		sandbox->reaped = true;
		fw_sandbox_signal(sandbox, SIGKILL, NULL); /* what it left in the background ends with it */
	}
	*wait_status = sandbox->wait_status;
	return FW_OK;
}

static bool wait_until_ended(pid_t pid, int pidfd, uint64_t deadline_ns)
{
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};
	uint64_t now_ns = fw_monotonic_ns();

	poll(&ended, 1, now_ns < deadline_ns ? (int)((deadline_ns - now_ns) / FW_NS_PER_MS) + 1 : 0);
	return waitpid(pid, NULL, __WALL | WNOHANG) != 0;
}

/* Daemons without a pid namespace are in the group only. */
static bool wait_until_group_is_empty(struct fw_cgroup *group, uint64_t deadline_ns)
{
	while (fw_cgroup_pids(group, NULL, 0) > 0) {
		if (fw_monotonic_ns() >= deadline_ns)
			return false;
		fw_cgroup_kill(group, NULL);
		poll(NULL, 0, 1);
	}
	return true;
}

/* False when something could not be ended: the kernel holds it, as one that waits for a file server that has gone. */
static bool end_processes(struct fw_sandbox *sandbox)
{
	uint64_t deadline_ns = fw_monotonic_ns() + end_deadline_ns;
	bool ended = true;

	if (sandbox->pidfd < 0)
		return true;
	fw_sandbox_signal(sandbox, SIGKILL, NULL);
	if (!sandbox->reaped && !is_kept(sandbox))
		ended = wait_until_ended(sandbox->pid, sandbox->pidfd, deadline_ns);
	close(sandbox->pidfd);
	if (!sandbox->reaped || !is_kept(sandbox))
		ended &= wait_until_ended(sandbox->init_pid, sandbox->init_pidfd, deadline_ns);
	close(sandbox->init_pidfd);
	if (sandbox->group)
		ended &= wait_until_group_is_empty(sandbox->group, deadline_ns);
	return ended;
}

void fw_sandbox_free(struct fw_sandbox *sandbox)
{
	if (!sandbox)
		return;
	bool ended = end_processes(sandbox);

	undo_start(sandbox, ended);
	if (sandbox->listener_fd >= 0)
		close(sandbox->listener_fd);
	if (sandbox->network_fd >= 0)
		close(sandbox->network_fd);
	if (ended)
		fw_slot_give_back(sandbox);
	else /* as long as this engine lives: nobody else may get its user and address */
		fw_warning("a process of user %u could not be ended: the kernel holds it", sandbox->uid);
	free(sandbox);
}
