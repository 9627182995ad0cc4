/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/support.h"

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/time.h"

static void make_parents(int fd, const char *path)
{
	char copy[512];

	snprintf(copy, sizeof copy, "%s", path);
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdirat(fd, copy, 0755);
		*slash = '/';
	}
}

void tree_write(struct tree *tree, const char *path, const char *content)
{
	make_parents(tree->fd, path);
	if (path[strlen(path) - 1] == '/')
		return;
	if (strncmp(content, "-> ", 3) == 0) {
		assert_int_equal(symlinkat(content + 3, tree->fd, path), 0);
		return;
	}
	int fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	close(fd);
}

/* A test that fails leaves by a jump: what it made is removed when the program ends. */
static char left[64][sizeof((struct tree *)0)->path];
static pid_t owner;

static void remove_tree(const char *path);

static void remove_what_is_left(void)
{
	for (size_t i = 0; getpid() == owner && i < FW_COUNT_OF(left); i++)
		if (left[i][0])
			remove_tree(left[i]);
}

static void remember(const char *path)
{
	if (!owner)
		atexit(remove_what_is_left);
	if (!owner)
		owner = getpid();
	for (size_t i = 0; i < FW_COUNT_OF(left); i++) {
		if (left[i][0])
			continue;
		memcpy(left[i], path, strlen(path) + 1);
		return;
	}
}

static void forget(const char *path)
{
	for (size_t i = 0; i < FW_COUNT_OF(left); i++)
		if (strcmp(left[i], path) == 0)
			left[i][0] = '\0';
}

struct tree tree_of(const char *path, ...)
{
	struct tree tree = {.path = "/tmp/flexwatt-test-XXXXXX"};
	va_list arguments;

	assert_non_null(mkdtemp(tree.path));
	tree.fd = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(tree.fd >= 0);
	remember(tree.path);
	va_start(arguments, path);
	for (; path; path = va_arg(arguments, const char *))
		tree_write(&tree, path, va_arg(arguments, const char *));
	va_end(arguments);
	return tree;
}

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

static void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_remove_cleanup(struct tree *tree)
{
	close(tree->fd);
	remove_tree(tree->path);
	if (getpid() == owner)
		forget(tree->path);
}

struct end_groups {
	char names[64][64];
	size_t count;
};

static void note_group(void *context, const char *name)
{
	struct end_groups *end = context;

	if (end->count < FW_COUNT_OF(end->names))
		snprintf(end->names[end->count++], sizeof end->names[0], "%s", name);
}

void end_groups(struct fw_cgroups *cgroups)
{
	struct end_groups end = {.count = 0};

	if (!cgroups)
		return;
	fw_cgroups_each(cgroups, note_group, &end, NULL);
	for (size_t i = 0; i < end.count; i++) {
		struct fw_cgroup *group;
		uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;

		if (fw_cgroup_open(cgroups, end.names[i], &group, NULL) != FW_OK)
			continue;
		do {
			fw_cgroup_kill(group, NULL);
		} while (fw_cgroup_remove(group, NULL) == FW_E_BUSY && fw_monotonic_ns() < deadline_ns);
		fw_cgroup_close(group);
	}
	fw_cgroups_close(cgroups);
}

void assert_error_is(int rc, struct fw_error **err, int code, const char *text)
{
	fw_cleanup_free char *described = *err ? fw_error_describe(*err) : NULL;

	if (rc != code)
		fail_msg("expected %s, got %s: %s", fw_code_name(code), fw_code_name(rc), described ? described : "(no error)");
	if (!described || !strstr(described, text))
		fail_msg("expected an error with '%s', got: %s", text, described ? described : "(no error)");
	fw_error_free(*err);
	*err = NULL;
}

void assert_ok_after(int rc, struct fw_error *err)
{
	if (rc != FW_OK) {
		fw_cleanup_free char *described = err ? fw_error_describe(err) : NULL;

		fail_msg("unexpected %s: %s", fw_code_name(rc), described ? described : "");
	}
}

void assert_near(double actual, double expected, double tolerance)
{
	if (!(fabs(actual - expected) <= tolerance))
		fail_msg("%.17g is not within %g of %.17g", actual, tolerance, expected);
}
