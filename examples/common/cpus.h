/* SPDX-License-Identifier: Apache-2.0
 *
 * How many CPUs a worker's memory buys: more threads than that would only wait, or spin, for each other under its quota.
 */
#pragma once

#include <stdlib.h>

enum { MEMORY_OF_A_CPU_MB = 1769 };

/* Whole CPUs, 1 at least and `most` at most. */
static inline int paid_cpus(int most)
{
	const char *memory = getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
	long cpus = memory ? strtol(memory, NULL, 10) / MEMORY_OF_A_CPU_MB : 1;

	return cpus < 1 ? 1 : cpus > most ? most : (int)cpus;
}
