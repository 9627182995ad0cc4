/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/byte_mask.h"

#include <endian.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* 0x80 in each byte of the word that is zero, 0 in the others (Hacker's Delight, 6-1). */
static uint64_t zero_bytes(uint64_t word)
{
	const uint64_t low = 0x7f7f7f7f7f7f7f7fu;

	return ~(((word & low) + low) | word | low);
}

uint64_t fw_byte_mask_portable(const uint8_t *bytes, size_t blocks, uint8_t byte, uint64_t *masks)
{
	const uint64_t wanted = 0x0101010101010101u * byte;
	uint64_t any = 0;

	for (size_t block = 0; block < blocks; block++) {
		uint64_t mask = 0;

		for (unsigned i = 0; i < 8; i++) {
			uint64_t word;

			memcpy(&word, bytes + block * FW_BYTE_BLOCK + (size_t)i * 8, sizeof word);
			/* The multiplication moves the eight bits side by side into the highest byte. */
			mask |= ((zero_bytes(le64toh(word) ^ wanted) >> 7) * 0x0102040810204080u >> 56) << (8 * i);
		}
		masks[block] = mask;
		any |= mask;
	}
	return any;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t mask_avx2(const uint8_t *bytes, size_t blocks, uint8_t byte,
                                                          uint64_t *masks)
{
	const __m256i wanted = _mm256_set1_epi8((char)byte);
	uint64_t any = 0;

	for (size_t block = 0; block < blocks; block++) {
		const __m256i *at = (const __m256i *)(const void *)(bytes + block * FW_BYTE_BLOCK);
		__m256i low = _mm256_cmpeq_epi8(_mm256_loadu_si256(at), wanted);
		__m256i high = _mm256_cmpeq_epi8(_mm256_loadu_si256(at + 1), wanted);
		uint64_t mask = (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;

		masks[block] = mask;
		any |= mask;
	}
	return any;
}
#endif

fw_byte_mask_fn *fw_byte_mask(void)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		return mask_avx2;
#endif
	return fw_byte_mask_portable;
}
