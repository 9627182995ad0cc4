/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON as text. jansson prints reals with 17 digits (0.1 as 0.10000000000000001); here they get the shortest spelling
 * that reads back as the same number. What comes out is valid JSON even for text that is not UTF-8: bytes that
 * decode to nothing become U+FFFD.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/memory.h"

static int append_escaped(char c, struct fw_buffer *out)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *known = c ? strchr(from, c) : NULL;

	if (known)
		return fw_buffer_printf(out, "\\%c", to[known - from]);
	return fw_buffer_printf(out, "\\u%04x", (unsigned)(unsigned char)c);
}

static bool needs_escape(char c)
{
	return (unsigned char)c < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

/* Nearly all that is written is ASCII: it needs no decoder. */
static size_t character_length(struct fw_str text, size_t at)
{
	uint32_t character;

	return (unsigned char)text.text[at] < 0x80 ? 1 : fw_utf8_next(text.text + at, text.length - at, &character);
}

int fw_json_quote(struct fw_str text, struct fw_buffer *out)
{
	fw_buffer_text(out, "\"");
	for (size_t i = 0; i < text.length;) {
		size_t run = i, length = 0;

		while (run < text.length && !needs_escape(text.text[run]) &&
		       (length = character_length(text, run)) > 0)
			run += length;
		fw_buffer_append(out, text.text + i, run - i);
		if (run < text.length) {
			if (needs_escape(text.text[run]))
				append_escaped(text.text[run], out);
			else
				fw_buffer_text(out, "\xef\xbf\xbd");
			run++;
		}
		i = run;
	}
	return fw_buffer_text(out, "\"");
}

/* A real stays a real when read back: it gets a point if its spelling has none. */
static int append_real(double number, struct fw_buffer *out)
{
	char text[40];

	if (!isfinite(number))
		return fw_buffer_text(out, "null"); /* JSON has no spelling for it */
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, number);
		if (strtod(text, NULL) == number)
			break;
	}
	for (char *c = text; *c; c++)
		if (*c == ',')
			*c = '.'; /* the decimal comma of some locales */
	if (!strpbrk(text, ".e"))
		memcpy(text + strlen(text), ".0", sizeof ".0");
	return fw_buffer_text(out, text);
}

static int append_object(const json_t *object, struct fw_buffer *out)
{
	const char *key, *separator = "";
	json_t *value;

	fw_buffer_text(out, "{");
	json_object_foreach((json_t *)object, key, value)
	{
		fw_buffer_text(out, separator);
		fw_json_quote(fw_str_of(key), out);
		fw_buffer_text(out, ":");
		fw_json_append(value, out);
		separator = ",";
	}
	return fw_buffer_text(out, "}");
}

static int append_array(const json_t *array, struct fw_buffer *out)
{
	fw_buffer_text(out, "[");
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (i > 0)
			fw_buffer_text(out, ",");
		fw_json_append(json_array_get(array, i), out);
	}
	return fw_buffer_text(out, "]");
}

/* A failed buffer stays failed, so only the last append of each value need be looked at. */
int fw_json_append(const json_t *json, struct fw_buffer *out)
{
	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return append_object(json, out);
	case JSON_ARRAY:
		return append_array(json, out);
	case JSON_STRING:
		return fw_json_quote((struct fw_str){json_string_value(json), json_string_length(json)}, out);
	case JSON_INTEGER:
		return fw_buffer_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
	case JSON_REAL:
		return append_real(json_real_value(json), out);
	case JSON_TRUE:
		return fw_buffer_text(out, "true");
	case JSON_FALSE:
		return fw_buffer_text(out, "false");
	default:
		return fw_buffer_text(out, "null");
	}
}

char *fw_json_dump(const json_t *json)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, SIZE_MAX / 2);
	fw_json_append(json, &out);
	return fw_buffer_take(&out);
}

json_t *fw_json_real(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}
