/* SPDX-License-Identifier: Apache-2.0
 *
 * Views on text: comparing, splitting, and numbers that are the whole text or refused. Nothing here allocates.
 */
#include "base/str.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_BYTES = 128 }; /* longer decimals are not numbers that anyone wrote on purpose */

struct fw_str fw_str_of(const char *text)
{
	return text ? (struct fw_str){text, strlen(text)} : FW_STR("");
}

bool fw_str_equal(struct fw_str a, struct fw_str b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.text, b.text, a.length) == 0);
}

bool fw_str_is(struct fw_str a, const char *text)
{
	return fw_str_equal(a, fw_str_of(text));
}

bool fw_str_starts(struct fw_str a, const char *prefix)
{
	struct fw_str wanted = fw_str_of(prefix);

	return a.length >= wanted.length && fw_str_equal((struct fw_str){a.text, wanted.length}, wanted);
}

bool fw_str_ends(struct fw_str a, const char *suffix)
{
	struct fw_str wanted = fw_str_of(suffix);

	return a.length >= wanted.length &&
	       fw_str_equal((struct fw_str){a.text + a.length - wanted.length, wanted.length}, wanted);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

struct fw_str fw_str_trim(struct fw_str a)
{
	while (a.length > 0 && is_space(a.text[0])) {
		a.text++;
		a.length--;
	}
	while (a.length > 0 && is_space(a.text[a.length - 1]))
		a.length--;
	return a;
}

bool fw_str_next_line(struct fw_str *rest, struct fw_str *line)
{
	if (rest->length == 0)
		return false;
	fw_str_next_field(rest, '\n', line);
	if (line->length > 0 && line->text[line->length - 1] == '\r')
		line->length--;
	return true;
}

bool fw_str_next_field(struct fw_str *rest, char separator, struct fw_str *field)
{
	if (!rest->text)
		return false;
	const char *end = rest->length > 0 ? memchr(rest->text, separator, rest->length) : NULL;

	if (!end) {
		*field = *rest;
		*rest = (struct fw_str){NULL, 0};
		return true;
	}
	*field = (struct fw_str){rest->text, (size_t)(end - rest->text)};
	*rest = (struct fw_str){end + 1, rest->length - field->length - 1};
	return true;
}

bool fw_str_next_word(struct fw_str *rest, struct fw_str *word)
{
	size_t start = 0;

	while (start < rest->length && is_blank(rest->text[start]))
		start++;
	if (start == rest->length)
		return false;
	size_t end = start;
	while (end < rest->length && !is_blank(rest->text[end]))
		end++;
	*word = (struct fw_str){rest->text + start, end - start};
	*rest = (struct fw_str){rest->text + end, rest->length - end};
	return true;
}

bool fw_str_to_u64(struct fw_str a, uint64_t *value)
{
	uint64_t sum = 0;

	if (a.length == 0)
		return false;
	for (size_t i = 0; i < a.length; i++)
		if (!is_digit(a.text[i]) || __builtin_mul_overflow(sum, 10, &sum) ||
		    __builtin_add_overflow(sum, (uint64_t)(a.text[i] - '0'), &sum))
			return false;
	*value = sum;
	return true;
}

bool fw_str_to_i64(struct fw_str a, int64_t *value)
{
	bool negative = a.length > 0 && a.text[0] == '-';
	struct fw_str digits = negative ? (struct fw_str){a.text + 1, a.length - 1} : a;
	uint64_t magnitude;

	if (!fw_str_to_u64(digits, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

static size_t skip_digits(struct fw_str a, size_t position)
{
	while (position < a.length && is_digit(a.text[position]))
		position++;
	return position;
}

/* What strtod() takes beside (blanks, hexadecimal, "inf") is refused. */
bool fw_str_is_decimal(struct fw_str a)
{
	size_t start = a.length > 0 && a.text[0] == '-';
	size_t position = skip_digits(a, start);
	size_t digits = position - start;

	if (position < a.length && a.text[position] == '.') {
		size_t end = skip_digits(a, position + 1);

		digits += end - position - 1;
		position = end;
	}
	if (digits == 0)
		return false;
	if (position < a.length && (a.text[position] | 0x20) == 'e') {
		size_t first = position + 1;

		if (first < a.length && (a.text[first] == '+' || a.text[first] == '-'))
			first++;
		position = skip_digits(a, first);
		if (position == first)
			return false;
	}
	return position == a.length;
}

static locale_t c_locale;

static void make_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool fw_str_to_double(struct fw_str a, double *value)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	char text[NUMBER_BYTES];

	if (a.length >= sizeof text || !fw_str_is_decimal(a))
		return false;
	memcpy(text, a.text, a.length);
	text[a.length] = '\0';
	pthread_once(&once, make_c_locale);
	double number = strtod_l(text, NULL, c_locale);
	if (!isfinite(number))
		return false;
	*value = number;
	return true;
}

bool fw_is_utf8(const char *text)
{
	size_t length = strlen(text);

	while (length > 0) {
		uint32_t character;
		size_t taken = fw_utf8_next(text, length, &character);

		if (taken == 0)
			return false;
		text += taken;
		length -= taken;
	}
	return true;
}
