/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 as RFC 3629 allows it: no overlong forms, no surrogates, nothing above U+10FFFF. The only decoder of the house.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/str.h"

size_t fw_utf8_next(const char *text, size_t length, uint32_t *character)
{
	static const struct {
		unsigned char first, last, second_from, second_to, length;
	} forms[] = {
		{0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	const unsigned char *bytes = (const unsigned char *)text;
	size_t form = 0;

	if (length == 0)
		return 0;
	while (form < FW_COUNT_OF(forms) && (bytes[0] < forms[form].first || bytes[0] > forms[form].last))
		form++;
	if (form == FW_COUNT_OF(forms) || forms[form].length > length)
		return 0;
	if (forms[form].length > 1 && (bytes[1] < forms[form].second_from || bytes[1] > forms[form].second_to))
		return 0;

	uint32_t value = forms[form].length == 1 ? bytes[0] : bytes[0] & (0x7fU >> forms[form].length);
	for (size_t i = 1; i < forms[form].length; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	*character = value;
	return forms[form].length;
}

char *fw_utf8_shown(const char *text)
{
	size_t left = strlen(text), length = 0;
	char *shown = fw_alloc(4 * left + 1);

	while (left > 0) {
		uint32_t character = 0;
		size_t taken = fw_utf8_next(text, left, &character);

		if (taken == 0 || character < 0x20 || (character >= 0x7f && character < 0xa0)) {
			taken = taken ? taken : 1;
			for (size_t i = 0; i < taken; i++)
				length += (size_t)snprintf(shown + length, 5, "\\x%02X", (unsigned char)text[i]);
		} else {
			memcpy(shown + length, text, taken);
			length += taken;
		}
		text += taken;
		left -= taken;
	}
	shown[length] = '\0';
	return shown;
}
