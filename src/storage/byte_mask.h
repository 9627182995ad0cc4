/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a byte occurs, 64 positions a word: bit k of word i says whether bytes[64 i + k] is it. Everything that scans
 * text at the speed of memory is made of these words, so that what a processor has instructions for can never change a
 * result.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { FW_BYTE_BLOCK = 64 };

/* `bytes` has blocks * FW_BYTE_BLOCK bytes. Returns all words together (or): 0 when the byte occurs nowhere. */
typedef uint64_t fw_byte_mask_fn(const uint8_t *bytes, size_t blocks, uint8_t byte, uint64_t *masks);

uint64_t fw_byte_mask_portable(const uint8_t *bytes, size_t blocks, uint8_t byte, uint64_t *masks);
/* The fastest that this processor can run. */
fw_byte_mask_fn *fw_byte_mask(void);
