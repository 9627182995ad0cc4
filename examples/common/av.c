/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and decoding one video. A packet that cannot be decoded is a corrupt video: a stage that went on would hand
 * guessed pictures to the next.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "av.h"

int video_fail(const struct video *video, const char *type, int error, const char *what)
{
	char why[AV_ERROR_MAX_STRING_SIZE] = "";

	av_strerror(error, why, sizeof why);
	return fw_fail_invocation(video->invocation, type, "%s: %s: %s", video->uri, what, why);
}

int video_threads(struct fw_invocation *invocation)
{
	int64_t threads = fw_param_integer(invocation, "threads", 0);
	cpu_set_t visible;

	if (threads > 0 && threads <= 64)
		return (int)threads;
	return sched_getaffinity(0, sizeof visible, &visible) == 0 ? CPU_COUNT(&visible) : 1;
}

/* By FFmpeg's name of the codec, or, where it has none, by what the file calls it. */
static int fail_without_decoder(const struct video *video)
{
	const AVCodecParameters *parameters = video->stream->codecpar;
	char mark[AV_FOURCC_MAX_STRING_SIZE];

	av_fourcc_make_string(mark, parameters->codec_tag);
	return fw_fail_invocation(video->invocation, "Video.Unsupported", "%s: there is no decoder for its codec, %s", video->uri,
	                          parameters->codec_id == AV_CODEC_ID_NONE ? mark : avcodec_get_name(parameters->codec_id));
}

static int open_decoder(struct video *video, int threads)
{
	const AVCodec *codec = avcodec_find_decoder(video->stream->codecpar->codec_id);

	if (!codec)
		return fail_without_decoder(video);
	video->decoder = avcodec_alloc_context3(codec);
	if (!video->decoder)
		return video_fail(video, "Video.Memory", AVERROR(ENOMEM), "open the decoder");
	avcodec_parameters_to_context(video->decoder, video->stream->codecpar);
	video->decoder->pkt_timebase = video->stream->time_base;
	video->decoder->thread_count = threads;
	int rc = avcodec_open2(video->decoder, codec, NULL);
	return rc < 0 ? video_fail(video, "Video.Unsupported", rc, "open the decoder") : FW_OK;
}

int video_open(struct video *video, struct fw_invocation *invocation, const struct fw_object *object, int threads)
{
	*video = (struct video){.invocation = invocation, .uri = object->uri, .begin = INT64_MIN, .end = INT64_MAX, .entry = INT64_MIN};
	av_log_set_level(AV_LOG_ERROR);
	if (object->bytes == 0)
		return fw_fail_invocation(invocation, "Video.Empty", "%s: the file is empty", object->uri);
	int rc = avformat_open_input(&video->format, object->path, NULL, NULL);
	if (rc < 0)
		return video_fail(video, rc == AVERROR_INVALIDDATA ? "Video.Corrupt" : "Video.Unreadable", rc, "not a readable video");
	rc = avformat_find_stream_info(video->format, NULL);
	if (rc < 0)
		return video_fail(video, "Video.Corrupt", rc, "find its streams");
	int index = av_find_best_stream(video->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
	if (index < 0)
		return fw_fail_invocation(invocation, "Video.Unsupported", "%s: there is no video in it", object->uri);
	video->stream = video->format->streams[index];
	for (unsigned i = 0; i < video->format->nb_streams; i++)
		if ((int)i != index)
			video->format->streams[i]->discard = AVDISCARD_ALL;
	video->packet = av_packet_alloc();
	video->frame = av_frame_alloc();
	if (!video->packet || !video->frame)
		return video_fail(video, "Video.Memory", AVERROR(ENOMEM), "open");
	return open_decoder(video, threads);
}

void video_close(struct video *video)
{
	av_packet_free(&video->packet);
	av_frame_free(&video->frame);
	avcodec_free_context(&video->decoder);
	avformat_close_input(&video->format);
}

int64_t video_until(const struct video *video)
{
	const AVFormatContext *format = video->format;
	const AVStream *stream = video->stream;
	int64_t duration = stream->duration;

	/* The length of the whole is the video's where nothing else is in it. */
	if (duration == AV_NOPTS_VALUE && format->duration != AV_NOPTS_VALUE && format->nb_streams == 1)
		duration = av_rescale_q(format->duration, AV_TIME_BASE_Q, stream->time_base);
	bool told = stream->start_time != AV_NOPTS_VALUE && duration != AV_NOPTS_VALUE && duration > 0 &&
	            format->duration_estimation_method != AVFMT_DURATION_FROM_BITRATE;
	return told ? stream->start_time + duration : AV_NOPTS_VALUE;
}

int video_next_packet(struct video *video)
{
	for (;;) {
		int rc = av_read_frame(video->format, video->packet);

		if (rc == AVERROR_EOF)
			return FW_END;
		if (rc < 0)
			return video_fail(video, "Video.Corrupt", rc, "read");
		if (video->packet->flags & AV_PKT_FLAG_CORRUPT)
			return video_fail(video, "Video.Corrupt", AVERROR_INVALIDDATA, "read");
		if (video->packet->stream_index == video->stream->index) {
			if (video->entry == INT64_MIN && video->packet->pts != AV_NOPTS_VALUE)
				video->entry = video->packet->pts;
			return FW_OK;
		}
		av_packet_unref(video->packet);
	}
}

int video_decode(struct video *video, const AVPacket *packet)
{
	int rc = avcodec_send_packet(video->decoder, packet);

	return rc < 0 && rc != AVERROR_EOF ? video_fail(video, "Video.Corrupt", rc, "decode") : FW_OK;
}

int video_next_frame(struct video *video)
{
	for (;;) {
		int rc = avcodec_receive_frame(video->decoder, video->frame);

		if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
			return FW_END;
		if (rc < 0)
			return video_fail(video, "Video.Corrupt", rc, "decode");
		int64_t time = video->frame->best_effort_timestamp;
		bool wanted = time == AV_NOPTS_VALUE || (time >= video->begin && time < video->end);
		bool damaged = video->frame->decode_error_flags || (video->frame->flags & AV_FRAME_FLAG_CORRUPT);
		if (wanted && !damaged)
			return FW_OK;
		av_frame_unref(video->frame);
		/* The part's frames refer to those before it, down to the keyframe that decoding began with. */
		if (damaged && (wanted || time >= video->entry))
			return video_fail(video, "Video.Corrupt", AVERROR_INVALIDDATA, "a frame is damaged");
	}
}

static int take_decoded(struct video *video, video_frame_fn *take, void *context)
{
	int rc;

	while ((rc = video_next_frame(video)) == FW_OK) {
		rc = take(context, video->frame);
		av_frame_unref(video->frame);
		if (rc != FW_OK)
			return rc;
		fw_units(video->invocation, 1);
	}
	return rc == FW_END ? FW_OK : rc;
}

int video_each_frame(struct video *video, video_frame_fn *take, void *context)
{
	double total = video->format->duration > 0 ? (double)video->format->duration / AV_TIME_BASE : 0;
	double start = video->format->start_time != AV_NOPTS_VALUE ? (double)video->format->start_time / AV_TIME_BASE : 0;
	int rc;

	while ((rc = video_next_packet(video)) == FW_OK) {
		int64_t pts = video->packet->pts;
		double at = pts == AV_NOPTS_VALUE ? 0 : (double)pts * av_q2d(video->stream->time_base) - start;

		rc = video_decode(video, video->packet);
		av_packet_unref(video->packet);
		if (rc != FW_OK || take_decoded(video, take, context) != FW_OK)
			return FW_ERROR;
		if (at >= 0 && (at < total || total <= 0)) /* the end is told and waited for: it must not come with every packet */
			fw_progress(video->invocation, at, total, NULL);
	}
	return rc == FW_END && video_decode(video, NULL) == FW_OK ? take_decoded(video, take, context) : FW_ERROR;
}
