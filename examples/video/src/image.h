/* SPDX-License-Identifier: Apache-2.0
 *
 * Images of the video application: 8-bit RGB, rows without gaps. What its files share.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "flexwatt/function.h"

enum { IMAGE_MAX_SIDE = 16384 };

struct image {
	uint32_t width, height;
	uint8_t *pixels; /* height × width × 3 */
};

/* Both say why in `why`; the caller frees the pixels. PNG of any kind becomes 8-bit RGB; alpha is dropped. */
int image_read_png(const char *path, struct image *image, char why[static 128]);
/* Rows come from a callback, so that what is computed need not be stored: it fills `row` or returns one it has. */
typedef const uint8_t *image_row_fn(void *context, uint32_t y, uint8_t *row);
int image_write_png(const char *path, uint32_t width, uint32_t height, image_row_fn *row, void *context, char why[static 128]);
/* For image_write_png: rows of a whole image. */
const uint8_t *image_row(void *image, uint32_t y, uint8_t *row);

/* Row y of the image under [[-1,-1,-1],[-1,9,-1],[-1,-1,-1]], mirrored at the borders (…2 1 0 1 2…), saturated: what
 * OpenCV's filter2D gives. `sums` holds width × 3 numbers. */
void sharpen_row(const struct image *image, uint32_t y, uint16_t *sums, uint8_t *out);

/* Grey as OpenCV's fixed point: (9798 R + 19235 G + 3735 B + 2^14) / 2^15. */
void grey_row(const uint8_t *rgb, uint32_t width, uint8_t *grey);
double grey_mean(const struct image *image);

/* Canny as OpenCV's: aperture 3, L1 norm, no blur. Edge pixels are set to 255 in `edges` (width × height) when it is not
 * NULL. Returns how many there are, or -1 when memory is short. */
int64_t canny(const struct image *image, int low, int high, uint8_t *edges);

struct colour_statistics {
	double mean[3], standard_deviation[3]; /* red, green, blue */
};
struct colour_statistics colour_statistics(const struct image *image);

/* Handlers. Those of the second line live in av.so, which loads FFmpeg: only stages that need it pay for that. */
fw_handler_fn sharpen, classify;
fw_handler_fn split_videos, extract_frames;
