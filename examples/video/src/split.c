/* SPDX-License-Identifier: Apache-2.0
 *
 * split_videos: every video into chunks of chunk_seconds, H.264 without audio. One decoder and one encoder work through the
 * whole video; the first frame at or after each cut is made a keyframe, and where the encoder's packets reach one, the next
 * file begins. So each frame is decoded and encoded once, the lookahead sees across the cuts, and no frame is lost or
 * doubled: the chunks together hold exactly the frames of the video.
 */
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "av.h"

enum { CUTS_WAITING = 64 }; /* cuts that the encoder has not yet given out: its lookahead is shorter than that */

struct splitter {
	struct video video;
	AVCodecContext *encoder;
	struct SwsContext *scaler; /* only when the encoder does not take the decoder's pixels */
	AVFrame *scaled;
	AVPacket *encoded;
	AVFormatContext *chunk;
	double chunk_seconds;
	int threads;
	int format;                /* of the first frame's pixels */
	int64_t first_pts;         /* of the video, in the stream's time base */
	int64_t last_pts;          /* in the encoder's */
	int64_t chunk_number;      /* of the frame that was encoded last */
	int64_t cuts[CUTS_WAITING]; /* pts of the keyframes that begin a chunk, in the encoder's time base */
	unsigned cuts_head, cuts_tail;
	int64_t offset;            /* pts of the open chunk's first frame */
	int64_t frames;
};

static int fail(const struct splitter *splitter, int error, const char *what)
{
	return video_fail(&splitter->video, "Video.Encode", error, what);
}

/* Constant rates count frames; others keep the ticks of the source. */
static AVRational choose_time_base(const struct video *video, AVRational *rate)
{
	const AVStream *stream = video->stream;

	*rate = av_guess_frame_rate(video->format, video->stream, NULL);
	if (rate->num <= 0 || rate->den <= 0)
		*rate = (AVRational){25, 1};
	bool constant = stream->r_frame_rate.num > 0 && stream->avg_frame_rate.num > 0 &&
	                fabs(av_q2d(stream->r_frame_rate) / av_q2d(stream->avg_frame_rate) - 1) < 0.005;
	return constant && av_q2d(*rate) < 1000 ? av_inv_q(*rate) : stream->time_base;
}

static int open_scaler(struct splitter *splitter, const AVFrame *frame)
{
	AVCodecContext *encoder = splitter->encoder;

	splitter->scaled = av_frame_alloc();
	splitter->scaler = sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
	                                  encoder->pix_fmt, SWS_BICUBIC, NULL, NULL, NULL);
	if (!splitter->scaled || !splitter->scaler)
		return fail(splitter, AVERROR(EINVAL), "convert its pixels");
	splitter->scaled->width = frame->width;
	splitter->scaled->height = frame->height;
	splitter->scaled->format = encoder->pix_fmt;
	int rc = av_frame_get_buffer(splitter->scaled, 0); /* the encoder copies: one is enough */
	return rc < 0 ? fail(splitter, rc, "convert its pixels") : FW_OK;
}

static int open_encoder(struct splitter *splitter, const AVFrame *frame)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
	AVCodecContext *encoder = codec ? avcodec_alloc_context3(codec) : NULL;
	AVRational rate;

	if (!encoder) {
		fw_fail_invocation(splitter->video.invocation, "Video.NoEncoder", "this FFmpeg has no libx264");
		return FW_ERROR;
	}
	splitter->encoder = encoder;
	splitter->format = frame->format;
	encoder->pix_fmt = avcodec_find_best_pix_fmt_of_list(codec->pix_fmts, frame->format, 0, NULL);
	const AVPixFmtDescriptor *pixels = av_pix_fmt_desc_get(encoder->pix_fmt);
	/* Halved chroma wants even sides: an odd last column or row is cut off. */
	encoder->width = frame->width & ~((1 << pixels->log2_chroma_w) - 1);
	encoder->height = frame->height & ~((1 << pixels->log2_chroma_h) - 1);
	encoder->time_base = choose_time_base(&splitter->video, &rate);
	encoder->framerate = rate;
	encoder->sample_aspect_ratio = frame->sample_aspect_ratio;
	encoder->color_range = frame->color_range;
	encoder->colorspace = frame->colorspace;
	encoder->color_primaries = frame->color_primaries;
	encoder->color_trc = frame->color_trc;
	encoder->chroma_sample_location = frame->chroma_location;
	encoder->thread_count = splitter->threads;
	encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	av_opt_set(encoder->priv_data, "preset", "medium", 0);
	int rc = avcodec_open2(encoder, codec, NULL);
	if (rc < 0)
		return fail(splitter, rc, "open the encoder");
	return encoder->pix_fmt == frame->format ? FW_OK : open_scaler(splitter, frame);
}

/* How a player is to turn the picture is no part of the pixels, and must not get lost. */
static void copy_rotation(const AVStream *from, AVStream *to)
{
	size_t size = 0;
	const uint8_t *matrix = av_stream_get_side_data(from, AV_PKT_DATA_DISPLAYMATRIX, &size);
	uint8_t *copy = matrix ? av_stream_new_side_data(to, AV_PKT_DATA_DISPLAYMATRIX, size) : NULL;

	if (copy)
		memcpy(copy, matrix, size);
}

static int open_chunk(struct splitter *splitter)
{
	const char *path = fw_output_path(splitter->video.invocation, "chunks", ".mp4");

	if (!path)
		return FW_ERROR;
	int rc = avformat_alloc_output_context2(&splitter->chunk, NULL, "mp4", path);
	AVStream *stream = rc < 0 ? NULL : avformat_new_stream(splitter->chunk, NULL);
	if (!stream)
		return fail(splitter, AVERROR(ENOMEM), "open a chunk");
	avcodec_parameters_from_context(stream->codecpar, splitter->encoder);
	stream->time_base = splitter->encoder->time_base;
	stream->avg_frame_rate = splitter->encoder->framerate;
	copy_rotation(splitter->video.stream, stream);
	rc = avio_open(&splitter->chunk->pb, path, AVIO_FLAG_WRITE);
	if (rc >= 0)
		rc = avformat_write_header(splitter->chunk, NULL);
	return rc < 0 ? fail(splitter, rc, path) : FW_OK;
}

static int close_chunk(struct splitter *splitter)
{
	if (!splitter->chunk)
		return FW_OK;
	int rc = av_write_trailer(splitter->chunk);
	int closed = avio_closep(&splitter->chunk->pb);
	avformat_free_context(splitter->chunk);
	splitter->chunk = NULL;
	return rc < 0 || closed < 0 ? fail(splitter, rc < 0 ? rc : closed, "write a chunk") : FW_OK;
}

static int write_packet(struct splitter *splitter)
{
	AVPacket *packet = splitter->encoded;
	bool cut = splitter->cuts_head != splitter->cuts_tail &&
	           packet->pts == splitter->cuts[splitter->cuts_head % CUTS_WAITING];

	if (cut) {
		splitter->cuts_head++;
		splitter->offset = packet->pts;
		if (close_chunk(splitter) != FW_OK || open_chunk(splitter) != FW_OK)
			return FW_ERROR;
	}
	packet->pts -= splitter->offset;
	packet->dts -= splitter->offset;
	packet->duration = packet->duration ? packet->duration
	                                    : av_rescale_q(1, av_inv_q(splitter->encoder->framerate), splitter->encoder->time_base);
	av_packet_rescale_ts(packet, splitter->encoder->time_base, splitter->chunk->streams[0]->time_base);
	packet->stream_index = 0;
	int rc = av_write_frame(splitter->chunk, packet);
	return rc < 0 ? fail(splitter, rc, "write a chunk") : FW_OK;
}

/* A frame, or NULL at the end. */
static int encode(struct splitter *splitter, const AVFrame *frame)
{
	int rc = avcodec_send_frame(splitter->encoder, frame);

	while (rc >= 0) {
		rc = avcodec_receive_packet(splitter->encoder, splitter->encoded);
		if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
			return FW_OK;
		if (rc < 0)
			break;
		fw_write_begin(splitter->video.invocation);
		int written = write_packet(splitter);
		fw_write_end(splitter->video.invocation);
		av_packet_unref(splitter->encoded);
		if (written != FW_OK)
			return FW_ERROR;
	}
	return fail(splitter, rc, "encode");
}

static int convert(struct splitter *splitter, AVFrame **frame)
{
	if (!splitter->scaler)
		return FW_OK;
	if (av_frame_make_writable(splitter->scaled) < 0)
		return fail(splitter, AVERROR(ENOMEM), "convert its pixels");
	sws_scale(splitter->scaler, (const uint8_t *const *)(*frame)->data, (*frame)->linesize, 0, (*frame)->height,
	          splitter->scaled->data, splitter->scaled->linesize);
	splitter->scaled->pts = (*frame)->pts;
	splitter->scaled->pict_type = (*frame)->pict_type;
	*frame = splitter->scaled;
	return FW_OK;
}

/* Times count from the first frame. The first frame at or after a cut begins a chunk, even when a gap skips a whole one. */
static void place_frame(struct splitter *splitter, AVFrame *frame)
{
	const AVRational from = splitter->video.stream->time_base, to = splitter->encoder->time_base;
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

static int encode_decoded(struct splitter *splitter)
{
	int rc;

	while ((rc = video_next_frame(&splitter->video)) == FW_OK) {
		AVFrame *frame = splitter->video.frame;

		if (!splitter->encoder && open_encoder(splitter, frame) != FW_OK)
			return FW_ERROR;
		if ((frame->width & ~1) != (splitter->encoder->width & ~1) || (frame->height & ~1) != (splitter->encoder->height & ~1))
			return fw_fail_invocation(splitter->video.invocation, "Video.Unsupported", "%s: its size changes on the way",
			                          splitter->video.uri);
		if (frame->format != splitter->format)
			return fw_fail_invocation(splitter->video.invocation, "Video.Unsupported",
			                          "%s: the format of its pixels changes on the way", splitter->video.uri);
		place_frame(splitter, frame);
		if (splitter->cuts_tail - splitter->cuts_head > CUTS_WAITING)
			return fw_fail_invocation(splitter->video.invocation, "Video.Unsupported",
			                          "%s: chunk_seconds is too small for its frame rate", splitter->video.uri);
		rc = convert(splitter, &frame) == FW_OK ? encode(splitter, frame) : FW_ERROR;
		av_frame_unref(splitter->video.frame);
		if (rc != FW_OK)
			return rc;
		fw_units(splitter->video.invocation, 1);
	}
	return rc == FW_END ? FW_OK : rc;
}

static int split_opened(struct splitter *splitter)
{
	struct video *video = &splitter->video;
	double total = video->format->duration > 0 ? (double)video->format->duration / AV_TIME_BASE : 0;
	int rc;

	splitter->encoded = av_packet_alloc();
	if (!splitter->encoded)
		return fail(splitter, AVERROR(ENOMEM), "open");
	while ((rc = video_next_packet(video)) == FW_OK) {
		double at = video->packet->pts == AV_NOPTS_VALUE ? 0 : (double)video->packet->pts * av_q2d(video->stream->time_base);

		rc = video_decode(video, video->packet);
		av_packet_unref(video->packet);
		if (rc != FW_OK || encode_decoded(splitter) != FW_OK)
			return FW_ERROR;
		fw_progress(video->invocation, at < total ? at : total, total, NULL);
	}
	if (rc != FW_END || video_decode(video, NULL) != FW_OK || encode_decoded(splitter) != FW_OK)
		return FW_ERROR;
	if (splitter->frames == 0)
		return fw_fail_invocation(video->invocation, "Video.Corrupt", "%s: there is no frame in it", video->uri);
	return encode(splitter, NULL) == FW_OK ? close_chunk(splitter) : FW_ERROR;
}

static int split_one(struct fw_invocation *invocation, const struct fw_object *object, double chunk_seconds)
{
	struct splitter splitter = {.chunk_seconds = chunk_seconds, .threads = video_threads(invocation)};
	int rc = video_open(&splitter.video, invocation, object, splitter.threads);

	if (rc == FW_OK)
		rc = split_opened(&splitter);
	if (splitter.chunk) {
		avio_closep(&splitter.chunk->pb);
		avformat_free_context(splitter.chunk);
	}
	av_packet_free(&splitter.encoded);
	av_frame_free(&splitter.scaled);
	sws_freeContext(splitter.scaler);
	avcodec_free_context(&splitter.encoder);
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
