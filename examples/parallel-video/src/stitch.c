/* SPDX-License-Identifier: Apache-2.0
 *
 * stitch: the batches of each video into one file, by copying packets. All batches must be there and encoded alike: a video with
 * a hole is no result, and is left out.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "handlers.h"

enum { NAME_BYTES = 256 };

struct piece {
	struct fw_object object;
	struct batch batch;
};

struct pieces {
	struct piece *items;
	size_t count, room;
};

struct stitching {
	struct fw_invocation *invocation;
	const char *name; /* of the file that is made */
	struct video_file file;
	AVCodecParameters *codec; /* of the first batch; all others must have it */
	int64_t last_dts;         /* in the file's ticks */
	int64_t frames;
};

static int by_place(const void *a, const void *b)
{
	const struct piece *one = a, *other = b;
	int order = strcmp(one->batch.source, other->batch.source);

	return order ? order : (one->batch.part > other->batch.part) - (one->batch.part < other->batch.part);
}

static int gather(struct fw_invocation *invocation, struct pieces *pieces)
{
	struct fw_object object;
	int rc;

	while ((rc = fw_next_input(invocation, "batches", &object)) == FW_OK) {
		if (pieces->count == pieces->room) {
			size_t room = pieces->room ? 2 * pieces->room : 16;
			struct piece *items = realloc(pieces->items, room * sizeof *items);

			if (!items)
				return fw_fail_invocation(invocation, "Video.Memory", "out of memory");
			pieces->items = items;
			pieces->room = room;
		}
		pieces->items[pieces->count].object = object;
		if (batch_peek(invocation, &object, &pieces->items[pieces->count].batch) != FW_OK)
			return FW_ERROR;
		pieces->count++;
	}
	if (rc == FW_END && pieces->count > 0)
		qsort(pieces->items, pieces->count, sizeof *pieces->items, by_place);
	return rc == FW_END ? FW_OK : rc;
}

/* The batches of a source are sorted: a part comes once, and all come from one cutting of it. */
static int check_once(struct fw_invocation *invocation, const struct piece *pieces, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		const struct batch *batch = &pieces[i].batch, *before = &pieces[i - 1].batch;

		if (batch->parts != before->parts)
			return fw_fail_invocation(invocation, "Video.Doubled", "%s: it was cut twice: there are batches of %lld and of %lld",
			                          batch->source, (long long)before->parts, (long long)batch->parts);
		if (batch->part == before->part)
			return fw_fail_invocation(invocation, "Video.Doubled", "%s: batch %lld is there twice", batch->source,
			                          (long long)batch->part + 1);
	}
	return FW_OK;
}

/* The first part that is not there, from 0; -1: all are. */
static int64_t missing_part(const struct piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (pieces[i].batch.part > (int64_t)i)
			return (int64_t)i;
	return (int64_t)count < pieces->batch.parts ? (int64_t)count : -1;
}

/* ---- names ---- */

/* "videos/moving.mkv" gives moving.mp4, the second of that name moving-2.mp4. */
static void name_output(const char *source, unsigned number, char name[static NAME_BYTES])
{
	const char *base = strrchr(source, '/');
	char mark[16] = "";

	base = base ? base + 1 : source;
	const char *dot = strrchr(base, '.');
	int length = dot && dot > base ? (int)(dot - base) : (int)strlen(base);
	if (number > 1)
		snprintf(mark, sizeof mark, "-%u", number);
	snprintf(name, NAME_BYTES, "%.*s%s.mp4", length < 200 ? length : 200, base, mark);
}

/* Where the batches of the next source begin. */
static size_t next_source(const struct pieces *pieces, size_t at)
{
	size_t next = at + 1;

	while (next < pieces->count && strcmp(pieces->items[next].batch.source, pieces->items[at].batch.source) == 0)
		next++;
	return next;
}

static bool belongs_to_a_source(const struct pieces *pieces, const char *name)
{
	char other[NAME_BYTES];

	for (size_t i = 0; i < pieces->count; i = next_source(pieces, i)) {
		name_output(pieces->items[i].batch.source, 1, other);
		if (strcmp(other, name) == 0)
			return true;
	}
	return false;
}

/* Sources of one name, from two directories or of two kinds, are numbered in their order. */
static void choose_name(const struct pieces *pieces, size_t at, char name[static NAME_BYTES])
{
	const char *source = pieces->items[at].batch.source;
	char plain[NAME_BYTES], other[NAME_BYTES];
	unsigned number = 1;

	name_output(source, number, plain);
	snprintf(name, NAME_BYTES, "%s", plain);
	for (size_t i = 0; i < at; i = next_source(pieces, i)) {
		name_output(pieces->items[i].batch.source, 1, other);
		if (strcmp(other, plain) != 0)
			continue;
		do
			name_output(source, ++number, name);
		while (belongs_to_a_source(pieces, name));
	}
}

/* ---- stitching ---- */

static bool same_codec(const AVCodecParameters *a, const AVCodecParameters *b)
{
	return a->codec_id == b->codec_id && a->width == b->width && a->height == b->height && a->format == b->format &&
	       a->extradata_size == b->extradata_size && memcmp(a->extradata, b->extradata, (size_t)a->extradata_size) == 0;
}

static int begin_file(struct stitching *stitching, const struct video *video, const struct batch *batch)
{
	/* Finer than frames, coarse enough for 32 bits: see append. */
	AVRational fine = {1, batch->tick.den * (90000 / batch->tick.den + 1)};
	struct video_file_options options = {.container = "mp4", .edit_list = true, .tick = fine, .rate = batch->rate};
	const char *path = fw_output_named(stitching->invocation, "videos", stitching->name);

	stitching->codec = avcodec_parameters_alloc();
	if (!path || !stitching->codec)
		return FW_ERROR;
	avcodec_parameters_copy(stitching->codec, video->stream->codecpar);
	return video_file_open(&stitching->file, video, path, stitching->codec, &options);
}

/* Encoders guess the decoding times before their first frame: where a batch begins, they may lie before the last one's. The
 * file's ticks are finer than frames, and one of them is enough to stay in order. */
static int append(struct stitching *stitching, const struct video *video, const struct batch *batch)
{
	AVPacket *packet = video->packet;
	AVRational fine = stitching->file.tick;

	av_packet_rescale_ts(packet, video->stream->time_base, fine);
	packet->pts += av_rescale_q(batch->shift, batch->tick, fine);
	packet->dts += av_rescale_q(batch->shift, batch->tick, fine);
	if (stitching->frames > 0 && packet->dts <= stitching->last_dts)
		packet->dts = stitching->last_dts + 1;
	stitching->last_dts = packet->dts;
	stitching->frames++;
	fw_write_begin(stitching->invocation);
	int rc = video_file_write(&stitching->file, packet);
	fw_write_end(stitching->invocation);
	return rc;
}

static int append_opened(struct stitching *stitching, struct video *video, const struct batch *batch)
{
	int rc;

	if (!stitching->file.format && begin_file(stitching, video, batch) != FW_OK)
		return FW_ERROR;
	if (!same_codec(stitching->codec, video->stream->codecpar))
		return fw_fail_invocation(stitching->invocation, "Video.Unsupported", "%s: it is not encoded as the batches before it",
		                          video->uri);
	while ((rc = video_next_packet(video)) == FW_OK) {
		rc = append(stitching, video, batch);
		av_packet_unref(video->packet);
		if (rc != FW_OK)
			return rc;
	}
	return rc == FW_END ? FW_OK : rc;
}

/* The last frame stays as long as in the source. */
static int end_file(struct stitching *stitching, const struct batch *batch)
{
	if (batch->until != INT64_MIN)
		stitching->file.until = av_rescale_q(batch->until, batch->tick, stitching->file.tick);
	return video_file_close(&stitching->file);
}

static int stitch_one(struct stitching *stitching, const struct piece *pieces, size_t count)
{
	int rc = FW_OK;

	for (size_t i = 0; rc == FW_OK && i < count; i++) {
		struct video video;

		if (pieces[i].batch.empty)
			continue;
		rc = video_open(&video, stitching->invocation, &pieces[i].object, 1);
		if (rc == FW_OK)
			rc = append_opened(stitching, &video, &pieces[i].batch);
		video_close(&video);
		fw_progress(stitching->invocation, (double)i + 1, (double)count, pieces->batch.source);
	}
	if (rc == FW_OK && stitching->frames == 0)
		rc = fw_fail_invocation(stitching->invocation, "Video.Empty", "%s: no batch has a frame", pieces->batch.source);
	if (rc == FW_OK)
		rc = end_file(stitching, &pieces->batch);
	fw_units(stitching->invocation, (double)stitching->frames);
	video_file_abandon(&stitching->file);
	avcodec_parameters_free(&stitching->codec);
	return rc;
}

static int stitch_whole(struct fw_invocation *invocation, const struct pieces *pieces, size_t at, size_t count)
{
	char name[NAME_BYTES];
	struct stitching stitching = {.invocation = invocation, .name = name};

	choose_name(pieces, at, name);
	return stitch_one(&stitching, pieces->items + at, count);
}

/* A video with a hole is left out and told: the task that should have made the batch failed before, and with it the run. */
static int stitch_all(struct fw_invocation *invocation, const struct pieces *pieces)
{
	const struct batch *incomplete = NULL;
	int64_t stitched = 0, left_out = 0, missing = -1;
	size_t next;

	for (size_t i = 0; i < pieces->count; i = next) {
		next = next_source(pieces, i);
		if (check_once(invocation, pieces->items + i, next - i) != FW_OK)
			return FW_ERROR;
		int64_t hole = missing_part(pieces->items + i, next - i);
		if (hole < 0 && stitch_whole(invocation, pieces, i, next - i) != FW_OK)
			return FW_ERROR;
		stitched += hole < 0;
		if (hole < 0)
			continue;
		incomplete = &pieces->items[i].batch;
		missing = hole + 1;
		left_out++;
		fw_log(invocation, "%s is left out: batch %lld of %lld is missing", incomplete->source, (long long)missing,
		       (long long)incomplete->parts);
	}
	fw_metric(invocation, "videos", (double)stitched);
	fw_metric(invocation, "videos_left_out", (double)left_out);
	return stitched > 0 || !incomplete
	           ? FW_OK
	           : fw_fail_invocation(invocation, "Video.Incomplete", "%s: batch %lld of %lld is missing", incomplete->source,
	                                (long long)missing, (long long)incomplete->parts);
}

__attribute__((visibility("default"))) int stitch(struct fw_invocation *invocation)
{
	struct pieces pieces = {.count = 0};

	if (fw_workers(invocation) > 1)
		return fw_fail_invocation(invocation, "Function.Parameter", "stitch has %lld workers: one must have all batches of a video",
		                          (long long)fw_workers(invocation));
	int rc = gather(invocation, &pieces);

	if (rc == FW_OK)
		rc = stitch_all(invocation, &pieces);
	free(pieces.items);
	return rc;
}
