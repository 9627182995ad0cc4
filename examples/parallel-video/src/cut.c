/* SPDX-License-Identifier: Apache-2.0
 *
 * cut: videos into batches without decoding anything. The packets from the last keyframe before a batch to the last one that
 * it needs are copied; the batch says which frames are its own. So batches are of equal length wherever the keyframes lie, no
 * frame is lost or doubled, and pictures are not encoded once more than a single worker would.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "batch.h"
#include "handlers.h"

struct cutter {
	struct video video;
	int64_t first;    /* time of the first frame, in the stream's ticks */
	int64_t duration;
	int64_t second;
};

static int measure(struct cutter *cutter)
{
	struct video *video = &cutter->video;
	AVRational tick = video->stream->time_base;

	cutter->first = video->stream->start_time;
	cutter->duration = video->stream->duration;
	if (cutter->duration == AV_NOPTS_VALUE && video->format->duration != AV_NOPTS_VALUE)
		cutter->duration = av_rescale_q(video->format->duration, AV_TIME_BASE_Q, tick);
	cutter->second = av_rescale_q(1, (AVRational){1, 1}, tick);
	if (cutter->first == AV_NOPTS_VALUE || cutter->duration == AV_NOPTS_VALUE || cutter->duration <= 0)
		return fw_fail_invocation(video->invocation, "Video.Unsupported", "%s: it does not say how long it is", video->uri);
	return FW_OK;
}

/* To a keyframe at or before the time: what follows it in time can be decoded. Demuxers seek by dts or pts, whichever they have;
 * so what was found is looked at, and looked for further back. The packet is in hand then. */
static int seek_before(struct cutter *cutter, int64_t time)
{
	struct video *video = &cutter->video;

	for (int64_t back = 0;; back = back ? 2 * back : cutter->second) {
		bool start = time - back <= cutter->first;
		int rc = avformat_seek_file(video->format, video->stream->index, INT64_MIN, start ? cutter->first : time - back,
		                            start ? cutter->first : time - back, 0);
		if (rc < 0)
			return video_fail(video, "Video.Unsupported", rc, "go to a time in it");
		rc = video_next_packet(video);
		if (rc == FW_ERROR)
			return FW_ERROR;
		const AVPacket *packet = video->packet;
		if (rc == FW_OK && (start || ((packet->flags & AV_PKT_FLAG_KEY) && packet->pts != AV_NOPTS_VALUE && packet->pts <= time)))
			return FW_OK;
		av_packet_unref(video->packet);
		if (start)
			return fw_fail_invocation(video->invocation, "Video.Corrupt", "%s: there is no frame in it", video->uri);
	}
}

static int copy_packets(struct cutter *cutter, struct batch_file *file)
{
	struct video *video = &cutter->video;
	int rc;

	do {
		AVPacket *packet = video->packet;

		if (packet->pts == AV_NOPTS_VALUE)
			return fw_fail_invocation(video->invocation, "Video.Unsupported",
			                          "%s: its frames have no times; put it into an MP4 or Matroska file", video->uri);
		packet->pts -= cutter->first;
		packet->dts -= packet->dts == AV_NOPTS_VALUE ? 0 : cutter->first;
		bool over = packet->dts != AV_NOPTS_VALUE && packet->dts >= file->batch.end;
		if (!over) {
			fw_write_begin(video->invocation);
			rc = batch_write(file, packet);
			fw_write_end(video->invocation);
		}
		av_packet_unref(packet);
		if (over)
			return FW_OK;
		if (rc != FW_OK)
			return rc;
	} while ((rc = video_next_packet(video)) == FW_OK);
	return rc == FW_END ? FW_OK : rc;
}

/* Where a part begins, from the first frame on; the ends of the video are open. */
static int64_t boundary(const struct cutter *cutter, int64_t part, int64_t parts)
{
	if (part == 0 || part == parts)
		return part == 0 ? INT64_MIN : INT64_MAX;
	return av_rescale(cutter->duration, part, parts);
}

static int cut_part(struct cutter *cutter, int64_t part, int64_t parts)
{
	struct video *video = &cutter->video;
	struct batch_file file = {.video = video, .output = "batches", .codec = video->stream->codecpar};
	int64_t until = video_until(video);

	file.batch = (struct batch){.part = part,
	                            .parts = parts,
	                            .begin = boundary(cutter, part, parts),
	                            .end = boundary(cutter, part + 1, parts),
	                            .until = until == AV_NOPTS_VALUE ? INT64_MIN : until - cutter->first,
	                            .tick = video->stream->time_base};
	file.batch.encoder = video_choose_tick(video, &file.batch.rate);
	snprintf(file.batch.source, sizeof file.batch.source, "%s", video->uri);
	int rc = seek_before(cutter, part == 0 ? cutter->first : cutter->first + file.batch.begin);
	if (rc == FW_OK)
		rc = copy_packets(cutter, &file);
	if (rc == FW_OK)
		rc = batch_close(&file);
	video_file_abandon(&file.file);
	return rc;
}

static int cut_parts(struct cutter *cutter, const struct fw_object *object, double batch_seconds)
{
	double seconds = (double)cutter->duration * av_q2d(cutter->video.stream->time_base);

	if (object->parts > 0) /* `range: seconds`: other workers cut the rest */
		return cut_part(cutter, object->part, object->parts);
	if (seconds / batch_seconds > 100000)
		return fw_fail_invocation(cutter->video.invocation, "Function.Parameter",
		                          "%s: more than 100,000 batches; parameter 'batch_seconds' is too small", object->uri);
	int64_t parts = (int64_t)ceil(seconds / batch_seconds - 1e-6);
	parts = parts > 0 ? parts : 1;
	for (int64_t part = 0; part < parts; part++) {
		if (cut_part(cutter, part, parts) != FW_OK)
			return FW_ERROR;
		fw_progress(cutter->video.invocation, (double)part + 1, (double)parts, NULL);
	}
	return FW_OK;
}

__attribute__((visibility("default"))) int cut(struct fw_invocation *invocation)
{
	double batch_seconds = fw_param_number(invocation, "batch_seconds", 10);
	struct fw_object object;
	int rc;

	if (!(batch_seconds > 0))
		return fw_fail_invocation(invocation, "Function.Parameter", "parameter 'batch_seconds' must be above 0");
	while ((rc = fw_next_input(invocation, "videos", &object)) == FW_OK) {
		struct cutter cutter = {.first = 0};

		if (strlen(object.uri) >= BATCH_SOURCE)
			return fw_fail_invocation(invocation, "Video.Unsupported", "%s: its name is longer than %d bytes", object.uri,
			                          BATCH_SOURCE - 1);
		rc = video_open(&cutter.video, invocation, &object, 1);
		if (rc == FW_OK)
			rc = measure(&cutter);
		if (rc == FW_OK)
			rc = cut_parts(&cutter, &object, batch_seconds);
		video_close(&cutter.video);
		if (rc != FW_OK)
			return FW_ERROR;
	}
	return rc == FW_END ? FW_OK : rc;
}
