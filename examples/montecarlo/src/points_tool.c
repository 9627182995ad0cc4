/* SPDX-License-Identifier: Apache-2.0
 *
 * The generators from the command line, for tests and benchmarks: how many of COUNT points lie inside, or a checksum of the
 * numbers behind them, and the CPU seconds that it took.
 *   montecarlo-tool inside|drawn|base|avx2|avx512 SEED WORKER COUNT
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "points.h"

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int main(int argc, char **argv)
{
	struct points_stream stream;
	uint64_t result;

	if (argc != 5) {
		fprintf(stderr, "usage: %s inside|drawn|base|avx2|avx512 SEED WORKER COUNT\n", argv[0]);
		return 2;
	}
	uint64_t count = strtoull(argv[4], NULL, 10);
	points_open(&stream, strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10));
	double began = cpu_seconds();
	if (strcmp(argv[1], "inside") == 0)
		result = points_inside(&stream, count);
	else if (strcmp(argv[1], "drawn") == 0)
		result = points_drawn(&stream, count);
	else
		result = points_inside_on(argv[1], &stream, count);
	double took = cpu_seconds() - began;
	if (result == UINT64_MAX) {
		fprintf(stderr, "%s: this processor has no %s\n", argv[0], argv[1]);
		return 1;
	}
	printf("%" PRIu64 " %.9f\n", result, took);
	return 0;
}
