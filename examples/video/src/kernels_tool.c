/* SPDX-License-Identifier: Apache-2.0
 *
 * The kernels from the command line, for comparison with OpenCV: PNG in, PNG or figures out, and the time of the kernel.
 *   video-kernels-tool sharpen|canny IN.png OUT.png      video-kernels-tool figures IN.png
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image.h"

struct rows {
	const struct image *image;
	uint16_t *sums;
	const uint8_t *edges;
};

static const uint8_t *sharpened_row(void *context, uint32_t y, uint8_t *row)
{
	struct rows *rows = context;

	sharpen_row(rows->image, y, rows->sums, row);
	return row;
}

static const uint8_t *edge_row(void *context, uint32_t y, uint8_t *row)
{
	struct rows *rows = context;

	for (size_t x = 0; x < rows->image->width; x++)
		memset(row + 3 * x, rows->edges[(size_t)y * rows->image->width + x], 3);
	return row;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void print_figures(const struct image *image)
{
	double start = now_ms();
	int64_t edges = canny(image, 50, 150, NULL);
	double after_canny = now_ms();
	struct colour_statistics statistics = colour_statistics(image);

	printf("{\"edges\": %lld, \"canny_ms\": %.3f, \"statistics_ms\": %.3f, \"grey\": %.9f", (long long)edges,
	       after_canny - start, now_ms() - after_canny, grey_mean(image));
	printf(", \"mean\": [%.9f, %.9f, %.9f]", statistics.mean[0], statistics.mean[1], statistics.mean[2]);
	printf(", \"standard_deviation\": [%.9f, %.9f, %.9f]}\n", statistics.standard_deviation[0],
	       statistics.standard_deviation[1], statistics.standard_deviation[2]);
}

int main(int argc, char **argv)
{
	struct image image;
	struct rows rows = {&image, NULL, NULL};
	char why[128] = "usage: video-kernels-tool sharpen|canny IN OUT, or figures IN";
	int rc = argc < 3 ? FW_ERROR : image_read_png(argv[2], &image, why);

	if (rc == FW_OK && strcmp(argv[1], "figures") == 0) {
		print_figures(&image);
	} else if (rc == FW_OK && argc == 4) {
		uint8_t *edges = malloc((size_t)image.width * image.height);

		rows.sums = malloc((size_t)image.width * 3 * sizeof *rows.sums);
		rows.edges = edges;
		int is_canny = strcmp(argv[1], "canny") == 0;
		if (is_canny)
			canny(&image, 50, 150, edges);
		rc = image_write_png(argv[3], image.width, image.height, is_canny ? edge_row : sharpened_row, &rows, why);
		free(rows.sums);
		free(edges);
	}
	if (rc == FW_OK)
		free(image.pixels);
	else
		fprintf(stderr, "%s\n", why);
	return rc == FW_OK ? 0 : 1;
}
