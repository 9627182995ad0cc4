/* SPDX-License-Identifier: Apache-2.0
 *
 * PNG in and out with libpng. Frames between stages are read once or twice and then thrown away, so that time counts more
 * than size: the fastest deflate that still finds runs, behind a filter that makes them.
 */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "image.h"

struct failure {
	jmp_buf jump;
	char *why;
};

static void fail(png_structp png, png_const_charp message)
{
	struct failure *failure = png_get_error_ptr(png);

	snprintf(failure->why, 128, "%s", message);
	longjmp(failure->jump, 1);
}

static void ignore_warning(png_structp png, png_const_charp message)
{
	(void)png;
	(void)message;
}

/* Everything that may jump is below setjmp(); what must survive it is in the caller's memory. */
static void read_pixels(png_structp png, png_infop info, FILE *file, struct image *image)
{
	png_init_io(png, file);
	png_set_user_limits(png, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
	png_read_info(png, info);
	png_set_expand(png);
	png_set_scale_16(png);
	png_set_strip_alpha(png);
	png_set_gray_to_rgb(png);
	int passes = png_set_interlace_handling(png);
	png_read_update_info(png, info);
	image->width = png_get_image_width(png, info);
	image->height = png_get_image_height(png, info);
	if (png_get_rowbytes(png, info) != (size_t)image->width * 3)
		png_error(png, "an unusual kind of PNG");
	image->pixels = malloc((size_t)image->width * image->height * 3);
	if (!image->pixels)
		png_error(png, "too large for the memory of this function");
	for (int pass = 0; pass < passes; pass++)
		for (uint32_t y = 0; y < image->height; y++)
			png_read_row(png, image->pixels + (size_t)y * image->width * 3, NULL);
	png_read_end(png, NULL);
}

int image_read_png(const char *path, struct image *image, char why[static 128])
{
	FILE *file = fopen(path, "re");
	struct failure failure = {.why = why};
	png_infop info = NULL;

	*image = (struct image){0};
	if (!file) {
		snprintf(why, 128, "%s", strerror(errno));
		return FW_ERROR;
	}
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &failure, fail, ignore_warning);
	if (png)
		info = png_create_info_struct(png);
	int failed = !info || setjmp(failure.jump);
	if (!failed)
		read_pixels(png, info, file, image);
	png_destroy_read_struct(&png, &info, NULL);
	fclose(file);
	if (failed) {
		free(image->pixels);
		image->pixels = NULL;
		return FW_ERROR;
	}
	return FW_OK;
}

static void write_rows(png_structp png, png_infop info, FILE *file, uint32_t width, uint32_t height, image_row_fn *row,
                       void *context, uint8_t *buffer)
{
	png_init_io(png, file);
	png_set_compression_level(png, Z_BEST_SPEED);
	png_set_compression_strategy(png, Z_RLE);
	png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
	png_set_compression_buffer_size(png, 64 << 10);
	png_set_IHDR(png, info, width, height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
	             PNG_FILTER_TYPE_DEFAULT);
	png_write_info(png, info);
	for (uint32_t y = 0; y < height; y++)
		png_write_row(png, row(context, y, buffer));
	png_write_end(png, NULL);
}

int image_write_png(const char *path, uint32_t width, uint32_t height, image_row_fn *row, void *context, char why[static 128])
{
	FILE *file = fopen(path, "we");
	struct failure failure = {.why = why};
	png_infop info = NULL;

	if (!file) {
		snprintf(why, 128, "%s", strerror(errno));
		return FW_ERROR;
	}
	uint8_t *buffer = malloc((size_t)width * 3);
	png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &failure, fail, ignore_warning);
	if (png)
		info = png_create_info_struct(png);
	int failed = !info || !buffer || setjmp(failure.jump);
	if (!failed)
		write_rows(png, info, file, width, height, row, context, buffer);
	png_destroy_write_struct(&png, &info);
	free(buffer);
	if (fclose(file) != 0 && !failed) {
		snprintf(why, 128, "%s", strerror(errno));
		failed = 1;
	}
	return failed ? FW_ERROR : FW_OK;
}

const uint8_t *image_row(void *image, uint32_t y, uint8_t *row)
{
	const struct image *whole = image;

	(void)row;
	return whole->pixels + (size_t)y * whole->width * 3;
}
