/* SPDX-License-Identifier: Apache-2.0
 *
 * A function's answer: whatever is accepted names only files below its outputs. Sources: src/record/answer.c, src/base.
 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "record/event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_answer answer;

	if (fw_answer_decode((const char *)data, size, &answer, &err) != FW_OK) {
		fw_cleanup_free char *text = fw_error_describe(err);
		return strlen(text) == 0 ? abort(), 0 : 0; /* a refusal says why */
	}
	for (size_t i = 0; i < answer.outputs.count; i++)
		for (size_t j = 0; j < answer.outputs.items[i].objects.count; j++)
			if (!fw_path_is_inside(answer.outputs.items[i].objects.items[j]))
				abort();
	fw_answer_done(&answer);
	return 0;
}
