/* SPDX-License-Identifier: Apache-2.0
 *
 * What unit tests share: cmocka, fixture trees, assertions on errors.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "host/cgroup.h"

/* FW_TESTS(a, b, c): main() that runs test functions void a(void **state), named after the behaviour. */
#define FW_TEST_1(t) cmocka_unit_test(t)
#define FW_TESTS(...)                                              \
	int main(void)                                                 \
	{                                                              \
		const struct CMUnitTest tests[] = {FW_TEST_MAP(__VA_ARGS__)}; \
		return cmocka_run_group_tests(tests, NULL, NULL);          \
	}
#define FW_TEST_MAP(...) FW_TEST_EVAL(FW_TEST_NEXT(__VA_ARGS__, ()))
#define FW_TEST_EVAL(...) FW_TEST_EVAL1(FW_TEST_EVAL1(FW_TEST_EVAL1(__VA_ARGS__)))
#define FW_TEST_EVAL1(...) FW_TEST_EVAL2(FW_TEST_EVAL2(FW_TEST_EVAL2(__VA_ARGS__)))
#define FW_TEST_EVAL2(...) FW_TEST_EVAL3(FW_TEST_EVAL3(FW_TEST_EVAL3(__VA_ARGS__)))
#define FW_TEST_EVAL3(...) FW_TEST_EVAL4(FW_TEST_EVAL4(FW_TEST_EVAL4(__VA_ARGS__)))
#define FW_TEST_EVAL4(...) __VA_ARGS__
#define FW_TEST_END(...)
#define FW_TEST_OUT
#define FW_TEST_GET_END() 0, FW_TEST_END
#define FW_TEST_PEEK(peek, ...) peek
#define FW_TEST_CHOOSE0(test, next, ...) next FW_TEST_OUT
#define FW_TEST_CHOOSE1(test, next) FW_TEST_CHOOSE0(test, next, 0)
#define FW_TEST_CHOOSE(test, next) FW_TEST_CHOOSE1(FW_TEST_GET_END test, next)
#define FW_TEST_NEXT(x, peek, ...) FW_TEST_1(x), FW_TEST_CHOOSE(peek, FW_TEST_NEXT0)(peek, __VA_ARGS__)
#define FW_TEST_NEXT0(x, peek, ...) FW_TEST_1(x), FW_TEST_CHOOSE(peek, FW_TEST_NEXT)(peek, __VA_ARGS__)

/* A directory with files, removed at the end: tree_of("sys/x", "1\n", "proc/stat", "...", NULL). A path that ends in '/'
 * makes a directory, one with content "-> target" a symbolic link. */
struct tree {
	char path[64];
	int fd;
};
struct tree tree_of(const char *path, ...) __attribute__((sentinel));
void tree_write(struct tree *tree, const char *path, const char *content);
void tree_remove_cleanup(struct tree *tree);
#define fw_cleanup_tree __attribute__((cleanup(tree_remove_cleanup)))

/* Closes them with whatever a failed test left in them. NULL is none. */
void end_groups(struct fw_cgroups *cgroups);

/* rc must be `code` and the described error contain `text`; frees the error. */
void assert_error_is(int rc, struct fw_error **err, int code, const char *text);
/* rc must be FW_OK, else prints the error. A macro, so that a call given as rc has filled err before err is read. */
#define assert_ok(rc, err)              \
	do {                                \
		int assert_ok_rc_ = (rc);       \
		assert_ok_after(assert_ok_rc_, err); \
	} while (0)
void assert_ok_after(int rc, struct fw_error *err);
/* cmocka compares floats; this compares doubles. NAN is near nothing. */
void assert_near(double actual, double expected, double tolerance);
