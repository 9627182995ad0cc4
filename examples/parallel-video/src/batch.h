/* SPDX-License-Identifier: Apache-2.0
 *
 * A batch: the part of a video that one worker does. It is a playable file whose comment says which part of which video it
 * is and when it begins, so that the batches of many videos may arrive in any order and still fit together to the tick.
 */
#pragma once

#include "../../common/encode.h"

enum { BATCH_SOURCE = 2048, BATCH_TEXT = BATCH_SOURCE + 512 };

struct batch {
	int64_t part, parts;
	int64_t begin, end;       /* frames of the part: begin <= time < end; INT64_MIN and INT64_MAX where it is open */
	int64_t shift;            /* time of what is 0 in the file */
	int64_t until;            /* when the video's last frame is over; INT64_MIN: a frame after it began */
	AVRational tick;          /* unit of these four, which count from the video's first frame */
	AVRational encoder, rate; /* ticks and frame rate that all encoders of this video use */
	int empty;                /* there is no frame in the file; batch_peek tells */
	char source[BATCH_SOURCE]; /* its URI: what tells videos apart, and so never cut off */
};

void batch_describe(const struct batch *batch, char text[static BATCH_TEXT]);
/* FW_ERROR when the text is no batch's; nothing is recorded. */
int batch_parse(const char *text, struct batch *batch);
/* What the file's comment says, without opening a decoder. FW_ERROR: recorded as Video.Corrupt with the object's name. */
int batch_peek(struct fw_invocation *invocation, const struct fw_object *object, struct batch *batch);

/* The file of a batch that a stage writes: it is opened with the first packet, whose dts becomes `shift`. */
struct batch_file {
	struct video_file file;
	const struct video *video;
	const char *output; /* name of the stage's output */
	const AVCodecParameters *codec;
	struct batch batch;
	int64_t last_dts;
};
int batch_write(struct batch_file *file, AVPacket *packet);
/* Ends it; without a packet it is a file without frames, which tells that nothing is missing. */
int batch_close(struct batch_file *file);
