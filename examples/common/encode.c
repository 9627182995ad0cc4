/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames into H.264 (libx264, preset medium) and packets into a file.
 */
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "encode.h"

static int fail(const struct video *video, int error, const char *what)
{
	return video_fail(video, "Video.Encode", error, what);
}

AVRational video_choose_tick(const struct video *video, AVRational *rate)
{
	const AVStream *stream = video->stream;

	*rate = av_guess_frame_rate(video->format, video->stream, NULL);
	if (rate->num <= 0 || rate->den <= 0)
		*rate = (AVRational){25, 1};
	bool constant = stream->r_frame_rate.num > 0 && stream->avg_frame_rate.num > 0 &&
	                fabs(av_q2d(stream->r_frame_rate) / av_q2d(stream->avg_frame_rate) - 1) < 0.005;
	return constant && av_q2d(*rate) < 1000 ? av_inv_q(*rate) : stream->time_base;
}

static int open_scaler(struct video_encoder *encoder, const AVFrame *frame)
{
	encoder->scaled = av_frame_alloc();
	encoder->scaler = sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
	                                 encoder->context->pix_fmt, SWS_BICUBIC, NULL, NULL, NULL);
	if (!encoder->scaled || !encoder->scaler)
		return fail(encoder->video, AVERROR(EINVAL), "convert its pixels");
	encoder->scaled->width = frame->width;
	encoder->scaled->height = frame->height;
	encoder->scaled->format = encoder->context->pix_fmt;
	int rc = av_frame_get_buffer(encoder->scaled, 0); /* the encoder copies: one is enough */
	return rc < 0 ? fail(encoder->video, rc, "convert its pixels") : FW_OK;
}

/* What the pixels are and mean. */
static void describe_picture(AVCodecContext *context, const AVCodec *codec, const AVFrame *frame)
{
	context->pix_fmt = avcodec_find_best_pix_fmt_of_list(codec->pix_fmts, frame->format, 0, NULL);
	const AVPixFmtDescriptor *pixels = av_pix_fmt_desc_get(context->pix_fmt);
	/* Halved chroma wants even sides: an odd last column or row is cut off. */
	context->width = frame->width & ~((1 << pixels->log2_chroma_w) - 1);
	context->height = frame->height & ~((1 << pixels->log2_chroma_h) - 1);
	context->sample_aspect_ratio = frame->sample_aspect_ratio;
	context->color_range = frame->color_range;
	context->colorspace = frame->colorspace;
	context->color_primaries = frame->color_primaries;
	context->color_trc = frame->color_trc;
	context->chroma_sample_location = frame->chroma_location;
}

int video_encoder_open(struct video_encoder *encoder, const struct video *video, const AVFrame *frame, AVRational tick,
                       AVRational rate, int threads)
{
	const AVCodec *codec = avcodec_find_encoder_by_name("libx264");

	*encoder = (struct video_encoder){.video = video, .width = frame->width, .height = frame->height, .format = frame->format};
	if (!codec)
		return fw_fail_invocation(video->invocation, "Video.NoEncoder", "this FFmpeg has no libx264");
	encoder->packet = av_packet_alloc();
	encoder->context = avcodec_alloc_context3(codec);
	if (!encoder->packet || !encoder->context)
		return fail(video, AVERROR(ENOMEM), "open the encoder");
	describe_picture(encoder->context, codec, frame);
	encoder->context->time_base = tick;
	encoder->context->framerate = rate;
	encoder->context->thread_count = threads;
	encoder->context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
	av_opt_set(encoder->context->priv_data, "preset", "medium", 0);
	int rc = avcodec_open2(encoder->context, codec, NULL);
	if (rc < 0)
		return fail(video, rc, "open the encoder");
	return encoder->context->pix_fmt == frame->format ? FW_OK : open_scaler(encoder, frame);
}

void video_encoder_close(struct video_encoder *encoder)
{
	av_packet_free(&encoder->packet);
	av_frame_free(&encoder->scaled);
	sws_freeContext(encoder->scaler);
	encoder->scaler = NULL;
	avcodec_free_context(&encoder->context);
}

int video_check_frame(const struct video *video, const AVFrame *frame, int width, int height, int format)
{
	if (frame->width != width || frame->height != height)
		return fw_fail_invocation(video->invocation, "Video.Unsupported", "%s: its size changes on the way, from %dx%d to %dx%d",
		                          video->uri, width, height, frame->width, frame->height);
	if (frame->format != format)
		return fw_fail_invocation(video->invocation, "Video.Unsupported", "%s: the format of its pixels changes on the way",
		                          video->uri);
	return FW_OK;
}

static int check_kind(const struct video_encoder *encoder, const AVFrame *frame)
{
	return video_check_frame(encoder->video, frame, encoder->width, encoder->height, encoder->format);
}

static int convert(struct video_encoder *encoder, AVFrame **frame)
{
	if (!encoder->scaler)
		return FW_OK;
	if (av_frame_make_writable(encoder->scaled) < 0)
		return fail(encoder->video, AVERROR(ENOMEM), "convert its pixels");
	sws_scale(encoder->scaler, (const uint8_t *const *)(*frame)->data, (*frame)->linesize, 0, (*frame)->height,
	          encoder->scaled->data, encoder->scaled->linesize);
	encoder->scaled->pts = (*frame)->pts;
	encoder->scaled->pict_type = (*frame)->pict_type;
	*frame = encoder->scaled;
	return FW_OK;
}

int video_encode(struct video_encoder *encoder, AVFrame *frame, video_packet_fn *write, void *context)
{
	if (frame && (check_kind(encoder, frame) != FW_OK || convert(encoder, &frame) != FW_OK))
		return FW_ERROR;
	int rc = avcodec_send_frame(encoder->context, frame);
	while (rc >= 0) {
		rc = avcodec_receive_packet(encoder->context, encoder->packet);
		if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
			return FW_OK;
		if (rc < 0)
			break;
		fw_write_begin(encoder->video->invocation);
		int written = write(context, encoder->packet);
		fw_write_end(encoder->video->invocation);
		av_packet_unref(encoder->packet);
		if (written != FW_OK)
			return FW_ERROR;
	}
	return fail(encoder->video, rc, "encode");
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

static int fail_file(const struct video_file *file, int error, const char *path)
{
	char why[AV_ERROR_MAX_STRING_SIZE] = "";

	av_strerror(error, why, sizeof why);
	return fw_fail_invocation(file->invocation, "Video.Write", "%s: %s", path, why);
}

int video_file_open(struct video_file *file, const struct video *video, const char *path, const AVCodecParameters *codec,
                    const struct video_file_options *options)
{
	AVDictionary *settings = NULL;

	*file = (struct video_file){.invocation = video->invocation, .tick = options->tick, .until = AV_NOPTS_VALUE,
	                            .latest = INT64_MIN};
	file->frame_ticks = av_rescale_q(1, av_inv_q(options->rate), options->tick);
	int rc = avformat_alloc_output_context2(&file->format, NULL, options->container, path);
	AVStream *stream = rc < 0 ? NULL : avformat_new_stream(file->format, NULL);
	file->held = av_packet_alloc();
	if (!stream || !file->held)
		return fail_file(file, rc < 0 ? rc : AVERROR(ENOMEM), path);
	avcodec_parameters_copy(stream->codecpar, codec);
	stream->codecpar->codec_tag = 0; /* the container's own */
	stream->time_base = options->tick;
	stream->avg_frame_rate = options->rate;
	copy_rotation(video->stream, stream);
	if (options->comment)
		av_dict_set(&file->format->metadata, "comment", options->comment, 0);
	if (!options->edit_list)
		av_dict_set(&settings, "use_editlist", "0", 0);
	rc = avio_open(&file->format->pb, path, AVIO_FLAG_WRITE);
	if (rc >= 0)
		rc = avformat_write_header(file->format, &settings);
	av_dict_free(&settings);
	return rc < 0 ? fail_file(file, rc, path) : FW_OK;
}

static int write_held(struct video_file *file)
{
	AVPacket *packet = file->held;

	if (!packet->data)
		return FW_OK;
	packet->duration = packet->duration ? packet->duration : file->frame_ticks;
	av_packet_rescale_ts(packet, file->tick, file->format->streams[0]->time_base);
	packet->stream_index = 0;
	packet->pos = -1;
	int rc = av_write_frame(file->format, packet);
	av_packet_unref(packet);
	return rc < 0 ? fail_file(file, rc, file->format->url) : FW_OK;
}

int video_file_write(struct video_file *file, AVPacket *packet)
{
	if (write_held(file) != FW_OK)
		return FW_ERROR;
	file->latest = packet->pts > file->latest ? packet->pts : file->latest;
	int rc = av_packet_ref(file->held, packet);
	return rc < 0 ? fail_file(file, rc, file->format->url) : FW_OK;
}

/* MP4 takes durations from the times of decoding; only the last packet's own counts, whichever frame is in it. */
static void hold_to_the_end(struct video_file *file)
{
	AVPacket *last = file->held;

	if (file->until != AV_NOPTS_VALUE && last->data && file->until - file->latest > file->frame_ticks)
		last->duration = file->until - last->pts;
}

void video_file_abandon(struct video_file *file)
{
	av_packet_free(&file->held);
	if (file->format)
		avio_closep(&file->format->pb);
	avformat_free_context(file->format);
	file->format = NULL;
}

int video_file_close(struct video_file *file)
{
	if (!file->format)
		return FW_OK;
	hold_to_the_end(file);
	if (write_held(file) != FW_OK)
		return FW_ERROR; /* its owner abandons it */
	int rc = av_write_trailer(file->format);
	int closed = avio_closep(&file->format->pb);
	if (rc < 0 || closed < 0)
		return fail_file(file, rc < 0 ? rc : closed, file->format->url);
	video_file_abandon(file);
	return FW_OK;
}
