/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers print. A stream is one worker's stdout and stderr (one pipe, so that their order is kept); a log is the file
 * of one invocation. Bounded: of a flood the head and the tail are kept, with a line that says how much was cut.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/str.h"

enum { FW_LOG_MAX_BYTES = 4 << 20 };

struct fw_log_file;
struct fw_log_stream;

/* Of the file directory/name, which is made, empty, when there is something to write. maximum 0: FW_LOG_MAX_BYTES. */
struct fw_log_file *fw_log_file_new(const char *directory, const char *name, size_t maximum);
/* A line of ours, which begins a new one also where the worker did not end its own. */
void fw_log_file_write(struct fw_log_file *log, struct fw_str text);
/* Nothing of the worker follows: writes what is still held, the kept tail included, and closes the descriptor. With
 * `only_output`, a log to which the worker wrote nothing is not made: fw_report_silent() has its lines from the record. */
void fw_log_file_end(struct fw_log_file *log, bool only_output);
/* One line behind all else, after _end(). */
void fw_log_file_append(struct fw_log_file *log, struct fw_str text);
/* NULL when there is none. */
const char *fw_log_file_path(const struct fw_log_file *log);
void fw_log_file_free(struct fw_log_file *log);

/* *write_fd is for the worker: the caller closes its copy. */
int fw_log_stream_new(struct fw_loop *loop, struct fw_log_stream **stream, int *write_fd, struct fw_error **err);
void fw_log_stream_free(struct fw_log_stream *stream);
/* From now on to this log; what came while there was none is written first (bounded; see log.c). Borrowed until detached. */
void fw_log_stream_attach(struct fw_log_stream *stream, struct fw_log_file *log);
/* Writes what the worker had printed until now. */
void fw_log_stream_detach(struct fw_log_stream *stream);
