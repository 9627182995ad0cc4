/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes that grow, with a maximum set at birth: what a stranger sends can never take all memory.
 * Always NUL-terminated behind `length`. Past the maximum an append fails, the buffer keeps what it had and stays failed.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

struct fw_buffer {
	char *data;
	size_t length;
	size_t capacity;
	size_t maximum;
	bool failed; /* an append did not fit */
};

void fw_buffer_init(struct fw_buffer *buffer, size_t maximum);
void fw_buffer_done(struct fw_buffer *buffer); /* may be used again after init */
void fw_buffer_clear(struct fw_buffer *buffer);
int fw_buffer_append(struct fw_buffer *buffer, const void *bytes, size_t length); /* FW_OK or FW_E_LIMIT */
int fw_buffer_text(struct fw_buffer *buffer, const char *text);
int fw_buffer_printf(struct fw_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fw_buffer_vprintf(struct fw_buffer *buffer, const char *format, va_list arguments);
char *fw_buffer_take(struct fw_buffer *buffer); /* the caller frees it; the buffer is empty again; never NULL */
struct fw_str fw_buffer_str(const struct fw_buffer *buffer);

/* Reads a whole file below dirfd (AT_FDCWD allowed), at most `maximum` bytes, into an initialised buffer. */
int fw_read_file(int dirfd, const char *path, struct fw_buffer *buffer, struct fw_error **err);
/* Writes beside the target and renames over it, so that nobody sees half a file. */
int fw_write_file(int dirfd, const char *path, const void *bytes, size_t length, unsigned mode, struct fw_error **err);

#define fw_cleanup_buffer __attribute__((cleanup(fw_buffer_done)))
