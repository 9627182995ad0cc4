/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings make what scikit-learn calls a random forest: no shrinkage, a sample of 63.2 % of the rows for each tree (as
 * many different ones as a bootstrap sample has), √6 of six columns for each split, histograms of the values.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <xgboost/c_api.h>

#include "forest.h"

struct forest {
	BoosterHandle booster;
};

struct setting {
	const char *name, *value;
};

static bool set_all(BoosterHandle booster, const struct setting *settings)
{
	for (; settings->name; settings++)
		if (XGBoosterSetParam(booster, settings->name, settings->value) != 0)
			return false;
	return true;
}

static bool configure(BoosterHandle booster, size_t width, const struct forest_options *options)
{
	char trees[16], depth[16], threads[16], seed[24], columns[16];

	snprintf(trees, sizeof trees, "%d", options->trees);
	snprintf(depth, sizeof depth, "%d", options->depth);
	snprintf(threads, sizeof threads, "%d", options->threads);
	snprintf(seed, sizeof seed, "%u", (unsigned)(options->seed & 0x7fffffff));
	snprintf(columns, sizeof columns, "%.4f", floor(sqrt((double)width)) / (double)width + 1e-4);
	const struct setting settings[] = {
		{"objective", "binary:logistic"}, {"booster", "gbtree"}, {"tree_method", "hist"}, {"verbosity", "0"},
		{"learning_rate", "1"}, {"subsample", "0.632"}, {"min_child_weight", "0"}, {"lambda", "1"},
		{"num_parallel_tree", trees}, {"max_depth", depth}, {"nthread", threads}, {"seed", seed},
		{"colsample_bynode", columns}, {0},
	};
	return set_all(booster, settings);
}

static DMatrixHandle matrix_of(const float *rows, const float *labels, size_t count, size_t width)
{
	DMatrixHandle matrix = NULL;

	if (XGDMatrixCreateFromMat(rows, count, width, NAN, &matrix) != 0)
		return NULL;
	if (XGDMatrixSetFloatInfo(matrix, "label", labels, count) == 0)
		return matrix;
	XGDMatrixFree(matrix);
	return NULL;
}

struct forest *forest_grow(const float *rows, const float *labels, size_t count, size_t width,
                           const struct forest_options *options)
{
	DMatrixHandle matrix = matrix_of(rows, labels, count, width);
	struct forest *forest = calloc(1, sizeof *forest);
	bool is_grown = forest && matrix && XGBoosterCreate(&matrix, 1, &forest->booster) == 0 &&
	                configure(forest->booster, width, options) && XGBoosterUpdateOneIter(forest->booster, 0, matrix) == 0;

	if (matrix)
		XGDMatrixFree(matrix);
	if (is_grown)
		return forest;
	forest_free(forest);
	return NULL;
}

int64_t forest_right(struct forest *forest, const float *rows, const float *labels, size_t count, size_t width)
{
	DMatrixHandle matrix = matrix_of(rows, labels, count, width);
	const float *survives = NULL;
	bst_ulong length = 0;
	int64_t right = -1;

	if (matrix && XGBoosterPredict(forest->booster, matrix, 0, 0, 0, &length, &survives) == 0 && length == count) {
		right = 0;
		for (size_t i = 0; i < count; i++)
			right += (survives[i] > 0.5F) == (labels[i] > 0.5F);
	}
	if (matrix)
		XGDMatrixFree(matrix);
	return right;
}

int forest_save(struct forest *forest, const char *path)
{
	return XGBoosterSaveModel(forest->booster, path);
}

void forest_free(struct forest *forest)
{
	if (!forest)
		return;
	if (forest->booster)
		XGBoosterFree(forest->booster);
	free(forest);
}

const char *forest_error(void)
{
	return XGBGetLastError();
}
