/* SPDX-License-Identifier: Apache-2.0
 *
 * What the programs here share: they stop at the first thing that goes wrong and report medians.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Ends the program with what was attempted, and the error if there is one. */
void bench_require(bool condition, const char *what, const struct fw_error *err);
double bench_median(double *values, size_t count); /* sorts them */
/* Median of `count` round trips of 64 bytes with a second process over loopback TCP, which blocks in read(2). `values` is
 * room for `count`. The sides run on these CPUs, -1: wherever the kernel puts them. */
double bench_ping_pong_us(double *values, size_t count, int near, int far);
