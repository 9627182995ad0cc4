/* SPDX-License-Identifier: Apache-2.0
 *
 * Error documents of functions: always two printable, valid texts. Sources: src/runtime/error_document.c, src/base.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "runtime/error_document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require_printable(const char *text)
{
	json_t *valid = json_string(text); /* refuses what is not UTF-8 */

	if (!valid)
		abort();
	json_decref(valid);
	for (; *text; text++)
		if ((*text > 0 && *text < ' ' && *text != '\n' && *text != '\t') || *text == 127)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_error_document document;

	fw_error_document_read((const char *)data, size, NULL, "Function.Unknown", &document);
	require_printable(document.type);
	require_printable(document.message);
	if (!document.type[0])
		abort();
	return 0;
}
