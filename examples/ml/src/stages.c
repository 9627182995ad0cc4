/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stages have in common: the quota's threads, one table in, one table out, which rows are for training.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../common/cpus.h"
#include "stages.h"

enum { THREADS_MAX = 2 };

int thread_count(void)
{
	return paid_cpus(THREADS_MAX);
}

struct ml_lightgbm *load_lightgbm(struct fw_invocation *invocation)
{
	const char *root = getenv("LAMBDA_TASK_ROOT");
	struct ml_problem problem = {0};
	char path[4096];

	snprintf(path, sizeof path, "%s/lib_lightgbm.so", root ? root : ".");
	struct ml_lightgbm *library = ml_lightgbm_load(path, &problem);
	if (!library)
		fw_fail_invocation(invocation, "ML.NoLightGBM", "%s; `scripts/lightgbm DIRECTORY` puts it into the package directory",
		                   problem.text);
	return library;
}

int fail(struct fw_invocation *invocation, const char *type, const char *object, const struct ml_problem *problem)
{
	return fail_with(invocation, type, "%s: %s", object, problem->text);
}

int read_input(struct fw_invocation *invocation, const char *input, read_fn *read, struct ml_table *table, const char **uri)
{
	struct ml_problem problem = {0};
	struct fw_object object, more;
	int rc = fw_next_input(invocation, input, &object);

	if (rc == FW_END)
		return fail_with(invocation, "ML.NoData", "input '%s' has no object", input);
	if (rc != FW_OK)
		return FW_ERROR;
	if (!read(object.path, table, &problem))
		return fail(invocation, "ML.BadData", object.uri, &problem);
	if (uri)
		*uri = object.uri;
	rc = fw_next_input(invocation, input, &more);
	if (rc == FW_OK)
		return fail_with(invocation, "ML.BadData", "%s: input '%s' takes one object, and has this one too", more.uri, input);
	return rc == FW_END ? FW_OK : FW_ERROR;
}

int write_table(struct fw_invocation *invocation, const char *output, const struct ml_table *table)
{
	const char *path = fw_output_path(invocation, output, NULL);
	struct ml_problem problem = {0};
	bool done;

	if (!path)
		return FW_ERROR;
	fw_write_begin(invocation);
	done = ml_table_write(table, path, &problem);
	fw_write_end(invocation);
	return done ? FW_OK : fail(invocation, "ML.Output", output, &problem);
}

int check_train_rows(struct fw_invocation *invocation, const struct ml_table *rows, int64_t wanted)
{
	if (wanted < 1 || (size_t)wanted >= rows->rows)
		return fail_with(invocation, "ML.BadParameter",
		                          "train_rows is %" PRId64 " and there are %zu rows: it must leave some to judge by", wanted, rows->rows);
	return FW_OK;
}
