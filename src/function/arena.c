/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of the SDK: blocks for the small texts of an invocation, and the growing buffer. A process that has no memory
 * left for a few hundred bytes can do nothing better than to end and say so; foreign data has a maximum before.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "function/sdk.h"

enum { BLOCK_BYTES = 16 << 10, ALIGNMENT = 16 };

struct fw_sdk_block {
	struct fw_sdk_block *next;
	size_t used, size;
	_Alignas(ALIGNMENT) char bytes[];
};

static void *allocate(void *old, size_t size)
{
	void *memory = realloc(old, size);

	if (!memory) {
		static const char message[] = "flexwatt: out of memory\n";

		(void)!write(STDERR_FILENO, message, sizeof message - 1);
		_exit(1);
	}
	return memory;
}

void *fw_sdk_take(struct fw_sdk_arena *arena, size_t size)
{
	struct fw_sdk_block *block = arena->blocks;

	size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (!block || block->size - block->used < size) {
		if (size <= BLOCK_BYTES && arena->spare) {
			block = arena->spare;
			arena->spare = block->next;
		} else {
			size_t capacity = size > BLOCK_BYTES ? size : BLOCK_BYTES;

			block = allocate(NULL, sizeof *block + capacity);
			block->size = capacity;
		}
		block->used = 0;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	void *memory = block->bytes + block->used;
	block->used += size;
	return memset(memory, 0, size);
}

char *fw_sdk_copy(struct fw_sdk_arena *arena, const char *bytes, size_t length)
{
	return memcpy(fw_sdk_take(arena, length + 1), bytes, length);
}

char *fw_sdk_format(struct fw_sdk_arena *arena, const char *format, ...)
{
	char first[256];
	va_list arguments, again;

	va_start(arguments, format);
	va_copy(again, arguments);
	int length = vsnprintf(first, sizeof first, format, arguments);
	size_t size = length < 0 ? 1 : (size_t)length + 1;
	char *text = fw_sdk_take(arena, size);
	if (size <= sizeof first)
		memcpy(text, first, size - 1);
	else
		vsnprintf(text, size, format, again);
	va_end(again);
	va_end(arguments);
	return text;
}

/* Blocks of the usual size wait for the next invocation; larger ones go back. */
void fw_sdk_arena_reset(struct fw_sdk_arena *arena)
{
	while (arena->blocks) {
		struct fw_sdk_block *block = arena->blocks;

		arena->blocks = block->next;
		if (block->size > BLOCK_BYTES) {
			free(block);
			continue;
		}
		block->next = arena->spare;
		arena->spare = block;
	}
}

void fw_sdk_arena_done(struct fw_sdk_arena *arena)
{
	fw_sdk_arena_reset(arena);
	while (arena->spare) {
		struct fw_sdk_block *block = arena->spare;

		arena->spare = block->next;
		free(block);
	}
}

bool fw_sdk_reserve(struct fw_sdk_buffer *buffer, size_t more)
{
	size_t needed = buffer->length + more + 1;

	if (more >= buffer->max || needed > buffer->max) {
		buffer->full = true;
		return false;
	}
	if (needed > buffer->capacity) {
		size_t capacity = buffer->capacity ? buffer->capacity : 1024;

		while (capacity < needed)
			capacity *= 2;
		buffer->bytes = allocate(buffer->bytes, capacity);
		buffer->capacity = capacity;
	}
	return true;
}

void fw_sdk_append(struct fw_sdk_buffer *buffer, const char *bytes, size_t length)
{
	if (buffer->full || !fw_sdk_reserve(buffer, length))
		return;
	memcpy(buffer->bytes + buffer->length, bytes, length);
	buffer->length += length;
	buffer->bytes[buffer->length] = '\0';
}

void fw_sdk_append_text(struct fw_sdk_buffer *buffer, const char *text)
{
	fw_sdk_append(buffer, text, strlen(text));
}

void fw_sdk_append_number(struct fw_sdk_buffer *buffer, double value)
{
	char text[40];

	/* The shortest form that reads back the same; a function that set a locale still writes JSON. */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) >= value && strtod(text, NULL) <= value)
			break;
	}
	for (char *comma = strchr(text, ','); comma; comma = strchr(comma, ','))
		*comma = '.';
	fw_sdk_append_text(buffer, text);
}

void fw_sdk_append_integer(struct fw_sdk_buffer *buffer, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)value);
	fw_sdk_append_text(buffer, text);
}

void fw_sdk_buffer_done(struct fw_sdk_buffer *buffer)
{
	free(buffer->bytes);
	*buffer = (struct fw_sdk_buffer){.max = buffer->max};
}
