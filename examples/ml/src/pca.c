/* SPDX-License-Identifier: Apache-2.0
 *
 * All that costs is OpenBLAS: the covariance is sums of dsyrk, the eigenvectors one dsyevd, the projection one dgemm. The
 * covariance is symmetric, so that LAPACK's order of columns and ours of rows are the same.
 */
#include <cblas.h>
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pca.h"

enum { BLOCK_ROWS = 512 };

void ml_pca_set_threads(int threads)
{
	openblas_set_num_threads(threads);
}

static void find_mean(const struct ml_table *rows, double *mean)
{
	memset(mean, 0, rows->columns * sizeof *mean);
	for (size_t row = 0; row < rows->rows; row++)
		for (size_t i = 0; i < rows->columns; i++)
			mean[i] += rows->rest[row * rows->columns + i];
	for (size_t i = 0; i < rows->columns; i++)
		mean[i] /= (double)rows->rows;
}

/* Lower triangle of the covariance, a block of rows after the other: no second copy of all of them is made. */
static bool add_covariance(const struct ml_table *rows, const double *mean, double *covariance)
{
	size_t columns = rows->columns;
	double *block = malloc(BLOCK_ROWS * columns * sizeof *block);

	for (size_t done = 0; block && done < rows->rows; done += BLOCK_ROWS) {
		size_t count = rows->rows - done < BLOCK_ROWS ? rows->rows - done : BLOCK_ROWS;

		for (size_t row = 0; row < count; row++)
			for (size_t i = 0; i < columns; i++)
				block[row * columns + i] = rows->rest[(done + row) * columns + i] - mean[i];
		cblas_dsyrk(CblasColMajor, CblasLower, CblasNoTrans, (int)columns, (int)count, 1.0 / (double)(rows->rows - 1), block,
		            (int)columns, 1, covariance, (int)columns);
	}
	free(block);
	return block != NULL;
}

static double sign_of(const double *vector, size_t length)
{
	double largest = 0;

	for (size_t i = 0; i < length; i++)
		if (fabs(vector[i]) > fabs(largest))
			largest = vector[i];
	return largest < 0 ? -1 : 1;
}

/* Eigenvalues come rising: the last one is the first component. */
static void take_basis(const double *vectors, const double *eigenvalues, struct ml_table *basis)
{
	size_t n = basis->columns;

	for (size_t i = 0; i < n; i++)
		basis->first[0] += eigenvalues[i];
	for (size_t row = 1; row < basis->rows; row++) {
		const double *vector = vectors + (n - row) * n;
		double sign = sign_of(vector, n);

		basis->first[row] = eigenvalues[n - row];
		for (size_t i = 0; i < n; i++)
			basis->rest[row * n + i] = sign * vector[i];
	}
}

/* Of the rows whose mean stands in the basis already. */
static bool decompose(const struct ml_table *rows, struct ml_table *basis, struct ml_problem *problem)
{
	int n = (int)rows->columns, failed = -1;
	double *covariance = calloc(rows->columns * rows->columns, sizeof(double)), *eigenvalues = calloc(rows->columns, sizeof(double));

	if (covariance && eigenvalues && add_covariance(rows, basis->rest, covariance))
		failed = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', n, covariance, n, eigenvalues);
	if (!failed)
		take_basis(covariance, eigenvalues, basis);
	free(covariance);
	free(eigenvalues);
	return !failed || ml_problem_is(problem, "no eigenvectors of %d columns (dsyevd: %d)", n, failed);
}

bool ml_pca_fit(const struct ml_table *rows, size_t components, struct ml_table *basis, struct ml_problem *problem)
{
	struct ml_table made = {components + 1, rows->columns, calloc(components + 1, sizeof(double)),
	                        calloc((components + 1) * rows->columns, sizeof(double))};
	bool done = false;

	if (rows->rows < 2 || rows->rows > INT_MAX || components < 1 || components > rows->columns || rows->columns > 46340) {
		ml_problem_write(problem, "%zu components of %zu rows of %zu columns cannot be", components, rows->rows, rows->columns);
	} else if (made.first && made.rest) {
		find_mean(rows, made.rest);
		done = decompose(rows, &made, problem);
	} else {
		ml_problem_write(problem, "no memory");
	}
	if (done)
		*basis = made;
	else
		ml_table_free(&made);
	return done;
}

bool ml_pca_project(const struct ml_table *rows, const struct ml_table *basis, struct ml_table *projected,
                    struct ml_problem *problem)
{
	size_t components = basis->rows - 1;
	int n = (int)rows->columns, count = (int)rows->rows, kept = (int)components;

	if (rows->columns != basis->columns || components < 1 || rows->rows > INT_MAX)
		return ml_problem_is(problem, "its rows have %zu columns, those of the vectors %zu", rows->columns, basis->columns);
	struct ml_table made = {rows->rows, components, malloc(rows->rows * sizeof(double)),
	                        malloc(rows->rows * components * sizeof(double))};
	double *origin = calloc(components, sizeof(double));
	bool done = origin && made.first && made.rest;
	if (done) {
		cblas_dgemv(CblasRowMajor, CblasNoTrans, kept, n, -1, basis->rest + n, n, basis->rest, 1, 0, origin, 1);
		memcpy(made.first, rows->first, rows->rows * sizeof(double));
		for (size_t row = 0; row < made.rows; row++)
			memcpy(made.rest + row * components, origin, components * sizeof(double));
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, kept, n, 1, rows->rest, n, basis->rest + n, n, 1, made.rest, kept);
		*projected = made;
	} else {
		ml_table_free(&made);
		ml_problem_write(problem, "no memory");
	}
	free(origin);
	return done;
}
