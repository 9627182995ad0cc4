/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of the ML application, and its first two stages: `pca` finds components, `train` trains models on them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "pca.h"
#include "stages.h"

enum { ROUNDS = 30, COMPONENTS = 100, MODELS = 4, TRAIN_ROWS = 5000 };

/* ---- pca ---- */

static int check_components(struct fw_invocation *invocation, const char *uri, const struct ml_table *rows, int64_t wanted)
{
	if (rows->rows < 2)
		return fail_with(invocation, "ML.BadData", "%s: it has one row: components are those of two or more", uri);
	if (wanted < 1 || (uint64_t)wanted > rows->columns)
		return fail_with(invocation, "ML.BadParameter", "components: %" PRId64 " cannot be: %s has rows of %zu columns", wanted, uri,
		                 rows->columns);
	return FW_OK;
}

static int write_components(struct fw_invocation *invocation, const struct ml_table *basis, const struct ml_table *components)
{
	double kept = 0;

	for (size_t i = 1; i < basis->rows; i++)
		kept += basis->first[i];
	fw_metric(invocation, "variance_kept", basis->first[0] > 0 ? kept / basis->first[0] : 1);
	fw_units(invocation, (double)components->rows);
	int rc = write_table(invocation, "components", components);
	return rc == FW_OK ? write_table(invocation, "vectors", basis) : rc;
}

static int find_components(struct fw_invocation *invocation, const char *uri, const struct ml_table *rows)
{
	struct ml_table basis = {0}, components = {0};
	struct ml_problem problem = {0};
	int64_t wanted = fw_param_integer(invocation, "components", COMPONENTS);

	if (check_components(invocation, uri, rows, wanted) != FW_OK)
		return FW_ERROR;
	ml_pca_set_threads(thread_count());
	bool found = ml_pca_fit(rows, (size_t)wanted, &basis, &problem) && ml_pca_project(rows, &basis, &components, &problem);
	int rc = found ? write_components(invocation, &basis, &components) : fail(invocation, "ML.Components", uri, &problem);
	ml_table_free(&basis);
	ml_table_free(&components);
	return rc;
}

static int pca(struct fw_invocation *invocation)
{
	struct ml_table rows = {0};
	const char *uri = NULL;
	int rc = read_input(invocation, "digits", ml_table_read_digits, &rows, &uri);

	if (rc == FW_OK)
		rc = find_components(invocation, uri, &rows);
	ml_table_free(&rows);
	return rc;
}

/* ---- train ---- */

struct round {
	struct fw_invocation *invocation;
	int64_t model, models, rounds;
};

static void tell_round(void *context, int round)
{
	const struct round *at = context;
	char note[64];

	snprintf(note, sizeof note, "model %" PRId64 " of %" PRId64 ", round %d", at->model + 1, at->models, round);
	fw_progress(at->invocation, (double)(at->model * at->rounds + round), (double)(at->models * at->rounds), note);
}

static int train_model(struct ml_training *training, size_t rows, const struct round *at, int64_t number, uint64_t seed)
{
	struct ml_drawn drawn = ml_draw(seed, (uint64_t)number);
	struct ml_problem problem = {0};
	struct ml_model *model = ml_train(training, &drawn, (int)at->rounds, tell_round, (void *)at, &problem);
	char name[64];
	int rc = FW_OK;

	if (!model)
		return fail(at->invocation, "ML.Training", "LightGBM", &problem);
	snprintf(name, sizeof name, "model-%04" PRId64 ".txt", number);
	const char *path = fw_output_named(at->invocation, "models", name);
	fw_write_begin(at->invocation);
	if (!path)
		rc = FW_ERROR;
	else if (!ml_model_write(model, rows, path, &problem))
		rc = fail(at->invocation, "ML.Output", name, &problem);
	fw_write_end(at->invocation);
	fw_log(at->invocation, "model %" PRId64 ": feature_fraction %.1f, bagging_fraction %.1f, max_depth %d", number,
	       drawn.feature_fraction, drawn.bagging_fraction, drawn.max_depth);
	fw_units(at->invocation, (double)(at->rounds * ML_CLASSES));
	ml_model_free(model);
	return rc;
}

/* This worker's share of the models, one after the other: the remainder goes to the first workers. */
static int train_share(struct fw_invocation *invocation, const struct ml_lightgbm *library, const struct ml_table *rows)
{
	int64_t models = fw_param_integer(invocation, "models", MODELS), rounds = fw_param_integer(invocation, "rounds", ROUNDS);
	int64_t workers = fw_workers(invocation), task = fw_task(invocation), rest = models % workers, rc = FW_OK;
	int64_t first = task * (models / workers) + (task < rest ? task : rest);
	struct round at = {invocation, 0, models / workers + (task < rest), rounds};
	struct ml_problem problem = {0};

	if (models < 1 || models > 10000 || rounds < 1 || rounds > 10000)
		return fail_with(invocation, "ML.BadParameter", "models is %" PRId64 ", rounds %" PRId64 ": both must be 1 to 10000",
		                          models, rounds);
	struct ml_training *training = ml_training_open(library, rows, thread_count(), &problem);
	if (!training)
		return fail(invocation, "ML.Training", "components", &problem);
	for (; at.model < at.models && rc == FW_OK; at.model++)
		rc = train_model(training, rows->rows, &at, first + at.model, (uint64_t)fw_param_integer(invocation, "seed", 42));
	ml_training_close(training);
	return (int)rc;
}

static int train(struct fw_invocation *invocation)
{
	struct ml_lightgbm *library = load_lightgbm(invocation);
	struct ml_table rows = {0};
	int rc = library ? read_input(invocation, "components", ml_table_read, &rows, NULL) : FW_ERROR;

	int64_t wanted = fw_param_integer(invocation, "train_rows", TRAIN_ROWS);

	if (rc == FW_OK)
		rc = check_train_rows(invocation, &rows, wanted);
	if (rc == FW_OK) {
		rows.rows = (size_t)wanted;
		rc = train_share(invocation, library, &rows);
	}
	ml_table_free(&rows);
	ml_lightgbm_free(library);
	return rc;
}

FW_FUNCTIONS({"pca", pca}, {"train", train}, {"aggregate", aggregate}, {"test", test})
