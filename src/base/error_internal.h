/* SPDX-License-Identifier: Apache-2.0
 *
 * The error object, for the files that build it (error.c) and word it (error_describe.c).
 */
#pragma once

#include "base/error.h"

struct fw_error {
	int code;
	char *message;
	char *hint;
	char *file; /* a position has been set */
	size_t line;
	size_t column;
	char *source; /* the line at fault, may hold any byte but a newline */
	size_t source_length;
};
