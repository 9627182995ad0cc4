/* SPDX-License-Identifier: Apache-2.0
 *
 * A command that `measure` starts: first a child that waits at a gate, while its control group and meters are made ready
 * around it; then, when the gate opens, the exec. So nothing but the exec itself lies inside the measured interval.
 *
 * The child is made by a launcher that was forked before anything was loaded: the kernel's high-water mark of a process's memory
 * outlives its exec, so that a child of the full measure would show measure's memory as the command's.
 */
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/error.h"

struct fw_launcher {
	pid_t pid;
	int orders; /* a byte makes a child; its pid comes back */
	int gate;   /* a byte lets one child pass */
	int why;    /* the errno of an exec that failed comes out here */
};

struct fw_child {
	pid_t pid;
	int pidfd;
};

/* `mask`: the signals that the command has blocked. Its standard streams, group and terminal are ours. Call it while there is
 * one thread and little memory. argv must outlive the launcher. */
int fw_launcher_start(char *const *argv, const sigset_t *mask, struct fw_launcher *launcher, struct fw_error **err);
/* Ends it, and a child that still waits at the gate. */
void fw_launcher_end(struct fw_launcher *launcher);

int fw_child_start(struct fw_launcher *launcher, struct fw_child *child, struct fw_error **err);
void fw_child_release(struct fw_launcher *launcher);
/* Waits for its end. The errno of its exec, or 0; then *status is of waitpid(). */
int fw_child_reap(struct fw_launcher *launcher, struct fw_child *child, int *status, struct rusage *usage);
