/* SPDX-License-Identifier: Apache-2.0
 *
 * Principal components: mean, covariance (n - 1), its eigenvectors by falling eigenvalue. A basis is a table as well: its
 * first row is the sum of all eigenvalues and the mean, each row behind it an eigenvalue and its vector. Of a vector's two signs
 * that one is taken that makes its largest entry positive.
 */
#pragma once

#include "table.h"

void ml_pca_set_threads(int threads);
/* The basis of so many components. */
bool ml_pca_fit(const struct ml_table *rows, size_t components, struct ml_table *basis, struct ml_problem *problem);
/* Rows in that basis, labels as they were. */
bool ml_pca_project(const struct ml_table *rows, const struct ml_table *basis, struct ml_table *projected,
                    struct ml_problem *problem);
