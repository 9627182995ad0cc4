/* SPDX-License-Identifier: Apache-2.0
 *
 * The checksums of S3 that are made for objects in parts: sums of parts combine into the sum of the whole, whatever order
 * they were made in. CRC-32C is what flexwatt sends; objects of others come with any of the three.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fw_crc { FW_CRC32C, FW_CRC32, FW_CRC64NVME };
enum { FW_CRC_KINDS = FW_CRC64NVME + 1, FW_CRC_TEXT = 13 }; /* base64 of eight bytes and the NUL */

/* Goes on from `sum`; 0 begins. */
uint64_t fw_crc_add(enum fw_crc kind, uint64_t sum, const void *bytes, size_t length);
/* Of a then b, of which b has `length` bytes. */
uint64_t fw_crc_combine(enum fw_crc kind, uint64_t a, uint64_t b, uint64_t length);
/* As S3 writes it in headers: big endian, base64. */
void fw_crc_text(enum fw_crc kind, uint64_t sum, char text[FW_CRC_TEXT]);
bool fw_crc_is(enum fw_crc kind, uint64_t sum, const char *text); /* text: as S3 writes it */
/* As S3 calls it in names of headers: "crc32c". */
const char *fw_crc_name(enum fw_crc kind);
