/* SPDX-License-Identifier: Apache-2.0
 *
 * A record as JSON: what is accepted is written and read again as the same. Sources: src/record/record*.c, src/base.
 */
#include <stdlib.h>

#include "record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_json json_t *json = NULL;
	struct fw_record record, again;

	if (fw_json_load("record", (const char *)data, size, &json, &err) != FW_OK ||
	    fw_record_from_json(json, &record, &err) != FW_OK)
		return 0;
	fw_cleanup_json json_t *written = fw_record_to_json(&record);
	if (fw_record_from_json(written, &again, NULL) != FW_OK)
		abort();
	fw_cleanup_json json_t *rewritten = fw_record_to_json(&again);
	if (!json_equal(written, rewritten))
		abort();
	fw_record_done(&record);
	fw_record_done(&again);
	return 0;
}
