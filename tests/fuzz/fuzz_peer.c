/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer of the kernel's socket table, whole or cut: a uid or one error. Source: src/http/peer.c.
 */
#include <stdint.h>
#include <stdlib.h>

#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_error *err FW_CLEANUP(fw_error_free) = NULL;
	unsigned uid = 12345;
	int rc = fw_http_peer_answer((const char *)data, size, &uid, &err);

	if ((rc == FW_OK) != (err == NULL) || (rc != FW_OK && uid != 12345))
		abort();
	return 0;
}
