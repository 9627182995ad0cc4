/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "aws/crc.h"
#include "base/memory.h"
#include "tests/unit/support.h"

static const struct {
	uint64_t polynomial, ones;
	uint64_t check; /* of "123456789", from the catalogue of parametrised CRCs */
	const char *text;
} known[FW_CRC_KINDS] = {
	[FW_CRC32C] = {0x82f63b78, UINT32_MAX, 0xe3069283, "4waSgw=="},
	[FW_CRC32] = {0xedb88320, UINT32_MAX, 0xcbf43926, "y/Q5Jg=="},
	[FW_CRC64NVME] = {0x9a6c9329ac4bc9b5, UINT64_MAX, 0xae8b14860a799888, "rosUhgp5mIg="},
};

/* The definition, bit by bit. */
static uint64_t slowly(enum fw_crc kind, const unsigned char *bytes, size_t length)
{
	uint64_t sum = known[kind].ones;

	for (size_t i = 0; i < length; i++) {
		sum ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum & 1 ? sum >> 1 ^ known[kind].polynomial : sum >> 1;
	}
	return sum ^ known[kind].ones;
}

static void fill(unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)(i * i * 31 + i / 7);
}

/* CRC-32C also by RFC 3720 appendix B.4. */
static void published_sums_are_met(void **state)
{
	unsigned char bytes[32] = {0};

	(void)state;
	for (unsigned kind = 0; kind < FW_CRC_KINDS; kind++) {
		assert_int_equal(fw_crc_add(kind, 0, "123456789", 9), known[kind].check);
		assert_int_equal(fw_crc_add(kind, 0, "", 0), 0);
	}
	assert_int_equal(fw_crc_add(FW_CRC32C, 0, bytes, sizeof bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(fw_crc_add(FW_CRC32C, 0, bytes, sizeof bytes), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	assert_int_equal(fw_crc_add(FW_CRC32C, 0, bytes, sizeof bytes), 0x46dd794e);
}

static void any_length_and_alignment_equals_the_definition(void **state)
{
	unsigned char bytes[300];

	(void)state;
	fill(bytes, sizeof bytes);
	for (unsigned kind = 0; kind < FW_CRC_KINDS; kind++)
		for (size_t start = 0; start < 9; start++)
			for (size_t length = 0; length + start <= sizeof bytes; length += 7)
				assert_int_equal(fw_crc_add(kind, 0, bytes + start, length), slowly(kind, bytes + start, length));
}

static void sums_of_parts_combine_into_that_of_the_whole(void **state)
{
	size_t length = 100003;
	fw_cleanup_free unsigned char *bytes = fw_alloc(length);

	(void)state;
	fill(bytes, length);
	for (unsigned kind = 0; kind < FW_CRC_KINDS; kind++) {
		uint64_t whole = fw_crc_add(kind, 0, bytes, length);

		for (size_t cut = 0; cut <= length; cut += 9091) {
			uint64_t a = fw_crc_add(kind, 0, bytes, cut), b = fw_crc_add(kind, 0, bytes + cut, length - cut);

			assert_int_equal(fw_crc_combine(kind, a, b, length - cut), whole);
			assert_int_equal(fw_crc_add(kind, a, bytes + cut, length - cut), whole);
		}
	}
}

static void a_sum_is_written_as_s3_writes_it(void **state)
{
	char text[FW_CRC_TEXT];

	(void)state;
	for (unsigned kind = 0; kind < FW_CRC_KINDS; kind++) {
		fw_crc_text(kind, fw_crc_add(kind, 0, "123456789", 9), text);
		assert_string_equal(text, known[kind].text);
	}
	fw_crc_text(FW_CRC32, 0, text);
	assert_string_equal(text, "AAAAAA==");
	fw_crc_text(FW_CRC64NVME, 0, text);
	assert_string_equal(text, "AAAAAAAAAAA=");
}

FW_TESTS(published_sums_are_met, any_length_and_alignment_equals_the_definition,
         sums_of_parts_combine_into_that_of_the_whole, a_sum_is_written_as_s3_writes_it)
