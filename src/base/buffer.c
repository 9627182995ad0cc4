/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that grow up to a maximum. An empty buffer points at a shared NUL, so that `data` is always text and an unused
 * buffer costs no allocation; capacity 0 marks that case.
 */
#include "base/buffer.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_CAPACITY = 64 };

static char nothing[1];

void fw_buffer_init(struct fw_buffer *buffer, size_t maximum)
{
	*buffer = (struct fw_buffer){.data = nothing, .maximum = maximum};
}

void fw_buffer_done(struct fw_buffer *buffer)
{
	if (buffer->capacity > 0)
		free(buffer->data);
	fw_buffer_init(buffer, buffer->maximum);
}

void fw_buffer_clear(struct fw_buffer *buffer)
{
	buffer->length = 0;
	buffer->failed = false;
	if (buffer->capacity > 0)
		buffer->data[0] = '\0';
}

/* Makes room for `length` more bytes and the NUL. */
static int make_room(struct fw_buffer *buffer, size_t length)
{
	if (buffer->failed || length > buffer->maximum - buffer->length) {
		buffer->failed = true;
		return FW_E_LIMIT;
	}
	size_t wanted = buffer->length + length + 1;
	if (wanted == 0) /* a maximum of SIZE_MAX */
		fw_memory_exhausted();
	if (wanted <= buffer->capacity)
		return FW_OK;

	size_t doubled = buffer->capacity > SIZE_MAX / 2 ? SIZE_MAX : buffer->capacity * 2;
	size_t capacity = wanted < FIRST_CAPACITY ? FIRST_CAPACITY : wanted;
	if (capacity < doubled)
		capacity = doubled;
	buffer->data = fw_realloc_array(buffer->capacity > 0 ? buffer->data : NULL, capacity, 1);
	buffer->capacity = capacity;
	return FW_OK;
}

int fw_buffer_append(struct fw_buffer *buffer, const void *bytes, size_t length)
{
	int rc = make_room(buffer, length);

	if (rc != FW_OK)
		return rc;
	if (length > 0)
		memcpy(buffer->data + buffer->length, bytes, length);
	buffer->length += length;
	buffer->data[buffer->length] = '\0';
	return FW_OK;
}

int fw_buffer_text(struct fw_buffer *buffer, const char *text)
{
	return fw_buffer_append(buffer, text, strlen(text));
}

/* Into the room there is; what does not fit is printed once more. The NUL at the end of the text stays on failure. */
int fw_buffer_vprintf(struct fw_buffer *buffer, const char *format, va_list arguments)
{
	size_t room = buffer->capacity > 0 ? buffer->capacity - buffer->length : 0;
	va_list again;

	va_copy(again, arguments);
	int length = vsnprintf(room ? buffer->data + buffer->length : NULL, room, format, arguments);
	if (length < 0)
		fw_memory_exhausted();
	int rc = make_room(buffer, (size_t)length);

	if (rc == FW_OK && (size_t)length >= room)
		vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, again);
	va_end(again);
	if (rc != FW_OK) {
		if (room)
			buffer->data[buffer->length] = '\0';
		return rc;
	}
	buffer->length += (size_t)length;
	return FW_OK;
}

int fw_buffer_printf(struct fw_buffer *buffer, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int rc = fw_buffer_vprintf(buffer, format, arguments);
	va_end(arguments);
	return rc;
}

char *fw_buffer_take(struct fw_buffer *buffer)
{
	char *taken = buffer->capacity > 0 ? buffer->data : fw_strdup("");

	fw_buffer_init(buffer, buffer->maximum);
	return taken;
}

struct fw_str fw_buffer_str(const struct fw_buffer *buffer)
{
	return (struct fw_str){buffer->data, buffer->length};
}
