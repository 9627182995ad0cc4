/* SPDX-License-Identifier: Apache-2.0
 *
 * Date, Retry-After and Content-Range of answers. Sources: src/http/date.c, src/http/range.c.
 */
#include <stdlib.h>

#include "http/date.h"
#include "http/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct fw_http_range range;
	int64_t value;

	if (fw_http_date(text, size, &value) && (value < 0 || value > 253402300800))
		abort();
	if (fw_http_retry_after(text, size, 1440938160000, &value) && value < 0)
		abort();
	if (fw_http_content_range(text, size, &range) && (range.whole < 0 || range.first > range.last || range.last >= range.whole + (range.last < 0)))
		abort();
	return 0;
}
