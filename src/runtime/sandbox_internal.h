/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the sandbox share. Slots, templates and stocks are guarded by the lock: sandboxes are made on the
 * loop's thread and freed on pool threads. A struct fw_sandbox itself belongs to one thread at a time.
 */
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "runtime/sandbox.h"
#include "runtime/sandbox_steps.h"

enum {
	FW_SANDBOX_SLOTS = 32768,
	FW_SANDBOX_PORT = 9001,    /* of every Runtime API: the slot's address tells workers apart */
	FW_SANDBOX_PIDS = 1024,
	FW_SANDBOX_CPU_PERIOD_US = 20000,
	FW_SANDBOX_MB_PER_CPU = 1769,
};

enum fw_isolation {
	FW_ISOLATION_PLAIN, /* no namespaces to be had */
	FW_ISOLATION_USER,  /* inside one user namespace of ours */
	FW_ISOLATION_FULL,  /* by root */
};

struct fw_template {
	char *key;
	int mounts_fd; /* its mount namespace lives as long as this descriptor */
};

struct fw_scratch; /* a private /tmp: sandbox_scratch.c */

struct fw_scratch_pattern {
	int64_t size_mb;
	int fd; /* in memory */
};

struct fw_ready_group { /* made beforehand */
	struct fw_cgroup *group;
	int64_t memory_mb;
};

struct fw_sandboxes {
	pthread_mutex_t lock;
	struct fw_cgroups *cgroups;
	const struct fw_machine *machine;
	char *state_directory;
	char *run;
	char engine[64]; /* this process, in the names of groups */
	enum fw_isolation isolation;
	bool own_uid;      /* each sandbox its own, from uid_base up */
	bool loop_devices; /* a /tmp that is truly bounded */
	uid_t uid_base;
	int user_fd;       /* our user namespace and the host's mounts as seen from it; -1 as root */
	int host_mounts_fd;
	int init_fd;       /* the program of process 1 */
	int null_fd;
	int hurry_fd;      /* keeps the kernel quick at moving processes between groups; -1: not to be had */
	int life[2];       /* processes 1 hold the reading end: they end when the engine does */
	uint64_t slots[FW_SANDBOX_SLOTS / 64];
	unsigned next_group;
	FW_VECTOR(struct fw_template) templates;
	FW_VECTOR(struct fw_ready_group) ready_groups;
	FW_VECTOR(struct fw_scratch *) scratches;
	FW_VECTOR(struct fw_scratch_pattern) patterns;
	struct fw_buffer missing;
};

struct fw_sandbox {
	struct fw_sandboxes *shared;
	unsigned slot;
	uid_t uid;
	struct fw_sandbox_address address;
	int reservation_fd; /* listens on the slot's address: no other engine takes the slot while it is open */
	int listener_fd;
	int network_fd;     /* its network namespace, or -1 */
	struct fw_cgroup *group;
	struct fw_scratch *scratch;
	char *scratch_directory; /* where loop devices are not to be had */
	int64_t memory_mb;
	int64_t oom_kills;
	pid_t pid, init_pid;
	int pidfd, init_pidfd;
	bool reaped;
	int wait_status;
	FW_VECTOR(char *) made; /* mount points in its /tmp, to be removed before the file system is used again */
};

/* sandbox_probe.c */
int fw_sandboxes_probe(struct fw_sandboxes *shared, struct fw_error **err);
void fw_sandboxes_lack(struct fw_sandboxes *shared, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* sandbox_view.c: what a sandbox sees. The shared part is built once; `own` is what each start adds. `key` is the same
 * where the shared part would be. */
int fw_view_own(const struct fw_sandboxes *shared, const struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec,
                struct fw_steps *own, struct fw_buffer *key, struct fw_error **err);
int fw_view_common(const struct fw_sandboxes *shared, const struct fw_sandbox_spec *spec, struct fw_steps *common,
                   struct fw_error **err);

/* sandbox_orphans.c */
void fw_orphans_name_engine(char *text, size_t size);
/* Removes what is "<prefix>...<engine>-<n>" in a directory and of an engine that is certainly gone. */
void fw_orphans_sweep_directory(const char *path, const char *prefix);
void fw_orphans_sweep(struct fw_cgroups *cgroups, const char *own_run); /* groups of engines that are gone */

/* sandbox_template.c */
int fw_template_get(struct fw_sandboxes *shared, const char *key, const struct fw_sandbox_spec *spec, int *mounts_fd,
                    struct fw_error **err);
int fw_template_host(struct fw_sandboxes *shared, struct fw_error **err);

/* sandbox_slot.c */
int fw_slot_take(struct fw_sandbox *sandbox, struct fw_error **err);
void fw_slot_give_back(struct fw_sandbox *sandbox);
int fw_slot_listen(struct fw_sandbox *sandbox, enum fw_network network, struct fw_error **err);

/* sandbox_spawn.c */
struct fw_spawn {
	const struct fw_sandboxes *shared;
	struct fw_steps *own;
	int mounts_fd, network_fd;
	int procs_fds[8];
	size_t procs_count;
	uid_t uid;
	cpu_set_t cpus;
	const char *const *argv;
	const char *const *envp;
	const char *directory;
	int stdout_fd, stderr_fd;
	/* out */
	struct fw_child_failure failure;
	pid_t init_pid, pid;
	int init_pidfd, pidfd;
	/* set by fw_spawn() itself: the filter, the stacks of the inner children, what process 1 has to say */
	const struct sock_fprog *filter;
	char *stacks;
	struct fw_child_failure init_failure;
	int init_uses_memory;
};
int fw_spawn(struct fw_spawn *spawn);

/* sandbox_exec.c: why exec failed, with the remedy. */
int fw_exec_failed(struct fw_error **err, int error_number, const struct fw_sandbox_spec *spec);
/* The host's path of what a sandbox sees as `path`; newly allocated. */
char *fw_host_path(const struct fw_sandbox_spec *spec, const char *path);

/* sandbox_filter.c */
struct sock_fprog;
const struct sock_fprog *fw_filter_program(void); /* or NULL on a processor without one */

/* sandbox_idmap.c */
bool fw_readable_by_others(const struct stat *stat);
int fw_idmap_open(uid_t from_uid, gid_t from_gid, uid_t to, int *fd, struct fw_error **err);

/* sandbox_stock.c: *group stays NULL where there are none to be had. */
int fw_group_take(struct fw_sandboxes *shared, int64_t memory_mb, struct fw_cgroup **group, struct fw_error **err);
void fw_groups_end(struct fw_sandboxes *shared); /* of the stock */

/* sandbox_scratch.c */
/* *mount_fd is the caller's: a detached mount, for one sandbox. */
int fw_scratch_take(struct fw_sandboxes *shared, int64_t size_mb, struct fw_scratch **scratch, int *mount_fd,
                    struct fw_error **err);
int fw_scratch_make(struct fw_sandboxes *shared, int64_t size_mb, struct fw_scratch **scratch, struct fw_error **err);
/* To the stock when it is as good as new, else it ends. `made` are paths inside it ("data/in"), removed first. */
void fw_scratch_give_back(struct fw_sandboxes *shared, struct fw_scratch *scratch, char *const *made, size_t count);
void fw_scratch_make_direct(struct fw_scratch *scratch); /* waits for the disk */
void fw_scratch_free(struct fw_scratch *scratch);
void fw_scratch_forget_patterns(struct fw_sandboxes *shared);
size_t fw_scratch_count(struct fw_sandboxes *shared, int64_t size_mb); /* in the stock */
/* Where loop devices are not to be had: a plain directory, not bounded. */
int fw_scratch_directory(struct fw_sandboxes *shared, uid_t uid, char **path, struct fw_error **err);
void fw_scratch_sweep(const struct fw_sandboxes *shared); /* directories of engines that are gone */
