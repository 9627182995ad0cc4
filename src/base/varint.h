/* SPDX-License-Identifier: Apache-2.0
 *
 * Integers in as few bytes as they need: seven bits a byte, the lowest first. Differences of either sign go through the
 * zigzag first. They are taken in unsigned arithmetic, which wraps, so that every pair of int64_t has one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FW_VARINT_MAX = 10 };

/* At most FW_VARINT_MAX bytes; returns how many. */
size_t fw_varint_put(unsigned char *at, uint64_t value);
/* False, with *at anywhere, when the bytes end within it or tell more than 64 bits. */
bool fw_varint_take(const unsigned char **at, const unsigned char *end, uint64_t *value);

static inline uint64_t fw_zigzag(uint64_t difference)
{
	return (difference << 1) ^ (0 - (difference >> 63));
}

static inline uint64_t fw_unzigzag(uint64_t code)
{
	return (code >> 1) ^ (0 - (code & 1));
}
