/* SPDX-License-Identifier: Apache-2.0
 *
 * CRC-32C by the processor's own instruction where it has one (8 bytes in three cycles); the others, and where it has none,
 * by tables that take eight bytes at once. Both give the same, which a test holds. All three are reflected: bits - 1 is x^0.
 * Sums are combined by multiplication modulo the polynomial: appending n bytes to a is a · x^(8n).
 */
#include "aws/crc.h"

#include <pthread.h>
#include <string.h>

enum { AT_ONCE = 8 };

static const struct {
	const char *name;
	uint64_t polynomial;
	unsigned bits;
} kinds[FW_CRC_KINDS] = {
	[FW_CRC32C] = {"crc32c", 0x82f63b78, 32},
	[FW_CRC32] = {"crc32", 0xedb88320, 32},
	[FW_CRC64NVME] = {"crc64nvme", 0x9a6c9329ac4bc9b5, 64},
};

static uint64_t tables[FW_CRC_KINDS][AT_ONCE][256]; /* [n]: of a byte that has n zero bytes behind it */
static pthread_once_t tables_made = PTHREAD_ONCE_INIT;

static uint64_t divide(enum fw_crc kind, uint64_t sum)
{
	return sum & 1 ? sum >> 1 ^ kinds[kind].polynomial : sum >> 1;
}

static void make_tables(void)
{
	for (unsigned kind = 0; kind < FW_CRC_KINDS; kind++) {
		uint64_t (*table)[256] = tables[kind];

		for (unsigned i = 0; i < 256; i++) {
			table[0][i] = i;
			for (int bit = 0; bit < 8; bit++)
				table[0][i] = divide(kind, table[0][i]);
		}
		for (unsigned zeros = 1; zeros < AT_ONCE; zeros++)
			for (unsigned i = 0; i < 256; i++)
				table[zeros][i] = table[zeros - 1][i] >> 8 ^ table[0][table[zeros - 1][i] & 0xff];
	}
}

static uint64_t by_tables(enum fw_crc kind, uint64_t sum, const unsigned char *bytes, size_t length)
{
	pthread_once(&tables_made, make_tables);
	uint64_t (*table)[256] = tables[kind];

	for (; length >= AT_ONCE; bytes += AT_ONCE, length -= AT_ONCE) {
		uint64_t next = 0;

		for (unsigned i = 0; i < AT_ONCE; i++)
			next ^= table[AT_ONCE - 1 - i][bytes[i] ^ (sum >> 8 * i & 0xff)];
		sum = next;
	}
	for (size_t i = 0; i < length; i++)
		sum = sum >> 8 ^ table[0][(sum ^ bytes[i]) & 0xff];
	return sum;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint64_t by_instruction(uint64_t sum, const unsigned char *bytes, size_t length)
{
	for (; length >= 8; bytes += 8, length -= 8) {
		uint64_t word;

		memcpy(&word, bytes, sizeof word);
		sum = _mm_crc32_u64(sum, word);
	}
	return by_tables(FW_CRC32C, sum, bytes, length);
}

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint64_t by_instruction(uint64_t sum, const unsigned char *bytes, size_t length)
{
	return by_tables(FW_CRC32C, sum, bytes, length);
}

static bool has_instruction(void)
{
	return false;
}
#endif

uint64_t fw_crc_add(enum fw_crc kind, uint64_t sum, const void *bytes, size_t length)
{
	uint64_t mask = UINT64_MAX >> (64 - kinds[kind].bits);

	if (kind == FW_CRC32C && has_instruction())
		return by_instruction(sum ^ mask, bytes, length) ^ mask;
	return by_tables(kind, sum ^ mask, bytes, length) ^ mask;
}

static uint64_t multiply(enum fw_crc kind, uint64_t a, uint64_t b)
{
	uint64_t product = 0;

	for (uint64_t bit = UINT64_C(1) << (kinds[kind].bits - 1); bit; bit >>= 1) {
		if (a & bit)
			product ^= b;
		b = divide(kind, b);
	}
	return product;
}

uint64_t fw_crc_combine(enum fw_crc kind, uint64_t a, uint64_t b, uint64_t length)
{
	uint64_t power = UINT64_C(1) << (kinds[kind].bits - 1 - 8); /* x^8: one byte */

	for (; length; length >>= 1) {
		if (length & 1)
			a = multiply(kind, power, a);
		power = multiply(kind, power, power);
	}
	return a ^ b;
}

void fw_crc_text(enum fw_crc kind, uint64_t sum, char text[FW_CRC_TEXT])
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = kinds[kind].bits, at = 0;

	for (unsigned done = 0; done < bits; done += 6) /* the last digit has zeros below */
		text[at++] = digits[(done + 6 <= bits ? sum >> (bits - done - 6) : sum << (done + 6 - bits)) & 63];
	while (at % 4)
		text[at++] = '=';
	text[at] = '\0';
}

bool fw_crc_is(enum fw_crc kind, uint64_t sum, const char *text)
{
	char ours[FW_CRC_TEXT];

	fw_crc_text(kind, sum, ours);
	return strcmp(ours, text) == 0;
}

const char *fw_crc_name(enum fw_crc kind)
{
	return kinds[kind].name;
}
