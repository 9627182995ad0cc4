/* SPDX-License-Identifier: Apache-2.0
 *
 * The sandbox of a worker: process tree, control group, namespaces, mounts, own uid, own loopback address. It knows
 * nothing of HTTP or invocations. Paths inside are the same as outside, so that events need no translation.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/memory.h"
#include "host/cgroup.h"
#include "host/machine.h"
#include "workflow/workflow.h"

enum { FW_SANDBOX_FILES = 1024 }; /* open at once in a function, as on Lambda */

struct fw_sandboxes; /* what all sandboxes of this process share: probing, templates per package, uid and address pool */
struct fw_sandbox;

struct fw_sandboxes_options {
	struct fw_cgroups *cgroups;   /* or NULL */
	const struct fw_machine *machine;
	const char *state_directory;  /* package cache and small files; made 0711 */
	const char *run;              /* names the groups: fw-<run>-<engine>-<n> */
};

int fw_sandboxes_new(const struct fw_sandboxes_options *options, struct fw_sandboxes **sandboxes, struct fw_error **err);
void fw_sandboxes_free(struct fw_sandboxes *sandboxes);
/* What is not enforced here and why, one line each, separated by newlines; NULL when everything is. Borrowed. */
const char *fw_sandboxes_missing(const struct fw_sandboxes *sandboxes);

/* Brings the stock to `count` groups of this memory size and as many of /tmp of this size, for the next
 * fw_sandbox_start(); groups beyond that are removed. Blocks, also for the disk: pool thread, one at a time. */
int fw_sandboxes_prepare(struct fw_sandboxes *sandboxes, int64_t memory_mb, int64_t tmp_mb, size_t count,
                         struct fw_error **err);

struct fw_sandbox_spec {
	const char *package;         /* directory shown as /var/task, read-only: from the package cache; NULL: an empty one */
	const char *const *read_only; /* absolute paths shown read-only at the same place, NULL-terminated */
	const char *const *owned;    /* of those: what only their owner may read is shown as his; NULL-terminated, or NULL */
	const char *hidden;          /* a directory below one of them that is masked (other attempts), or NULL */
	const char *attempts;        /* absolute, shown at the same place, not read-only: who may write there its owner and mode
	                                say, which are the caller's */
	const char *const *argv;     /* argv[0] absolute inside */
	const char *const *envp;
	int64_t memory_mb;
	int64_t tmp_mb;
	enum fw_network network;
	int stdout_fd, stderr_fd;    /* given to the process; the caller closes its copies */
	bool boost;                  /* no CPU quota until fw_sandbox_settle() */
};

struct fw_sandbox_address { char host[16]; uint16_t port; };

/* Reserves uid and address and opens the listening socket of the worker's Runtime API (inside its network namespace when
 * network is none), before the process starts: envp needs it. */
int fw_sandbox_new(struct fw_sandboxes *sandboxes, enum fw_network network, struct fw_sandbox **sandbox,
                   struct fw_error **err);
struct fw_sandbox_address fw_sandbox_address(const struct fw_sandbox *sandbox);
int fw_sandbox_take_listener(struct fw_sandbox *sandbox); /* listening descriptor, the caller's from now on */
uid_t fw_sandbox_uid(const struct fw_sandbox *sandbox);   /* the uid as this host sees it */

/* Starts the process. On failure nothing is left behind. An exec that fails (no such file, wrong architecture, bad
 * interpreter, unreadable package) is an error here, with file and remedy. */
int fw_sandbox_start(struct fw_sandbox *sandbox, const struct fw_sandbox_spec *spec, struct fw_error **err);
pid_t fw_sandbox_pid(const struct fw_sandbox *sandbox);
int fw_sandbox_pidfd(const struct fw_sandbox *sandbox);          /* readable when it has ended */
struct fw_cgroup *fw_sandbox_cgroup(const struct fw_sandbox *sandbox); /* or NULL */

/* How many CPUs a sandbox sees: as Lambda shows at a memory size, at most `allowed` (0: unknown). */
static inline unsigned fw_sandbox_cpus(int64_t memory_mb, unsigned allowed)
{
	unsigned visible = memory_mb <= 3008 ? 2 : memory_mb <= 5307 ? 3 : memory_mb <= 7076 ? 4 : memory_mb <= 8845 ? 5 : 6;

	return visible < allowed || allowed == 0 ? visible : allowed;
}

/* After the first GET next: CPU quota memory/1769 per 20 ms. */
int fw_sandbox_settle(struct fw_sandbox *sandbox, struct fw_error **err);
/* Signal to every process of the sandbox; SIGKILL ends the whole tree, daemons too. */
int fw_sandbox_signal(struct fw_sandbox *sandbox, int signal_number, struct fw_error **err);
/* True when the kernel killed a process of it for memory since the last call. */
bool fw_sandbox_out_of_memory(struct fw_sandbox *sandbox);
/* Exit status as wait(2) gives it; call when the pidfd is readable. */
int fw_sandbox_reap(struct fw_sandbox *sandbox, int *wait_status, struct fw_error **err);
/* Kills what is left, removes group, mounts, /tmp; frees. Blocks until the kernel has ended it all, ten seconds at most:
 * call it from the pool. */
void fw_sandbox_free(struct fw_sandbox *sandbox);

/* Ends the processes and removes the groups that a killed engine left, by run id; returns how many. */
int fw_sandboxes_end_orphans(struct fw_cgroups *cgroups, const char *run, size_t *ended, struct fw_error **err);

/* Copies a package (directory or zip) into the cache under its digest, once; *path is its directory there.
 * Blocking: pool thread. */
int fw_package_cache(struct fw_sandboxes *sandboxes, const char *source, char digest[65], char **path,
                     struct fw_error **err);
/* The same for a zip in memory. */
int fw_package_cache_bytes(struct fw_sandboxes *sandboxes, const void *zip, size_t length, char **path,
                           struct fw_error **err);
/* Where this machine's copies of foreign files may be kept beside the packages; borrowed. */
const char *fw_sandboxes_state(const struct fw_sandboxes *sandboxes);
