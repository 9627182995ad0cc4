/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as JSON: what is accepted must be written as JSON that reads back as the same value, what is refused must
 * have an error that can be shown. Source: src/base/json.c, json_write.c, error_describe.c.
 */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_json json_t *json = NULL, *again = NULL;
	fw_cleanup_buffer struct fw_buffer quoted;

	fw_buffer_init(&quoted, SIZE_MAX / 2);
	fw_json_quote((struct fw_str){(const char *)data, size}, &quoted);
	if (fw_json_load("fuzz", (const char *)data, size, &json, &err) != FW_OK) {
		free(fw_error_describe(err));
		return 0;
	}
	fw_cleanup_free char *dumped = fw_json_dump(json);
	if (fw_json_load("dumped", dumped, fw_str_of(dumped).length, &again, NULL) != FW_OK || !json_equal(json, again))
		abort();
	fw_json_at(json, "/a/0~1");
	return 0;
}
