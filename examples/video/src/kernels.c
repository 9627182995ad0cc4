/* SPDX-License-Identifier: Apache-2.0
 *
 * Sharpening, grey and colour statistics, in loops that the compiler turns into vector code: no branches inside, small
 * integers, rows one after the other. Every figure is exact; only the last division rounds.
 */
#include <math.h>

#include "image.h"

static uint32_t mirrored(int64_t y, uint32_t height)
{
	if (height == 1)
		return 0;
	if (y < 0)
		return 1;
	return y >= height ? height - 2 : (uint32_t)y;
}

/* 9 c - (the eight around) = 10 c - (all nine), and nine are three columns of three. */
static uint8_t sharpened(uint8_t centre, int left, int middle, int right)
{
	int value = 10 * centre - left - middle - right;

	return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void sharpen_row(const struct image *image, uint32_t y, uint16_t *restrict sums, uint8_t *restrict out)
{
	const size_t count = (size_t)image->width * 3;
	const uint8_t *centre = image->pixels + y * count;
	const uint8_t *above = image->pixels + mirrored((int64_t)y - 1, image->height) * count;
	const uint8_t *below = image->pixels + mirrored((int64_t)y + 1, image->height) * count;

	for (size_t i = 0; i < count; i++)
		sums[i] = (uint16_t)(above[i] + centre[i] + below[i]);
	for (size_t i = 3; i + 3 < count; i++) {
		int16_t value = (int16_t)(10 * centre[i] - sums[i - 3] - sums[i] - sums[i + 3]);

		value = value < 0 ? 0 : value;
		out[i] = (uint8_t)(value > 255 ? 255 : value);
	}
	/* The first and the last pixel have the same neighbour on both sides. */
	for (size_t i = 0; i < 3; i++) {
		size_t last = count - 3 + i;
		const uint16_t second = count > 3 ? sums[i + 3] : sums[i], second_last = count > 3 ? sums[last - 3] : sums[last];

		out[i] = sharpened(centre[i], second, sums[i], second);
		out[last] = sharpened(centre[last], second_last, sums[last], second_last);
	}
}

void grey_row(const uint8_t *restrict rgb, uint32_t width, uint8_t *restrict grey)
{
	for (size_t x = 0; x < width; x++)
		grey[x] = (uint8_t)((9798u * rgb[3 * x] + 19235u * rgb[3 * x + 1] + 3735u * rgb[3 * x + 2] + (1u << 14)) >> 15);
}

/* The mean of the rounded grey values, as cv2.cvtColor(…).mean() gives it. */
double grey_mean(const struct image *image)
{
	uint64_t sum = 0;

	for (uint32_t y = 0; y < image->height; y++) {
		const uint8_t *rgb = image->pixels + (size_t)y * image->width * 3;
		uint32_t row = 0;

		for (size_t x = 0; x < image->width; x++)
			row += (9798u * rgb[3 * x] + 19235u * rgb[3 * x + 1] + 3735u * rgb[3 * x + 2] + (1u << 14)) >> 15;
		sum += row;
	}
	return (double)sum / ((double)image->width * image->height);
}

struct colour_statistics colour_statistics(const struct image *image)
{
	struct colour_statistics statistics;
	uint64_t sum[3] = {0}, squares[3] = {0};

	for (uint32_t y = 0; y < image->height; y++) {
		const uint8_t *rgb = image->pixels + (size_t)y * image->width * 3;
		uint32_t row[3] = {0}, row_squares[3] = {0}; /* 16384 × 255² fits */

		for (uint32_t x = 0; x < image->width; x++) {
			for (int channel = 0; channel < 3; channel++) {
				uint32_t value = rgb[3 * x + (uint32_t)channel];

				row[channel] += value;
				row_squares[channel] += value * value;
			}
		}
		for (int channel = 0; channel < 3; channel++) {
			sum[channel] += row[channel];
			squares[channel] += row_squares[channel];
		}
	}
	double count = (double)image->width * image->height;
	for (int channel = 0; channel < 3; channel++) {
		double mean = (double)sum[channel] / count, variance = (double)squares[channel] / count - mean * mean;

		statistics.mean[channel] = mean;
		statistics.standard_deviation[channel] = sqrt(variance > 0 ? variance : 0);
	}
	return statistics;
}
