/* SPDX-License-Identifier: Apache-2.0
 *
 * The error chain: one object that grows in front as callers say what they attempted. Its text is made when it is
 * raised, since what it speaks of may be gone when it is printed. How it reads is in error_describe.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error_internal.h"
#include "base/memory.h"

/* An error that is replaced before anyone read it would leak: the newer one wins. */
static void raise_error(struct fw_error **err, int code, char *message)
{
	fw_error_free(*err);
	*err = fw_alloc(sizeof **err);
	(*err)->code = code;
	(*err)->message = message;
}

int fw_fail(struct fw_error **err, int code, const char *format, ...)
{
	va_list arguments;

	if (!err)
		return code;
	va_start(arguments, format);
	raise_error(err, code, fw_vprintf(format, arguments));
	va_end(arguments);
	return code;
}

int fw_fail_errno(struct fw_error **err, int errnum, const char *format, ...)
{
	int code = fw_code_from_errno(errnum);
	va_list arguments;

	if (!err)
		return code;
	va_start(arguments, format);
	fw_cleanup_free char *attempted = fw_vprintf(format, arguments);
	va_end(arguments);
	const char *reason = strerrordesc_np(errnum);
	raise_error(err, code,
	            reason ? fw_printf("%s: %s", attempted, reason) : fw_printf("%s: error %d", attempted, errnum));
	return code;
}

int fw_error_wrap(struct fw_error **err, int rc, const char *format, ...)
{
	va_list arguments;

	if (!err || !*err)
		return rc;
	va_start(arguments, format);
	fw_cleanup_free char *attempted = fw_vprintf(format, arguments);
	va_end(arguments);
	fw_cleanup_free char *inner = (*err)->message;
	(*err)->message = fw_printf("%s: %s", attempted, inner);
	return rc;
}

int fw_error_hint(struct fw_error **err, int rc, const char *format, ...)
{
	va_list arguments;

	if (!err || !*err)
		return rc;
	free((*err)->hint);
	va_start(arguments, format);
	(*err)->hint = fw_vprintf(format, arguments);
	va_end(arguments);
	return rc;
}

int fw_error_at(struct fw_error **err, int rc, const char *file, size_t line, size_t column, const char *source_line,
                size_t source_length)
{
	if (!err || !*err || (*err)->file)
		return rc;
	(*err)->file = fw_strdup(file);
	(*err)->line = line;
	(*err)->column = column;
	if (source_line) {
		const char *newline = memchr(source_line, '\n', source_length);

		(*err)->source_length = newline ? (size_t)(newline - source_line) : source_length;
		(*err)->source = fw_alloc((*err)->source_length + 1);
		memcpy((*err)->source, source_line, (*err)->source_length);
	}
	return rc;
}

int fw_error_at_offset(struct fw_error **err, int rc, const char *file, const char *text, size_t length, size_t offset)
{
	size_t line = 1, column = 1, line_start = 0;

	if (!err || !*err)
		return rc;
	if (offset > length)
		offset = length;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			line++;
			line_start = i + 1;
		}
	}
	for (size_t i = line_start; i < offset; i++)
		column += (text[i] & 0xc0) != 0x80;
	return fw_error_at(err, rc, file, line, column, text + line_start, length - line_start);
}

int fw_error_code(const struct fw_error *error)
{
	return error ? error->code : FW_OK;
}

const char *fw_error_message(const struct fw_error *error)
{
	return error->message;
}

const char *fw_error_hint_text(const struct fw_error *error)
{
	return error->hint;
}

const char *fw_error_file(const struct fw_error *error)
{
	return error->file;
}

size_t fw_error_line(const struct fw_error *error)
{
	return error->line;
}

size_t fw_error_column(const struct fw_error *error)
{
	return error->column;
}

struct fw_error *fw_error_copy(const struct fw_error *error)
{
	if (!error)
		return NULL;
	struct fw_error *copy = fw_alloc(sizeof *copy);

	*copy = *error;
	copy->message = fw_strdup(error->message);
	copy->hint = fw_strdup(error->hint);
	copy->file = fw_strdup(error->file);
	copy->source = NULL;
	if (error->source) {
		copy->source = fw_alloc(error->source_length + 1); /* bytes, not text */
		memcpy(copy->source, error->source, error->source_length);
	}
	return copy;
}

void fw_error_free(struct fw_error *error)
{
	if (!error)
		return;
	free(error->message);
	free(error->hint);
	free(error->file);
	free(error->source);
	free(error);
}
