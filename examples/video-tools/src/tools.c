/* SPDX-License-Identifier: Apache-2.0
 *
 * scale, crop, overlay: every input video through one filter into H.264, one output for one input, so that the stages may stand in
 * any order. Their parameters are numbers that become the filter's description: nothing else of a workflow reaches FFmpeg's parser.
 */
#include <inttypes.h>
#include <stdio.h>

#include "../../common/filter.h"
#include "handlers.h"

enum { SIDE_MAX = 16384 };

struct rectangle {
	int64_t width, height, x, y;
};

struct tool {
	struct video video;
	struct video_transform transform;
	struct video_file file;
	char filter[256];
	struct rectangle within; /* must lie in the picture: FFmpeg's filters would move or lose what does not */
	AVFrame *picture;        /* of overlay, else NULL */
};

static int write_packet(void *context, AVPacket *packet)
{
	struct tool *tool = context;
	struct video_file_options options = {
		.container = "mp4", .edit_list = 1, .tick = tool->transform.tick, .rate = tool->transform.rate};

	if (tool->file.format)
		return video_file_write(&tool->file, packet);
	const char *path = fw_output_path(tool->video.invocation, "videos", ".mp4");
	AVCodecParameters *codec = avcodec_parameters_alloc();
	int rc = path && codec ? FW_OK : FW_ERROR;
	if (rc == FW_OK) {
		avcodec_parameters_from_context(codec, tool->transform.encoder.context);
		rc = video_file_open(&tool->file, &tool->video, path, codec, &options);
	}
	avcodec_parameters_free(&codec);
	return rc == FW_OK ? video_file_write(&tool->file, packet) : FW_ERROR;
}

/* The last frame stays as long as in the source. */
static int end_file(struct tool *tool)
{
	int64_t until = video_until(&tool->video);

	if (until != AV_NOPTS_VALUE)
		tool->file.until = av_rescale_q(until - tool->transform.origin, tool->video.stream->time_base, tool->transform.tick);
	return video_file_close(&tool->file);
}

static int check_within(const struct tool *tool)
{
	const AVCodecParameters *codec = tool->video.stream->codecpar;
	const struct rectangle *within = &tool->within;

	if (within->x + within->width <= codec->width && within->y + within->height <= codec->height)
		return FW_OK;
	return fw_fail_invocation(tool->video.invocation, "Video.Outside",
	                          "%s: %" PRId64 "x%" PRId64 " at %" PRId64 ",%" PRId64 " is not within its %dx%d", tool->video.uri,
	                          within->width, within->height, within->x, within->y, codec->width, codec->height);
}

static int transform_opened(struct tool *tool)
{
	struct video_transform *transform = &tool->transform;

	*transform = (struct video_transform){.video = &tool->video,
	                                      .filter = tool->filter,
	                                      .picture = tool->picture,
	                                      .origin = AV_NOPTS_VALUE,
	                                      .threads = tool->video.decoder->thread_count,
	                                      .write = write_packet,
	                                      .context = tool};
	if (check_within(tool) != FW_OK)
		return FW_ERROR;
	transform->tick = video_choose_tick(&tool->video, &transform->rate);
	if (video_transform(transform) != FW_OK)
		return FW_ERROR;
	if (transform->frames == 0)
		return fw_fail_invocation(tool->video.invocation, "Video.Corrupt", "%s: there is no frame in it", tool->video.uri);
	return end_file(tool);
}

static int apply_to_each(struct fw_invocation *invocation, struct tool *tool)
{
	struct fw_object object;
	int rc;

	while ((rc = fw_next_input(invocation, "videos", &object)) == FW_OK) {
		rc = video_open(&tool->video, invocation, &object, video_threads(invocation));
		if (rc == FW_OK)
			rc = transform_opened(tool);
		video_file_abandon(&tool->file);
		video_transform_close(&tool->transform);
		video_close(&tool->video);
		if (rc != FW_OK)
			return FW_ERROR;
	}
	return rc == FW_END ? FW_OK : rc;
}

static int read_number(struct fw_invocation *invocation, const char *name, int64_t fallback, int64_t least, int64_t *number)
{
	*number = fw_param_integer(invocation, name, fallback);
	if (*number >= least && *number <= SIDE_MAX)
		return FW_OK;
	return fw_fail_invocation(invocation, "Function.Parameter", "parameter '%s' is %" PRId64 ": it must be from %" PRId64 " to %d", name,
	                          *number, least, SIDE_MAX);
}

__attribute__((visibility("default"))) int scale(struct fw_invocation *invocation)
{
	struct tool tool = {.picture = NULL};
	int64_t width, height;

	if (read_number(invocation, "width", 0, 0, &width) != FW_OK || read_number(invocation, "height", 0, 0, &height) != FW_OK)
		return FW_ERROR;
	if (width == 0 && height == 0)
		return fw_fail_invocation(invocation, "Function.Parameter", "give 'width', 'height' or both");
	/* -2: in proportion to the other, and even. */
	snprintf(tool.filter, sizeof tool.filter, "scale=w=%" PRId64 ":h=%" PRId64 ":flags=bicubic", width ? width : -2,
	         height ? height : -2);
	return apply_to_each(invocation, &tool);
}

__attribute__((visibility("default"))) int crop(struct fw_invocation *invocation)
{
	struct tool tool = {.picture = NULL};
	int64_t width, height, x, y;

	if (read_number(invocation, "width", 0, 1, &width) != FW_OK || read_number(invocation, "height", 0, 1, &height) != FW_OK ||
	    read_number(invocation, "x", 0, 0, &x) != FW_OK || read_number(invocation, "y", 0, 0, &y) != FW_OK)
		return FW_ERROR;
	tool.within = (struct rectangle){width, height, x, y};
	snprintf(tool.filter, sizeof tool.filter, "crop=w=%" PRId64 ":h=%" PRId64 ":x=%" PRId64 ":y=%" PRId64 ":exact=1", width, height, x,
	         y);
	return apply_to_each(invocation, &tool);
}

/* What lies behind it is not read. */
static int read_first_frame(struct video *video)
{
	int rc;

	while ((rc = video_next_packet(video)) == FW_OK) {
		rc = video_decode(video, video->packet);
		av_packet_unref(video->packet);
		if (rc == FW_OK)
			rc = video_next_frame(video);
		if (rc != FW_END)
			return rc;
	}
	return rc == FW_END && video_decode(video, NULL) == FW_OK ? video_next_frame(video) : FW_ERROR;
}

/* Any picture, or video's first frame, that FFmpeg decodes. */
static int read_picture(struct fw_invocation *invocation, AVFrame **picture)
{
	struct fw_object object;
	struct video video;
	int rc = fw_next_input(invocation, "picture", &object);

	if (rc == FW_END)
		return fw_fail_invocation(invocation, "Video.NoPicture", "input 'picture' has no object");
	if (rc != FW_OK)
		return rc;
	rc = video_open(&video, invocation, &object, 1);
	if (rc == FW_OK)
		rc = read_first_frame(&video);
	if (rc == FW_END)
		rc = fw_fail_invocation(invocation, "Video.Corrupt", "%s: there is no picture in it", object.uri);
	*picture = rc == FW_OK ? av_frame_clone(video.frame) : NULL;
	if (rc == FW_OK && !*picture)
		rc = video_fail(&video, "Video.Memory", AVERROR(ENOMEM), "keep the picture");
	video_close(&video);
	return rc;
}

__attribute__((visibility("default"))) int overlay(struct fw_invocation *invocation)
{
	struct tool tool = {.picture = NULL};
	int64_t x, y;

	if (read_number(invocation, "x", 0, 0, &x) != FW_OK || read_number(invocation, "y", 0, 0, &y) != FW_OK)
		return FW_ERROR;
	snprintf(tool.filter, sizeof tool.filter, "[in][picture]overlay=x=%" PRId64 ":y=%" PRId64 "[out]", x, y);
	tool.within = (struct rectangle){1, 1, x, y}; /* it may hang over the right and lower border */
	int rc = read_picture(invocation, &tool.picture);
	if (rc == FW_OK)
		rc = apply_to_each(invocation, &tool);
	av_frame_free(&tool.picture);
	return rc;
}
