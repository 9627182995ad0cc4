/* SPDX-License-Identifier: Apache-2.0
 *
 * What all FFmpeg stages share: opening a video, decoding it, and telling why it cannot be read. FFmpeg's builds with x264
 * are GPL, and so is what links them: it stays in modules that are loaded when they are needed.
 */
#pragma once

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "flexwatt/function.h"

struct video {
	struct fw_invocation *invocation;
	const char *uri;
	AVFormatContext *format;
	AVStream *stream;
	AVCodecContext *decoder;
	AVPacket *packet;
	AVFrame *frame;
	int64_t begin, end; /* frames before `begin` or from `end` on are not given out; in the stream's ticks */
	int64_t entry;      /* time of the first packet: frames before it may lack what they refer to */
};

/* FW_ERROR: recorded as Video.Empty, Video.Corrupt, Video.Unsupported, Video.Unreadable (the file, not what is in it) or
 * Video.Memory. `video` may be closed in any case. */
int video_open(struct video *video, struct fw_invocation *invocation, const struct fw_object *object, int threads);
void video_close(struct video *video);
/* When the last frame is over, in the stream's ticks, as the file says: a last frame may stay for long. AV_NOPTS_VALUE: it does not say. */
int64_t video_until(const struct video *video);
/* The next packet of the video stream: FW_OK, FW_END, FW_ERROR (recorded). It is the caller's to unref. */
int video_next_packet(struct video *video);
/* Gives a packet (NULL: the end) to the decoder; FW_ERROR: recorded as Video.Corrupt. */
int video_decode(struct video *video, const AVPacket *packet);
/* The next decoded frame: FW_OK, FW_END when the decoder wants more or is empty, FW_ERROR. */
int video_next_frame(struct video *video);
/* Decodes to the end and calls `take` for each frame. */
typedef int video_frame_fn(void *context, AVFrame *frame);
int video_each_frame(struct video *video, video_frame_fn *take, void *context);
int video_fail(const struct video *video, const char *type, int error, const char *what);
/* The parameter `threads`, else the CPUs that this process may use. */
int video_threads(struct fw_invocation *invocation);
