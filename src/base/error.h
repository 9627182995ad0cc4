/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors: a negative code from one registry and, for people, a chain: what was attempted, on what object, why,
 * where (file:line:column), and a hint. Functions return FW_OK or the code, fill *err, and leave outputs untouched.
 * The library never prints; the command line prints the chain once. `err` may be NULL everywhere.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "base/cleanup.h"

/* X(name, value, exit status of a command that ends with it, text for people) */
#define FW_ERROR_CODES(X)                                                            \
	X(FW_E_USAGE, -1, 2, "wrong usage")                                              \
	X(FW_E_INVALID, -2, 2, "invalid input")                                          \
	X(FW_E_LIMIT, -3, 2, "limit exceeded")                                           \
	X(FW_E_UNAVAILABLE, -4, 2, "not available")                                      \
	X(FW_E_ABSENT, -5, 3, "not found")                                               \
	X(FW_E_PERMISSION, -6, 3, "not permitted")                                       \
	X(FW_E_IO, -7, 3, "input or output failed")                                      \
	X(FW_E_NO_SPACE, -8, 3, "no space left")                                         \
	X(FW_E_ENVIRONMENT, -9, 3, "the environment does not allow it")                  \
	X(FW_E_BUSY, -10, 3, "in use")                                                   \
	X(FW_E_CONFLICT, -11, 3, "changed in between")                                   \
	X(FW_E_TIMEOUT, -12, 3, "timed out")                                             \
	X(FW_E_FUNCTION, -13, 1, "a function failed")                                    \
	X(FW_E_CANCELLED, -14, 130, "cancelled")                                         \
	X(FW_E_INTERNAL, -15, 3, "internal error")

enum fw_code {
	FW_OK = 0,
#define X(name, value, exit_status, text) name = value,
	FW_ERROR_CODES(X)
#undef X
};

struct fw_error;

/* Starts a chain. Returns `code`, so that `return fw_fail(...)` reads as one sentence. */
int fw_fail(struct fw_error **err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same from an errno: "<format>: No such file or directory", the code chosen from the errno. */
int fw_fail_errno(struct fw_error **err, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Adds what was attempted in front: "outer: inner". Returns rc. Never repeats the cause. */
int fw_error_wrap(struct fw_error **err, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Says what the user can do. The last one set wins. Returns rc. */
int fw_error_hint(struct fw_error **err, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Where in a file: 1-based line and column (column counts characters); source_line (may be NULL) is shown with a caret
 * below the column and is copied up to its newline or end. The first position set wins. Returns rc. */
int fw_error_at(struct fw_error **err, int rc, const char *file, size_t line, size_t column, const char *source_line,
                size_t source_length);
/* The same from a byte offset into the whole text, which it searches for line and column. */
int fw_error_at_offset(struct fw_error **err, int rc, const char *file, const char *text, size_t length, size_t offset);

int fw_error_code(const struct fw_error *error);            /* FW_OK for NULL */
const char *fw_error_message(const struct fw_error *error); /* "run video: stage 'x': ..." without position and hint */
const char *fw_error_hint_text(const struct fw_error *error); /* or NULL */
const char *fw_error_file(const struct fw_error *error);      /* or NULL */
size_t fw_error_line(const struct fw_error *error);
size_t fw_error_column(const struct fw_error *error);

/* The whole error as people read it (without the word "error:"), newly allocated:
 *   message  file:line:column
 *     source line
 *         ^
 *   hint: ... */
char *fw_error_describe(const struct fw_error *error);

const char *fw_code_name(int code);   /* "FW_E_USAGE" */
const char *fw_code_text(int code);   /* "wrong usage" */
int fw_code_exit_status(int code);    /* exit status of a command; 0 for FW_OK */
int fw_code_from_errno(int errnum);

/* Newly allocated; NULL for NULL. For an error that is only borrowed. */
struct fw_error *fw_error_copy(const struct fw_error *error);
void fw_error_free(struct fw_error *error);
FW_DEFINE_CLEANUP(struct fw_error *, fw_error_free)
#define fw_cleanup_error FW_CLEANUP(fw_error_free)
