/* SPDX-License-Identifier: Apache-2.0
 *
 * The few kernel structures that the BPF programs look into, each with only the fields that they use. The loader moves
 * every access to where the running kernel has that field (CO-RE), so that one object serves all kernels with BTF.
 */
#pragma once

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct kernfs_node {
	__u64 id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	int level;
};

struct css_set {
	struct cgroup *dfl_cgrp; /* in the v2 hierarchy */
};

struct sched_entity {
	__u64 sum_exec_runtime;
	__u64 prev_sum_exec_runtime; /* when it was switched in */
};

struct task_struct {
	int pid;
	int tgid;
	struct sched_entity se;
	struct css_set *cgroups;
};

struct thermal_zone_device {
	int id;
	int temperature; /* thousandths of a degree */
};

#pragma clang attribute pop
