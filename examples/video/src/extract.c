/* SPDX-License-Identifier: Apache-2.0
 *
 * extract_frames: of the frames shown at 0, 1/fps, 2/fps … seconds of each chunk, the one of highest mean grey (a tie goes to
 * the earliest), as PNG. The packets are listed first, which costs nothing; then only what the wanted frames depend on is
 * decoded: from the keyframe before each of them, without the frames that no other refers to. That is exact, since a frame
 * that is no reference changes nothing else.
 */
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "../../common/av.h"
#include "image.h"

struct entry {
	int64_t pts;
	bool key, wanted, needed;
};

struct extractor {
	struct video video;
	struct entry *entries; /* packets in the order of the file */
	size_t count, capacity;
	int64_t *wanted;       /* pts, ascending, each once */
	size_t wanted_count, found;
	struct SwsContext *scaler;
	struct image best, candidate;
	double best_mean;
};

static int list_packets(struct extractor *extractor)
{
	struct video *video = &extractor->video;
	int rc;

	while ((rc = video_next_packet(video)) == FW_OK) {
		AVPacket *packet = video->packet;

		if (extractor->count == extractor->capacity) {
			size_t capacity = extractor->capacity ? 2 * extractor->capacity : 512;
			struct entry *entries = realloc(extractor->entries, capacity * sizeof *entries);

			if (!entries)
				return video_fail(video, "Video.Memory", AVERROR(ENOMEM), "list its packets");
			extractor->entries = entries;
			extractor->capacity = capacity;
		}
		int64_t pts = packet->pts != AV_NOPTS_VALUE ? packet->pts : packet->dts;
		extractor->entries[extractor->count++] = (struct entry){pts, packet->flags & AV_PKT_FLAG_KEY, false, false};
		av_packet_unref(packet);
		if (pts == AV_NOPTS_VALUE)
			return fw_fail_invocation(video->invocation, "Video.Unsupported", "%s: its frames have no times", video->uri);
	}
	if (rc == FW_END && extractor->count == 0)
		return fw_fail_invocation(video->invocation, "Video.Corrupt", "%s: there is no frame in it", video->uri);
	return rc == FW_END ? FW_OK : rc;
}

static int by_time(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return a < b ? -1 : a > b;
}

/* A wanted frame needs what was coded between it and the last keyframe that is shown no later. */
static void mark_needed(struct extractor *extractor)
{
	for (size_t i = 0; i < extractor->count; i++) {
		const struct entry *wanted = &extractor->entries[i];

		for (size_t at = i + 1; wanted->wanted && at-- > 0;) {
			struct entry *entry = &extractor->entries[at];
			bool known = entry->needed;

			entry->needed = true;
			if (known || (entry->key && entry->pts <= wanted->pts))
				break;
		}
	}
}

/* For each sample time before the end: the frame on screen then, the last that began by then. */
static int choose_wanted(struct extractor *extractor, double fps)
{
	struct video *video = &extractor->video;
	int64_t *times = malloc(extractor->count * sizeof *times);
	const double base = av_q2d(video->stream->time_base), step = fmax(1 / fps / base, 1); /* frames are a tick apart at least */

	extractor->wanted = malloc(extractor->count * sizeof *extractor->wanted);
	if (!times || !extractor->wanted) {
		free(times);
		return video_fail(video, "Video.Memory", AVERROR(ENOMEM), "list its packets");
	}
	for (size_t i = 0; i < extractor->count; i++)
		times[i] = extractor->entries[i].pts;
	qsort(times, extractor->count, sizeof *times, by_time);
	int64_t last = times[extractor->count - 1];
	int64_t frame = extractor->count > 1 ? (last - times[0]) / (int64_t)(extractor->count - 1) : 1;
	double end = (double)(last - times[0] + frame); /* the last frame is shown as long as the others */
	size_t at = 0;
	double n = 0;
	do {
		while (at + 1 < extractor->count && (double)(times[at + 1] - times[0]) <= n * step + 0.5)
			at++;
		if (extractor->wanted_count == 0 || extractor->wanted[extractor->wanted_count - 1] != times[at])
			extractor->wanted[extractor->wanted_count++] = times[at];
		double next = at + 1 < extractor->count ? (double)(times[at + 1] - times[0]) - 0.5 : end; /* nothing changes before */
		n = fmax(n + 1, floor(next / step));
	} while (n * step < end - 0.5);
	free(times);
	for (size_t i = 0; i < extractor->count; i++)
		extractor->entries[i].wanted = bsearch(&extractor->entries[i].pts, extractor->wanted, extractor->wanted_count,
		                                       sizeof *extractor->wanted, by_time) != NULL;
	mark_needed(extractor);
	return FW_OK;
}

static int open_scaler(struct extractor *extractor, const AVFrame *frame)
{
	bool full = frame->color_range == AVCOL_RANGE_JPEG;
	const int *from = sws_getCoefficients(frame->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : (int)frame->colorspace);

	extractor->scaler = sws_getCachedContext(extractor->scaler, frame->width, frame->height, frame->format, frame->width,
	                                         frame->height, AV_PIX_FMT_RGB24, SWS_BICUBIC, NULL, NULL, NULL);
	if (!extractor->scaler)
		return video_fail(&extractor->video, "Video.Unsupported", AVERROR(EINVAL), "convert its pixels");
	sws_setColorspaceDetails(extractor->scaler, from, full, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
	return FW_OK;
}

static int fit(struct extractor *extractor, struct image *image, const AVFrame *frame)
{
	if (image->pixels && image->width == (uint32_t)frame->width && image->height == (uint32_t)frame->height)
		return FW_OK;
	free(image->pixels);
	*image = (struct image){(uint32_t)frame->width, (uint32_t)frame->height, NULL};
	/* The converter may write a few bytes beyond the last row. */
	image->pixels = malloc((size_t)frame->width * (size_t)frame->height * 3 + 64);
	return image->pixels ? FW_OK : video_fail(&extractor->video, "Video.Memory", AVERROR(ENOMEM), "convert its pixels");
}

static int judge_frame(struct extractor *extractor)
{
	const AVFrame *frame = extractor->video.frame;

	if (fit(extractor, &extractor->candidate, frame) != FW_OK || open_scaler(extractor, frame) != FW_OK)
		return FW_ERROR;
	uint8_t *planes[4] = {extractor->candidate.pixels};
	int strides[4] = {frame->width * 3};
	sws_scale(extractor->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height, planes, strides);
	double mean = grey_mean(&extractor->candidate);
	if (extractor->found++ == 0 || mean > extractor->best_mean) {
		struct image better = extractor->candidate;

		extractor->candidate = extractor->best;
		extractor->best = better;
		extractor->best_mean = mean;
	}
	fw_units(extractor->video.invocation, 1);
	return FW_OK;
}

static int judge_decoded(struct extractor *extractor)
{
	struct video *video = &extractor->video;
	int rc;

	while ((rc = video_next_frame(video)) == FW_OK) {
		/* Frames come in the order of time. */
		bool wanted = extractor->found < extractor->wanted_count &&
		              video->frame->best_effort_timestamp == extractor->wanted[extractor->found];

		rc = wanted ? judge_frame(extractor) : FW_OK;
		av_frame_unref(video->frame);
		if (rc != FW_OK)
			return rc;
	}
	return rc == FW_END ? FW_OK : rc;
}

/* Takes out what the decoder still holds, and lets it start anew at a keyframe. */
static int drain(struct extractor *extractor)
{
	if (video_decode(&extractor->video, NULL) != FW_OK || judge_decoded(extractor) != FW_OK)
		return FW_ERROR;
	avcodec_flush_buffers(extractor->video.decoder);
	return FW_OK;
}

static int decode_wanted(struct extractor *extractor)
{
	struct video *video = &extractor->video;
	int rc = FW_OK;

	for (size_t at = 0; at < extractor->count && extractor->found < extractor->wanted_count; at++) {
		const struct entry *entry = &extractor->entries[at];

		if (video_next_packet(video) != FW_OK)
			return fw_fail_invocation(video->invocation, "Video.Corrupt", "%s: it ends early", video->uri);
		if (entry->needed) {
			if (at > 0 && !entry[-1].needed && extractor->found > 0)
				rc = drain(extractor);
			video->decoder->skip_frame = entry->wanted ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
			rc = rc == FW_OK ? video_decode(video, video->packet) : rc;
		}
		av_packet_unref(video->packet);
		if (rc != FW_OK || judge_decoded(extractor) != FW_OK)
			return FW_ERROR;
	}
	return extractor->found < extractor->wanted_count ? drain(extractor) : FW_OK;
}

static int extract_opened(struct extractor *extractor, double fps)
{
	struct video *video = &extractor->video;
	char why[128] = "out of memory";

	if (list_packets(extractor) != FW_OK || choose_wanted(extractor, fps) != FW_OK)
		return FW_ERROR;
	int rc = av_seek_frame(video->format, video->stream->index, extractor->wanted[0], AVSEEK_FLAG_BACKWARD);
	if (rc < 0)
		return video_fail(video, "Video.Unsupported", rc, "go back to its start");
	if (decode_wanted(extractor) != FW_OK)
		return FW_ERROR;
	if (extractor->found != extractor->wanted_count)
		return fw_fail_invocation(video->invocation, "Video.Corrupt", "%s: %zu of %zu frames could be decoded", video->uri,
		                          extractor->found, extractor->wanted_count);
	const char *path = fw_output_path(video->invocation, "frames", ".png");
	if (!path)
		return FW_ERROR;
	fw_write_begin(video->invocation);
	rc = image_write_png(path, extractor->best.width, extractor->best.height, image_row, &extractor->best, why);
	fw_write_end(video->invocation);
	return rc == FW_OK ? FW_OK : fw_fail_invocation(video->invocation, "Image.Write", "%s: %s", path, why);
}

static int extract_one(struct fw_invocation *invocation, const struct fw_object *object, double fps)
{
	struct extractor extractor = {0};
	/* One thread unless asked for: frame threads cost memory and decode no less. */
	int rc = video_open(&extractor.video, invocation, object, (int)fw_param_integer(invocation, "threads", 1));

	if (rc == FW_OK)
		rc = extract_opened(&extractor, fps);
	sws_freeContext(extractor.scaler);
	free(extractor.entries);
	free(extractor.wanted);
	free(extractor.best.pixels);
	free(extractor.candidate.pixels);
	video_close(&extractor.video);
	return rc;
}

__attribute__((visibility("default"))) int extract_frames(struct fw_invocation *invocation)
{
	double fps = fw_param_number(invocation, "fps", 0.5);
	int64_t count = fw_input_count(invocation, "chunks");
	struct fw_object object;
	int rc;

	if (!(fps > 0))
		return fw_fail_invocation(invocation, "Function.Parameter", "parameter 'fps' must be above 0");
	while ((rc = fw_next_input(invocation, "chunks", &object)) == FW_OK) {
		if (extract_one(invocation, &object, fps) != FW_OK)
			return FW_ERROR;
		fw_progress(invocation, (double)object.index + 1, (double)count, NULL);
	}
	return rc == FW_END ? FW_OK : rc;
}
