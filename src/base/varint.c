/* SPDX-License-Identifier: Apache-2.0
 *
 * Short integers, written and read.
 */
#include "base/varint.h"

size_t fw_varint_put(unsigned char *at, uint64_t value)
{
	size_t length = 0;

	for (; value >= 0x80; value >>= 7)
		at[length++] = (unsigned char)(value | 0x80);
	at[length++] = (unsigned char)value;
	return length;
}

bool fw_varint_take(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
	uint64_t result = 0;

	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		unsigned char byte = *(*at)++;

		if (shift == 63 && byte > 1)
			return false; /* more than 64 bits */
		result |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value = result;
			return true;
		}
	}
	return false;
}
