/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes from the host, as the SDK reads them: an HTTP reply and, in its body, an event whose members, texts and numbers are
 * all looked at. Sources: src/function/reply.c, json.c, arena.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "function/sdk.h"

static void look_at(struct fw_sdk_arena *arena, struct fw_sdk_text value, int depth)
{
	struct fw_sdk_each each = fw_sdk_json_each(value);
	struct fw_sdk_buffer quoted = {.max = 1 << 20};
	struct fw_sdk_text key, item;
	int64_t integer;
	double number;

	fw_sdk_json_number(value, &number);
	fw_sdk_json_integer(value, &integer);
	const char *text = fw_sdk_json_string(arena, value);
	if (text) { /* what is read must be written as JSON */
		fw_sdk_append_quoted(&quoted, text);
		if (!quoted.full && !fw_sdk_json_check((struct fw_sdk_text){quoted.bytes, quoted.length}))
			abort();
		fw_sdk_buffer_done(&quoted);
	}
	while (depth < 4 && fw_sdk_json_next(&each, each.object ? &key : NULL, &item)) {
		if (each.object)
			look_at(arena, key, depth + 1);
		look_at(arena, item, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_sdk_arena arena = {0};
	struct fw_sdk_reply reply;
	struct fw_sdk_text member;
	char *copy = malloc(size ? size : 1);
	size_t used = 0;

	memcpy(copy, data, size);
	if (fw_sdk_http_parse(copy, size, true, &reply, &used) == 1) {
		if (used > size || reply.body.length > size)
			abort();
		fw_sdk_http_header(&reply, "Lambda-Runtime-Aws-Request-Id");
		if (fw_sdk_json_check(reply.body)) {
			fw_sdk_json_member(reply.body, "inputs", &member);
			look_at(&arena, reply.body, 0);
		}
	}
	fw_sdk_arena_done(&arena);
	free(copy);
	return 0;
}
