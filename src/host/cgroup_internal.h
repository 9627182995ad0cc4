/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of cgroup share: the hierarchies that were found, which of them a group of ours lives in, and where
 * each control file is. A group is the same name below `parent_fd` of every hierarchy that is used.
 */
#pragma once

#include <stdatomic.h>

#include "base/str.h"
#include "host/cgroup.h"

enum fw_controller {
	FW_CONTROLLER_CPU,
	FW_CONTROLLER_CPUACCT,
	FW_CONTROLLER_MEMORY,
	FW_CONTROLLER_PIDS,
	FW_CONTROLLER_FREEZER,
	FW_CONTROLLER_IO, /* v2 alone: v1's blkio counts nothing that /proc/<pid>/io does not tell as well */
	FW_CONTROLLER_COUNT,
};

/* X(name, controller or -1 for the v2 core, v1, file): every control file that is read or written. */
#define FW_CGROUP_FILES(X)                                                  \
	X(CPU_STAT, -1, false, "cpu.stat")                                      \
	X(CPU_PRESSURE, -1, false, "cpu.pressure")                              \
	X(MEMORY_PRESSURE, -1, false, "memory.pressure")                        \
	X(IO_PRESSURE, -1, false, "io.pressure")                                \
	X(KILL, -1, false, "cgroup.kill")                                       \
	X(FREEZE, -1, false, "cgroup.freeze")                                   \
	X(CPU_MAX, FW_CONTROLLER_CPU, false, "cpu.max")                         \
	X(MEMORY_MAX, FW_CONTROLLER_MEMORY, false, "memory.max")                \
	X(MEMORY_SWAP_MAX, FW_CONTROLLER_MEMORY, false, "memory.swap.max")      \
	X(MEMORY_STAT, FW_CONTROLLER_MEMORY, false, "memory.stat")              \
	X(MEMORY_PEAK, FW_CONTROLLER_MEMORY, false, "memory.peak")              \
	X(MEMORY_EVENTS, FW_CONTROLLER_MEMORY, false, "memory.events")          \
	X(PIDS_MAX, FW_CONTROLLER_PIDS, false, "pids.max")                      \
	X(PIDS_CURRENT, FW_CONTROLLER_PIDS, false, "pids.current")              \
	X(PIDS_EVENTS, FW_CONTROLLER_PIDS, false, "pids.events")                \
	X(IO_STAT, FW_CONTROLLER_IO, false, "io.stat")                          \
	X(V1_CPU_STAT, FW_CONTROLLER_CPU, true, "cpu.stat")                     \
	X(V1_CPU_PERIOD, FW_CONTROLLER_CPU, true, "cpu.cfs_period_us")          \
	X(V1_CPU_QUOTA, FW_CONTROLLER_CPU, true, "cpu.cfs_quota_us")            \
	X(V1_CPU_USAGE, FW_CONTROLLER_CPUACCT, true, "cpuacct.usage")           \
	X(V1_CPU_USAGE_USER, FW_CONTROLLER_CPUACCT, true, "cpuacct.usage_user") \
	X(V1_CPU_USAGE_EACH, FW_CONTROLLER_CPUACCT, true, "cpuacct.usage_percpu") \
	X(V1_MEMORY_LIMIT, FW_CONTROLLER_MEMORY, true, "memory.limit_in_bytes") \
	X(V1_MEMORY_SWAP, FW_CONTROLLER_MEMORY, true, "memory.memsw.limit_in_bytes") \
	X(V1_MEMORY_STAT, FW_CONTROLLER_MEMORY, true, "memory.stat")            \
	X(V1_MEMORY_KERNEL, FW_CONTROLLER_MEMORY, true, "memory.kmem.usage_in_bytes") \
	X(V1_MEMORY_PEAK, FW_CONTROLLER_MEMORY, true, "memory.max_usage_in_bytes") \
	X(V1_MEMORY_OOM, FW_CONTROLLER_MEMORY, true, "memory.oom_control")      \
	X(V1_PIDS_MAX, FW_CONTROLLER_PIDS, true, "pids.max")                    \
	X(V1_PIDS_CURRENT, FW_CONTROLLER_PIDS, true, "pids.current")            \
	X(V1_PIDS_EVENTS, FW_CONTROLLER_PIDS, true, "pids.events")              \
	X(V1_FREEZER, FW_CONTROLLER_FREEZER, true, "freezer.state")

enum fw_cgroup_file {
#define X(name, controller, v1, file) FW_FILE_##name,
	FW_CGROUP_FILES(X)
#undef X
	FW_FILE_COUNT,
};
extern const struct fw_cgroup_file_place {
	const char *name;
	int controller;
	bool v1;
} fw_cgroup_files[FW_FILE_COUNT];

enum { FW_MAX_HIERARCHIES = 8, FW_CGROUP_PATH = 4096 };

struct fw_hierarchy {
	bool v2;
	unsigned controllers;  /* bits of enum fw_controller that our groups have here */
	int base_fd;           /* the directory that the parent group is in */
	int parent_fd;         /* the parent group */
	char path[FW_CGROUP_PATH]; /* of the base, for people */
	size_t mount_length;       /* of the part of the path that is the mount's */
};

struct fw_cgroups {
	enum fw_cgroup_mode mode;
	unsigned can;
	char *missing;
	char *parent;
	struct fw_hierarchy hierarchies[FW_MAX_HIERARCHIES];
	size_t count;
	int v2; /* index or -1 */
};

struct fw_cgroup {
	struct fw_cgroups *cgroups;
	char *name;
	int v2_fd;                        /* directory of the leaf, or -1 */
	int64_t cpu_period_us;            /* last written on v1; -1 unknown */
	/* Descriptor + 1, 0 before the first use, -1 when the file does not exist. Atomic, because the loop reads CPU time
	 * while the sampler reads the rest: who opens second closes its own. */
	atomic_int files[FW_FILE_COUNT];
	atomic_int procs[FW_MAX_HIERARCHIES]; /* cgroup.procs */
};

/* cgroup_probe.c: parsers, for bytes of any origin */
struct fw_cgroup_mount {
	bool v2;
	unsigned controllers;          /* v1: of the mount; v2: 0 */
	char root[FW_CGROUP_PATH];     /* the part of the hierarchy that is mounted */
	char point[FW_CGROUP_PATH];    /* where, relative to the root directory */
};
/* One line of /proc/self/mountinfo: true when it is a cgroup mount with something in it for us. */
bool fw_cgroup_mount_parse(struct fw_str line, struct fw_cgroup_mount *mount);
/* The path of /proc/self/cgroup for a controller (v1) or for v2 (controller -1). */
bool fw_cgroup_own_path(struct fw_str text, int controller, struct fw_str *path);
/* The path of our own group below the mount's directory ("" for the directory itself); false when it is outside. */
bool fw_cgroup_below_mount(const struct fw_cgroup_mount *mount, struct fw_str own, struct fw_str *below);
int fw_controller_by_name(struct fw_str name); /* -1: none of ours */
const char *fw_controller_name(int controller);

/* cgroup.c */
int fw_cgroup_open_parent(struct fw_cgroups *cgroups, struct fw_hierarchy *hierarchy, struct fw_error **err);

/* cgroup_files.c */
int fw_cgroup_kept_fd(struct fw_cgroup *group, atomic_int *slot, size_t hierarchy, const char *name, int flags);
/* The kept-open descriptor of a control file, -1 when there is none. */
int fw_cgroup_file_fd(struct fw_cgroup *group, enum fw_cgroup_file file);
/* True when our groups have the controller of this file. */
bool fw_cgroup_has_file(const struct fw_cgroups *cgroups, enum fw_cgroup_file file);
/* Reads a control file into text[size]; false when it is not there. */
bool fw_cgroup_file_text(struct fw_cgroup *group, enum fw_cgroup_file file, char *text, size_t size, struct fw_str *read);
/* The one number of a control file, -1 when there is none. */
int64_t fw_cgroup_file_number(struct fw_cgroup *group, enum fw_cgroup_file file);
/* Writes through the kept descriptor: FW_E_ABSENT when there is no such file. */
int fw_cgroup_file_write(struct fw_cgroup *group, enum fw_cgroup_file file, const char *text, struct fw_error **err);
int fw_cgroup_file_write_number(struct fw_cgroup *group, enum fw_cgroup_file file, int64_t number, struct fw_error **err);

/* cgroup_v1.c, cgroup_v2.c */
int fw_cgroup_v1_limit(struct fw_cgroup *group, const struct fw_cgroup_limits *limits, struct fw_error **err);
int fw_cgroup_v1_set_cpu(struct fw_cgroup *group, int64_t quota_us, int64_t period_us, struct fw_error **err);
bool fw_cgroup_v1_freeze(struct fw_cgroup *group, bool frozen);
int fw_cgroup_v2_limit(struct fw_cgroup *group, const struct fw_cgroup_limits *limits, struct fw_error **err);
int fw_cgroup_v2_set_cpu(struct fw_cgroup *group, int64_t quota_us, int64_t period_us, struct fw_error **err);
/* The controllers that cgroup.controllers or cgroup.subtree_control of a directory names. */
unsigned fw_cgroup_v2_controllers(int directory_fd, const char *file);
/* Only this process is in the group: a process that this one cannot see counts as another. */
bool fw_cgroup_v2_is_alone(int directory_fd);
/* Hands the controllers down to the parent group's children; moves this process aside when the kernel demands it. False
 * when others in our group are in the way. */
bool fw_cgroup_v2_enable(struct fw_hierarchy *hierarchy, bool own_group, unsigned wanted);
