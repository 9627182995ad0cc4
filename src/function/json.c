/* SPDX-License-Identifier: Apache-2.0
 *
 * A JSON reader that builds nothing: values are slices of the text. fw_sdk_json_check() is strict and bounds the depth;
 * everything after it walks a text that is known to be well formed, yet never past its end.
 */
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "function/sdk.h"

struct cursor {
	const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
	while (cursor->at < cursor->end && strchr(" \t\r\n", *cursor->at) && *cursor->at)
		cursor->at++;
}

static bool take(struct cursor *cursor, char character)
{
	if (cursor->at == cursor->end || *cursor->at != character)
		return false;
	cursor->at++;
	return true;
}

static bool is_digit(const struct cursor *cursor)
{
	return cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9';
}

static int hex_digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	return character >= 'A' && character <= 'F' ? character - 'A' + 10 : -1;
}

static bool skip_escape(struct cursor *cursor)
{
	if (cursor->at == cursor->end)
		return false;
	char kind = *cursor->at++;
	if (kind != 'u')
		return kind && strchr("\"\\/bfnrt", kind);
	for (int i = 0; i < 4; i++)
		if (cursor->at == cursor->end || hex_digit(*cursor->at++) < 0)
			return false;
	return true;
}

static bool skip_string(struct cursor *cursor)
{
	if (!take(cursor, '"'))
		return false;
	while (cursor->at < cursor->end) {
		unsigned char character = (unsigned char)*cursor->at++;

		if (character == '"')
			return true;
		if (character < 0x20 || (character == '\\' && !skip_escape(cursor)))
			return false;
	}
	return false;
}

static bool skip_digits(struct cursor *cursor)
{
	if (!is_digit(cursor))
		return false;
	while (is_digit(cursor))
		cursor->at++;
	return true;
}

static bool skip_number(struct cursor *cursor)
{
	take(cursor, '-');
	if (!take(cursor, '0') && !skip_digits(cursor))
		return false;
	if (take(cursor, '.') && !skip_digits(cursor))
		return false;
	if (take(cursor, 'e') || take(cursor, 'E')) {
		if (!take(cursor, '+'))
			take(cursor, '-');
		return skip_digits(cursor);
	}
	return true;
}

static bool skip_word(struct cursor *cursor, const char *word)
{
	size_t length = strlen(word);

	if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
		return false;
	cursor->at += length;
	return true;
}

static bool skip_value(struct cursor *cursor, int depth);

static bool skip_container(struct cursor *cursor, int depth)
{
	bool object = *cursor->at++ == '{';
	char close = object ? '}' : ']';

	if (depth == FW_SDK_JSON_MAX_DEPTH)
		return false;
	skip_blanks(cursor);
	if (take(cursor, close))
		return true;
	for (;;) {
		skip_blanks(cursor);
		if (object) {
			if (!skip_string(cursor))
				return false;
			skip_blanks(cursor);
			if (!take(cursor, ':'))
				return false;
		}
		if (!skip_value(cursor, depth + 1))
			return false;
		skip_blanks(cursor);
		if (take(cursor, close))
			return true;
		if (!take(cursor, ','))
			return false;
	}
}

/* Recursion is bounded by the depth. */
static bool skip_value(struct cursor *cursor, int depth)
{
	skip_blanks(cursor);
	if (cursor->at == cursor->end)
		return false;
	switch (*cursor->at) {
	case '{':
	case '[': return skip_container(cursor, depth);
	case '"': return skip_string(cursor);
	case 't': return skip_word(cursor, "true");
	case 'f': return skip_word(cursor, "false");
	case 'n': return skip_word(cursor, "null");
	default: return skip_number(cursor);
	}
}

bool fw_sdk_json_check(struct fw_sdk_text text)
{
	struct cursor cursor = {text.bytes, text.bytes + text.length};

	if (!skip_value(&cursor, 0))
		return false;
	skip_blanks(&cursor);
	return cursor.at == cursor.end;
}

struct fw_sdk_each fw_sdk_json_each(struct fw_sdk_text container)
{
	if (container.length == 0) /* an absent one has no bytes to point at */
		return (struct fw_sdk_each){0};
	struct cursor cursor = {container.bytes, container.bytes + container.length};

	skip_blanks(&cursor);
	bool object = cursor.at < cursor.end && *cursor.at == '{';
	if (!object && (cursor.at == cursor.end || *cursor.at != '['))
		return (struct fw_sdk_each){cursor.end, cursor.end, false};
	return (struct fw_sdk_each){cursor.at + 1, cursor.end, object};
}

bool fw_sdk_json_next(struct fw_sdk_each *each, struct fw_sdk_text *key, struct fw_sdk_text *value)
{
	struct cursor cursor = {each->at, each->end};

	skip_blanks(&cursor);
	if (take(&cursor, ','))
		skip_blanks(&cursor);
	const char *start = cursor.at;
	each->at = each->end; /* until a whole item is found */
	if (each->object) {
		if (!skip_string(&cursor))
			return false;
		if (key)
			*key = (struct fw_sdk_text){start, (size_t)(cursor.at - start)};
		skip_blanks(&cursor);
		if (!take(&cursor, ':'))
			return false;
		skip_blanks(&cursor);
		start = cursor.at;
	}
	if (start == cursor.end || *start == ']' || !skip_value(&cursor, 0))
		return false;
	*value = (struct fw_sdk_text){start, (size_t)(cursor.at - start)};
	each->at = cursor.at;
	return true;
}

bool fw_sdk_json_member(struct fw_sdk_text object, const char *name, struct fw_sdk_text *value)
{
	struct fw_sdk_each each = fw_sdk_json_each(object);
	struct fw_sdk_text key, found;
	size_t length = strlen(name);

	if (!each.object)
		return false;
	while (fw_sdk_json_next(&each, &key, &found)) {
		bool same = key.length == length + 2 && memcmp(key.bytes + 1, name, length) == 0;

		if (!same && memchr(key.bytes, '\\', key.length)) {
			struct fw_sdk_arena arena = {0};
			const char *decoded = fw_sdk_json_string(&arena, key);

			same = decoded && strcmp(decoded, name) == 0;
			fw_sdk_arena_done(&arena);
		}
		if (same) {
			*value = found;
			return true;
		}
	}
	return false;
}

static char *put_utf8(char *out, unsigned code)
{
	if (code < 0x80) {
		*out++ = (char)code;
	} else if (code < 0x800) {
		*out++ = (char)(0xc0 | code >> 6);
		*out++ = (char)(0x80 | (code & 0x3f));
	} else if (code < 0x10000) {
		*out++ = (char)(0xe0 | code >> 12);
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	} else {
		*out++ = (char)(0xf0 | code >> 18);
		*out++ = (char)(0x80 | (code >> 12 & 0x3f));
		*out++ = (char)(0x80 | (code >> 6 & 0x3f));
		*out++ = (char)(0x80 | (code & 0x3f));
	}
	return out;
}

static unsigned four_hex(const char *at)
{
	unsigned code = 0;

	for (int i = 0; i < 4; i++)
		code = code << 4 | (unsigned)hex_digit(at[i]);
	return code;
}

/* `*at` stands after "\u"; half a surrogate pair becomes U+FFFD. */
static unsigned take_code_point(const char **at, const char *end)
{
	unsigned code = four_hex(*at);

	*at += 4;
	if (code < 0xd800 || code > 0xdfff)
		return code;
	if (code < 0xdc00 && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
		unsigned low = four_hex(*at + 2);

		if (low >= 0xdc00 && low <= 0xdfff) {
			*at += 6;
			return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
		}
	}
	return 0xfffd;
}

char *fw_sdk_json_string(struct fw_sdk_arena *arena, struct fw_sdk_text value)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";

	if (value.length < 2 || *value.bytes != '"')
		return NULL;
	const char *at = value.bytes + 1, *end = value.bytes + value.length - 1;
	char *text = fw_sdk_take(arena, value.length), *out = text; /* an escape is never shorter than what it stands for */
	while (at < end) {
		if (*at != '\\') {
			*out++ = *at++;
			continue;
		}
		char kind = at[1];
		const char *named = strchr(from, kind);

		at += 2;
		if (kind == 'u') {
			unsigned code = take_code_point(&at, end);

			if (code == 0)
				return NULL;
			out = put_utf8(out, code);
		} else {
			*out++ = named ? to[named - from] : kind;
		}
	}
	*out = '\0';
	return text;
}

bool fw_sdk_json_number(struct fw_sdk_text value, double *number)
{
	char text[64];

	if (value.length == 0 || value.length >= sizeof text || (*value.bytes != '-' && (*value.bytes < '0' || *value.bytes > '9')))
		return false;
	memcpy(text, value.bytes, value.length);
	text[value.length] = '\0';
	char *point = strchr(text, '.');
	if (point) /* a function may have set a locale */
		*point = *localeconv()->decimal_point;
	*number = strtod(text, NULL);
	return isfinite(*number);
}

bool fw_sdk_json_integer(struct fw_sdk_text value, int64_t *number)
{
	const double limit = 9007199254740992.0; /* doubles are exact up to here */
	double real;

	if (!fw_sdk_json_number(value, &real))
		return false;
	if (!memchr(value.bytes, '.', value.length) && !memchr(value.bytes, 'e', value.length) &&
	    !memchr(value.bytes, 'E', value.length) && value.length < 19) {
		char text[24] = {0};

		memcpy(text, value.bytes, value.length);
		*number = strtoll(text, NULL, 10);
		return true;
	}
	if (real < -limit || real > limit)
		return false;
	int64_t whole = (int64_t)real;
	if ((double)whole < real || (double)whole > real)
		return false;
	*number = whole;
	return true;
}

const char *fw_sdk_json_kind(struct fw_sdk_text value)
{
	switch (value.length ? *value.bytes : '\0') {
	case '{': return "an object";
	case '[': return "a list";
	case '"': return "a string";
	case 't':
	case 'f': return "a boolean";
	case 'n': return "null";
	default: return "a number";
	}
}

/* Length of the UTF-8 sequence at the text, 0 when it is none (overlong and surrogates included). */
static size_t utf8_length(const unsigned char *text)
{
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *text < 0x80 ? 1 : *text >> 5 == 6 ? 2 : *text >> 4 == 14 ? 3 : *text >> 3 == 30 ? 4 : 0;
	unsigned code = length < 2 ? *text : *text & (0x7fu >> length);

	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80) /* the final NUL ends it too */
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if (length > 1 && (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)))
		return 0;
	return length;
}

/* What is not UTF-8 (a file's name, a program's error text) becomes U+FFFD: JSON must not break on it. */
void fw_sdk_append_quoted(struct fw_sdk_buffer *buffer, const char *text)
{
	const char *plain = text;

	fw_sdk_append(buffer, "\"", 1);
	while (*text) {
		unsigned char character = (unsigned char)*text;
		size_t length = utf8_length((const unsigned char *)text);
		char escape[8];

		if (length && character >= 0x20 && character != '"' && character != '\\') {
			text += length;
			continue;
		}
		fw_sdk_append(buffer, plain, (size_t)(text - plain));
		plain = ++text;
		if (!length)
			snprintf(escape, sizeof escape, "\\ufffd");
		else if (character < 0x20)
			snprintf(escape, sizeof escape, "\\u%04x", character);
		else
			snprintf(escape, sizeof escape, "\\%c", character);
		fw_sdk_append_text(buffer, escape);
	}
	fw_sdk_append(buffer, plain, (size_t)(text - plain));
	fw_sdk_append(buffer, "\"", 1);
}
