/* SPDX-License-Identifier: Apache-2.0
 *
 * Display widths (width.h). The C library knows them, but only in a UTF-8 locale: one is made for this alone, whatever the
 * user's is. Bytes that are no UTF-8, and all characters where the library has no such locale, take one column.
 */
#include "report/width.h"

#include <locale.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "base/memory.h"
#include "base/str.h"

static locale_t utf8;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
	utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* Bytes of the character at text, and its columns. */
static size_t measure(const char *text, size_t *columns)
{
	mbstate_t state = {0};
	wchar_t character = 0;
	size_t bytes = mbrtowc(&character, text, strlen(text) < 8 ? strlen(text) : 8, &state);
	int width = 1;

	if (bytes == 0 || bytes > 8) /* no character of this locale: up to the next one that may begin */
		for (bytes = 1; ((unsigned char)text[bytes] & 0xc0) == 0x80;)
			bytes++;
	else
		width = wcwidth(character);
	*columns = width < 0 ? 1 : (size_t)width;
	return bytes;
}

/* Bytes of the beginning that takes at most `most` columns, and how many it takes. */
static size_t walk(const char *text, size_t most, size_t *columns)
{
	size_t at = 0, width = 0;

	pthread_once(&once, make_locale);
	locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;

	*columns = 0;
	while (text[at]) {
		size_t bytes = measure(text + at, &width);

		if (*columns + width > most)
			break;
		*columns += width;
		at += bytes;
	}
	if (before)
		uselocale(before);
	return at;
}

size_t fw_display_width(const char *text)
{
	size_t columns;

	walk(text, SIZE_MAX, &columns);
	return columns;
}

size_t fw_display_cut(const char *text, size_t columns)
{
	size_t taken;

	return walk(text, columns, &taken);
}

size_t fw_display_break(const char *text, size_t columns)
{
	size_t fits = fw_display_cut(text, columns), at = fits, unused;

	if (!text[fits])
		return fits;
	while (at > 0 && text[at] != ' ')
		at--;
	if (at > strspn(text, " "))
		return at;
	return fits > 0 ? fits : measure(text, &unused);
}

void fw_display_paragraph(const char *text, size_t columns, size_t indent, struct fw_buffer *out)
{
	for (size_t line = 0; *text; line++) {
		size_t room = line == 0 ? columns : columns > indent ? columns - indent : 1;
		size_t bytes = fw_display_break(text, room);

		fw_buffer_printf(out, "%*s%.*s\n", line == 0 ? 0 : (int)indent, "", (int)bytes, text);
		text += bytes;
		text += strspn(text, " ");
	}
}

void fw_display_fold(struct fw_buffer *text, size_t from, size_t columns)
{
	struct fw_str rest, line;

	if (columns == 0 || from >= text->length)
		return;
	fw_cleanup_free char *lines = fw_strndup(text->data + from, text->length - from);

	rest = fw_str_of(lines);
	text->length = from;
	while (fw_str_next_line(&rest, &line)) {
		fw_cleanup_free char *one = fw_strndup(line.text, line.length);

		fw_display_paragraph(one, columns, 4, text);
	}
}

char *fw_display_line(const char *text, size_t columns)
{
	fw_cleanup_free char *line = fw_strdup(text);

	for (char *at = line; (at = strpbrk(at, "\n\r\t")) != NULL;)
		*at = ' ';
	size_t fits = fw_display_cut(line, columns);

	if (!line[fits] || columns == 0)
		return fw_strndup(line, fits);
	return fw_printf("%.*s…", (int)fw_display_cut(line, columns - 1), line);
}
