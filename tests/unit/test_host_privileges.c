/* SPDX-License-Identifier: Apache-2.0
 *
 * In a child that is a user with the permitted capability, as a program is whose file has it.
 */
#include "host/privileges.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support.h"

enum { NOBODY = 65534 };

static void need_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: needs root\n");
	skip();
}

static bool reads(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool become_user(unsigned permitted, unsigned effective)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{.permitted = permitted, .effective = effective}};

	return prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0 && syscall(SYS_capset, &header, data) == 0;
}

/* The exit status tells which step was not as it should be; 0: none. */
static int try(unsigned permitted, const char *secret)
{
	bool may = permitted != 0;

	if (!become_user(permitted, 0) || reads(secret))
		return 1;
	fw_privileges_hold_back();
	if (reads(secret))
		return 2;
	if (prctl(PR_GET_DUMPABLE) != 1)
		return 3;
	fw_privileges_raise();
	if (reads(secret) != may)
		return 4;
	fw_privileges_lower();
	return reads(secret) ? 5 : 0;
}

/* A program that uses our library and has made its capability effective itself. */
static int try_as_library(unsigned permitted, const char *secret)
{
	if (!become_user(permitted, permitted) || !reads(secret))
		return 1;
	fw_privileges_raise();
	fw_privileges_lower();
	return reads(secret) ? 0 : 2;
}

static int status_of(int (*attempt)(unsigned permitted, const char *secret), unsigned permitted)
{
	fw_cleanup_tree struct tree tree = tree_of("secret", "told to root alone\n", NULL);
	char path[128];
	int status = -1;

	snprintf(path, sizeof path, "%s/secret", tree.path);
	assert_int_equal(fchmodat(tree.fd, "secret", 0600, 0), 0);
	assert_int_equal(fchmod(tree.fd, 0755), 0);
	pid_t pid = fork();

	if (pid == 0)
		_exit(attempt(permitted, path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void the_right_to_read_any_file_is_there_while_it_is_raised(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(status_of(try, 1U << CAP_DAC_READ_SEARCH), 0);
}

static void nothing_is_taken_from_the_host_of_a_library(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(status_of(try_as_library, 1U << CAP_DAC_READ_SEARCH), 0);
}

static void what_is_not_permitted_is_not_raised(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(status_of(try, 0), 0);
}

static void nothing_is_held_back_of_the_superuser(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("secret", "", NULL);
	char path[128];

	(void)state;
	need_root();
	snprintf(path, sizeof path, "%s/secret", tree.path);
	assert_int_equal(fchmodat(tree.fd, "secret", 0, 0), 0);
	fw_privileges_hold_back();
	fw_privileges_lower();
	assert_true(reads(path));
}

FW_TESTS(the_right_to_read_any_file_is_there_while_it_is_raised, nothing_is_taken_from_the_host_of_a_library,
         what_is_not_permitted_is_not_raised, nothing_is_held_back_of_the_superuser)
