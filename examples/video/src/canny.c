/* SPDX-License-Identifier: Apache-2.0
 *
 * Edges after Canny (IEEE PAMI 8(6), 1986) with the choices that OpenCV makes, so that figures can be compared: Sobel
 * gradients with replicated borders, |dx| + |dy|, sectors split at 22.5° and 67.5° in fixed point, ties won by the upper or
 * left pixel, hysteresis over eight neighbours. Gradients are kept for three rows only.
 */
#include <stdlib.h>
#include <string.h>

#include "image.h"

enum { WEAK = 0, NO_EDGE = 1, EDGE = 2 };
enum { TANGENT_SHIFT = 15, TANGENT_22_5 = 13573 }; /* tan 22.5° × 2^15, rounded */

struct detector {
	const struct image *image;
	size_t stride;       /* of rows with one pixel more on either side */
	uint8_t *grey[3];    /* rows y-1, y, y+1 by y modulo 3 */
	int16_t *dx[3], *dy[3];
	int32_t *size[3];    /* |dx| + |dy|, 0 beyond the borders */
	uint8_t *map;        /* (height + 2) × stride */
	uint32_t *stack;     /* edges whose neighbours are still to be looked at */
	size_t depth, capacity;
	void *memory;
};

static int detector_init(struct detector *detector, const struct image *image)
{
	size_t stride = (size_t)image->width + 2;
	size_t row = stride * (1 + 2 + 2 + 4), map = stride * ((size_t)image->height + 2);

	*detector = (struct detector){.image = image, .stride = stride, .capacity = 4096};
	uint8_t *at = detector->memory = calloc(1, 3 * row + map);
	detector->stack = malloc(detector->capacity * sizeof *detector->stack);
	if (!at || !detector->stack)
		return FW_ERROR;
	for (int i = 0; i < 3; i++, at += stride * 4)
		detector->size[i] = (int32_t *)(void *)at;
	for (int i = 0; i < 3; i++, at += stride * 2)
		detector->dx[i] = (int16_t *)(void *)at;
	for (int i = 0; i < 3; i++, at += stride * 2)
		detector->dy[i] = (int16_t *)(void *)at;
	for (int i = 0; i < 3; i++, at += stride)
		detector->grey[i] = at;
	detector->map = at;
	memset(detector->map, NO_EDGE, map);
	return FW_OK;
}

static void detector_done(struct detector *detector)
{
	free(detector->memory);
	free(detector->stack);
}

static int push(struct detector *detector, size_t place)
{
	if (detector->depth == detector->capacity) {
		uint32_t *larger = realloc(detector->stack, 2 * detector->capacity * sizeof *larger);

		if (!larger)
			return FW_ERROR;
		detector->stack = larger;
		detector->capacity *= 2;
	}
	detector->map[place] = EDGE;
	detector->stack[detector->depth++] = (uint32_t)place;
	return FW_OK;
}

static void load_grey(struct detector *detector, uint32_t y)
{
	uint32_t width = detector->image->width;
	uint8_t *grey = detector->grey[y % 3];

	grey_row(detector->image->pixels + (size_t)y * width * 3, width, grey + 1);
	grey[0] = grey[1];
	grey[width + 1] = grey[width];
}

/* Gradients of row y; rows beyond the borders repeat the outermost. */
static void load_gradients(struct detector *detector, uint32_t y)
{
	uint32_t height = detector->image->height, width = detector->image->width;
	const uint8_t *restrict above = detector->grey[(y > 0 ? y - 1 : y) % 3], *restrict centre = detector->grey[y % 3];
	const uint8_t *restrict below = detector->grey[(y + 1 < height ? y + 1 : y) % 3];
	int16_t *restrict dx = detector->dx[y % 3], *restrict dy = detector->dy[y % 3];
	int32_t *restrict size = detector->size[y % 3];

	for (uint32_t x = 1; x <= width; x++) {
		int16_t right = (int16_t)(above[x + 1] + 2 * centre[x + 1] + below[x + 1]);
		int16_t left = (int16_t)(above[x - 1] + 2 * centre[x - 1] + below[x - 1]);
		int16_t lower = (int16_t)(below[x - 1] + 2 * below[x] + below[x + 1]);
		int16_t upper = (int16_t)(above[x - 1] + 2 * above[x] + above[x + 1]);
		int16_t horizontal = (int16_t)(right - left), vertical = (int16_t)(lower - upper);

		dx[x] = horizontal;
		dy[x] = vertical;
		size[x] = abs(horizontal) + abs(vertical);
	}
}

/* Whether the pixel is the largest across the edge; the row above and the one below may lie beyond the border. */
static int is_ridge(int32_t size, const int32_t *above, const int32_t *centre, const int32_t *below, int dx, int dy)
{
	int32_t x = abs(dx), y = abs(dy) << TANGENT_SHIFT;
	int32_t tangent_22 = x * TANGENT_22_5, tangent_67 = tangent_22 + (x << (TANGENT_SHIFT + 1));

	if (y < tangent_22)
		return size > centre[-1] && size >= centre[1];
	if (y > tangent_67)
		return size > *above && size >= *below;
	int side = (dx ^ dy) < 0 ? -1 : 1;
	return size > above[-side] && size > below[side];
}

static int thin_row(struct detector *detector, uint32_t y, int low, int high, const int32_t *nothing)
{
	uint32_t width = detector->image->width;
	const int32_t *above = y > 0 ? detector->size[(y - 1) % 3] : nothing, *centre = detector->size[y % 3];
	const int32_t *below = y + 1 < detector->image->height ? detector->size[(y + 1) % 3] : nothing;
	const int16_t *dx = detector->dx[y % 3], *dy = detector->dy[y % 3];
	size_t place = ((size_t)y + 1) * detector->stride;

	for (uint32_t x = 1; x <= width; x++) {
		int32_t size = centre[x];

		if (size <= low || !is_ridge(size, above + x, centre + x, below + x, dx[x], dy[x]))
			continue;
		if (size <= high)
			detector->map[place + x] = WEAK;
		else if (push(detector, place + x) != FW_OK)
			return FW_ERROR;
	}
	return FW_OK;
}

static int find_candidates(struct detector *detector, int low, int high)
{
	uint32_t height = detector->image->height;
	int32_t *nothing = calloc(detector->stride, sizeof *nothing);
	int rc = nothing ? FW_OK : FW_ERROR;

	load_grey(detector, 0);
	for (uint32_t y = 0; y <= height && rc == FW_OK; y++) { /* gradients run one row ahead of thinning */
		if (y + 1 < height)
			load_grey(detector, y + 1);
		if (y < height)
			load_gradients(detector, y);
		if (y > 0)
			rc = thin_row(detector, y - 1, low, high, nothing);
	}
	free(nothing);
	return rc;
}

/* Weak candidates that touch an edge are edges. */
static int64_t follow_edges(struct detector *detector)
{
	const ptrdiff_t stride = (ptrdiff_t)detector->stride;
	const ptrdiff_t around[] = {-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1};
	int64_t edges = 0;

	while (detector->depth > 0) {
		size_t place = detector->stack[--detector->depth];

		edges++;
		for (int i = 0; i < 8; i++) {
			size_t neighbour = (size_t)((ptrdiff_t)place + around[i]);

			if (detector->map[neighbour] == WEAK && push(detector, neighbour) != FW_OK)
				return -1;
		}
	}
	return edges;
}

int64_t canny(const struct image *image, int low, int high, uint8_t *edges)
{
	struct detector detector;
	int64_t count = -1;

	if (detector_init(&detector, image) == FW_OK && find_candidates(&detector, low, high) == FW_OK)
		count = follow_edges(&detector);
	for (uint32_t y = 0; edges && count >= 0 && y < image->height; y++)
		for (uint32_t x = 0; x < image->width; x++)
			edges[(size_t)y * image->width + x] = detector.map[((size_t)y + 1) * detector.stride + x + 1] == EDGE ? 255 : 0;
	detector_done(&detector);
	return count;
}
