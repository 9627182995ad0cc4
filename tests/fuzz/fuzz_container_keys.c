/* SPDX-License-Identifier: Apache-2.0
 *
 * What a container's endpoint answers: whole keys or none. Sources: src/aws/credentials_container.c.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/credentials_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_aws_key_set keys = {0};
	struct fw_error *error = NULL;
	int rc = fw_aws_container_read((const char *)data, size, &keys, &error);

	if ((rc == FW_OK) != (keys.access_key != NULL) || (rc == FW_OK) != (keys.secret_key != NULL) || (rc == FW_OK) != !error)
		abort();
	if (keys.session_token && strpbrk(keys.session_token, "\r\n"))
		abort();
	fw_aws_key_set_done(&keys);
	fw_error_free(error);
	return 0;
}
