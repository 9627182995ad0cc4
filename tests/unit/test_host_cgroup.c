/* SPDX-License-Identifier: Apache-2.0
 *
 * Control groups on fixture trees: what the probe finds, where limits are written, how texts are understood.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/cgroup_internal.h"
#include "tests/unit/support.h"

#define V1(controller) "31 30 0:29 / /sys/fs/cgroup/" controller " rw,relatime shared:9 - cgroup cgroup rw," controller "\n"
#define V2(point) "38 31 0:38 / /sys/fs/cgroup" point " rw - cgroup2 cgroup2 rw,nsdelegate\n"
#define BASE "sys/fs/cgroup/"
#define V2_STAT "usage_usec 1000\nuser_usec 700\nsystem_usec 300\nnr_throttled 2\nthrottled_usec 55\n"

FW_DEFINE_CLEANUP(struct fw_cgroups *, fw_cgroups_close)
FW_DEFINE_CLEANUP(struct fw_cgroup *, fw_cgroup_close)

static struct fw_cgroups *open_ok(const struct tree *tree)
{
	struct fw_root root = {tree->fd};
	struct fw_cgroups *cgroups = NULL;
	struct fw_error *err = NULL;

	assert_ok(fw_cgroups_open(&root, "flexwatt", &cgroups, &err), err);
	return cgroups;
}

static struct fw_cgroup *group_ok(struct fw_cgroups *cgroups, const char *name)
{
	struct fw_cgroup *group = NULL;
	struct fw_error *err = NULL;

	assert_ok(fw_cgroup_open(cgroups, name, &group, &err), err);
	return group;
}

static void assert_file(const struct tree *tree, const char *path, const char *expected)
{
	struct fw_root root = {tree->fd};
	char text[256];

	assert_true(fw_root_peek(&root, path, text, sizeof text) >= 0);
	if (strncmp(text, expected, strlen(expected)) != 0)
		fail_msg("%s holds '%s', not '%s'", path, text, expected);
}

static void reads_and_limits_on_v1(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(
		"proc/self/mountinfo", V1("cpu") V1("cpuacct") V1("memory") V1("pids") V1("freezer"), "proc/self/cgroup",
		"5:freezer:/\n4:memory:/\n3:pids:/\n2:cpuacct:/\n1:cpu:/\n", BASE "freezer/flexwatt/w/freezer.state", "THAWED\n",
		BASE "cpu/flexwatt/w/cpu.cfs_quota_us", "-1     \n", BASE "cpu/flexwatt/w/cpu.cfs_period_us", "100000 \n",
		BASE "cpu/flexwatt/w/cpu.stat", "nr_periods 3\nnr_throttled 1\nthrottled_time 777\n",
		BASE "cpuacct/flexwatt/w/cpuacct.usage", "5000\n", BASE "cpuacct/flexwatt/w/cpuacct.usage_user", "6000\n",
		BASE "memory/flexwatt/w/memory.limit_in_bytes", "9223372036854771712\n",
		BASE "memory/flexwatt/w/memory.max_usage_in_bytes", "134000000\n",
		BASE "memory/flexwatt/w/memory.kmem.usage_in_bytes", "1000\n", BASE "memory/flexwatt/w/memory.stat",
		"cache 130000000\nrss 1\ntotal_cache 130000000\ntotal_rss 4000\ntotal_shmem 500\ntotal_pgfault 12\ntotal_pgmajfault 2\n",
		BASE "memory/flexwatt/w/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
		BASE "pids/flexwatt/w/pids.max", "max\n", BASE "pids/flexwatt/w/pids.current", "4\n",
		BASE "pids/flexwatt/w/pids.events", "max 9\n", NULL);
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = group_ok(cgroups, "w");
	struct fw_cgroup_limits limits = {.memory_bytes = 1 << 20, .cpu_quota_us = 1447, .cpu_period_us = 20000, .pids = 64};
	struct fw_cgroup_stat stat;

	(void)state;
	assert_int_equal(fw_cgroups_mode(cgroups), FW_CGROUP_V1);
	assert_int_equal(fw_cgroups_can(cgroups), FW_CAN_MEMORY | FW_CAN_CPU | FW_CAN_CPUACCT | FW_CAN_PIDS | FW_CAN_FREEZE);
	assert_null(fw_cgroups_missing(cgroups));
	assert_int_equal(fw_cgroup_v2_fd(group), -1);
	assert_int_equal(fw_cgroup_v1_limit(group, &limits, NULL), FW_OK);
	assert_file(&tree, BASE "memory/flexwatt/w/memory.limit_in_bytes", "1048576");
	assert_file(&tree, BASE "cpu/flexwatt/w/cpu.cfs_period_us", "20000");
	assert_file(&tree, BASE "cpu/flexwatt/w/cpu.cfs_quota_us", "1447");
	assert_file(&tree, BASE "pids/flexwatt/w/pids.max", "64");
	fw_cgroup_read(group, &stat);
	assert_int_equal(stat.cpu_total_ns, 5000);
	assert_int_equal(stat.cpu_user_ns, 5000); /* clock ticks may say more than the exact total */
	assert_int_equal(stat.cpu_system_ns, 0);
	assert_int_equal(stat.throttled_ns, 777);
	assert_int_equal(stat.memory_bytes, 5500); /* no page cache */
	assert_int_equal(fw_cgroup_read_memory(group), 5500);
	assert_int_equal(stat.memory_high_bytes, 134000000);
	assert_int_equal(stat.faults_minor, 10);
	assert_int_equal(stat.faults_major, 2);
	assert_int_equal(stat.oom_kills, 3);
	assert_int_equal(stat.pids, 4);
	assert_int_equal(stat.pids_denied, 9);
	assert_int_equal(stat.pressure_cpu_us, -1);
	assert_int_equal(stat.io_read_bytes, -1);
}

static struct tree v2_tree(const char *mountinfo, const char *own, const char *controllers)
{
	return tree_of("proc/self/mountinfo", mountinfo, "proc/self/cgroup", own, BASE "cgroup.controllers", controllers,
	               BASE "cgroup.subtree_control", controllers, BASE "flexwatt/cgroup.controllers", controllers,
	               BASE "flexwatt/cgroup.subtree_control", controllers, BASE "flexwatt/cgroup.kill", "",
	               BASE "flexwatt/cgroup.freeze", "0\n", BASE "flexwatt/cpu.stat", V2_STAT, BASE "flexwatt/w/cpu.stat",
	               V2_STAT, BASE "flexwatt/w/cgroup.kill", "", BASE "flexwatt/w/memory.max", "max\n",
	               BASE "flexwatt/w/memory.swap.max", "max\n", BASE "flexwatt/w/cpu.max", "max 100000\n",
	               BASE "flexwatt/w/pids.max", "max\n", BASE "flexwatt/w/pids.current", "2\n",
	               BASE "flexwatt/w/memory.stat", "anon 100\nfile 9999\nkernel 30\nshmem 7\npgfault 5\npgmajfault 1\n",
	               BASE "flexwatt/w/memory.peak", "20000\n", BASE "flexwatt/w/memory.events", "low 0\noom 1\noom_kill 1\n",
	               BASE "flexwatt/w/io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=5 wbytes=6\n",
	               BASE "flexwatt/w/memory.pressure", "some avg10=0.00 total=88\nfull avg10=0.00 total=1\n",
	               BASE "flexwatt/w/cgroup.procs", "", NULL);
}

static void reads_and_limits_on_v2(void **state)
{
	fw_cleanup_tree struct tree tree = v2_tree(V2(""), "0::/\n", "cpuset cpu io memory pids\n");
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = group_ok(cgroups, "w");
	struct fw_cgroup_limits limits = {.memory_bytes = 4096, .cpu_quota_us = 2894, .cpu_period_us = 20000, .pids = 16};
	struct fw_cgroup_stat stat;

	(void)state;
	assert_int_equal(fw_cgroups_mode(cgroups), FW_CGROUP_V2);
	assert_int_equal(fw_cgroups_can(cgroups), FW_CAN_MEMORY | FW_CAN_CPU | FW_CAN_CPUACCT | FW_CAN_PIDS | FW_CAN_FREEZE |
	                                              FW_CAN_KILL | FW_CAN_IDENTITY);
	assert_true(fw_cgroup_v2_fd(group) >= 0);
	assert_int_equal(fw_cgroup_v2_limit(group, &limits, NULL), FW_OK);
	assert_file(&tree, BASE "flexwatt/w/memory.max", "4096");
	assert_file(&tree, BASE "flexwatt/w/memory.swap.max", "0");
	assert_file(&tree, BASE "flexwatt/w/cpu.max", "2894 20000");
	assert_file(&tree, BASE "flexwatt/w/pids.max", "16");
	assert_int_equal(fw_cgroup_set_cpu(group, 0, 0, NULL), FW_OK);
	assert_file(&tree, BASE "flexwatt/w/cpu.max", "max");
	fw_cgroup_read(group, &stat);
	assert_int_equal(stat.cpu_total_ns, 1000000);
	assert_int_equal(stat.cpu_user_ns, 700000);
	assert_int_equal(stat.cpu_system_ns, 300000);
	assert_int_equal(stat.throttled_ns, 55000);
	assert_int_equal(stat.memory_bytes, 137);
	assert_int_equal(stat.memory_high_bytes, 20000);
	assert_int_equal(stat.oom_kills, 1);
	assert_int_equal(stat.io_read_bytes, 15);
	assert_int_equal(stat.io_written_bytes, 26);
	assert_int_equal(stat.pressure_memory_us, 88);
	assert_int_equal(fw_cgroup_kill(group, NULL), FW_OK);
	assert_file(&tree, BASE "flexwatt/w/cgroup.kill", "1");
}

static void sums_kernel_memory_where_the_kernel_does_not(void **state)
{
	fw_cleanup_tree struct tree tree = v2_tree(V2(""), "0::/\n", "cpu memory pids\n");
	tree_write(&tree, BASE "flexwatt/w/memory.stat", "anon 100\nshmem 7\nkernel_stack 1\npagetables 2\nslab 4\n");
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = group_ok(cgroups, "w");

	(void)state;
	assert_int_equal(fw_cgroup_read_memory(group), 114);
}

static void a_swap_limit_that_is_missing_is_no_error(void **state)
{
	fw_cleanup_tree struct tree tree = v2_tree(V2(""), "0::/\n", "cpu memory pids\n");
	unlinkat(tree.fd, BASE "flexwatt/w/memory.swap.max", 0);
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = group_ok(cgroups, "w");
	struct fw_cgroup_limits limits = {.memory_bytes = 4096};

	(void)state;
	assert_int_equal(fw_cgroup_v2_limit(group, &limits, NULL), FW_OK);
	assert_file(&tree, BASE "flexwatt/w/memory.max", "4096");
}

static void says_which_limits_are_missing(void **state)
{
	fw_cleanup_tree struct tree tree = v2_tree(V2(""), "0::/\n", "cpu\n");
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = group_ok(cgroups, "w");
	struct fw_cgroup_limits limits = {.memory_bytes = 4096, .pids = 3};

	(void)state;
	assert_string_equal(fw_cgroups_missing(cgroups),
	                    "no memory limit, limit of processes: the controller is not mounted or not handed down to this "
	                    "control group");
	assert_int_equal(fw_cgroup_v2_limit(group, &limits, NULL), FW_OK);
	assert_file(&tree, BASE "flexwatt/w/memory.max", "max");
	assert_int_equal(fw_cgroup_read_memory(group), -1);
}

static void hybrid_uses_v1_limits_and_a_v2_leaf(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(
		"proc/self/mountinfo", V1("cpu") V1("cpuacct") V1("memory") V1("pids") V1("freezer") V2("/unified"),
		"proc/self/cgroup", "4:memory:/deep/inside\n1:cpu:/\n0::/\n", BASE "cpu/flexwatt/", "", BASE "cpuacct/", "",
		BASE "memory/", "", BASE "pids/", "", BASE "freezer/", "", BASE "unified/cgroup.controllers", "hugetlb\n",
		BASE "unified/cgroup.subtree_control", "\n", BASE "unified/flexwatt/cgroup.kill", "",
		BASE "unified/flexwatt/cpu.stat", V2_STAT, BASE "unified/flexwatt/w/cpu.stat", V2_STAT, NULL);
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = group_ok(cgroups, "w");
	struct fw_cgroup_stat stat = FW_CGROUP_STAT_UNKNOWN;

	(void)state;
	assert_int_equal(fw_cgroups_mode(cgroups), FW_CGROUP_HYBRID);
	assert_true(fw_cgroups_can(cgroups) & FW_CAN_CPUACCT);
	assert_int_equal(cgroups->count, 4); /* neither cpuacct nor freezer: the leaf tells CPU time and kills */
	assert_true(fw_cgroup_v2_fd(group) >= 0);
	fw_cgroup_read_cpu(group, &stat);
	assert_int_equal(stat.cpu_total_ns, 1000000);
}

static void controllers_that_share_a_mount_share_a_group(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/self/mountinfo",
	            "31 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" V1("memory"),
	            "proc/self/cgroup", "2:cpu,cpuacct:/user.slice\n1:memory:/\n", BASE "memory/", "",
	            BASE "cpu,cpuacct/flexwatt/w/cpuacct.usage", "42\n", NULL);
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	FW_CLEANUP(fw_cgroup_close) struct fw_cgroup *group = group_ok(cgroups, "w");
	struct fw_cgroup_stat stat = FW_CGROUP_STAT_UNKNOWN;

	(void)state;
	assert_int_equal(cgroups->count, 2);
	assert_int_equal(fw_cgroups_can(cgroups), FW_CAN_MEMORY | FW_CAN_CPU | FW_CAN_CPUACCT);
	assert_string_equal(fw_cgroups_missing(cgroups), "no limit of processes: the controller is not mounted or not handed "
	                                                 "down to this control group");
	fw_cgroup_read_cpu(group, &stat);
	assert_int_equal(stat.cpu_total_ns, 42);
	assert_int_equal(stat.cpu_user_ns, -1);
}

/* A container of Docker on v1: the mount shows the container's own part, named in full in /proc/self/cgroup. */
static void finds_its_place_below_a_mounted_sub_tree(void **state)
{
	struct fw_cgroup_mount mount;
	struct fw_str own, below;

	(void)state;
	assert_true(fw_cgroup_mount_parse(
		FW_STR("700 690 0:32 /docker/abc /sys/fs/cgroup/memory ro,nosuid master:15 - cgroup cgroup rw,memory"), &mount));
	assert_string_equal(mount.root, "/docker/abc");
	assert_string_equal(mount.point, "sys/fs/cgroup/memory");
	assert_true(fw_cgroup_own_path(FW_STR("9:pids:/x\n4:memory:/docker/abc/inner\n"), FW_CONTROLLER_MEMORY, &own));
	assert_true(fw_cgroup_below_mount(&mount, own, &below));
	assert_true(fw_str_is(below, "inner"));
	assert_false(fw_cgroup_below_mount(&mount, FW_STR("/docker/abcdef"), &below));
	assert_false(fw_cgroup_below_mount(&mount, FW_STR("/elsewhere"), &below));
}

static void understands_escaped_blanks_and_ignores_other_mounts(void **state)
{
	struct fw_cgroup_mount mount;

	(void)state;
	assert_true(fw_cgroup_mount_parse(FW_STR("1 2 0:3 / /my\\040groups rw - cgroup2 none rw"), &mount));
	assert_string_equal(mount.point, "my groups");
	assert_true(mount.v2);
	assert_false(fw_cgroup_mount_parse(FW_STR("1 2 0:3 / /proc rw - proc proc rw"), &mount));
	assert_false(fw_cgroup_mount_parse(FW_STR("1 2 0:3 / /sys/fs/cgroup/systemd rw - cgroup c rw,name=systemd"), &mount));
	assert_false(fw_cgroup_mount_parse(FW_STR("1 2 0:3 / /nothing rw shared:1"), &mount));
}

/* A user's delegated scope: the top is not writable (here: has no such directory to make one in), our own group is. */
static void an_engine_in_its_own_scope_makes_groups_beside_itself(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/self/mountinfo", V2(""), "proc/self/cgroup", "0::/user/scope/flexwatt/engine\n",
	            BASE "flexwatt", "a file where the top's parent group would be", BASE "user/scope/cgroup.controllers",
	            "memory\n", BASE "user/scope/cgroup.subtree_control", "memory\n",
	            BASE "user/scope/flexwatt/cgroup.controllers", "memory\n",
	            BASE "user/scope/flexwatt/cgroup.subtree_control", "memory\n", BASE "user/scope/flexwatt/engine/", "", NULL);
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);

	(void)state;
	assert_string_equal(cgroups->hierarchies[0].path, "sys/fs/cgroup/user/scope");
	assert_true(fw_cgroups_can(cgroups) & FW_CAN_MEMORY);
}

static void without_control_groups_it_says_so(void **state)
{
	fw_cleanup_tree struct tree tree =
		tree_of("proc/self/mountinfo", "1 2 0:3 / / rw - ext4 /dev/vda rw\n", "proc/self/cgroup", "0::/\n", NULL);
	struct fw_root root = {tree.fd};
	struct fw_cgroups *cgroups = NULL;
	struct fw_error *err = NULL;
	int rc = fw_cgroups_open(&root, "flexwatt", &cgroups, &err);

	(void)state;
	assert_null(cgroups);
	assert_error_is(rc, &err, FW_E_ABSENT, "control groups: no control groups are mounted");
}

static void a_name_never_leaves_the_parent_group(void **state)
{
	fw_cleanup_tree struct tree tree = v2_tree(V2(""), "0::/\n", "memory\n");
	FW_CLEANUP(fw_cgroups_close) struct fw_cgroups *cgroups = open_ok(&tree);
	static const char *const names[] = {"..", "../x", "a/b", "", "/"};
	struct fw_cgroup_limits limits = {0};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct fw_cgroup *group = NULL;
		struct fw_error *err = NULL;
		int rc = fw_cgroup_new(cgroups, names[i], &limits, &group, &err);

		assert_null(group);
		assert_error_is(rc, &err, FW_E_INVALID, "is no name of a control group");
	}
}

FW_TESTS(reads_and_limits_on_v1, reads_and_limits_on_v2, sums_kernel_memory_where_the_kernel_does_not,
         a_swap_limit_that_is_missing_is_no_error, says_which_limits_are_missing, hybrid_uses_v1_limits_and_a_v2_leaf,
         controllers_that_share_a_mount_share_a_group, finds_its_place_below_a_mounted_sub_tree,
         understands_escaped_blanks_and_ignores_other_mounts, an_engine_in_its_own_scope_makes_groups_beside_itself,
         without_control_groups_it_says_so, a_name_never_leaves_the_parent_group)
