/* SPDX-License-Identifier: Apache-2.0
 *
 * Draws digits as hands do, unevenly: `ml-digits ROWS SEED` prints a row for each, its label and 28 × 28 grey values apart by
 * tabs. A digit is strokes between points; the points are shaken, and all of it is turned, sheared, scaled and moved. The same
 * seed draws the same rows; a longer table begins with the shorter one.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../common/random.h"

enum { SIDE = 28, POINTS_MAX = 10, LABELS = 10 };

struct point {
	double x, y;
};

static const struct digit {
	int count;
	struct point points[POINTS_MAX];
} digits[LABELS] = {
	{9, {{.5, .1}, {.3, .2}, {.24, .5}, {.3, .8}, {.5, .9}, {.7, .8}, {.76, .5}, {.7, .2}, {.5, .1}}},
	{3, {{.36, .26}, {.54, .1}, {.54, .9}}},
	{7, {{.25, .3}, {.36, .13}, {.56, .1}, {.72, .24}, {.66, .42}, {.25, .9}, {.78, .9}}},
	{7, {{.26, .15}, {.6, .1}, {.72, .28}, {.48, .47}, {.75, .67}, {.6, .88}, {.25, .85}}},
	{4, {{.6, .9}, {.6, .1}, {.2, .64}, {.82, .64}}},
	{7, {{.73, .1}, {.33, .1}, {.29, .45}, {.6, .42}, {.75, .65}, {.6, .88}, {.25, .85}}},
	{8, {{.65, .1}, {.38, .3}, {.27, .65}, {.45, .9}, {.7, .8}, {.69, .58}, {.46, .5}, {.29, .65}}},
	{3, {{.22, .1}, {.78, .1}, {.42, .9}}},
	{9, {{.5, .48}, {.31, .3}, {.5, .1}, {.69, .3}, {.5, .48}, {.28, .7}, {.5, .9}, {.72, .7}, {.5, .48}}},
	{7, {{.68, .35}, {.5, .5}, {.32, .36}, {.42, .13}, {.62, .12}, {.7, .35}, {.6, .9}}},
};

/* About normal, deviation 1: the sum of four uniform ones. */
static double shaken(uint64_t *state)
{
	double sum = -2;

	for (int i = 0; i < 4; i++)
		sum += (double)(random_next(state) >> 11) * 0x1p-53;
	return sum * 1.7320508;
}

static void shake(const struct digit *digit, uint64_t *state, struct point points[POINTS_MAX])
{
	double turn = .18 * shaken(state), shear = .22 * shaken(state), wide = 1 + .14 * shaken(state), high = 1 + .12 * shaken(state);
	double right = .05 * shaken(state), down = .05 * shaken(state), sine = turn - turn * turn * turn / 6, cosine = 1 - turn * turn / 2;

	for (int i = 0; i < digit->count; i++) {
		double x = (digit->points[i].x - .5 + .045 * shaken(state)) * wide, y = (digit->points[i].y - .5 + .045 * shaken(state)) * high;

		x += shear * y;
		points[i] = (struct point){.5 + right + cosine * x - sine * y, .5 + down + sine * x + cosine * y};
	}
}

static double squared_distance(struct point at, struct point from, struct point to)
{
	double x = to.x - from.x, y = to.y - from.y, length = x * x + y * y;
	double along = length > 0 ? ((at.x - from.x) * x + (at.y - from.y) * y) / length : 0;

	along = along < 0 ? 0 : along > 1 ? 1 : along;
	x = from.x + along * x - at.x;
	y = from.y + along * y - at.y;
	return x * x + y * y;
}

static int grey_at(struct point at, const struct point *points, int count, double radius)
{
	double nearest = 4, soft = 1.0 / SIDE;

	for (int i = 1; i < count; i++) {
		double distance = squared_distance(at, points[i - 1], points[i]);

		nearest = distance < nearest ? distance : nearest;
	}
	double grey = 255 * (1 - (sqrt(nearest) - radius) / soft);
	return grey < 0 ? 0 : grey > 255 ? 255 : (int)grey;
}

static void draw(int label, uint64_t *state)
{
	struct point points[POINTS_MAX] = {0};
	double radius = .035 + .01 * shaken(state);
	char line[SIDE * SIDE * 4 + 8];
	size_t length = 0;

	shake(&digits[label], state, points);
	line[length++] = (char)('0' + label);
	for (int i = 0; i < SIDE * SIDE; i++) {
		int row = i / SIDE, column = i % SIDE;
		struct point at = {(column + .5) / SIDE, (row + .5) / SIDE};
		int grey = grey_at(at, points, digits[label].count, radius);

		grey += (int)(random_next(state) % 25) - 12; /* paper and ink are not even */
		length += (size_t)snprintf(line + length, sizeof line - length, "\t%d", grey < 0 ? 0 : grey > 255 ? 255 : grey);
	}
	puts(line);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s ROWS SEED\n", argv[0]);
		return 2;
	}
	uint64_t state = strtoull(argv[2], NULL, 10);
	for (long row = 0; row < strtol(argv[1], NULL, 10); row++)
		draw((int)(random_next(&state) % LABELS), &state);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
}
