/* SPDX-License-Identifier: Apache-2.0
 *
 * A pattern, a newline, a key: a key whose special characters are escaped matches itself, "**" matches every key, and no
 * pair takes long. Source: src/base/glob.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memory.h"
#include "base/str.h"

enum { LONGEST = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_str rest = {(const char *)data, size}, line;

	if (size == 0 || size > LONGEST || !fw_str_next_field(&rest, '\n', &line))
		return 0;
	fw_cleanup_free char *pattern = fw_strndup(line.text, line.length);
	fw_cleanup_free char *key = rest.text ? fw_strndup(rest.text, rest.length) : fw_strdup("");
	fw_cleanup_free char *escaped = fw_alloc(2 * strlen(key) + 1);
	size_t length = 0;

	for (const char *c = key; *c; c++) {
		if (strchr("*?[\\", *c))
			escaped[length++] = '\\';
		escaped[length++] = *c;
	}
	fw_glob_match(pattern, key);
	fw_path_is_inside(key);
	if (!fw_glob_match(escaped, key) || !fw_glob_match("**", key))
		abort();
	return 0;
}
