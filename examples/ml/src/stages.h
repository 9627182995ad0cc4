/* SPDX-License-Identifier: Apache-2.0
 *
 * The stages of the application and what they share. What returns an int returns FW_OK, or FW_ERROR with the failure recorded.
 */
#pragma once

#include "flexwatt/function.h"
#include "lightgbm.h"
#include "table.h"

/* As fw_fail_invocation(), but its value is known here. */
#define fail_with(...) (fw_fail_invocation(__VA_ARGS__), FW_ERROR)

typedef bool read_fn(const char *path, struct ml_table *table, struct ml_problem *problem);

int fail(struct fw_invocation *invocation, const char *type, const char *object, const struct ml_problem *problem);
/* As many as the quota, two at most: more would wait for each other. */
int thread_count(void);
/* From the package directory; NULL: the failure is recorded. */
struct ml_lightgbm *load_lightgbm(struct fw_invocation *invocation);
/* The only object of an input; `uri` (or NULL) gets its name. */
int read_input(struct fw_invocation *invocation, const char *input, read_fn *read, struct ml_table *table, const char **uri);
int write_table(struct fw_invocation *invocation, const char *output, const struct ml_table *table);
/* Training takes the first of the rows, aggregation judges by the rest: there must be some. */
int check_train_rows(struct fw_invocation *invocation, const struct ml_table *rows, int64_t wanted);

int aggregate(struct fw_invocation *invocation);
int test(struct fw_invocation *invocation);
