/* SPDX-License-Identifier: Apache-2.0
 *
 * Own prototypes of what is used of LightGBM's C interface (4.x keeps it). `deterministic` and one way of making histograms: the
 * same rows and seeds give the same trees, whatever the number of threads and whichever worker trains them.
 */
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lightgbm.h"
#include "../../common/random.h"

enum { FLOAT32 = 0, FLOAT64 = 1, PREDICT_PROBABILITIES = 0, BY_SPLITS = 0, PARAMETERS_MAX = 512 };

#define TRAINED_ROWS "flexwatt_trained_rows=" /* behind a model's text */

struct ml_lightgbm {
	const char *(*last_error)(void);
	int (*log_to)(void (*callback)(const char *));
	int (*dataset_of)(const void *values, int type, int32_t rows, int32_t columns, int by_rows, const char *parameters,
	                  const void *reference, void **dataset);
	int (*set_field)(void *dataset, const char *field, const void *values, int count, int type);
	int (*free_dataset)(void *dataset);
	int (*make_booster)(const void *dataset, const char *parameters, void **booster);
	int (*free_booster)(void *booster);
	int (*update)(void *booster, int *finished);
	int (*merge)(void *booster, void *other);
	int (*load)(const char *path, int *rounds, void **booster);
	int (*save)(void *booster, int start, int count, int importance, const char *path);
	int (*classes)(void *booster, int *count);
	int (*features)(void *booster, int *count);
	int (*predict)(void *booster, const void *values, int type, int32_t rows, int32_t columns, int by_rows, int kind, int start,
	               int count, const char *parameters, int64_t *length, double *results);
};

struct ml_training {
	const struct ml_lightgbm *library;
	void *dataset;
	int threads;
};

struct ml_model {
	const struct ml_lightgbm *library;
	void *booster;
};

static void say_nothing(const char *line)
{
	(void)line;
}

static bool find_functions(void *loaded, struct ml_lightgbm *library, const char **missing)
{
	struct {
		const char *name;
		void *place;
	} wanted[] = {
		{"LGBM_GetLastError", &library->last_error},
		{"LGBM_RegisterLogCallback", &library->log_to},
		{"LGBM_DatasetCreateFromMat", &library->dataset_of},
		{"LGBM_DatasetSetField", &library->set_field},
		{"LGBM_DatasetFree", &library->free_dataset},
		{"LGBM_BoosterCreate", &library->make_booster},
		{"LGBM_BoosterFree", &library->free_booster},
		{"LGBM_BoosterUpdateOneIter", &library->update},
		{"LGBM_BoosterMerge", &library->merge},
		{"LGBM_BoosterCreateFromModelfile", &library->load},
		{"LGBM_BoosterSaveModel", &library->save},
		{"LGBM_BoosterGetNumClasses", &library->classes},
		{"LGBM_BoosterGetNumFeature", &library->features},
		{"LGBM_BoosterPredictForMat", &library->predict},
	};

	for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
		void *found = dlsym(loaded, wanted[i].name);

		*missing = wanted[i].name;
		if (!found)
			return false;
		memcpy(wanted[i].place, &found, sizeof found);
	}
	return true;
}

struct ml_lightgbm *ml_lightgbm_load(const char *path, struct ml_problem *problem)
{
	struct ml_lightgbm *library = calloc(1, sizeof *library);
	void *loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	const char *missing = NULL;

	if (!library || !loaded)
		ml_problem_write(problem, "%s", library ? dlerror() : "no memory");
	else if (!find_functions(loaded, library, &missing))
		ml_problem_write(problem, "%s has no %s: it is no LightGBM 4", path, missing);
	else if (library->log_to(say_nothing) == 0)
		return library;
	free(library);
	return NULL;
}

void ml_lightgbm_free(struct ml_lightgbm *library)
{
	free(library);
}

static bool failed(const struct ml_lightgbm *library, const char *what, struct ml_problem *problem)
{
	return ml_problem_is(problem, "LightGBM could not %s: %s", what, library->last_error());
}

/* ---- training ---- */

struct ml_drawn ml_draw(uint64_t seed, uint64_t model)
{
	uint64_t state = seed + model * RANDOM_STEP, mixed = random_next(&state);

	return (struct ml_drawn){
		.feature_fraction = (double)(5 + mixed % 5) / 10,
		.bagging_fraction = (double)(5 + (mixed >> 8) % 5) / 10,
		.max_depth = (int)(6 + (mixed >> 16) % 5),
		.seed = (uint32_t)(mixed >> 33),
	};
}

static bool set_labels(struct ml_training *training, const struct ml_table *rows)
{
	float *labels = calloc(rows->rows, sizeof *labels);
	bool done;

	for (size_t i = 0; labels && i < rows->rows; i++)
		labels[i] = (float)rows->first[i];
	done = labels && training->library->set_field(training->dataset, "label", labels, (int)rows->rows, FLOAT32) == 0;
	free(labels);
	return done;
}

struct ml_training *ml_training_open(const struct ml_lightgbm *library, const struct ml_table *rows, int threads,
                                     struct ml_problem *problem)
{
	struct ml_training *training = calloc(1, sizeof *training);
	char parameters[PARAMETERS_MAX];

	if (!training || rows->rows > INT_MAX || rows->columns > INT_MAX) {
		ml_problem_write(problem, "no room for %zu rows", rows->rows);
		free(training);
		return NULL;
	}
	*training = (struct ml_training){library, NULL, threads};
	snprintf(parameters, sizeof parameters, "num_threads=%d force_col_wise=true verbosity=-1", threads);
	if (library->dataset_of(rows->rest, FLOAT64, (int32_t)rows->rows, (int32_t)rows->columns, 1, parameters, NULL,
	                        &training->dataset) == 0 &&
	    set_labels(training, rows))
		return training;
	failed(library, "take the rows", problem);
	ml_training_close(training);
	return NULL;
}

void ml_training_close(struct ml_training *training)
{
	if (training && training->dataset)
		training->library->free_dataset(training->dataset);
	free(training);
}

static struct ml_model *model_of(const struct ml_lightgbm *library, void *booster)
{
	struct ml_model *model = malloc(sizeof *model);

	if (model)
		*model = (struct ml_model){library, booster};
	else
		library->free_booster(booster);
	return model;
}

static void write_parameters(const struct ml_training *training, const struct ml_drawn *drawn, char text[PARAMETERS_MAX])
{
	snprintf(text, PARAMETERS_MAX,
	         "objective=multiclass num_class=%d boosting=gbdt num_leaves=%d learning_rate=%g feature_fraction=%.1f "
	         "bagging_fraction=%.1f bagging_freq=%d max_depth=%d seed=%u num_threads=%d deterministic=true force_col_wise=true "
	         "verbosity=-1",
	         ML_CLASSES, ML_LEAVES, ML_LEARNING_RATE, drawn->feature_fraction, drawn->bagging_fraction, ML_BAGGING_FREQUENCY,
	         drawn->max_depth, drawn->seed, training->threads);
}

struct ml_model *ml_train(struct ml_training *training, const struct ml_drawn *drawn, int rounds, ml_round_fn *told, void *context,
                          struct ml_problem *problem)
{
	const struct ml_lightgbm *library = training->library;
	char parameters[PARAMETERS_MAX];
	void *booster = NULL;
	int finished = 0;

	write_parameters(training, drawn, parameters);
	if (library->make_booster(training->dataset, parameters, &booster) != 0) {
		failed(library, "begin", problem);
		return NULL;
	}
	for (int round = 0; round < rounds && !finished; round++) {
		if (library->update(booster, &finished) != 0) {
			failed(library, "train", problem);
			library->free_booster(booster);
			return NULL;
		}
		if (told)
			told(context, round + 1);
	}
	return model_of(library, booster);
}

/* ---- models ---- */

struct ml_model *ml_model_read(const struct ml_lightgbm *library, const char *path, struct ml_problem *problem)
{
	void *booster = NULL;
	int rounds = 0, classes = 0;

	if (library->load(path, &rounds, &booster) != 0) {
		failed(library, "read it", problem);
		return NULL;
	}
	if (library->classes(booster, &classes) == 0 && classes == ML_CLASSES && rounds > 0)
		return model_of(library, booster);
	ml_problem_write(problem, "it is a model of %d classes, not %d", classes, ML_CLASSES);
	library->free_booster(booster);
	return NULL;
}

bool ml_model_write(const struct ml_model *model, size_t trained_rows, const char *path, struct ml_problem *problem)
{
	if (model->library->save(model->booster, 0, -1, BY_SPLITS, path) != 0)
		return failed(model->library, "write a model", problem);
	FILE *file = fopen(path, "a");
	bool done = file && fprintf(file, TRAINED_ROWS "%zu\n", trained_rows) > 0;

	if (file && fclose(file) != 0)
		done = false;
	return done || ml_problem_is(problem, "write a model: %s", strerror(errno));
}

size_t ml_model_trained_rows(const char *path)
{
	FILE *file = fopen(path, "r");
	char end[64];

	if (!file)
		return 0;
	if (fseek(file, -(long)(sizeof end - 1), SEEK_END) != 0)
		rewind(file);
	end[fread(end, 1, sizeof end - 1, file)] = '\0';
	fclose(file);
	const char *line = strstr(end, "\n" TRAINED_ROWS);
	return line ? strtoull(line + strlen("\n" TRAINED_ROWS), NULL, 10) : 0;
}

void ml_model_free(struct ml_model *model)
{
	if (model)
		model->library->free_booster(model->booster);
	free(model);
}

bool ml_model_merge(struct ml_model *model, const struct ml_model *other, struct ml_problem *problem)
{
	return model->library->merge(model->booster, other->booster) == 0 || failed(model->library, "merge models", problem);
}

bool ml_model_predict(const struct ml_model *model, const struct ml_table *rows, int threads, double *probabilities,
                      struct ml_problem *problem)
{
	const struct ml_lightgbm *library = model->library;
	char parameters[64];
	int64_t length = 0;
	int features = 0;

	if (library->features(model->booster, &features) != 0 || (size_t)features != rows->columns)
		return ml_problem_is(problem, "it is a model of %d columns, the rows have %zu", features, rows->columns);
	snprintf(parameters, sizeof parameters, "num_threads=%d verbosity=-1", threads);
	return library->predict(model->booster, rows->rest, FLOAT64, (int32_t)rows->rows, (int32_t)rows->columns, 1,
	                        PREDICT_PROBABILITIES, 0, -1, parameters, &length, probabilities) == 0 ||
	       failed(library, "predict", problem);
}

double ml_accuracy(const struct ml_table *rows, const double *probabilities)
{
	size_t right = 0;

	for (size_t row = 0; row < rows->rows; row++) {
		const double *of_row = probabilities + row * ML_CLASSES;
		int best = 0;

		for (int label = 1; label < ML_CLASSES; label++)
			best = of_row[label] > of_row[best] ? label : best;
		right += best == (int)rows->first[row];
	}
	return (double)right / (double)rows->rows;
}
