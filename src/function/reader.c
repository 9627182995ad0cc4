/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a range without loading it, and its lines.
 */
#include "function/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fw_reader *fw_read_open(struct fw_invocation *invocation, const struct fw_object *object)
{
	uint64_t start = fw_sdk_now_ns();
	int fd = open(object->path, O_RDONLY | O_CLOEXEC);
	int why = errno;

	invocation->read_ns += fw_sdk_now_ns() - start;
	if (fd < 0) {
		fw_fail_invocation(invocation, "Function.Read", "open %s: %s", object->path, strerror(why));
		return NULL;
	}
	struct fw_reader *reader = fw_sdk_take(&invocation->arena, sizeof *reader);

	*reader = (struct fw_reader){.invocation = invocation, .next = invocation->readers, .place = &invocation->readers,
	                             .object = *object, .fd = fd, .offset = object->offset, .left = object->length};
	if (reader->next)
		reader->next->place = &reader->next;
	invocation->readers = reader;
	return reader;
}

void fw_read_close(struct fw_reader *reader)
{
	if (!reader || reader->fd < 0)
		return;
	close(reader->fd);
	reader->fd = -1;
	*reader->place = reader->next;
	if (reader->next)
		reader->next->place = reader->place;
	free(reader->bytes);
	free(reader->starts);
	free(reader->cells);
	reader->bytes = NULL;
	reader->at = reader->end = 0;
	reader->left = 0;
}

int64_t fw_reader_place(const struct fw_reader *reader, size_t i)
{
	return reader->offset - (int64_t)(reader->end - i) - reader->object.offset + reader->object.start;
}

static int make_room(struct fw_reader *reader)
{
	size_t kept = reader->end - reader->at;

	if (kept > 0 && reader->at > 0)
		memmove(reader->bytes, reader->bytes + reader->at, kept);
	reader->at = 0;
	reader->end = kept;
	if (reader->capacity - kept > FW_READER_STEP)
		return FW_OK;
	size_t capacity = reader->capacity ? 2 * reader->capacity : (size_t)2 * FW_READER_STEP;

	if (kept > FW_READER_MAX_BYTES)
		return fw_fail_invocation(reader->invocation, "Data.TooLong", "%s: what begins at byte %lld is longer than %d bytes",
		                          reader->object.uri, (long long)fw_reader_place(reader, 0), FW_READER_MAX_BYTES);
	char *bytes = realloc(reader->bytes, capacity);

	if (!bytes)
		return fw_fail_invocation(reader->invocation, "Data.TooLong", "%s: no memory for what begins at byte %lld",
		                          reader->object.uri, (long long)fw_reader_place(reader, 0));
	reader->bytes = bytes;
	reader->capacity = capacity;
	return FW_OK;
}

int fw_reader_more(struct fw_reader *reader)
{
	uint64_t start = fw_sdk_now_ns();
	size_t wanted = FW_READER_STEP;
	ssize_t length = 0;

	if (reader->left == 0)
		return FW_END;
	if (make_room(reader) != FW_OK)
		return FW_ERROR;
	if (reader->left > 0 && reader->left < FW_READER_STEP)
		wanted = (size_t)reader->left;
	do
		length = pread(reader->fd, reader->bytes + reader->end, wanted, (off_t)reader->offset);
	while (length < 0 && errno == EINTR);
	reader->invocation->read_ns += fw_sdk_now_ns() - start;
	if (length < 0)
		return fw_fail_invocation(reader->invocation, "Function.Read", "read %s: %s", reader->object.uri, strerror(errno));
	if (length == 0 && reader->left > 0)
		return fw_fail_invocation(reader->invocation, "Function.Read", "%s ends at byte %lld, %lld bytes before its range",
		                          reader->object.uri, (long long)fw_reader_place(reader, reader->end),
		                          (long long)reader->left);
	if (length == 0)
		return FW_END;
	reader->offset += length;
	reader->end += (size_t)length;
	reader->left -= reader->left > 0 ? length : 0;
	return FW_OK;
}

int fw_next_line(struct fw_reader *reader, const char **line, size_t *length)
{
	char *newline = NULL;
	size_t seen = 0; /* of the line, in which there is no newline */

	for (;;) {
		size_t unseen = reader->end - reader->at - seen;

		newline = unseen ? memchr(reader->bytes + reader->at + seen, '\n', unseen) : NULL;
		if (newline)
			break;
		seen += unseen;
		int rc = fw_reader_more(reader);

		if (rc == FW_ERROR || (rc == FW_END && seen == 0))
			return rc;
		if (rc == FW_END)
			break;
	}
	char *start = reader->bytes + reader->at, *end = newline ? newline : reader->bytes + reader->end;

	reader->at = newline ? (size_t)(newline - reader->bytes) + 1 : reader->end;
	if (newline && end > start && end[-1] == '\r')
		end--;
	*end = '\0';
	*line = start;
	if (length)
		*length = (size_t)(end - start);
	return FW_OK;
}
