/* SPDX-License-Identifier: Apache-2.0
 *
 * The URI of a bucket: what is accepted says the same again. Source: src/storage/s3_uri.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/memory.h"
#include "storage/s3_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_s3_uri struct fw_s3_uri uri = {0}, again = {0};
	size_t offset = 0;

	if (fw_s3_uri_parse((const char *)data, size, &uri, &offset, NULL) != FW_OK) {
		if (offset > size)
			abort();
		return 0;
	}
	fw_cleanup_free char *text = fw_s3_uri_text(&uri);

	if (fw_s3_uri_parse(text, strlen(text), &again, &offset, NULL) != FW_OK)
		abort();
	fw_cleanup_free char *twice = fw_s3_uri_text(&again);

	if (strcmp(text, twice) != 0)
		abort();
	return 0;
}
