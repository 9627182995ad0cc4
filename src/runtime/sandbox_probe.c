/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine lets a sandbox be, found by trying it, and what all sandboxes of the engine share. What cannot be
 * enforced is written down line by line for the user.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/str.h"
#include "base/tree.h"
#include "runtime/sandbox_child.h"
#include "runtime/sandbox_init_image.h"
#include "runtime/sandbox_internal.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

enum { DEFAULT_SCRATCH_MB = 512 };

void fw_sandboxes_lack(struct fw_sandboxes *shared, const char *format, ...)
{
	va_list arguments;

	if (shared->missing.length > 0)
		fw_buffer_text(&shared->missing, "\n");
	va_start(arguments, format);
	fw_buffer_vprintf(&shared->missing, format, arguments);
	va_end(arguments);
}

struct trial {
	uid_t uid;
	int error_number;
};

FW_CHILD static int try_namespaces(void *context)
{
	struct trial *trial = context;
	struct mount_attr private = {.propagation = 1 << 18 /* MS_PRIVATE */};

	if (fw_call(SYS_unshare, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0 ||
	    fw_call(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &private, sizeof private) != 0)
		trial->error_number = errno;
	return 0;
}

FW_CHILD static int try_uid(void *context)
{
	struct trial *trial = context;

	if (fw_call(SYS_setgroups, 0, NULL) != 0 || fw_call(SYS_setresgid, trial->uid, trial->uid, trial->uid) != 0 ||
	    fw_call(SYS_setresuid, trial->uid, trial->uid, trial->uid) != 0)
		trial->error_number = errno;
	return 0;
}

static bool works(fw_child_fn *function, struct trial *trial)
{
	trial->error_number = 0;
	pid_t pid = fw_child_run(function, trial, 0, NULL);
	if (pid < 0)
		trial->error_number = errno;
	else
		waitpid(pid, NULL, __WALL);
	return trial->error_number == 0;
}

/* Ranges that distributions leave alone, largest first; a container maps only small ones. */
static void probe_uid(struct fw_sandboxes *shared)
{
	static const uid_t bases[] = {2000000000, 1000000, 30000};

	for (size_t i = 0; i < FW_COUNT_OF(bases) && geteuid() == 0 && !shared->own_uid; i++) {
		struct trial trial = {.uid = bases[i] + FW_SANDBOX_SLOTS - 1};

		shared->own_uid = works(try_uid, &trial);
		shared->uid_base = bases[i];
	}
	if (!shared->own_uid)
		fw_sandboxes_lack(shared, "workers run as user %u, not each as its own: the Runtime API cannot tell them apart "
		                  "(needs root)", geteuid());
}

static void probe_isolation(struct fw_sandboxes *shared)
{
	struct trial trial = {0};
	fw_cleanup_error struct fw_error *reason = NULL;

	shared->isolation = FW_ISOLATION_FULL;
	if (geteuid() == 0 && works(try_namespaces, &trial)) {
		probe_uid(shared);
		return;
	}
	shared->isolation = FW_ISOLATION_USER;
	if (fw_template_host(shared, &reason) == FW_OK) {
		fw_sandboxes_lack(shared, "workers run as user %u, not each as its own: the Runtime API cannot tell them apart "
		                  "(needs root)", geteuid());
		return;
	}
	shared->isolation = FW_ISOLATION_PLAIN;
	fw_sandboxes_lack(shared, "no namespaces: workers see this machine's files, processes and network and share /tmp (%s)",
	                  fw_error_message(reason));
	if (access("/proc/thread-self/children", R_OK) != 0 && !shared->cgroups)
		fw_sandboxes_lack(shared, "processes that a function leaves behind may outlive it (the kernel tells no children)");
	probe_uid(shared);
}

static void probe_scratch(struct fw_sandboxes *shared)
{
	struct fw_scratch *scratch;
	fw_cleanup_error struct fw_error *reason = NULL;

	if (shared->isolation == FW_ISOLATION_PLAIN)
		return;
	if (shared->isolation == FW_ISOLATION_USER) {
		fw_sandboxes_lack(shared, "the size of /tmp is not limited (loop devices need root)");
		return;
	}
	shared->loop_devices = fw_scratch_make(shared, DEFAULT_SCRATCH_MB, &scratch, &reason) == FW_OK;
	if (shared->loop_devices)
		fw_scratch_give_back(shared, scratch, NULL, 0);
	else
		fw_sandboxes_lack(shared, "the size of /tmp is not limited (%s)", fw_error_message(reason));
}

static int write_init(struct fw_sandboxes *shared, struct fw_error **err)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;

	shared->init_fd = memfd_create("flexwatt-init", flags | MFD_EXEC);
	if (shared->init_fd < 0 && errno == EINVAL) /* before 6.3 the flag was unknown and exec always allowed */
		shared->init_fd = memfd_create("flexwatt-init", flags);
	if (shared->init_fd < 0 ||
	    write(shared->init_fd, init_image, sizeof init_image) != (ssize_t)sizeof init_image ||
	    fcntl(shared->init_fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
		return fw_error_hint(err, fw_fail_errno(err, errno, "keep the first process of sandboxes in memory"),
		                     "vm.memfd_noexec must be 0 or 1");
	return FW_OK;
}

/* Joining a control group makes the kernel wait for an RCU grace period, some 10 ms, unless a hierarchy is mounted with
 * favordynmods. Ours has no controllers, is mounted nowhere and ends with this descriptor. The price is a slower lock in
 * fork and exit of every process meanwhile. Where it cannot be had, starts are slower and nothing else differs. */
static int open_hurry(void)
{
	fw_cleanup_fd int context = (int)syscall(SYS_fsopen, "cgroup", FSOPEN_CLOEXEC);

	if (context < 0 || syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "none", NULL, 0) != 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "name", "flexwatt-hurry", 0) != 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, "favordynmods", NULL, 0) != 0 ||
	    syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) != 0)
		return -1;
	return (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0);
}

int fw_sandboxes_probe(struct fw_sandboxes *shared, struct fw_error **err)
{
	uint32_t action = SECCOMP_RET_ERRNO;
	int rc = write_init(shared, err);

	if (rc != FW_OK)
		return rc;
	shared->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (shared->null_fd < 0 || pipe2(shared->life, O_CLOEXEC) != 0)
		return fw_fail_errno(err, errno, "prepare sandboxes");
	if (shared->cgroups && fw_cgroups_missing(shared->cgroups)) /* why there are none at all, the caller knows */
		fw_sandboxes_lack(shared, "%s", fw_cgroups_missing(shared->cgroups));
	probe_isolation(shared);
	probe_scratch(shared);
	if (shared->cgroups && shared->isolation == FW_ISOLATION_FULL)
		shared->hurry_fd = open_hurry();
	if (!fw_filter_program() || syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0)
		fw_sandboxes_lack(shared, "no system call filter (the kernel or processor has none)");
	return FW_OK;
}

static void free_templates(struct fw_sandboxes *shared)
{
	for (size_t i = 0; i < shared->templates.count; i++) {
		close(shared->templates.items[i].mounts_fd);
		free(shared->templates.items[i].key);
	}
	free(shared->templates.items);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void fw_sandboxes_free(struct fw_sandboxes *shared)
{
	if (!shared)
		return;
	fw_groups_end(shared);
	for (size_t i = 0; i < shared->scratches.count; i++)
		fw_scratch_free(shared->scratches.items[i]);
	free(shared->scratches.items);
	fw_scratch_forget_patterns(shared);
	free_templates(shared);
	const int fds[] = {shared->user_fd, shared->host_mounts_fd, shared->init_fd, shared->null_fd, shared->hurry_fd,
		shared->life[0], shared->life[1]};
	for (size_t i = 0; i < FW_COUNT_OF(fds); i++)
		close_if_open(fds[i]);
	fw_buffer_done(&shared->missing);
	pthread_mutex_destroy(&shared->lock);
	free(shared->state_directory);
	free(shared->run);
	free(shared);
}

int fw_sandboxes_new(const struct fw_sandboxes_options *options, struct fw_sandboxes **sandboxes, struct fw_error **err)
{
	struct fw_sandboxes *shared = fw_alloc(sizeof *shared);

	*shared = (struct fw_sandboxes){.cgroups = options->cgroups, .machine = options->machine,
		.user_fd = -1, .host_mounts_fd = -1, .init_fd = -1, .null_fd = -1, .hurry_fd = -1, .life = {-1, -1}};
	pthread_mutex_init(&shared->lock, NULL);
	fw_buffer_init(&shared->missing, SIZE_MAX);
	shared->run = fw_strdup(options->run);
	int rc = fw_make_directories(AT_FDCWD, options->state_directory, 0711, err);
	if (rc == FW_OK) {
		shared->state_directory = realpath(options->state_directory, NULL);
		rc = shared->state_directory ? FW_OK : fw_fail_errno(err, errno, "open %s", options->state_directory);
	}
	if (rc == FW_OK) {
		fw_scratch_sweep(shared);
		fw_orphans_sweep(shared->cgroups, shared->run);
		fw_orphans_name_engine(shared->engine, sizeof shared->engine);
		rc = fw_sandboxes_probe(shared, err);
	}
	if (rc != FW_OK) {
		fw_sandboxes_free(shared);
		return rc;
	}
	*sandboxes = shared;
	return FW_OK;
}

const char *fw_sandboxes_missing(const struct fw_sandboxes *sandboxes)
{
	return sandboxes->missing.length > 0 ? sandboxes->missing.data : NULL;
}

const char *fw_sandboxes_state(const struct fw_sandboxes *sandboxes)
{
	return sandboxes->state_directory;
}
