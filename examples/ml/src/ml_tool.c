/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of the application by themselves, for benchmarks: seconds of CPU and by the clock, in this process without its start.
 *   ml-tool pca DIGITS.tsv COMPONENTS THREADS           mean to projection
 *   ml-tool train COMPONENTS.npy LIBRARY ROWS MODELS THREADS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lightgbm.h"
#include "pca.h"

static double seconds(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int number(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

static bool run_pca(char **arguments, const struct ml_table *rows, struct ml_problem *problem)
{
	struct ml_table basis = {0}, projected = {0};
	bool done = ml_pca_fit(rows, strtoul(arguments[0], NULL, 10), &basis, problem) &&
	            ml_pca_project(rows, &basis, &projected, problem);

	ml_table_free(&basis);
	ml_table_free(&projected);
	return done;
}

static bool run_train(char **arguments, const struct ml_lightgbm *library, const struct ml_table *rows, struct ml_problem *problem)
{
	struct ml_training *training = ml_training_open(library, rows, number(arguments[3]), problem);
	struct ml_model *model = NULL;

	for (int i = 0; training && i < number(arguments[2]); i++) {
		struct ml_drawn drawn = ml_draw(42, (uint64_t)i);

		ml_model_free(model);
		model = ml_train(training, &drawn, 30, NULL, NULL, problem);
		if (!model)
			break;
	}
	bool done = model != NULL;
	ml_model_free(model);
	ml_training_close(training);
	return done;
}

static bool prepare(int argc, char **argv, struct ml_table *rows, struct ml_lightgbm **library, struct ml_problem *problem)
{
	if (argc == 5 && strcmp(argv[1], "pca") == 0) {
		ml_pca_set_threads(number(argv[4]));
		return ml_table_read_digits(argv[2], rows, problem);
	}
	if (argc != 7 || strcmp(argv[1], "train") != 0)
		return ml_problem_is(problem, "usage: pca DIGITS.tsv COMPONENTS THREADS | train COMPONENTS.npy LIBRARY ROWS MODELS THREADS");
	*library = ml_lightgbm_load(argv[3], problem);
	if (!*library || !ml_table_read(argv[2], rows, problem))
		return false;
	size_t wanted = strtoul(argv[4], NULL, 10);
	rows->rows = wanted < rows->rows ? wanted : rows->rows;
	return true;
}

int main(int argc, char **argv)
{
	struct ml_lightgbm *library = NULL;
	struct ml_problem problem = {0};
	struct ml_table rows = {0};
	bool done = prepare(argc, argv, &rows, &library, &problem);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID), wall = seconds(CLOCK_MONOTONIC);

	if (done)
		done = library ? run_train(argv + 3, library, &rows, &problem) : run_pca(argv + 3, &rows, &problem);
	if (done)
		printf("{\"cpu_s\": %.6f, \"wall_s\": %.6f}\n", seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, seconds(CLOCK_MONOTONIC) - wall);
	else
		fprintf(stderr, "%s: %s\n", argv[0], problem.text);
	ml_table_free(&rows);
	ml_lightgbm_free(library);
	return !done;
}
