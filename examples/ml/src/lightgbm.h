/* SPDX-License-Identifier: Apache-2.0
 *
 * LightGBM by its C interface, loaded when it is needed: lib_lightgbm.so of PyPI's wheel (scripts/lightgbm fetches it). Models are
 * LightGBM's text, so that any LightGBM reads them.
 */
#pragma once

#include <stdint.h>

#include "table.h"

enum { ML_LEAVES = 50, ML_BAGGING_FREQUENCY = 5 };
#define ML_LEARNING_RATE 0.05

struct ml_lightgbm; /* the loaded library */
struct ml_training; /* rows as LightGBM keeps them, for several models */
struct ml_model;

/* What differs between the models of an ensemble. */
struct ml_drawn {
	double feature_fraction, bagging_fraction; /* tenths, 0.5 to 0.9 */
	int max_depth;                             /* 6 to 10 */
	uint32_t seed;
};
struct ml_drawn ml_draw(uint64_t seed, uint64_t model);

/* Never closed: it leaves threads behind. */
struct ml_lightgbm *ml_lightgbm_load(const char *path, struct ml_problem *problem);
void ml_lightgbm_free(struct ml_lightgbm *library);

struct ml_training *ml_training_open(const struct ml_lightgbm *library, const struct ml_table *rows, int threads,
                                     struct ml_problem *problem);
void ml_training_close(struct ml_training *training);

/* Called after each round. */
typedef void ml_round_fn(void *context, int round);
struct ml_model *ml_train(struct ml_training *training, const struct ml_drawn *drawn, int rounds, ml_round_fn *told, void *context,
                          struct ml_problem *problem);

struct ml_model *ml_model_read(const struct ml_lightgbm *library, const char *path, struct ml_problem *problem);
/* A line behind LightGBM's text, which it skips, says how many rows the model was trained on: nobody should judge it by those. */
bool ml_model_write(const struct ml_model *model, size_t trained_rows, const char *path, struct ml_problem *problem);
/* What that line says; 0: there is none. */
size_t ml_model_trained_rows(const char *path);
void ml_model_free(struct ml_model *model);
/* The trees of the other one beside its own. */
bool ml_model_merge(struct ml_model *model, const struct ml_model *other, struct ml_problem *problem);
/* Probabilities, ML_CLASSES a row. */
bool ml_model_predict(const struct ml_model *model, const struct ml_table *rows, int threads, double *probabilities,
                      struct ml_problem *problem);

/* The share of rows whose label has the highest probability. */
double ml_accuracy(const struct ml_table *rows, const double *probabilities);
