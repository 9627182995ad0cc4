/* SPDX-License-Identifier: Apache-2.0
 *
 * Logs of invocations (log.h). The file is made when the worker prints or fails; a silent success has none: making a file
 * can take longer than the invocation. A log that cannot be written is reported once and never fails an invocation.
 */
#include "runtime/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"

enum {
	READ_BYTES = 65536,        /* a turn: a flood waits in its pipe, the loop does not */
	DRAIN_READS = 16,
	LINE_BYTES = 4096,         /* looked through for its end */
	EARLY_BYTES = 256 << 10,   /* printed before any invocation */
};

struct fw_log_file {
	char *path;
	int fd;
	size_t head_left;          /* bytes that still go straight to the file */
	size_t tail_size;
	char *tail;                /* ring, made when the head is full */
	size_t tail_at;            /* where the next byte goes */
	uint64_t tail_bytes;       /* all that ever went into the ring */
	struct fw_buffer held;     /* our own lines, until the worker prints or the end */
	bool in_line;              /* what the worker wrote last has no newline yet */
	bool made;
	bool failed;
};

static void fail(struct fw_log_file *log)
{
	if (!log->failed)
		fw_warning("write the log %s: %s", log->path, strerror(errno));
	log->failed = true;
}

static void open_file(struct fw_log_file *log, int flags)
{
	log->fd = open(log->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
	if (log->fd < 0)
		fail(log);
	log->made = true;
}

static void write_all(struct fw_log_file *log, const char *bytes, size_t length)
{
	if (log->fd < 0 && !log->failed)
		open_file(log, O_CREAT | O_TRUNC);
	while (length && !log->failed) {
		ssize_t rc = write(log->fd, bytes, length);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return fail(log);
		bytes += rc;
		length -= (size_t)rc;
	}
}

struct fw_log_file *fw_log_file_new(const char *directory, const char *name, size_t maximum)
{
	struct fw_log_file *log = fw_alloc(sizeof *log);

	if (!maximum)
		maximum = FW_LOG_MAX_BYTES;
	*log = (struct fw_log_file){
		.path = fw_printf("%s/%s", directory, name),
		.fd = -1,
		.head_left = maximum / 2,
		.tail_size = maximum - maximum / 2,
	};
	fw_buffer_init(&log->held, READ_BYTES);
	return log;
}

static void write_ring(struct fw_log_file *log, const char *bytes, size_t length)
{
	if (!log->tail)
		log->tail = fw_alloc(log->tail_size);
	log->tail_bytes += length;
	if (length > log->tail_size) {
		bytes += length - log->tail_size;
		length = log->tail_size;
	}
	size_t first = log->tail_size - log->tail_at < length ? log->tail_size - log->tail_at : length;

	memcpy(log->tail + log->tail_at, bytes, first);
	memcpy(log->tail, bytes + first, length - first);
	log->tail_at = (log->tail_at + length) % log->tail_size;
}

static void flush_held(struct fw_log_file *log)
{
	write_all(log, log->held.data, log->held.length);
	fw_buffer_clear(&log->held);
}

/* Bytes of the worker. */
static void write_output(struct fw_log_file *log, const char *bytes, size_t length)
{
	size_t head = length < log->head_left ? length : log->head_left;

	log->in_line = length > 0 ? bytes[length - 1] != '\n' : log->in_line;
	flush_held(log);
	write_all(log, bytes, head);
	log->head_left -= head;
	if (length > head)
		write_ring(log, bytes + head, length - head);
}

static void write_own(struct fw_log_file *log, struct fw_str text)
{
	if (log->tail)
		write_ring(log, text.text, text.length);
	else if (fw_buffer_append(&log->held, text.text, text.length) != FW_OK)
		write_output(log, text.text, text.length);
}

void fw_log_file_write(struct fw_log_file *log, struct fw_str text)
{
	if (log->in_line)
		write_own(log, fw_str_of("\n"));
	log->in_line = false;
	write_own(log, text);
}

/* The ring, from its first whole line when bytes were cut; a line that is very long is kept from its middle. */
static void write_tail(struct fw_log_file *log)
{
	bool cut = log->tail_bytes > log->tail_size;
	size_t length = cut ? log->tail_size : (size_t)log->tail_bytes;
	size_t start = cut ? log->tail_at : 0, skip = 0;

	if (cut) {
		size_t most = length < LINE_BYTES ? length : LINE_BYTES;

		while (skip < most && log->tail[(start + skip) % log->tail_size] != '\n')
			skip++;
		skip = skip < most ? skip + 1 : 0;
		fw_cleanup_free char *line = fw_printf("\n[flexwatt: %llu bytes of this log were cut here]\n",
		                                       (unsigned long long)log->tail_bytes - length + skip);

		write_all(log, line, strlen(line));
	}
	start = (start + skip) % log->tail_size;
	length -= skip;
	size_t first = log->tail_size - start < length ? log->tail_size - start : length;

	write_all(log, log->tail + start, first);
	write_all(log, log->tail, length - first);
}

static void close_file(struct fw_log_file *log)
{
	if (log->fd >= 0)
		close(fw_take_fd(&log->fd));
}

void fw_log_file_end(struct fw_log_file *log, bool only_output)
{
	if (only_output && !log->made)
		return;
	flush_held(log);
	if (log->tail)
		write_tail(log);
	free(FW_TAKE(log->tail));
	close_file(log);
}

void fw_log_file_append(struct fw_log_file *log, struct fw_str text)
{
	if (!log->made || log->failed)
		return;
	open_file(log, 0); /* fails when the run's logs were removed meanwhile */
	write_all(log, text.text, text.length);
	close_file(log);
}

const char *fw_log_file_path(const struct fw_log_file *log)
{
	return log->made && !log->failed ? log->path : NULL;
}

void fw_log_file_free(struct fw_log_file *log)
{
	if (!log)
		return;
	close_file(log);
	free(log->tail);
	fw_buffer_done(&log->held);
	free(log->path);
	free(log);
}

struct fw_log_stream {
	struct fw_loop *loop;
	int fd;
	struct fw_watch *watch;
	struct fw_log_file *log; /* or NULL between invocations */
	struct fw_buffer early;
	bool served; /* an invocation, by now */
	bool paused;
};

static void stop_watching(struct fw_log_stream *stream)
{
	fw_watch_free(stream->watch);
	stream->watch = NULL;
}

/* A flood before any invocation is dropped, since the worker may be what prints. Between two it waits for its event: what
 * floods then is a process that it left, which must not keep the loop busy and may wait for the next invocation. */
static void take_early(struct fw_log_stream *stream, const char *bytes, size_t length)
{
	if (fw_buffer_append(&stream->early, bytes, length) == FW_OK || !stream->served)
		return;
	stop_watching(stream);
	stream->paused = true;
}

static void take(struct fw_log_stream *stream, const char *bytes, size_t length)
{
	if (stream->log)
		write_output(stream->log, bytes, length);
	else
		take_early(stream, bytes, length);
}

/* False when there is nothing more to read now. */
static bool read_some(struct fw_log_stream *stream)
{
	char bytes[READ_BYTES];
	ssize_t rc = read(stream->fd, bytes, sizeof bytes);

	if (rc > 0)
		take(stream, bytes, (size_t)rc);
	else if (rc == 0 || (errno != EAGAIN && errno != EINTR))
		stop_watching(stream); /* every writer is gone */
	return rc > 0;
}

static void on_readable(void *context, int fd)
{
	(void)fd;
	(void)read_some(context);
}

int fw_log_stream_new(struct fw_loop *loop, struct fw_log_stream **stream, int *write_fd, struct fw_error **err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fw_fail_errno(err, errno, "make a pipe for the worker's output");
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK); /* ours alone: the worker's end blocks, as programs expect */
	struct fw_log_stream *made = fw_alloc(sizeof *made);

	made->loop = loop;
	made->fd = fds[0];
	fw_buffer_init(&made->early, EARLY_BYTES);
	made->watch = fw_watch_new(loop, fds[0], on_readable, made);
	if (!made->watch) {
		close(fds[1]);
		fw_log_stream_free(made);
		return fw_fail(err, FW_E_ENVIRONMENT, "watch the worker's output: refused by the kernel");
	}
	*write_fd = fds[1];
	*stream = made;
	return FW_OK;
}

void fw_log_stream_free(struct fw_log_stream *stream)
{
	if (!stream)
		return;
	fw_watch_free(stream->watch);
	close(stream->fd);
	fw_buffer_done(&stream->early);
	free(stream);
}

void fw_log_stream_attach(struct fw_log_stream *stream, struct fw_log_file *log)
{
	stream->log = log;
	if (stream->early.length)
		write_output(log, stream->early.data, stream->early.length);
	fw_buffer_clear(&stream->early);
	if (stream->paused)
		stream->watch = fw_watch_new(stream->loop, stream->fd, on_readable, stream);
	stream->paused = false;
}

void fw_log_stream_detach(struct fw_log_stream *stream)
{
	for (int i = 0; i < DRAIN_READS && stream->watch && read_some(stream); i++)
		continue;
	stream->served = true;
	stream->log = NULL;
}
