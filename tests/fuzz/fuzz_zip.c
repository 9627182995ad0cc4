/* SPDX-License-Identifier: Apache-2.0
 *
 * A package's bytes, as `check` looks for its bootstrap.
 */
#include <stdint.h>

#include "workflow/workflow_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned mode = 0;

	fw_zip_mode((const char *)data, size, "bootstrap", &mode, NULL);
	return 0;
}
