/* SPDX-License-Identifier: Apache-2.0
 *
 * process: each batch through the filters of `params.filter` into H.264. Only the frames that are the batch's own come out; what
 * lies before them was copied along because they refer to it.
 */
#include <stdbool.h>
#include <stdio.h>

#include "../../common/filter.h"
#include "batch.h"
#include "handlers.h"

struct processing {
	struct video_transform transform;
	struct batch_file file;
	AVCodecParameters *codec;
};

static int write_packet(void *context, AVPacket *packet)
{
	struct processing *processing = context;

	if (!processing->file.file.format)
		avcodec_parameters_from_context(processing->codec, processing->transform.encoder.context);
	return batch_write(&processing->file, packet);
}

static int64_t rescaled(int64_t time, AVRational from, AVRational to)
{
	return time == INT64_MIN || time == INT64_MAX ? time : av_rescale_q(time, from, to);
}

/* A time of the batch in ticks of its file. */
static int64_t in_file(const struct batch *batch, const struct video *video, int64_t time)
{
	bool is_open = time == INT64_MIN || time == INT64_MAX;

	return is_open ? time : av_rescale_q(time - batch->shift, batch->tick, video->stream->time_base);
}

static int process_opened(struct video *video, const struct batch *batch, const char *filter)
{
	struct processing processing = {.codec = avcodec_parameters_alloc()};
	struct batch_file *file = &processing.file;

	if (!processing.codec)
		return video_fail(video, "Video.Memory", AVERROR(ENOMEM), "open");
	video->begin = in_file(batch, video, batch->begin);
	video->end = in_file(batch, video, batch->end);
	processing.transform = (struct video_transform){.video = video,
	                                                .filter = filter,
	                                                .tick = batch->encoder,
	                                                .rate = batch->rate,
	                                                .origin = in_file(batch, video, 0),
	                                                .threads = video->decoder->thread_count,
	                                                .write = write_packet,
	                                                .context = &processing};
	*file = (struct batch_file){.video = video, .output = "processed", .codec = processing.codec, .batch = *batch};
	file->batch.begin = rescaled(batch->begin, batch->tick, batch->encoder);
	file->batch.end = rescaled(batch->end, batch->tick, batch->encoder);
	file->batch.until = rescaled(batch->until, batch->tick, batch->encoder);
	file->batch.tick = batch->encoder;
	avcodec_parameters_copy(processing.codec, video->stream->codecpar); /* of a batch without a frame */
	int rc = video_transform(&processing.transform);
	if (rc == FW_OK)
		rc = batch_close(file);
	video_file_abandon(&file->file);
	video_transform_close(&processing.transform);
	avcodec_parameters_free(&processing.codec);
	return rc;
}

static int process_one(struct fw_invocation *invocation, const struct fw_object *object, const char *filter)
{
	char name[2 * BATCH_TEXT];
	struct batch batch;
	struct video video;

	if (batch_peek(invocation, object, &batch) != FW_OK)
		return FW_ERROR;
	int rc = video_open(&video, invocation, object, video_threads(invocation));
	snprintf(name, sizeof name, "%s: batch %lld of %lld (%s)", batch.source, (long long)batch.part + 1, (long long)batch.parts,
	         object->uri);
	video.uri = name;
	if (rc == FW_OK)
		rc = process_opened(&video, &batch, filter);
	video_close(&video);
	return rc;
}

__attribute__((visibility("default"))) int process(struct fw_invocation *invocation)
{
	const char *filter = fw_param_text(invocation, "filter", "unsharp=5:5:1.0,hue=s=1.4");
	struct fw_object object;
	int rc;

	while ((rc = fw_next_input(invocation, "batches", &object)) == FW_OK)
		if (process_one(invocation, &object, filter) != FW_OK)
			return FW_ERROR;
	return rc == FW_END ? FW_OK : rc;
}
