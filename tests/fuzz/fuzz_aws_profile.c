/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared files of AWS's tools. An error never shows what stands in them: it could be a key. Sources: src/aws/profile.c.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aws/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_aws_profile profile = {0};

	for (int is_config = 0; is_config < 2; is_config++) {
		struct fw_error *error = NULL;

		if (fw_aws_profile_read(&profile, "file", (const char *)data, size, "default", is_config, &error) != FW_OK) {
			if (!error)
				abort();
		}
		fw_error_free(error);
		if (profile.access_key && (!*profile.access_key || !profile.found))
			abort();
	}
	fw_aws_profile_done(&profile);
	return 0;
}
