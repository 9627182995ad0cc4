/* SPDX-License-Identifier: Apache-2.0
 *
 * libavfilter between decoder and encoder: every frame of a video through a chain of filters into H.264.
 */
#pragma once

#include <libavfilter/avfilter.h>

#include "encode.h"

struct video_filter {
	const struct video *video;
	AVFilterGraph *graph;
	AVFilterContext *source, *sink;
	AVFrame *frame;
	int width, height, format; /* of what comes in */
};

/* `description` as ffmpeg's -vf has it; with a picture its inputs are [in] and [picture]. FW_ERROR: recorded as
 * Video.BadFilter. It may be closed in any case. */
int video_filter_open(struct video_filter *filter, const struct video *video, const AVFrame *first, const char *description,
                      AVFrame *picture);
/* A frame, or NULL at the end. */
int video_filter_push(struct video_filter *filter, AVFrame *frame);
/* FW_OK: `frame` is the next one, the caller's to unref; FW_END: it wants more or is empty. */
int video_filter_next(struct video_filter *filter);
void video_filter_close(struct video_filter *filter);

struct video_transform {
	struct video *video;
	const char *filter;
	AVFrame *picture;       /* or NULL */
	AVRational tick, rate;  /* of the encoder */
	int64_t origin;         /* where its times count from, in the video's ticks; AV_NOPTS_VALUE: the first frame */
	int threads;
	video_packet_fn *write; /* of encoded packets, in the encoder's ticks */
	void *context;
	struct video_filter graph;
	struct video_encoder encoder;
	int64_t frames;         /* that came out */
	int64_t last;           /* time of the last one */
};

/* All of the video that lies in its part. It leaves the encoder's context to be looked at; close it in any case. */
int video_transform(struct video_transform *transform);
void video_transform_close(struct video_transform *transform);
