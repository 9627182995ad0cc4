/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges for commands. A program of a shell reads files from their beginning to their end, so it gets a file that holds its
 * range alone, in the private /tmp; a range of CSV with a header begins with it, so that each file is a table of its own.
 * Where the object is that file already, nothing is copied. The files go when the command has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "function/command.h"

enum { COPY_BYTES = 256 << 10, MARK = 3, LINE_END = 2, NAME_BYTES = 200 };

struct fw_command_cut {
	struct fw_command_cut *next;
	const char *path;
};

/* Nothing but a mark, the header and its line's end: a short record behind the header must not be taken for that. */
static bool is_header(const char *header, const char *bytes, size_t length)
{
	size_t header_length = strlen(header);
	size_t mark = length >= MARK && memcmp(bytes, "\xef\xbb\xbf", MARK) == 0 ? MARK : 0;
	size_t rest = length - mark;

	bytes += mark;
	if (rest <= header_length || memcmp(bytes, header, header_length) != 0)
		return false;
	bytes += header_length;
	rest -= header_length;
	return (rest == 1 && bytes[0] == '\n') || (rest == LINE_END && memcmp(bytes, "\r\n", LINE_END) == 0);
}

static bool only_header_is_before(struct fw_command *command, const struct fw_object *object)
{
	size_t before = (size_t)object->offset;

	if (before > strlen(object->header) + MARK + LINE_END)
		return false;
	char *bytes = fw_sdk_take(&command->invocation->arena, before + 1);
	int fd = open(object->path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : pread(fd, bytes, before, 0);

	if (fd >= 0)
		close(fd);
	return length == (ssize_t)before && is_header(object->header, bytes, before);
}

/* The range is all that the file has, but for the header that belongs to it. */
static bool is_the_file(struct fw_command *command, const struct fw_object *object)
{
	struct stat stat_of;

	if (object->length < 0)
		return object->offset == 0;
	if (stat(object->path, &stat_of) != 0 || object->offset + object->length != stat_of.st_size)
		return false;
	return object->header ? only_header_is_before(command, object) : object->offset == 0;
}

/* Programs go by the end of a name, so a long one loses its beginning, at a character. */
static const char *name_of(const struct fw_object *object)
{
	const char *slash = strrchr(object->uri, '/'), *name = slash ? slash + 1 : object->uri;
	size_t length = strlen(name);

	if (length > NAME_BYTES)
		name += length - NAME_BYTES;
	while (((unsigned char)*name & 0xC0) == 0x80)
		name++;
	return name;
}

static int make_directory(struct fw_command *command)
{
	if (command->cuts)
		return FW_OK;
	char *directory = fw_sdk_format(&command->invocation->arena, "/tmp/ranges-XXXXXX");

	command->cuts = mkdtemp(directory);
	return command->cuts ? FW_OK
	                     : fw_fail_invocation(command->invocation, "Command.Range", "make %s: %s", directory, strerror(errno));
}

static int fail_copy(struct fw_command *command, const struct fw_object *object, int why)
{
	if (why == ENOSPC)
		return fw_fail_invocation(command->invocation, "Command.Range",
		                          "/tmp has no room for a range of %lld bytes of %s: more workers make it smaller, tmp: makes "
		                          "room", (long long)object->length, object->uri);
	return fw_fail_invocation(command->invocation, "Command.Range", "cut %s: %s", object->uri, strerror(why));
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno != EINTR)
			return errno;
		bytes += written > 0 ? written : 0;
		length -= written > 0 ? (size_t)written : 0;
	}
	return 0;
}

/* 0 or an errno. */
static int copy(const struct fw_object *object, int from, int to)
{
	static char bytes[COPY_BYTES];
	int64_t offset = object->offset, left = object->length;
	int why = object->header ? write_all(to, object->header, strlen(object->header)) : 0;

	if (!why && object->header)
		why = write_all(to, "\n", 1);
	while (!why && left > 0) {
		ssize_t length = pread(from, bytes, left < COPY_BYTES ? (size_t)left : COPY_BYTES, (off_t)offset);

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return length < 0 ? errno : ENODATA;
		why = write_all(to, bytes, (size_t)length);
		offset += length;
		left -= length;
	}
	return why;
}

static int copy_to(struct fw_command *command, const struct fw_object *object, const char *path)
{
	int from = open(object->path, O_RDONLY | O_CLOEXEC), why = errno;

	if (from < 0)
		return fail_copy(command, object, why);
	int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	why = to < 0 ? errno : copy(object, from, to);
	close(from);
	if (to >= 0 && close(to) != 0 && !why)
		why = errno;
	return why ? fail_copy(command, object, why) : FW_OK;
}

const char *fw_command_cut(struct fw_command *command, const struct fw_object *object)
{
	struct fw_sdk_arena *arena = &command->invocation->arena;

	if (is_the_file(command, object))
		return object->path;
	uint64_t start = fw_sdk_now_ns();

	if (make_directory(command) != FW_OK)
		return NULL;
	struct fw_command_cut *cut = fw_sdk_take(arena, sizeof *cut);

	/* Two objects may have one name, and begin alike. */
	cut->path = fw_sdk_format(arena, "%s/%zu-%s", command->cuts, command->cut_count++, name_of(object));
	cut->next = command->cut;
	command->cut = cut;
	int rc = copy_to(command, object, cut->path);

	command->invocation->read_ns += fw_sdk_now_ns() - start;
	return rc == FW_OK ? cut->path : NULL;
}

void fw_command_remove_cuts(struct fw_command *command)
{
	for (const struct fw_command_cut *cut = command->cut; cut; cut = cut->next)
		unlink(cut->path);
	if (command->cuts)
		rmdir(command->cuts); /* what the command left there stays its own */
}
