/* SPDX-License-Identifier: Apache-2.0
 *
 * When a normal user's engine needs a scope of its own: on fixture trees, whose owner this test becomes, because nothing is refused to root.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/cgroup_internal.h"
#include "tests/unit/support.h"

#define MOUNT "38 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
#define TOP "sys/fs/cgroup"
#define GROUP TOP "/user.slice/session-2.scope"

enum { SOMEBODY = 65534 };

static struct tree session(const char *controllers, const char *processes)
{
	return tree_of("proc/self/mountinfo", MOUNT, "proc/self/cgroup", "0::/user.slice/session-2.scope\n",
	               TOP "/cgroup.controllers", controllers, GROUP "/cgroup.procs", processes, NULL);
}

/* What somebody who owns all of the tree finds, where these two directories have these modes. */
static bool wants(const struct tree *tree, mode_t top, mode_t group)
{
	struct fw_root root = {tree->fd};
	bool was_root = geteuid() == 0;

	assert_int_equal(fchmod(tree->fd, 0755), 0);
	if (was_root) {
		assert_int_equal(fchownat(tree->fd, TOP, SOMEBODY, SOMEBODY, 0), 0);
		assert_int_equal(fchownat(tree->fd, GROUP, SOMEBODY, SOMEBODY, 0), 0);
	}
	assert_int_equal(fchmodat(tree->fd, GROUP, group, 0), 0);
	assert_int_equal(fchmodat(tree->fd, TOP, top, 0), 0);
	if (was_root)
		assert_int_equal(seteuid(SOMEBODY), 0);
	bool found = fw_cgroup_wants_scope(&root);

	if (was_root)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(fchmodat(tree->fd, TOP, 0755, 0), 0);
	assert_int_equal(fchmodat(tree->fd, GROUP, 0755, 0), 0);
	return found;
}

static void a_session_of_the_systems_needs_one(void **state)
{
	fw_cleanup_free char *own = fw_printf("%d\n", (int)getpid());
	fw_cleanup_tree struct tree tree = session("cpu memory pids\n", own);

	(void)state;
	assert_true(wants(&tree, 0555, 0555));
}

static void a_group_that_is_shared_needs_one(void **state)
{
	fw_cleanup_free char *both = fw_printf("1\n%d\n", (int)getpid());
	fw_cleanup_tree struct tree tree = session("cpu memory pids\n", both);

	(void)state;
	assert_true(wants(&tree, 0555, 0755));
}

static void a_delegated_group_of_its_own_is_enough(void **state)
{
	fw_cleanup_free char *own = fw_printf("%d\n", (int)getpid());
	fw_cleanup_tree struct tree tree = session("cpu memory pids\n", own);

	(void)state;
	assert_false(wants(&tree, 0555, 0755));
}

static void who_may_write_at_the_top_needs_none(void **state)
{
	fw_cleanup_tree struct tree tree = session("cpu memory pids\n", "1\n");

	(void)state;
	assert_false(wants(&tree, 0755, 0755));
}

static void without_controllers_a_scope_would_limit_nothing(void **state)
{
	fw_cleanup_tree struct tree hybrid = session("\n", "1\n");
	fw_cleanup_tree struct tree v1 = tree_of("proc/self/mountinfo", "", "proc/self/cgroup", "1:cpu:/\n", GROUP "/", "",
	                                         NULL);

	(void)state;
	assert_false(wants(&hybrid, 0555, 0555));
	assert_false(wants(&v1, 0555, 0555));
}

FW_TESTS(a_session_of_the_systems_needs_one, a_group_that_is_shared_needs_one, a_delegated_group_of_its_own_is_enough,
         who_may_write_at_the_top_needs_none, without_controllers_a_scope_would_limit_nothing)
