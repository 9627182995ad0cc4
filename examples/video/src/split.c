/* SPDX-License-Identifier: Apache-2.0
 *
 * split_videos: every video into chunks of chunk_seconds, H.264 without audio. One decoder and one encoder work through the
 * whole video; the first frame at or after each cut is made a keyframe, and where the encoder's packets reach one, the next
 * file begins. So each frame is decoded and encoded once, the lookahead sees across the cuts, and no frame is lost or
 * doubled: the chunks together hold exactly the frames of the video.
 */
#include <math.h>
#include <stdbool.h>

#include "../../common/encode.h"
#include "image.h"

enum { CUTS_WAITING = 64 }; /* cuts that the encoder has not yet given out: its lookahead is shorter than that */

struct splitter {
	struct video video;
	struct video_encoder encoder;
	struct video_file chunk;
	AVRational tick, rate;      /* of the encoder */
	double chunk_seconds;
	int threads;
	int64_t first_pts;          /* of the video, in the stream's time base */
	int64_t last_pts;           /* in the encoder's */
	int64_t chunk_number;       /* of the frame that was encoded last */
	int64_t cuts[CUTS_WAITING]; /* pts of the keyframes that begin a chunk, in the encoder's time base */
	unsigned cuts_head, cuts_tail;
	int64_t offset;             /* pts of the open chunk's first frame */
	int64_t frames;
};

static int next_chunk(struct splitter *splitter)
{
	struct video_file_options options = {.container = "mp4", .edit_list = true, .tick = splitter->tick, .rate = splitter->rate};
	const char *path = fw_output_path(splitter->video.invocation, "chunks", ".mp4");
	AVCodecParameters *codec = avcodec_parameters_alloc();
	int rc = path && codec && video_file_close(&splitter->chunk) == FW_OK ? FW_OK : FW_ERROR;

	if (rc == FW_OK) {
		avcodec_parameters_from_context(codec, splitter->encoder.context);
		rc = video_file_open(&splitter->chunk, &splitter->video, path, codec, &options);
	}
	avcodec_parameters_free(&codec);
	return rc;
}

static int write_packet(void *context, AVPacket *packet)
{
	struct splitter *splitter = context;
	bool cut = splitter->cuts_head != splitter->cuts_tail &&
	           packet->pts == splitter->cuts[splitter->cuts_head % CUTS_WAITING];

	if (cut) {
		splitter->cuts_head++;
		splitter->offset = packet->pts;
		if (next_chunk(splitter) != FW_OK)
			return FW_ERROR;
	}
	packet->pts -= splitter->offset;
	packet->dts -= splitter->offset;
	return video_file_write(&splitter->chunk, packet);
}

/* Times count from the first frame. The first frame at or after a cut begins a chunk, even when a gap skips a whole one. */
static void place_frame(struct splitter *splitter, AVFrame *frame)
{
	const AVRational from = splitter->video.stream->time_base, to = splitter->tick;
	int64_t source = frame->best_effort_timestamp;

	if (splitter->frames == 0) {
		splitter->first_pts = source == AV_NOPTS_VALUE ? 0 : source;
		splitter->last_pts = splitter->chunk_number = -1;
	}
	int64_t pts = source == AV_NOPTS_VALUE ? splitter->last_pts + 1 : av_rescale_q(source - splitter->first_pts, from, to);
	pts = pts > splitter->last_pts ? pts : splitter->last_pts + 1;
	/* Half a frame of a constant rate is rounding, not time. */
	int64_t chunk = (int64_t)floor(((double)pts * av_q2d(to) + 1e-6) / splitter->chunk_seconds);
	frame->pts = splitter->last_pts = pts;
	frame->pict_type = AV_PICTURE_TYPE_NONE;
	if (chunk > splitter->chunk_number) {
		frame->pict_type = AV_PICTURE_TYPE_I;
		splitter->cuts[splitter->cuts_tail++ % CUTS_WAITING] = pts;
	}
	splitter->chunk_number = chunk;
	splitter->frames++;
}

static int take_frame(void *context, AVFrame *frame)
{
	struct splitter *splitter = context;

	if (splitter->frames == 0) {
		splitter->tick = video_choose_tick(&splitter->video, &splitter->rate);
		if (video_encoder_open(&splitter->encoder, &splitter->video, frame, splitter->tick, splitter->rate, splitter->threads) !=
		    FW_OK)
			return FW_ERROR;
	}
	place_frame(splitter, frame);
	if (splitter->cuts_tail - splitter->cuts_head > CUTS_WAITING)
		return fw_fail_invocation(splitter->video.invocation, "Video.Unsupported",
		                          "%s: chunk_seconds is too small for its frame rate", splitter->video.uri);
	return video_encode(&splitter->encoder, frame, write_packet, splitter);
}

static int split_opened(struct splitter *splitter)
{
	struct video *video = &splitter->video;

	if (video_each_frame(video, take_frame, splitter) != FW_OK)
		return FW_ERROR;
	if (splitter->frames == 0)
		return fw_fail_invocation(video->invocation, "Video.Corrupt", "%s: there is no frame in it", video->uri);
	if (video_encode(&splitter->encoder, NULL, write_packet, splitter) != FW_OK)
		return FW_ERROR;
	return video_file_close(&splitter->chunk);
}

static int split_one(struct fw_invocation *invocation, const struct fw_object *object, double chunk_seconds)
{
	struct splitter splitter = {.chunk_seconds = chunk_seconds, .threads = video_threads(invocation)};
	int rc = video_open(&splitter.video, invocation, object, splitter.threads);

	if (rc == FW_OK)
		rc = split_opened(&splitter);
	video_file_abandon(&splitter.chunk);
	video_encoder_close(&splitter.encoder);
	video_close(&splitter.video);
	return rc;
}

__attribute__((visibility("default"))) int split_videos(struct fw_invocation *invocation)
{
	double chunk_seconds = fw_param_number(invocation, "chunk_seconds", 10);
	struct fw_object object;
	int rc;

	if (!(chunk_seconds > 0))
		return fw_fail_invocation(invocation, "Function.Parameter", "parameter 'chunk_seconds' must be above 0");
	while ((rc = fw_next_input(invocation, "videos", &object)) == FW_OK)
		if (split_one(invocation, &object, chunk_seconds) != FW_OK)
			return FW_ERROR;
	return rc == FW_END ? FW_OK : rc;
}
