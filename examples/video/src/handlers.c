/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootstrap of the video application. Sharpening and classifying need libpng alone; the two stages that touch video
 * load av.so when they are first called, since FFmpeg's libraries take 30 ms and 29 MB of every process that links them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../common/module.h"
#include "image.h"

struct sharpening {
	const struct image *image;
	uint16_t *sums;
};

static const uint8_t *sharpened_row(void *context, uint32_t y, uint8_t *row)
{
	const struct sharpening *sharpening = context;

	sharpen_row(sharpening->image, y, sharpening->sums, row);
	return row;
}

static int read_image(struct fw_invocation *invocation, const struct fw_object *object, struct image *image)
{
	char why[128] = "not a PNG";

	if (image_read_png(object->path, image, why) == FW_OK)
		return FW_OK;
	return fw_fail_invocation(invocation, "Image.Corrupt", "%s: %s", object->uri, why);
}

static int sharpen_one(struct fw_invocation *invocation, const struct fw_object *object)
{
	struct image image;
	char why[128] = "out of memory";

	const char *path = fw_output_path(invocation, "sharpened", NULL);
	if (!path || read_image(invocation, object, &image) != FW_OK)
		return FW_ERROR;
	struct sharpening sharpening = {&image, malloc((size_t)image.width * 3 * sizeof *sharpening.sums)};
	fw_write_begin(invocation);
	int rc = sharpening.sums ? image_write_png(path, image.width, image.height, sharpened_row, &sharpening, why) : FW_ERROR;
	fw_write_end(invocation);
	free(sharpening.sums);
	free(image.pixels);
	return rc == FW_OK ? FW_OK : fw_fail_invocation(invocation, "Image.Write", "%s: %s", path, why);
}

static int write_report(struct fw_invocation *invocation, const struct fw_object *object, const struct image *image,
                        int64_t edges)
{
	static const char *const names[] = {"red", "green", "blue"};
	struct colour_statistics statistics = colour_statistics(image);
	double density = (double)edges / ((double)image->width * image->height);
	const char *name = strrchr(object->uri, '/');
	char report[2048], escaped[1024];
	size_t length = 0;

	for (name = name ? name + 1 : object->uri; *name && length < sizeof escaped - 8; name++)
		length += (size_t)snprintf(escaped + length, sizeof escaped - length,
		                           (unsigned char)*name < 0x20 ? "\\u%04x" : *name == '"' || *name == '\\' ? "\\%c" : "%c", *name);
	escaped[length] = '\0';
	length = (size_t)snprintf(report, sizeof report, "{\"image\": \"%s\", \"width\": %u, \"height\": %u, \"colours\": {", escaped,
	                          image->width, image->height);
	for (int channel = 0; channel < 3; channel++)
		length += (size_t)snprintf(report + length, sizeof report - length,
		                           "\"%s\": {\"mean\": %.6f, \"standard_deviation\": %.6f}%s", names[channel],
		                           statistics.mean[channel], statistics.standard_deviation[channel],
		                           channel < 2 ? ", " : "}, ");
	length += (size_t)snprintf(report + length, sizeof report - length,
	                           "\"edge_density\": %.9f, \"complexity\": %.7f}\n", density, 100 * density);
	fw_metric(invocation, "complexity", 100 * density);
	return fw_write_output(invocation, fw_output_path(invocation, "reports", NULL), report, length);
}

static int classify_one(struct fw_invocation *invocation, const struct fw_object *object)
{
	struct image image;

	if (read_image(invocation, object, &image) != FW_OK)
		return FW_ERROR;
	int64_t edges = canny(&image, 50, 150, NULL);
	int rc = edges < 0 ? fw_fail_invocation(invocation, "Image.TooLarge", "%s: too large for the memory of this function",
	                                        object->uri)
	                   : write_report(invocation, object, &image, edges);
	free(image.pixels);
	return rc;
}

static int for_each_image(struct fw_invocation *invocation, const char *input,
                          int (*one)(struct fw_invocation *, const struct fw_object *))
{
	int64_t count = fw_input_count(invocation, input);
	struct fw_object object;
	int rc;

	while ((rc = fw_next_input(invocation, input, &object)) == FW_OK) {
		if (one(invocation, &object) != FW_OK)
			return FW_ERROR;
		fw_units(invocation, 1);
		fw_progress(invocation, (double)object.index + 1, (double)count, NULL);
	}
	return rc == FW_END ? FW_OK : rc;
}

int sharpen(struct fw_invocation *invocation)
{
	return for_each_image(invocation, "frames", sharpen_one);
}

int classify(struct fw_invocation *invocation)
{
	return for_each_image(invocation, "frames", classify_one);
}

int split_videos(struct fw_invocation *invocation)
{
	return module_call(invocation, "av.so", "split_videos");
}

int extract_frames(struct fw_invocation *invocation)
{
	return module_call(invocation, "av.so", "extract_frames");
}

FW_FUNCTIONS({"split_videos", split_videos}, {"extract_frames", extract_frames}, {"sharpen", sharpen}, {"classify", classify})
