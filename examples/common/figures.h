/* SPDX-License-Identifier: Apache-2.0
 *
 * Small JSON files of counts that one stage of ours writes and the next one adds up: a number is found by the name before it.
 */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The beginning of a file as a text. */
static inline bool figures_read(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	size_t length = fread(text, 1, size - 1, file);
	text[length] = '\0';
	return fclose(file) == 0;
}

/* The number behind `name`, which has its quotes and colon: "\"points\": ". */
static inline bool figure_behind(const char *text, const char *name, uint64_t *number)
{
	const char *found = strstr(text, name);
	char *end = NULL;

	errno = 0;
	if (found)
		*number = strtoull(found + strlen(name), &end, 10);
	return found && end > found + strlen(name) && errno == 0;
}
