/* SPDX-License-Identifier: Apache-2.0
 *
 * The blob of a series: what is accepted comes back when it is encoded again. Sources: src/store/series.c, src/base.
 */
#include <stdlib.h>
#include <string.h>

#include "store/measurements.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fw_cleanup_free struct fw_sample *samples = NULL, *again = NULL;
	fw_cleanup_buffer struct fw_buffer bytes;
	size_t count = 0, again_count = 0;

	fw_buffer_init(&bytes, 32 + 20 * size);
	if (fw_series_decode(data, size, &samples, &count, NULL) != FW_OK)
		return 0;
	fw_series_encode(samples, count, &bytes);
	if (bytes.failed || fw_series_decode(bytes.data, bytes.length, &again, &again_count, NULL) != FW_OK ||
	    again_count != count || memcmp(samples, again, count * sizeof *samples) != 0)
		abort();
	return 0;
}
