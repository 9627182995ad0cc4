/* SPDX-License-Identifier: Apache-2.0
 *
 * One sink, set once before threads start and only read afterwards. A message is formatted on the stack, bounded, so that
 * logging never allocates; below the level it costs one comparison.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum { MESSAGE_BYTES = 2048 };

static struct {
	enum fw_log_level level;
	fw_log_fn *sink;
	void *context;
} the_log;

void fw_log_set(enum fw_log_level level, fw_log_fn *sink, void *context)
{
	the_log.level = level;
	the_log.sink = sink;
	the_log.context = context;
}

void fw_log(enum fw_log_level level, const char *format, ...)
{
	char message[MESSAGE_BYTES];
	va_list arguments;

	if (!the_log.sink || level > the_log.level)
		return;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	the_log.sink(the_log.context, level, message);
}
