/* SPDX-License-Identifier: Apache-2.0
 *
 * A view is a list of steps that build what a sandbox sees: prepared by the engine with all its memory, carried out by a
 * child that shares the engine's memory (vfork) and may therefore make system calls only. Two passes, because sources
 * and targets live in different mount namespaces: open takes every source as a detached tree, attach puts it in place.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/memory.h"

enum fw_step_kind {
	FW_STEP_DIRECTORY, /* with its parents, mode 0755 */
	FW_STEP_FILE,      /* a small file with the text `source` */
	FW_STEP_LINK,      /* symbolic link to `source` */
	FW_STEP_BIND,      /* `source` (a path) shown at target */
	FW_STEP_TREE,      /* the detached mount `fd` */
	FW_STEP_PROC,      /* a procfs of the process's own pid namespace */
	FW_STEP_MEMORY,    /* an empty tmpfs of at most `source` ("256k") */
	FW_STEP_SEAL,      /* makes the mount at target read-only */
};

struct fw_step {
	enum fw_step_kind kind;
	char *source;
	char *target;        /* relative to the root: "var/task" */
	uint64_t attributes; /* MOUNT_ATTR_* set on the mount, below it too */
	int fd;              /* the detached mount; -1 before the open pass */
	int idmap_fd;        /* user namespace of an idmapped bind, or -1 */
	bool is_file;        /* bind of something that is not a directory */
	bool recursive;
};

struct fw_steps {
	FW_VECTOR(struct fw_step) list;
};

/* Where a child failed and why; index is the step of a view. */
struct fw_child_failure {
	const char *doing; /* NULL: all went well */
	int error_number;
	ssize_t index;
};

struct fw_step *fw_steps_add(struct fw_steps *steps, enum fw_step_kind kind, const char *source, const char *target);
void fw_steps_done(struct fw_steps *steps);

/* System calls only. */
int fw_steps_open(struct fw_steps *steps, struct fw_child_failure *failure);
int fw_steps_attach(struct fw_steps *steps, struct fw_child_failure *failure); /* the current directory is the root */
void fw_steps_close(struct fw_steps *steps);
