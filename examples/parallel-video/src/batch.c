/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches: what their comment says, and writing them without an edit list, so that times are read back as they were written.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"

void batch_describe(const struct batch *batch, char text[static BATCH_TEXT])
{
	snprintf(text, BATCH_TEXT,
	         "flexwatt batch %" PRId64 "/%" PRId64 " from %" PRId64 " to %" PRId64 " shift %" PRId64
	         " until %" PRId64 " tick %d/%d encoder %d/%d rate %d/%d of %s",
	         batch->part, batch->parts, batch->begin, batch->end, batch->shift, batch->until, batch->tick.num,
	         batch->tick.den, batch->encoder.num, batch->encoder.den, batch->rate.num, batch->rate.den, batch->source);
}

/* A number behind a word; the text goes on behind it. */
static bool read_number(const char **text, const char *word, int64_t *number)
{
	char *end = NULL;

	if (strncmp(*text, word, strlen(word)) != 0)
		return false;
	*text += strlen(word);
	errno = 0;
	*number = strtoll(*text, &end, 10);
	bool read = end > *text && errno == 0;
	*text = end;
	return read;
}

static bool read_fraction(const char **text, const char *word, AVRational *fraction)
{
	int64_t above, below;

	if (!read_number(text, word, &above) || !read_number(text, "/", &below) || above < 1 || above > INT32_MAX || below < 1 ||
	    below > INT32_MAX)
		return false;
	*fraction = (AVRational){(int)above, (int)below};
	return true;
}

int batch_parse(const char *text, struct batch *batch)
{
	bool read = read_number(&text, "flexwatt batch ", &batch->part) && read_number(&text, "/", &batch->parts) &&
	            read_number(&text, " from ", &batch->begin) && read_number(&text, " to ", &batch->end) &&
	            read_number(&text, " shift ", &batch->shift) && read_number(&text, " until ", &batch->until) &&
	            read_fraction(&text, " tick ", &batch->tick) && read_fraction(&text, " encoder ", &batch->encoder) && read_fraction(&text, " rate ", &batch->rate);

	if (!read || strncmp(text, " of ", 4) != 0 || batch->part < 0 || batch->part >= batch->parts)
		return FW_ERROR;
	snprintf(batch->source, sizeof batch->source, "%s", text + 4);
	return FW_OK;
}

int batch_peek(struct fw_invocation *invocation, const struct fw_object *object, struct batch *batch)
{
	AVFormatContext *format = NULL;
	int rc = avformat_open_input(&format, object->path, NULL, NULL);

	const AVDictionaryEntry *comment = rc < 0 ? NULL : av_dict_get(format->metadata, "comment", NULL, 0);
	rc = comment ? batch_parse(comment->value, batch) : FW_ERROR;
	batch->empty = format && format->nb_streams == 0;
	avformat_close_input(&format);
	return rc == FW_OK ? FW_OK : fw_fail_invocation(invocation, "Video.Corrupt", "%s: not a batch of a video", object->uri);
}

static int open_file(struct batch_file *file, const AVCodecParameters *codec)
{
	char comment[BATCH_TEXT];
	const char *suffix = ".mp4";

	if (avformat_query_codec(av_guess_format("mp4", NULL, NULL), codec->codec_id, FF_COMPLIANCE_NORMAL) != 1)
		suffix = ".nut"; /* FFmpeg's own: it takes every codec and any ticks, but keeps no order of decoding */
	const char *path = fw_output_path(file->video->invocation, file->output, suffix);
	batch_describe(&file->batch, comment);
	struct video_file_options options = {
		.container = suffix + 1, .comment = comment, .tick = file->batch.tick, .rate = file->batch.rate};
	return path ? video_file_open(&file->file, file->video, path, codec, &options) : FW_ERROR;
}

/* Some containers do not keep the order of decoding: where a dts is missing, one that fits is made. */
static int64_t choose_dts(const struct batch_file *file, const AVPacket *packet)
{
	bool first = !file->file.format;
	int64_t dts = packet->dts;

	if (dts == AV_NOPTS_VALUE)
		dts = first ? packet->pts - av_rescale_q(1, (AVRational){1, 1}, file->batch.tick) : file->last_dts + 1;
	return !first && dts <= file->last_dts ? file->last_dts + 1 : dts;
}

int batch_write(struct batch_file *file, AVPacket *packet)
{
	int64_t dts = choose_dts(file, packet);

	if (!file->file.format) {
		file->batch.shift = dts;
		if (open_file(file, file->codec) != FW_OK)
			return FW_ERROR;
	}
	file->last_dts = dts;
	packet->dts = dts - file->batch.shift;
	packet->pts -= file->batch.shift;
	return video_file_write(&file->file, packet);
}

/* MP4 leaves out a stream without a packet, whatever it was said to be; FFmpeg's own format cannot be read without one. */
static int open_empty(struct batch_file *file)
{
	AVCodecParameters *any = avcodec_parameters_alloc();

	if (!any)
		return video_fail(file->video, "Video.Memory", AVERROR(ENOMEM), "open");
	any->codec_type = AVMEDIA_TYPE_VIDEO;
	any->codec_id = AV_CODEC_ID_H264;
	any->width = file->codec->width;
	any->height = file->codec->height;
	int rc = open_file(file, any);
	avcodec_parameters_free(&any);
	return rc;
}

int batch_close(struct batch_file *file)
{
	if (!file->file.format && open_empty(file) != FW_OK)
		return FW_ERROR;
	return video_file_close(&file->file);
}
