/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/csv_world.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/support.h"

uint64_t next_random(uint64_t *chance)
{
	uint64_t x = *chance += 0x9E3779B97F4A7C15u;

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
	return x ^ (x >> 31);
}

uint64_t below(uint64_t *chance, uint64_t limit)
{
	return next_random(chance) % limit;
}

/* ---- texts ---- */

static void append_long(struct fw_buffer *text, size_t length, uint64_t *chance)
{
	for (size_t i = 0; i < length; i++)
		fw_buffer_append(text, &"abcdefghijklmnopqrstuvwxyz0123456789 .;,\t|"[below(chance, 36)], 1);
}

static void append_quoted(struct fw_buffer *text, const struct csv_shape *shape, uint64_t *chance)
{
	const char *const inside[] = {"x", "\n", "\r\n", "\"\"", "\"\"\"\"", "", "a b", "\n\n", "ü", (const char[2]){shape->delimiter, 0}};
	size_t pieces = below(chance, 6);

	fw_buffer_text(text, "\"");
	for (size_t i = 0; i < pieces; i++)
		fw_buffer_text(text, inside[below(chance, FW_COUNT_OF(inside))]);
	if (below(chance, 40) == 0)
		append_long(text, below(chance, shape->long_cell + 1), chance);
	fw_buffer_text(text, "\"");
}

static void append_cell(struct fw_buffer *text, const struct csv_shape *shape, uint64_t *chance)
{
	static const char *const plain[] = {"", "1", "22.5", "name", "ünïcode €", "two words", " ", "x\ry"};
	static const char *const odd[] = {"5\" pipe", "a\"b\"c", " \"x\"", "\"a\"b", "\"\"tail", "\"a\" \"b\"", "\"a\"\r"};

	switch (below(chance, shape->quotes ? 8 : 4)) {
	case 4:
	case 5:
	case 6:
		append_quoted(text, shape, chance);
		break;
	case 7:
		fw_buffer_text(text, odd[below(chance, FW_COUNT_OF(odd))]);
		break;
	default:
		fw_buffer_text(text, plain[below(chance, FW_COUNT_OF(plain))]);
	}
	if (below(chance, 200) == 0)
		append_long(text, below(chance, shape->long_cell + 1), chance);
}

void csv_append(struct fw_buffer *text, const struct csv_shape *shape, uint64_t *chance)
{
	size_t columns = 1 + below(chance, 6), records = shape->records + shape->header;

	if (shape->mark)
		fw_buffer_text(text, "\xef\xbb\xbf");
	for (size_t i = 0; i < records; i++) {
		for (size_t k = 0; k < columns; k++) {
			if (k > 0)
				fw_buffer_append(text, &shape->delimiter, 1);
			append_cell(text, shape, chance);
		}
		if (i == 0) /* it may be a header, which has none but in quotes */
			for (char *at = text->data; text->data && (at = memchr(at, '\r', text->length - (size_t)(at - text->data)));)
				*at = ' ';
		if (i + 1 < records || below(chance, 2))
			fw_buffer_text(text, below(chance, 3) ? "\n" : "\r\n");
	}
}

/* ---- the other reader: cell by cell, as the grammar of RFC 4180 has it ---- */

static size_t cell_end(const char *text, size_t length, size_t at, char delimiter, bool *closed)
{
	if (at < length && text[at] == '"') {
		for (at++;; at++) {
			if (at >= length) {
				*closed = false;
				return length;
			}
			if (text[at] != '"')
				continue;
			if (at + 1 < length && text[at + 1] == '"')
				at++;
			else
				break;
		}
		at++;
	}
	while (at < length && text[at] != delimiter && text[at] != '\n' && text[at] != '\r')
		at++;
	return at;
}

size_t csv_record_end(const char *text, size_t length, size_t at, char delimiter, bool *closed)
{
	for (;;) {
		at = cell_end(text, length, at, delimiter, closed);
		if (at >= length)
			return length;
		if (text[at++] == '\n')
			return at;
	}
}

/* ---- the storage ---- */

static struct fw_str object_of(struct memory_storage *storage, const char *key)
{
	return storage->objects[strtoul(key, NULL, 10)];
}

static void memory_stat(struct fw_storage *base, const char *key, fw_storage_stat_fn *done, void *context)
{
	struct memory_storage *storage = (struct memory_storage *)base;
	struct fw_str object = object_of(storage, key);
	bool changed = ++storage->stats >= storage->changes_from && storage->changes_from > 0;
	fw_cleanup_free char *version = fw_printf("%u", changed ? 100 + storage->stats : 7);
	struct fw_error *error = NULL;
	int rc = storage->fails ? fw_fail(&error, storage->fails, "object %s: gone", key) : FW_OK;

	done(context, rc, &(struct fw_storage_stat){(int64_t)object.length, version, true}, error);
	fw_error_free(error);
}

struct reading {
	struct memory_storage *storage;
	struct fw_str rest;
	fw_storage_sink_fn *sink;
	fw_storage_done_fn *done;
	void *context;
};

/* In pieces of 1 byte to 300 KiB. */
static void serve(void *context)
{
	struct reading *reading = context;
	uint64_t *chance = &reading->storage->chance;
	uint64_t largest = (uint64_t)1 << below(chance, 19);
	int rc = FW_OK;

	while (rc == FW_OK && reading->rest.length > 0) {
		size_t piece = 1 + below(chance, largest);
		piece = piece < reading->rest.length ? piece : reading->rest.length;
		uint8_t *copy = fw_alloc(piece); /* exact, so that a read past its end is seen */

		memcpy(copy, reading->rest.text, piece);
		rc = reading->sink(reading->context, copy, piece);
		free(copy);
		reading->rest.text += piece;
		reading->rest.length -= piece;
	}
	reading->done(reading->context, rc, NULL);
	free(reading);
}

static void memory_read(struct fw_storage *base, const struct fw_storage_range *range, fw_storage_sink_fn *sink,
                        fw_storage_done_fn *done, void *context)
{
	struct memory_storage *storage = (struct memory_storage *)base;
	struct fw_str object = object_of(storage, range->key);
	struct reading *reading = fw_alloc(sizeof *reading);

	assert_true(range->offset >= 0 && range->length >= 0 && range->offset + range->length <= (int64_t)object.length);
	storage->reads++;
	storage->bytes_read += range->length;
	*reading = (struct reading){storage, {object.text + range->offset, (size_t)range->length}, sink, done, context};
	if (below(&storage->chance, 2))
		serve(reading); /* a storage may answer at once */
	else
		fw_loop_defer(storage->loop, serve, reading);
}

static const struct fw_storage_ops memory_ops = {.scheme = "memory", .stat = memory_stat, .read = memory_read};

void memory_storage_init(struct memory_storage *storage, struct fw_loop *loop, struct fw_str *objects, size_t count)
{
	*storage = (struct memory_storage){.base = {&memory_ops}, .loop = loop, .objects = objects, .count = count, .chance = 1};
}
