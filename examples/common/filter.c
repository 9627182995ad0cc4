/* SPDX-License-Identifier: Apache-2.0
 *
 * libavfilter between decoder and encoder. The chain is built when the first frame is known.
 */
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>

#include "filter.h"

static int fail_filter(const struct video *video, int error, const char *description)
{
	char why[AV_ERROR_MAX_STRING_SIZE] = "";

	av_strerror(error, why, sizeof why);
	return fw_fail_invocation(video->invocation, "Video.BadFilter", "%s: filter '%s': %s", video->uri, description, why);
}

static int make_source(AVFilterContext **source, AVFilterGraph *graph, const char *name, const AVFrame *frame, AVRational tick)
{
	AVBufferSrcParameters *parameters = av_buffersrc_parameters_alloc();
	int rc = AVERROR(ENOMEM);

	*source = avfilter_graph_alloc_filter(graph, avfilter_get_by_name("buffer"), name);
	if (*source && parameters) {
		parameters->format = frame->format;
		parameters->width = frame->width;
		parameters->height = frame->height;
		parameters->time_base = tick;
		parameters->sample_aspect_ratio = frame->sample_aspect_ratio;
		rc = av_buffersrc_parameters_set(*source, parameters);
		if (rc >= 0)
			rc = avfilter_init_str(*source, NULL);
	}
	av_free(parameters);
	return rc;
}

static AVFilterInOut *make_end(const char *name, AVFilterContext *context, AVFilterInOut *next)
{
	AVFilterInOut *end = avfilter_inout_alloc();

	if (end) {
		end->name = av_strdup(name);
		end->filter_ctx = context;
		end->next = next;
	} else {
		avfilter_inout_free(&next);
	}
	return end;
}

static int parse(struct video_filter *filter, const char *description, AVFilterContext *picture)
{
	AVFilterInOut *sources = picture ? make_end("picture", picture, NULL) : NULL;
	AVFilterInOut *sinks = make_end("out", filter->sink, NULL);

	sources = make_end("in", filter->source, sources);
	int rc = sources && sinks ? avfilter_graph_parse_ptr(filter->graph, description, &sinks, &sources, NULL) : AVERROR(ENOMEM);
	avfilter_inout_free(&sources);
	avfilter_inout_free(&sinks);
	return rc >= 0 ? avfilter_graph_config(filter->graph, NULL) : rc;
}

static int build(struct video_filter *filter, const AVFrame *first, const char *description, AVFrame *picture)
{
	AVRational tick = filter->video->stream->time_base;
	AVFilterContext *second = NULL;
	int rc = make_source(&filter->source, filter->graph, "source", first, tick);

	if (rc >= 0 && picture)
		rc = make_source(&second, filter->graph, "picture", picture, tick);
	if (rc >= 0)
		rc = avfilter_graph_create_filter(&filter->sink, avfilter_get_by_name("buffersink"), "sink", NULL, NULL, filter->graph);
	if (rc >= 0)
		rc = parse(filter, description, second);
	if (rc >= 0 && picture) {
		picture->pts = first->pts; /* it stays until the end */
		rc = av_buffersrc_write_frame(second, picture);
		if (rc >= 0)
			rc = av_buffersrc_write_frame(second, NULL);
	}
	return rc;
}

int video_filter_open(struct video_filter *filter, const struct video *video, const AVFrame *first, const char *description,
                      AVFrame *picture)
{
	*filter = (struct video_filter){.video = video, .graph = avfilter_graph_alloc(), .frame = av_frame_alloc(),
	                                .width = first->width, .height = first->height, .format = first->format};
	int rc = filter->graph && filter->frame ? 0 : AVERROR(ENOMEM);
	if (rc >= 0) {
		filter->graph->nb_threads = video->decoder->thread_count;
		rc = build(filter, first, description, picture);
	}
	return rc < 0 ? fail_filter(video, rc, description) : FW_OK;
}

void video_filter_close(struct video_filter *filter)
{
	avfilter_graph_free(&filter->graph);
	av_frame_free(&filter->frame);
}

int video_filter_push(struct video_filter *filter, AVFrame *frame)
{
	/* The graph was made for the first frame's buffers: filters would read behind those of a smaller one. */
	if (frame && video_check_frame(filter->video, frame, filter->width, filter->height, filter->format) != FW_OK)
		return FW_ERROR;
	int rc = av_buffersrc_add_frame_flags(filter->source, frame, AV_BUFFERSRC_FLAG_KEEP_REF);

	return rc < 0 ? video_fail(filter->video, "Video.Filter", rc, "filter") : FW_OK;
}

int video_filter_next(struct video_filter *filter)
{
	int rc = av_buffersink_get_frame(filter->sink, filter->frame);

	if (rc == AVERROR(EAGAIN) || rc == AVERROR_EOF)
		return FW_END;
	return rc < 0 ? video_fail(filter->video, "Video.Filter", rc, "filter") : FW_OK;
}

static int encode_filtered(struct video_transform *transform)
{
	AVFrame *frame = transform->graph.frame;

	if (transform->frames == 0 && video_encoder_open(&transform->encoder, transform->video, frame, transform->tick,
	                                                 transform->rate, transform->threads) != FW_OK)
		return FW_ERROR;
	AVRational tick = av_buffersink_get_time_base(transform->graph.sink); /* a filter may choose its own */
	int64_t origin = av_rescale_q(transform->origin, transform->video->stream->time_base, tick);
	int64_t time = av_rescale_q(frame->pts - origin, tick, transform->tick);
	/* Two frames that round to the same tick are two frames still. */
	transform->last = transform->frames > 0 && time <= transform->last ? transform->last + 1 : time;
	frame->pts = transform->last;
	frame->pict_type = AV_PICTURE_TYPE_NONE;
	transform->frames++;
	return video_encode(&transform->encoder, frame, transform->write, transform->context);
}

static int drain_filter(struct video_transform *transform)
{
	int rc;

	while ((rc = video_filter_next(&transform->graph)) == FW_OK) {
		rc = encode_filtered(transform);
		av_frame_unref(transform->graph.frame);
		if (rc != FW_OK)
			return rc;
	}
	return rc == FW_END ? FW_OK : rc;
}

static int take_frame(void *context, AVFrame *frame)
{
	struct video_transform *transform = context;

	frame->pts = frame->best_effort_timestamp;
	if (frame->pts == AV_NOPTS_VALUE)
		return fw_fail_invocation(transform->video->invocation, "Video.Unsupported", "%s: its frames have no times",
		                          transform->video->uri);
	if (!transform->graph.graph) {
		transform->origin = transform->origin == AV_NOPTS_VALUE ? frame->pts : transform->origin;
		if (video_filter_open(&transform->graph, transform->video, frame, transform->filter, transform->picture) != FW_OK)
			return FW_ERROR;
	}
	return video_filter_push(&transform->graph, frame) == FW_OK ? drain_filter(transform) : FW_ERROR;
}

int video_transform(struct video_transform *transform)
{
	if (video_each_frame(transform->video, take_frame, transform) != FW_OK)
		return FW_ERROR;
	if (!transform->graph.graph)
		return FW_OK; /* no frame at all: the caller knows whether that may be */
	if (video_filter_push(&transform->graph, NULL) != FW_OK || drain_filter(transform) != FW_OK)
		return FW_ERROR;
	return transform->frames > 0 ? video_encode(&transform->encoder, NULL, transform->write, transform->context) : FW_OK;
}

void video_transform_close(struct video_transform *transform)
{
	video_encoder_close(&transform->encoder);
	video_filter_close(&transform->graph);
}
