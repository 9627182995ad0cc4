/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of S3: what is read holds to its bounds, every entry has a key. Sources: src/aws/s3_xml.c.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_s3_xml answer;
	struct fw_error *error = NULL;

	if (fw_s3_xml_read((const char *)data, size, &answer, &error) != FW_OK) {
		if (!error || answer.root || answer.items.count > 0)
			abort();
		fw_error_free(error);
		return 0;
	}
	if (!answer.root || answer.items.count > FW_S3_MAX_ITEMS)
		abort();
	for (size_t i = 0; i < answer.items.count; i++)
		if (!answer.items.items[i].key || answer.items.items[i].bytes < 0)
			abort();
	fw_s3_xml_done(&answer);
	return 0;
}
