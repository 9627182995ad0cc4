/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries and paths that are signed: what is canonical once is canonical. Sources: src/aws/signature.c.
 */
#include <stdlib.h>
#include <string.h>

#include "aws/signature.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The third line of the canonical request, newly allocated; NULL when it is too large. */
static char *canonical_query(const char *query)
{
	struct fw_aws_signing signing = {.method = "GET", .path = "/", .query = query, .payload_sha256 = "", .plain_path = true};
	fw_cleanup_buffer struct fw_buffer out, names;
	struct fw_str rest, line = {NULL, 0};

	fw_buffer_init(&out, FW_AWS_MAX_SIGNED_BYTES);
	fw_buffer_init(&names, FW_AWS_MAX_SIGNED_BYTES);
	if (fw_aws_canonical_request(&signing, &out, &names) != FW_OK)
		return NULL;
	rest = fw_buffer_str(&out);
	for (int i = 0; i < 3; i++)
		if (!fw_str_next_line(&rest, &line))
			abort();
	return fw_strndup(line.text, line.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_free char *text = fw_strndup((const char *)data, size), *once = canonical_query(text), *twice = NULL;

	if (!once)
		return 0;
	twice = canonical_query(once);
	if (!twice || strcmp(once, twice) != 0 || strspn(once, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%&=") != strlen(once))
		abort();
	return 0;
}
