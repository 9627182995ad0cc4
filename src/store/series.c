/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of a series.
 */
#include <stdlib.h>

#include "base/varint.h"
#include "store/measurements.h"

enum { SERIES_VERSION = 1 };

static void append_varint(struct fw_buffer *out, uint64_t value)
{
	unsigned char bytes[FW_VARINT_MAX];

	fw_buffer_append(out, bytes, fw_varint_put(bytes, value));
}

void fw_series_encode(const struct fw_sample *samples, size_t count, struct fw_buffer *out)
{
	uint64_t time = 0, step = 0, value = 0;

	append_varint(out, SERIES_VERSION);
	append_varint(out, count);
	for (size_t i = 0; i < count; i++) {
		uint64_t next_step = (uint64_t)samples[i].time_ns - time;

		append_varint(out, fw_zigzag(next_step - step));
		append_varint(out, fw_zigzag((uint64_t)samples[i].value - value));
		time = (uint64_t)samples[i].time_ns;
		step = next_step;
		value = (uint64_t)samples[i].value;
	}
}

static bool take_samples(const unsigned char *at, const unsigned char *end, struct fw_sample *samples, size_t count)
{
	uint64_t time = 0, step = 0, value = 0, code;

	for (size_t i = 0; i < count; i++) {
		if (!fw_varint_take(&at, end, &code))
			return false;
		step += fw_unzigzag(code);
		time += step;
		if (!fw_varint_take(&at, end, &code))
			return false;
		value += fw_unzigzag(code);
		samples[i] = (struct fw_sample){(int64_t)time, (int64_t)value};
	}
	return at == end;
}

int fw_series_decode(const void *bytes, size_t length, struct fw_sample **samples, size_t *count, struct fw_error **err)
{
	const unsigned char *at = bytes, *end = length > 0 ? at + length : at;
	uint64_t version, announced;

	if (!fw_varint_take(&at, end, &version) || version != SERIES_VERSION)
		return fw_fail(err, FW_E_INVALID, "a series of samples: not of version %d", SERIES_VERSION);
	if (!fw_varint_take(&at, end, &announced) || announced > (uint64_t)(end - at) / 2)
		return fw_fail(err, FW_E_INVALID, "a series of samples: shorter than it says");
	fw_cleanup_free struct fw_sample *read = fw_alloc_array((size_t)announced + 1, sizeof *read);
	if (!take_samples(at, end, read, (size_t)announced))
		return fw_fail(err, FW_E_INVALID, "a series of samples: damaged");
	*samples = FW_TAKE(read);
	*count = (size_t)announced;
	return FW_OK;
}
