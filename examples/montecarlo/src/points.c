/* SPDX-License-Identifier: Apache-2.0
 *
 * The loops are written over arrays of lanes, so that the compiler vectorises them for whatever the processor has. A number of
 * 64 bits is two coordinates of 32; they are compared as float, which is exact enough: what rounding moves across the circle
 * is below 10^-7 of the points, the statistical error of 10^14 of them. Products must not be fused with sums (-ffp-contract=off),
 * else instruction sets would differ.
 */
#include <stdbool.h>
#include <string.h>

#include "../../common/random.h"
#include "points.h"

#define RADIUS_SQUARED 0x1p62F      /* coordinates are signed integers of 32 bits */
#define MOST_STEPS ((uint64_t)1 << 20) /* between sums: a lane counts in 32 bits */

struct generators {
	uint64_t a[POINTS_LANES], b[POINTS_LANES], c[POINTS_LANES], d[POINTS_LANES];
};

static inline uint64_t rotated(uint64_t value, int bits)
{
	return value << bits | value >> (64 - bits);
}

static inline __attribute__((always_inline)) void next(struct generators *all, uint64_t numbers[POINTS_LANES])
{
	for (int i = 0; i < POINTS_LANES; i++) {
		uint64_t shifted = all->b[i] << 17;

		numbers[i] = rotated(all->b[i] * 5, 7) * 9;
		all->c[i] ^= all->a[i];
		all->d[i] ^= all->b[i];
		all->b[i] ^= all->c[i];
		all->a[i] ^= all->d[i];
		all->c[i] ^= shifted;
		all->d[i] = rotated(all->d[i], 45);
	}
}

/* Two numbers of each generator: the halves of the first are abscissas, those of the second ordinates. */
static inline __attribute__((always_inline)) void draw(struct generators *all, int32_t x[POINTS_STEP], int32_t y[POINTS_STEP])
{
	uint64_t first[POINTS_LANES], second[POINTS_LANES];

	next(all, first);
	next(all, second);
	memcpy(x, first, sizeof first);
	memcpy(y, second, sizeof second);
}

static inline __attribute__((always_inline)) int32_t is_inside(int32_t x, int32_t y)
{
	float across = (float)x, up = (float)y;

	return across * across + up * up < RADIUS_SQUARED;
}

static inline __attribute__((always_inline)) uint64_t count_steps(struct generators *all, uint64_t steps)
{
	int32_t inside[POINTS_STEP] = {0};
	uint64_t sum = 0;

	for (uint64_t i = 0; i < steps; i++) {
		int32_t x[POINTS_STEP], y[POINTS_STEP];

		draw(all, x, y);
		for (int lane = 0; lane < POINTS_STEP; lane++)
			inside[lane] += is_inside(x[lane], y[lane]);
	}
	for (int lane = 0; lane < POINTS_STEP; lane++)
		sum += (uint64_t)inside[lane];
	return sum;
}

static inline __attribute__((always_inline)) uint64_t count_points(struct points_stream *stream, uint64_t count)
{
	struct generators all;
	uint64_t inside = 0, steps = count / POINTS_STEP;

	memcpy(&all, stream, sizeof all);
	for (uint64_t done = 0; done < steps; done += MOST_STEPS)
		inside += count_steps(&all, steps - done < MOST_STEPS ? steps - done : MOST_STEPS);
	if (count % POINTS_STEP) {
		int32_t x[POINTS_STEP], y[POINTS_STEP];

		draw(&all, x, y);
		for (uint64_t lane = 0; lane < count % POINTS_STEP; lane++)
			inside += (uint64_t)is_inside(x[lane], y[lane]);
	}
	memcpy(stream, &all, sizeof all);
	return inside;
}

static inline __attribute__((always_inline)) uint64_t draw_numbers(struct points_stream *stream, uint64_t count)
{
	struct generators all;
	uint64_t mixed[POINTS_LANES] = {0}, numbers[POINTS_LANES], result = 0;

	memcpy(&all, stream, sizeof all);
	for (uint64_t i = 0; i < 2 * (count / POINTS_STEP); i++) {
		next(&all, numbers);
		for (int lane = 0; lane < POINTS_LANES; lane++)
			mixed[lane] ^= numbers[lane];
	}
	for (int lane = 0; lane < POINTS_LANES; lane++)
		result ^= mixed[lane];
	memcpy(stream, &all, sizeof all);
	return result;
}

typedef uint64_t points_fn(struct points_stream *stream, uint64_t count);

static uint64_t inside_base(struct points_stream *stream, uint64_t count)
{
	return count_points(stream, count);
}

static uint64_t drawn_base(struct points_stream *stream, uint64_t count)
{
	return draw_numbers(stream, count);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static uint64_t inside_avx2(struct points_stream *stream, uint64_t count)
{
	return count_points(stream, count);
}

__attribute__((target("avx2"))) static uint64_t drawn_avx2(struct points_stream *stream, uint64_t count)
{
	return draw_numbers(stream, count);
}

#define AVX512 __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,prefer-vector-width=512")))

AVX512 static uint64_t inside_avx512(struct points_stream *stream, uint64_t count)
{
	return count_points(stream, count);
}

AVX512 static uint64_t drawn_avx512(struct points_stream *stream, uint64_t count)
{
	return draw_numbers(stream, count);
}

static bool has_avx2(void)
{
	return __builtin_cpu_supports("avx2");
}

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512bw");
}
#endif

static bool has_base(void)
{
	return true;
}

static const struct instructions {
	const char *name;
	bool (*is_there)(void);
	points_fn *inside, *drawn;
} known[] = {
#ifdef __x86_64__
	{"avx512", has_avx512, inside_avx512, drawn_avx512},
	{"avx2", has_avx2, inside_avx2, drawn_avx2},
#endif
	{"base", has_base, inside_base, drawn_base},
};

static const struct instructions *best(void)
{
	const struct instructions *instructions = known;

	while (!instructions->is_there())
		instructions++;
	return instructions;
}

uint64_t points_inside(struct points_stream *stream, uint64_t count)
{
	return best()->inside(stream, count);
}

uint64_t points_drawn(struct points_stream *stream, uint64_t count)
{
	return best()->drawn(stream, count);
}

uint64_t points_inside_on(const char *instructions, struct points_stream *stream, uint64_t count)
{
	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i].name, instructions) == 0 && known[i].is_there())
			return known[i].inside(stream, count);
	return UINT64_MAX;
}

/* ---- seeding ---- */

static void next_single(uint64_t state[4])
{
	uint64_t shifted = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= shifted;
	state[3] = rotated(state[3], 45);
}

/* The characteristic polynomials of 2^128 and 2^192 steps (Blackman and Vigna). */
static const uint64_t lane_jump[4] = {0x180ec6d33cfd0aba, 0xd5a61266f0c9392c, 0xa9582618e03fc9aa, 0x39abdc4529b1661c};
static const uint64_t worker_jump[4] = {0x76e15d3efefdcbbf, 0xc5004e441c522fb3, 0x77710069854ee241, 0x39109bb02acbe635};

static void jump(uint64_t state[4], const uint64_t polynomial[4])
{
	uint64_t there[4] = {0};

	for (int bit = 0; bit < 256; bit++) {
		if (polynomial[bit / 64] >> bit % 64 & 1)
			for (int i = 0; i < 4; i++)
				there[i] ^= state[i];
		next_single(state);
	}
	memcpy(state, there, sizeof there);
}

void points_open(struct points_stream *stream, uint64_t seed, uint64_t worker)
{
	uint64_t state[4];

	for (int i = 0; i < 4; i++)
		state[i] = random_next(&seed); /* as the generator's authors fill it */
	for (uint64_t i = 0; i < worker; i++)
		jump(state, worker_jump);
	for (int lane = 0; lane < POINTS_LANES; lane++) {
		for (int i = 0; i < 4; i++)
			stream->state[i][lane] = state[i];
		jump(state, lane_jump);
	}
}
