/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "aws/crc32c.h"
#include "base/memory.h"
#include "tests/unit/support.h"

/* The definition, bit by bit. */
static uint32_t slowly(const unsigned char *bytes, size_t length)
{
	uint32_t sum = ~0U;

	for (size_t i = 0; i < length; i++) {
		sum ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			sum = sum & 1 ? sum >> 1 ^ 0x82f63b78 : sum >> 1;
	}
	return ~sum;
}

static void fill(unsigned char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		bytes[i] = (unsigned char)(i * i * 31 + i / 7);
}

/* RFC 3720 appendix B.4. */
static void published_sums_are_met(void **state)
{
	unsigned char bytes[32] = {0};

	(void)state;
	assert_int_equal(fw_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(fw_crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(fw_crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)i;
	assert_int_equal(fw_crc32c(0, bytes, sizeof bytes), 0x46dd794e);
	assert_int_equal(fw_crc32c(0, "", 0), 0);
}

static void any_length_and_alignment_equals_the_definition(void **state)
{
	unsigned char bytes[300];

	(void)state;
	fill(bytes, sizeof bytes);
	for (size_t start = 0; start < 9; start++)
		for (size_t length = 0; length + start <= sizeof bytes; length += 7)
			assert_int_equal(fw_crc32c(0, bytes + start, length), slowly(bytes + start, length));
}

static void sums_of_parts_combine_into_that_of_the_whole(void **state)
{
	size_t length = 100003;
	fw_cleanup_free unsigned char *bytes = fw_alloc(length);
	uint32_t whole;

	(void)state;
	fill(bytes, length);
	whole = fw_crc32c(0, bytes, length);
	for (size_t cut = 0; cut <= length; cut += 9091) {
		uint32_t a = fw_crc32c(0, bytes, cut), b = fw_crc32c(0, bytes + cut, length - cut);

		assert_int_equal(fw_crc32c_combine(a, b, length - cut), whole);
		assert_int_equal(fw_crc32c(a, bytes + cut, length - cut), whole);
	}
}

static void a_sum_is_written_as_s3_writes_it(void **state)
{
	char text[FW_CRC32C_TEXT];

	(void)state;
	fw_crc32c_text(fw_crc32c(0, "123456789", 9), text);
	assert_string_equal(text, "4waSgw==");
	fw_crc32c_text(0, text);
	assert_string_equal(text, "AAAAAA==");
}

FW_TESTS(published_sums_are_met, any_length_and_alignment_equals_the_definition,
         sums_of_parts_combine_into_that_of_the_whole, a_sum_is_written_as_s3_writes_it)
