/* SPDX-License-Identifier: Apache-2.0
 *
 * `aggregate`: the models' predictions on rows that none was trained on, their average, one model of all their trees. `test`: that
 * model on digits that nobody has seen.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pca.h"
#include "stages.h"

/* ---- aggregate ---- */

struct ensemble {
	struct fw_invocation *invocation;
	const struct ml_lightgbm *library;
	const struct ml_table *rows; /* all */
	size_t trained;              /* on this many of them, by what the models say; 0: none was read yet */
	struct ml_table judged;      /* the rest, that no model was trained on */
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

static int make_room(struct ensemble *ensemble, size_t trained)
{
	const struct ml_table *rows = ensemble->rows;

	ensemble->trained = trained;
	ensemble->judged = (struct ml_table){rows->rows - trained, rows->columns, rows->first + trained, rows->rest + trained * rows->columns};
	ensemble->single = calloc(ensemble->judged.rows * ML_CLASSES, sizeof(double));
	ensemble->sum = calloc(ensemble->judged.rows * ML_CLASSES, sizeof(double));
	if (!ensemble->single || !ensemble->sum)
		return fail_with(ensemble->invocation, "ML.NoMemory", "for the predictions of %zu rows", ensemble->judged.rows);
	return FW_OK;
}

/* The first model says which rows are left to judge by; no other may have seen them. */
static int check_trained(struct ensemble *ensemble, const struct fw_object *object)
{
	size_t trained = ml_model_trained_rows(object->path);

	if (trained == 0)
		return fail_with(ensemble->invocation, "ML.BadModel", "%s: it does not say how many rows it was trained on", object->uri);
	if (trained == ensemble->trained)
		return FW_OK;
	if (ensemble->trained > 0)
		return fail_with(ensemble->invocation, "ML.BadModel", "%s: it was trained on %zu rows, the models before it on %zu", object->uri,
		                 trained, ensemble->trained);
	int rc = check_train_rows(ensemble->invocation, ensemble->rows, (int64_t)trained);
	return rc == FW_OK ? make_room(ensemble, trained) : rc;
}

static int take_model(struct ensemble *ensemble, const struct fw_object *object, struct ml_model *model)
{
	struct ml_problem problem = {0};
	bool done = ml_model_predict(model, &ensemble->judged, thread_count(), ensemble->single, &problem);

	if (done) {
		add_predictions(ensemble);
		if (ensemble->merged)
			done = ml_model_merge(ensemble->merged, model, &problem);
		else
			ensemble->merged = model;
	}
	return done ? FW_OK : fail(ensemble->invocation, "ML.BadModel", object->uri, &problem);
}

static int add_model(struct ensemble *ensemble, const struct fw_object *object)
{
	struct ml_problem problem = {0};
	struct ml_model *model = ml_model_read(ensemble->library, object->path, &problem);

	if (!model)
		return fail(ensemble->invocation, "ML.BadModel", object->uri, &problem);
	int rc = check_trained(ensemble, object);
	if (rc == FW_OK)
		rc = take_model(ensemble, object, model);
	if (model != ensemble->merged)
		ml_model_free(model);
	return rc;
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
	done = ml_model_write(ensemble->merged, ensemble->trained, path, &problem);
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

int aggregate(struct fw_invocation *invocation)
{
	struct ml_lightgbm *library = load_lightgbm(invocation);
	struct ml_table rows = {0};
	struct ensemble ensemble = {.invocation = invocation, .library = library, .rows = &rows};
	int rc = library ? read_input(invocation, "components", ml_table_read, &rows, NULL) : FW_ERROR;

	if (rc == FW_OK)
		rc = aggregate_models(&ensemble);
	free(ensemble.single);
	free(ensemble.sum);
	ml_model_free(ensemble.merged);
	ml_table_free(&rows);
	ml_lightgbm_free(library);
	return rc;
}

/* ---- test ---- */

static int tell_accuracy(struct fw_invocation *invocation, size_t rows, double accuracy)
{
	char text[96];

	fw_metric(invocation, "accuracy", accuracy);
	fw_units(invocation, (double)rows);
	int length = snprintf(text, sizeof text, "{\"rows\": %zu, \"accuracy\": %.6f}\n", rows, accuracy);
	fw_result(invocation, text);
	return fw_write_output(invocation, fw_output_path(invocation, "quality", NULL), text, (size_t)length);
}

static int judge(struct fw_invocation *invocation, const struct ml_model *model, const char *uri, const struct ml_table *rows,
                 const struct ml_table *basis)
{
	double *probabilities = calloc(rows->rows * ML_CLASSES, sizeof *probabilities);
	struct ml_table projected = {0};
	struct ml_problem problem = {0};
	int rc;

	ml_pca_set_threads(thread_count());
	if (!probabilities)
		rc = fail_with(invocation, "ML.NoMemory", "%s: for the predictions of %zu rows", uri, rows->rows);
	else if (!ml_pca_project(rows, basis, &projected, &problem))
		rc = fail(invocation, "ML.BadData", uri, &problem);
	else if (!ml_model_predict(model, &projected, thread_count(), probabilities, &problem))
		rc = fail(invocation, "ML.BadModel", "the merged model", &problem);
	else
		rc = tell_accuracy(invocation, rows->rows, ml_accuracy(rows, probabilities));
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

int test(struct fw_invocation *invocation)
{
	struct ml_lightgbm *library = load_lightgbm(invocation);
	struct ml_model *model = library ? read_merged(invocation, library) : NULL;
	struct ml_table rows = {0}, basis = {0};
	const char *uri = NULL;
	int rc = model ? read_input(invocation, "vectors", ml_table_read, &basis, NULL) : FW_ERROR;

	if (rc == FW_OK)
		rc = read_input(invocation, "digits", ml_table_read_digits, &rows, &uri);
	if (rc == FW_OK)
		rc = judge(invocation, model, uri, &rows, &basis);
	ml_table_free(&rows);
	ml_table_free(&basis);
	ml_model_free(model);
	ml_lightgbm_free(library);
	return rc;
}
