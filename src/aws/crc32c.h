/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C (Castagnoli), the checksum that S3 takes for whole objects and for parts alike: sums of parts combine into the
 * sum of the whole, whatever order they were made in.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { FW_CRC32C_TEXT = 9 }; /* base64 of four bytes and the NUL */

/* Goes on from `sum`; 0 begins. */
uint32_t fw_crc32c(uint32_t sum, const void *bytes, size_t length);
/* Of a then b, of which b has `length` bytes. */
uint32_t fw_crc32c_combine(uint32_t a, uint32_t b, uint64_t length);
/* As S3 writes it in headers: big endian, base64. */
void fw_crc32c_text(uint32_t sum, char text[FW_CRC32C_TEXT]);
