/* SPDX-License-Identifier: Apache-2.0
 *
 * A random forest by XGBoost's C API: trees of one boosting round, each from a sample of rows and, at every split, of columns.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct forest;

struct forest_options {
	int trees, depth, threads;
	uint64_t seed;
};

/* `rows` has `count` rows of `width` features, `labels` 0 or 1. NULL: forest_error() says why. */
struct forest *forest_grow(const float *rows, const float *labels, size_t count, size_t width,
                           const struct forest_options *options);
/* How many of these rows the forest gets right; -1: forest_error(). */
int64_t forest_right(struct forest *forest, const float *rows, const float *labels, size_t count, size_t width);
/* In XGBoost's own format, by the path's suffix (.ubj, .json). 0, or -1. */
int forest_save(struct forest *forest, const char *path);
void forest_free(struct forest *forest);
const char *forest_error(void);
