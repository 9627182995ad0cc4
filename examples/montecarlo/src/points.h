/* SPDX-License-Identifier: Apache-2.0
 *
 * Random points in the square around the unit circle, and how many of them lie inside. Sixteen generators xoshiro256**
 * (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021) run side by side, 2^128 numbers apart; the
 * streams of two workers are 2^192 apart. The same numbers come out on every instruction set, to the last bit.
 */
#pragma once

#include <stdint.h>

enum {
	POINTS_LANES = 16,
	POINTS_STEP = 2 * POINTS_LANES, /* points that one step of all generators makes */
};

struct points_stream {
	uint64_t state[4][POINTS_LANES];
};

/* The stream of worker `worker` (from 0); it takes about a microsecond for each of the workers before. */
void points_open(struct points_stream *stream, uint64_t seed, uint64_t worker);

/* Draws `count` points and returns how many lie inside. What is left of a last step is drawn and not counted. */
uint64_t points_inside(struct points_stream *stream, uint64_t count);

/* As points_inside() on an instruction set of choice: "base", "avx2", "avx512"; UINT64_MAX when the processor has it not. */
uint64_t points_inside_on(const char *instructions, struct points_stream *stream, uint64_t count);

/* The generators alone, for comparison: `count` points' worth of numbers, xored. */
uint64_t points_drawn(struct points_stream *stream, uint64_t count);
