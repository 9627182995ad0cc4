/* SPDX-License-Identifier: Apache-2.0
 *
 * The processor's own instruction where it has one (8 bytes in three cycles), else a table of bytes; both give the same,
 * which a test holds. Sums are combined by multiplication modulo the polynomial: appending n bytes to a is a · x^(8n).
 */
#include "aws/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static const uint32_t polynomial = 0x82f63b78; /* reflected: bit 31 is x^0 */

static uint32_t table[256];
static pthread_once_t table_made = PTHREAD_ONCE_INIT;

static void make_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t sum = i;

		for (int bit = 0; bit < 8; bit++)
			sum = sum & 1 ? sum >> 1 ^ polynomial : sum >> 1;
		table[i] = sum;
	}
}

static uint32_t by_table(uint32_t sum, const unsigned char *bytes, size_t length)
{
	pthread_once(&table_made, make_table);
	for (size_t i = 0; i < length; i++)
		sum = sum >> 8 ^ table[(sum ^ bytes[i]) & 0xff];
	return sum;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t sum, const unsigned char *bytes, size_t length)
{
	uint64_t wide = sum;

	for (; length >= 8; bytes += 8, length -= 8) {
		uint64_t word;

		memcpy(&word, bytes, sizeof word);
		wide = _mm_crc32_u64(wide, word);
	}
	return by_table((uint32_t)wide, bytes, length);
}

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t by_instruction(uint32_t sum, const unsigned char *bytes, size_t length)
{
	return by_table(sum, bytes, length);
}

static bool has_instruction(void)
{
	return false;
}
#endif

uint32_t fw_crc32c(uint32_t sum, const void *bytes, size_t length)
{
	return ~(has_instruction() ? by_instruction(~sum, bytes, length) : by_table(~sum, bytes, length));
}

static uint32_t multiply(uint32_t a, uint32_t b)
{
	uint32_t product = 0;

	for (uint32_t bit = 1U << 31; bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = b & 1 ? b >> 1 ^ polynomial : b >> 1;
	}
	return product;
}

uint32_t fw_crc32c_combine(uint32_t a, uint32_t b, uint64_t length)
{
	uint32_t power = 1U << 23; /* x^8: one byte */

	for (; length; length >>= 1) {
		if (length & 1)
			a = multiply(power, a);
		power = multiply(power, power);
	}
	return a ^ b;
}

void fw_crc32c_text(uint32_t sum, char text[FW_CRC32C_TEXT])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t bits = (uint64_t)sum << 4; /* six digits of six bits */

	for (int i = 0; i < 6; i++)
		text[i] = digits[bits >> (30 - 6 * i) & 63];
	memcpy(text + 6, "==", 3);
}
