/* SPDX-License-Identifier: Apache-2.0
 *
 * Allocation that never returns NULL. One place decides what an exhausted memory means: one line and the end, by write(2),
 * since stdio may itself want memory.
 */
#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST_CAPACITY = 8, EXIT_ENVIRONMENT = 3 };

void fw_memory_exhausted(void)
{
	static const char line[] = "flexwatt: out of memory\n";

	if (write(STDERR_FILENO, line, sizeof line - 1) < 0)
		_exit(EXIT_ENVIRONMENT);
	_exit(EXIT_ENVIRONMENT);
}

static void *never_null(void *memory)
{
	if (!memory)
		fw_memory_exhausted();
	return memory;
}

void *fw_alloc(size_t size)
{
	return never_null(calloc(1, size ? size : 1));
}

void *fw_alloc_array(size_t count, size_t size)
{
	return never_null(count && size ? calloc(count, size) : calloc(1, 1));
}

void *fw_realloc_array(void *memory, size_t count, size_t size)
{
	return never_null(reallocarray(memory, count ? count : 1, size ? size : 1));
}

char *fw_strdup(const char *text)
{
	return text ? never_null(strdup(text)) : NULL;
}

char *fw_strndup(const char *text, size_t length)
{
	return text ? never_null(strndup(text, length)) : NULL;
}

char *fw_vprintf(const char *format, va_list arguments)
{
	char *text = NULL;

	if (vasprintf(&text, format, arguments) < 0)
		fw_memory_exhausted();
	return text;
}

char *fw_printf(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = fw_vprintf(format, arguments);
	va_end(arguments);
	return text;
}

void *fw_grow(void *items, size_t count, size_t *capacity, size_t item_size)
{
	if (count < *capacity)
		return items;
	if (*capacity > SIZE_MAX / 2)
		fw_memory_exhausted();

	size_t wanted = *capacity ? *capacity * 2 : FIRST_CAPACITY;
	void *grown = fw_realloc_array(items, wanted, item_size);
	*capacity = wanted;
	return grown;
}
