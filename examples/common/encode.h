/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames into H.264 (libx264, preset medium) and packets into a file. Times are in the encoder's ticks, which the caller
 * chooses once for a video, so that what several workers encode fits together.
 */
#pragma once

#include "av.h"

struct SwsContext;

struct video_encoder {
	const struct video *video;
	AVCodecContext *context;
	AVPacket *packet;
	struct SwsContext *scaler; /* only when the encoder does not take the frames' pixels */
	AVFrame *scaled;
	int width, height, format; /* of the first frame, which all others must have */
};

typedef int video_packet_fn(void *context, AVPacket *packet);

/* Constant rates count frames; others keep the ticks of the source. */
AVRational video_choose_tick(const struct video *video, AVRational *rate);
/* FW_ERROR, recorded as Video.Unsupported: the frame is not of this size and format, which buffers were made for. */
int video_check_frame(const struct video *video, const AVFrame *frame, int width, int height, int format);
/* By the first frame. FW_ERROR: recorded. It may be closed in any case. */
int video_encoder_open(struct video_encoder *encoder, const struct video *video, const AVFrame *frame, AVRational tick,
                       AVRational rate, int threads);
/* A frame, or NULL at the end; each packet that is ready goes to `write`, timed as writing. */
int video_encode(struct video_encoder *encoder, AVFrame *frame, video_packet_fn *write, void *context);
void video_encoder_close(struct video_encoder *encoder);

struct video_file {
	struct fw_invocation *invocation;
	AVFormatContext *format; /* NULL: not open */
	AVRational tick;
	int64_t frame_ticks;     /* of a packet that does not know its own */
	int64_t until;           /* when the last frame is over; AV_NOPTS_VALUE: after a frame. Its owner may set it before the end */
	int64_t latest;          /* time of the last frame so far */
	AVPacket *held;          /* the last one that came: only when it is written is it known to be no other's predecessor */
};

/* What a file is made of: `comment` may be NULL. Without an edit list the times in the file are read back as they were written,
 * provided that the first dts is 0; with one, players begin at the first frame. */
struct video_file_options {
	const char *container;
	const char *comment;
	int edit_list;
	AVRational tick, rate;
};
/* It keeps the rotation of `video`. */
int video_file_open(struct video_file *file, const struct video *video, const char *path, const AVCodecParameters *codec,
                    const struct video_file_options *options);
int video_file_write(struct video_file *file, AVPacket *packet);
/* Ends the file. FW_OK when none is open. */
int video_file_close(struct video_file *file);
void video_file_abandon(struct video_file *file);
