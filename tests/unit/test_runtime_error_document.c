/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/error_document.h"

#include <string.h>

#include "base/memory.h"
#include "tests/unit/support.h"

static struct fw_error_document read_of(const char *text)
{
	struct fw_error_document document;

	fw_error_document_read(text, strlen(text), NULL, "Function.Unknown", &document);
	return document;
}

static void takes_type_and_message(void **state)
{
	struct fw_error_document document = read_of("{\"errorType\":\"ValueError\",\"errorMessage\":\"za\\u017c\",\"x\":1}");

	(void)state;
	assert_string_equal(document.type, "ValueError");
	assert_string_equal(document.message, "za\xc5\xbc");
}

static void what_is_no_document_is_the_message(void **state)
{
	(void)state;
	assert_string_equal(read_of("segfault").message, "segfault");
	assert_string_equal(read_of("segfault").type, "Function.Unknown");
	assert_string_equal(read_of("[1,2]").message, "[1,2]");
	assert_string_equal(read_of("{\"errorType\":7,\"errorMessage\":null}").type, "Function.Unknown");
	assert_string_equal(read_of("").message, "");
}

static void control_characters_and_broken_utf8_cannot_reach_a_terminal(void **state)
{
	(void)state;
	assert_string_equal(read_of("a\x1b[2Jb\xff\xc0\xaf\xed\xa0\x80z\xc2\x9b").message, "a?[2Jb??????z?");
}

static void long_texts_are_cut_at_a_character(void **state)
{
	char text[10000];
	struct fw_error_document document;

	(void)state;
	for (size_t i = 0; i + 1 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	fw_error_document_read(text, sizeof text, NULL, "T", &document);
	assert_true(strlen(document.message) >= sizeof document.message - 2);
	assert_int_equal(strlen(document.message) % 2, 0);
}

static void writes_a_document_that_reads_back(void **state)
{
	fw_cleanup_free char *text = fw_error_document_write("A.B", "say \"hi\"\n");
	struct fw_error_document document = read_of(text);

	(void)state;
	assert_string_equal(document.type, "A.B");
	assert_string_equal(document.message, "say \"hi\"\n");
}

static void a_trailer_holds_the_document_in_base64(void **state)
{
	static const struct { const char *encoded, *message; } cases[] = {
		{"eyJlcnJvclR5cGUiOiJYIiwiZXJyb3JNZXNzYWdlIjoib2gifQ==", "oh"},
		{"bm8gSlNPTg", "no JSON"}, {"not base64!", "it failed"}, {"", "it failed"}, {NULL, "it failed"}};

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fw_error_document document;

		fw_error_document_read_trailer(cases[i].encoded, "Stream.Broken", "it failed", &document);
		assert_string_equal(document.type, "Stream.Broken");
		assert_string_equal(document.message, cases[i].message);
	}
}

FW_TESTS(a_trailer_holds_the_document_in_base64, takes_type_and_message, what_is_no_document_is_the_message,
         control_characters_and_broken_utf8_cannot_reach_a_terminal, long_texts_are_cut_at_a_character,
         writes_a_document_that_reads_back)
