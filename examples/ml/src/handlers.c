/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of the ML application: `pca` finds components, `train` models, `aggregate` averages and merges what they
 * predict, `test` judges the merged model by rows that nobody has seen.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flexwatt/function.h"
#include "lightgbm.h"
#include "pca.h"

enum { MEMORY_OF_A_CPU_MB = 1769, THREADS_MAX = 2, ROUNDS = 30, COMPONENTS = 100, MODELS = 4, TRAIN_ROWS = 5000 };

/* As many as the quota, two at most: more would wait for each other. */
static int thread_count(void)
{
	const char *memory = getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
	long threads = memory ? strtol(memory, NULL, 10) / MEMORY_OF_A_CPU_MB : 1;

	return threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : (int)threads;
}

static struct ml_lightgbm *load_lightgbm(struct fw_invocation *invocation)
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

/* As fw_fail_invocation(), but its value is known here. */
#define fail_with(...) (fw_fail_invocation(__VA_ARGS__), FW_ERROR)

static int fail(struct fw_invocation *invocation, const char *type, const char *object, const struct ml_problem *problem)
{
	return fail_with(invocation, type, "%s: %s", object, problem->text);
}

typedef bool read_fn(const char *path, struct ml_table *table, struct ml_problem *problem);

/* The only object of an input. */
static int read_input(struct fw_invocation *invocation, const char *input, read_fn *read, struct ml_table *table)
{
	struct ml_problem problem = {0};
	struct fw_object object;
	int rc = fw_next_input(invocation, input, &object);

	if (rc == FW_END)
		return fail_with(invocation, "ML.NoData", "input '%s' has no object", input);
	if (rc != FW_OK)
		return FW_ERROR;
	if (!read(object.path, table, &problem))
		return fail(invocation, "ML.BadData", object.uri, &problem);
	return FW_OK;
}

static int write_table(struct fw_invocation *invocation, const char *output, const struct ml_table *table)
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

/* ---- pca ---- */

static int find_components(struct fw_invocation *invocation, const struct ml_table *rows)
{
	struct ml_table basis = {0}, components = {0};
	struct ml_problem problem = {0};
	int64_t wanted = fw_param_integer(invocation, "components", COMPONENTS);
	int rc = FW_ERROR;

	ml_pca_set_threads(thread_count());
	if (wanted < 1 || !ml_pca_fit(rows, (size_t)wanted, &basis, &problem) || !ml_pca_project(rows, &basis, &components, &problem)) {
		if (wanted < 1)
			ml_problem_write(&problem, "%" PRId64 " cannot be", wanted);
		fail(invocation, "ML.BadParameter", "components", &problem);
	} else {
		double kept = 0;

		for (size_t i = 1; i < basis.rows; i++)
			kept += basis.first[i];
		fw_metric(invocation, "variance_kept", basis.first[0] > 0 ? kept / basis.first[0] : 1);
		fw_units(invocation, (double)rows->rows);
		rc = write_table(invocation, "components", &components);
		if (rc == FW_OK)
			rc = write_table(invocation, "vectors", &basis);
	}
	ml_table_free(&basis);
	ml_table_free(&components);
	return rc;
}

static int pca(struct fw_invocation *invocation)
{
	struct ml_table rows = {0};
	int rc = read_input(invocation, "digits", ml_table_read_digits, &rows);

	if (rc == FW_OK)
		rc = find_components(invocation, &rows);
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

static int train_model(struct ml_training *training, const struct round *at, int64_t number, uint64_t seed)
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
	else if (!ml_model_write(model, path, &problem))
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
		rc = train_model(training, &at, first + at.model, (uint64_t)fw_param_integer(invocation, "seed", 42));
	ml_training_close(training);
	return (int)rc;
}

/* Training takes the first `train_rows`, aggregation judges by the rest. */
static int train_row_count(struct fw_invocation *invocation, const struct ml_table *rows, size_t *count)
{
	int64_t wanted = fw_param_integer(invocation, "train_rows", TRAIN_ROWS);

	if (wanted < 1 || (size_t)wanted >= rows->rows)
		return fail_with(invocation, "ML.BadParameter",
		                          "train_rows is %" PRId64 " and there are %zu rows: it must leave some to judge by", wanted, rows->rows);
	*count = (size_t)wanted;
	return FW_OK;
}

static int train(struct fw_invocation *invocation)
{
	struct ml_lightgbm *library = load_lightgbm(invocation);
	struct ml_table rows = {0};
	int rc = library ? read_input(invocation, "components", ml_table_read, &rows) : FW_ERROR;

	if (rc == FW_OK)
		rc = train_row_count(invocation, &rows, &rows.rows);
	if (rc == FW_OK)
		rc = train_share(invocation, library, &rows);
	ml_table_free(&rows);
	ml_lightgbm_free(library);
	return rc;
}

/* ---- aggregate ---- */

struct ensemble {
	struct fw_invocation *invocation;
	const struct ml_lightgbm *library;
	struct ml_table judged; /* rows that no model was trained on */
	double *single, *sum;   /* probabilities */
	struct ml_model *merged;
	double accuracy_sum, accuracy_best;
	int64_t models;
};

static void add_predictions(struct ensemble *ensemble)
{
	double accuracy = ml_accuracy(&ensemble->judged, ensemble->single);

	ensemble->accuracy_sum += accuracy;
	ensemble->accuracy_best = accuracy > ensemble->accuracy_best ? accuracy : ensemble->accuracy_best;
	for (size_t i = 0; i < ensemble->judged.rows * ML_CLASSES; i++)
		ensemble->sum[i] += ensemble->single[i];
	ensemble->models++;
}

static int add_model(struct ensemble *ensemble, const struct fw_object *object)
{
	struct ml_problem problem = {0};
	struct ml_model *model = ml_model_read(ensemble->library, object->path, &problem);
	bool done = model && ml_model_predict(model, &ensemble->judged, thread_count(), ensemble->single, &problem);

	if (done) {
		add_predictions(ensemble);
		if (ensemble->merged)
			done = ml_model_merge(ensemble->merged, model, &problem);
		else
			ensemble->merged = model;
	}
	if (model != ensemble->merged)
		ml_model_free(model);
	return done ? FW_OK : fail(ensemble->invocation, "ML.BadModel", object->uri, &problem);
}

static int tell_ensemble(const struct ensemble *ensemble)
{
	struct fw_invocation *invocation = ensemble->invocation;
	double accuracy = ml_accuracy(&ensemble->judged, ensemble->sum); /* of the sum as of the average */
	double mean = ensemble->accuracy_sum / (double)ensemble->models;
	char text[256];

	fw_metric(invocation, "accuracy", accuracy);
	fw_metric(invocation, "single_accuracy_mean", mean);
	fw_metric(invocation, "single_accuracy_best", ensemble->accuracy_best);
	fw_metric(invocation, "ensemble_gain", accuracy - mean);
	fw_units(invocation, (double)ensemble->judged.rows);
	int length = snprintf(text, sizeof text,
	                      "{\"models\": %" PRId64 ", \"rows\": %zu, \"accuracy\": %.6f, \"single_accuracy_mean\": %.6f, "
	                      "\"single_accuracy_best\": %.6f, \"ensemble_gain\": %.6f}\n",
	                      ensemble->models, ensemble->judged.rows, accuracy, mean, ensemble->accuracy_best, accuracy - mean);
	fw_result(invocation, text);
	return fw_write_output(invocation, fw_output_path(invocation, "quality", NULL), text, (size_t)length);
}

static int write_merged(const struct ensemble *ensemble)
{
	const char *path = fw_output_path(ensemble->invocation, "model", NULL);
	struct ml_problem problem = {0};
	bool done;

	if (!path)
		return FW_ERROR;
	fw_write_begin(ensemble->invocation);
	done = ml_model_write(ensemble->merged, path, &problem);
	fw_write_end(ensemble->invocation);
	return done ? FW_OK : fail(ensemble->invocation, "ML.Output", "model", &problem);
}

/* The average of all predictions, a label's ten to a row behind it. */
static int write_predictions(struct ensemble *ensemble)
{
	struct ml_table averages = {ensemble->judged.rows, ML_CLASSES, ensemble->judged.first, ensemble->single};

	for (size_t i = 0; i < averages.rows * ML_CLASSES; i++)
		ensemble->single[i] = ensemble->sum[i] / (double)ensemble->models;
	return write_table(ensemble->invocation, "predictions", &averages);
}

static int aggregate_models(struct ensemble *ensemble)
{
	struct fw_object object;
	int rc;

	while ((rc = fw_next_input(ensemble->invocation, "models", &object)) == FW_OK)
		if (add_model(ensemble, &object) != FW_OK)
			return FW_ERROR;
	if (rc == FW_ERROR)
		return FW_ERROR;
	if (!ensemble->merged)
		return fail_with(ensemble->invocation, "ML.NoData", "no worker trained a model");
	rc = tell_ensemble(ensemble);
	if (rc == FW_OK)
		rc = write_merged(ensemble);
	return rc == FW_OK ? write_predictions(ensemble) : rc;
}

static int aggregate_judged(struct ensemble *ensemble, const struct ml_table *rows)
{
	size_t trained = 0;
	int rc = train_row_count(ensemble->invocation, rows, &trained);

	if (rc != FW_OK)
		return rc;
	ensemble->judged = (struct ml_table){rows->rows - trained, rows->columns, rows->first + trained, rows->rest + trained * rows->columns};
	ensemble->single = calloc(ensemble->judged.rows * ML_CLASSES, sizeof(double));
	ensemble->sum = calloc(ensemble->judged.rows * ML_CLASSES, sizeof(double));
	if (ensemble->single && ensemble->sum)
		rc = aggregate_models(ensemble);
	else
		rc = fail_with(ensemble->invocation, "ML.NoMemory", "for the predictions of %zu rows", ensemble->judged.rows);
	free(ensemble->single);
	free(ensemble->sum);
	ml_model_free(ensemble->merged);
	return rc;
}

static int aggregate(struct fw_invocation *invocation)
{
	struct ml_lightgbm *library = load_lightgbm(invocation);
	struct ensemble ensemble = {.invocation = invocation, .library = library};
	struct ml_table rows = {0};
	int rc = library ? read_input(invocation, "components", ml_table_read, &rows) : FW_ERROR;

	if (rc == FW_OK)
		rc = aggregate_judged(&ensemble, &rows);
	ml_table_free(&rows);
	ml_lightgbm_free(library);
	return rc;
}

/* ---- test ---- */

static int judge(struct fw_invocation *invocation, const struct ml_model *model, const struct ml_table *rows,
                 const struct ml_table *basis)
{
	double *probabilities = calloc(rows->rows * ML_CLASSES, sizeof *probabilities);
	struct ml_table projected = {0};
	struct ml_problem problem = {0};
	char text[96];
	int rc;

	ml_pca_set_threads(thread_count());
	if (probabilities && ml_pca_project(rows, basis, &projected, &problem) &&
	    ml_model_predict(model, &projected, thread_count(), probabilities, &problem)) {
		double accuracy = ml_accuracy(rows, probabilities);

		fw_metric(invocation, "accuracy", accuracy);
		fw_units(invocation, (double)rows->rows);
		int length = snprintf(text, sizeof text, "{\"rows\": %zu, \"accuracy\": %.6f}\n", rows->rows, accuracy);
		fw_result(invocation, text);
		rc = fw_write_output(invocation, fw_output_path(invocation, "quality", NULL), text, (size_t)length);
	} else {
		rc = fail(invocation, "ML.BadData", "digits", &problem);
	}
	free(probabilities);
	ml_table_free(&projected);
	return rc;
}

static struct ml_model *read_merged(struct fw_invocation *invocation, const struct ml_lightgbm *library)
{
	struct ml_problem problem = {0};
	struct ml_model *model = NULL;
	struct fw_object object;
	int rc = fw_next_input(invocation, "model", &object);

	if (rc == FW_OK) {
		model = ml_model_read(library, object.path, &problem);
		if (!model)
			fail(invocation, "ML.BadModel", object.uri, &problem);
	} else if (rc == FW_END) {
		fw_fail_invocation(invocation, "ML.NoData", "input 'model' has no object");
	}
	return model;
}

static int test(struct fw_invocation *invocation)
{
	struct ml_lightgbm *library = load_lightgbm(invocation);
	struct ml_model *model = library ? read_merged(invocation, library) : NULL;
	struct ml_table rows = {0}, basis = {0};
	int rc = model ? read_input(invocation, "vectors", ml_table_read, &basis) : FW_ERROR;

	if (rc == FW_OK)
		rc = read_input(invocation, "digits", ml_table_read_digits, &rows);
	if (rc == FW_OK)
		rc = judge(invocation, model, &rows, &basis);
	ml_table_free(&rows);
	ml_table_free(&basis);
	ml_model_free(model);
	ml_lightgbm_free(library);
	return rc;
}

FW_FUNCTIONS({"pca", pca}, {"train", train}, {"aggregate", aggregate}, {"test", test})
