/* SPDX-License-Identifier: Apache-2.0
 *
 * Each test runs with the system call as it is and, in a child, without it: a filter answers as a filesystem or a kernel
 * does that does not know it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tree.h"
#include "tests/unit/support.h"

static void answer(long call, unsigned error_number)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error_number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(90);
}

static int holds(int fd, const char *path, const char *text)
{
	char bytes[16] = {0};
	int file = openat(fd, path, O_RDONLY | O_CLOEXEC);
	ssize_t length = file < 0 ? -1 : read(file, bytes, sizeof bytes - 1);

	close(file);
	return length == (ssize_t)strlen(text) && strcmp(bytes, text) == 0;
}

/* The line of the first check that fails, or 0. */
static int check(int fd)
{
#define CHECK(condition) do { if (!(condition)) return __LINE__; } while (0)
	CHECK(fw_rename_new(fd, "file", fd, "moved") == 0);
	CHECK(holds(fd, "moved", "file") && faccessat(fd, "file", F_OK, 0) != 0);
	CHECK(fw_rename_new(fd, "other", fd, "moved") == -1 && errno == EEXIST);
	CHECK(holds(fd, "moved", "file") && holds(fd, "other", "other"));
	CHECK(fw_rename_new(fd, "directory", fd, "place") == 0);
	CHECK(holds(fd, "place/in", "in") && faccessat(fd, "directory", F_OK, 0) != 0);
	CHECK(fw_rename_new(fd, "second", fd, "place") == -1 && errno == EEXIST);
	CHECK(holds(fd, "place/in", "in") && holds(fd, "second/in", "2"));
	CHECK(fw_rename_new(fd, "absent", fd, "name") == -1 && errno == ENOENT);
	CHECK(fw_rename_new(fd, "other", fd, "no/such/name") == -1 && errno == ENOENT);
	CHECK(fw_rename_new(fd, "second", fd, "second/below") == -1 && errno == EINVAL);
	CHECK(faccessat(fd, "second/below", F_OK, 0) != 0);
	return 0;
}

static void run_without(const long *calls, const unsigned *answers, size_t count)
{
	fw_cleanup_tree struct tree tree =
		tree_of("file", "file", "other", "other", "directory/in", "in", "second/in", "2", NULL);
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		int fd = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		for (size_t i = 0; i < count; i++)
			answer(calls[i], answers[i]);
		int line = check(fd);

		_exit(line > 255 ? 255 : line);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0); /* else the line */
}

static void a_name_that_is_taken_is_never_replaced(void **state)
{
	(void)state;
	run_without(NULL, NULL, 0);
}

static void where_the_filesystem_does_not_know_how_it_is_done_by_claiming_the_name(void **state)
{
	(void)state;
	run_without((const long[]){SYS_renameat2}, (const unsigned[]){EINVAL}, 1);
	run_without((const long[]){SYS_renameat2}, (const unsigned[]){ENOSYS}, 1);
}

static void where_there_are_no_links_either_too(void **state)
{
	(void)state;
	run_without((const long[]){SYS_renameat2, SYS_linkat}, (const unsigned[]){EINVAL, EPERM}, 2);
}

FW_TESTS(a_name_that_is_taken_is_never_replaced, where_the_filesystem_does_not_know_how_it_is_done_by_claiming_the_name,
         where_there_are_no_links_either_too)
