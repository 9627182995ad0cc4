/* SPDX-License-Identifier: Apache-2.0
 *
 * An event whose texts are any bytes (file names are): it is always JSON. Sources: src/record/event.c, src/base.
 */
#include <stdlib.h>
#include <string.h>

#include "record/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_free char *text = fw_strndup((const char *)data, size);
	fw_cleanup_json json_t *json = NULL;
	int64_t number = 0;
	size_t length = 0;

	memcpy(&number, data, size < sizeof number ? size : sizeof number);
	struct fw_object_ref objects[] = {
		{.uri = text, .path = text, .bytes = number, .offset = number, .length = number},
		{.future = text},
	};
	struct fw_event_input input = {.name = text, .objects = {objects, 2, 2}};
	struct fw_event_output output = {.name = text, .directory = text, .suffix = text};
	const struct fw_event event = {.run = text, .stage = text, .handler = text, .task = number, .workers = number,
	                               .attempt = number, .inputs = {&input, 1, 1}, .outputs = {&output, 1, 1}};
	fw_cleanup_free char *encoded = fw_event_encode(&event, &length);
	if (encoded && fw_json_load("event", encoded, length, &json, NULL) != FW_OK)
		abort();
	return 0;
}
