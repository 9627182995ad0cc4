/* SPDX-License-Identifier: Apache-2.0
 *
 * An error as people read it: message and position, the line at fault with a caret, the hint. Messages and lines quote
 * foreign bytes, so control characters and what is no UTF-8 are replaced: no file may steer the terminal that shows its mistakes.
 */
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error_internal.h"
#include "base/memory.h"
#include "base/str.h"

enum { SHOWN_CHARACTERS = 100, INDENT = 2 };

static bool starts_character(char byte)
{
	return ((unsigned char)byte & 0xc0) != 0x80;
}

/* What a terminal may obey: C0, DEL, C1. */
static bool is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

/* As UTF-8 and nothing else; what is replaced keeps its column. */
static void append_printable(struct fw_buffer *out, const char *text, size_t length, const char *kept)
{
	for (size_t i = 0; i < length;) {
		uint32_t character = 0;
		size_t bytes = fw_utf8_next(text + i, length - i, &character);

		if (bytes > 0 && (!is_control(character) || (character && character < 0x20 && strchr(kept, (int)character))))
			fw_buffer_append(out, text + i, bytes);
		else if (starts_character(text[i]))
			fw_buffer_text(out, "?");
		i += bytes ? bytes : 1;
	}
}

/* The byte at which the given character starts, or the length. */
static size_t offset_of_character(const char *text, size_t length, size_t character)
{
	size_t seen = 0;

	for (size_t i = 0; i < length; i++)
		if (starts_character(text[i]) && seen++ == character)
			return i;
	return length;
}

static size_t count_characters(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += starts_character(text[i]);
	return count;
}

/* Cuts a long line to a window around the column (counted from 0), and says which of its ends were cut. */
struct window {
	size_t first;
	size_t count;
	bool cut_left;
	bool cut_right;
};

static struct window window_around(size_t characters, size_t column)
{
	struct window window = {0, characters, false, false};

	if (characters <= SHOWN_CHARACTERS)
		return window;
	window.count = SHOWN_CHARACTERS - 2; /* an ellipsis at either end */
	if (column > window.count / 2)
		window.first = column - window.count / 2;
	if (window.first + window.count > characters)
		window.first = characters - window.count;
	window.cut_left = window.first > 0;
	window.cut_right = window.first + window.count < characters;
	return window;
}

static void append_source(struct fw_buffer *out, const char *text, size_t length, size_t column)
{
	if (length > 0 && text[length - 1] == '\r')
		length--;
	struct window window = window_around(count_characters(text, length), column);
	size_t start = offset_of_character(text, length, window.first);
	size_t end = offset_of_character(text, length, window.first + window.count);

	fw_buffer_printf(out, "\n%*s%s", INDENT, "", window.cut_left ? "…" : "");
	append_printable(out, text + start, end - start, "\t");
	fw_buffer_printf(out, "%s\n%*s%s", window.cut_right ? "…" : "", INDENT, "", window.cut_left ? " " : "");

	/* Tabs stay tabs, so that the caret stands below its character whatever the terminal makes of them. */
	size_t caret = offset_of_character(text, length, column);
	for (size_t i = start; i < caret && i < end; i++)
		if (starts_character(text[i]))
			fw_buffer_append(out, text[i] == '\t' ? "\t" : " ", 1);
	fw_buffer_text(out, "^");
}

char *fw_error_describe(const struct fw_error *error)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, SIZE_MAX / 2);
	append_printable(&out, error->message, strlen(error->message), "\n\t");
	if (error->file) {
		fw_buffer_text(&out, "  ");
		append_printable(&out, error->file, strlen(error->file), "\n\t");
		if (error->line > 0)
			fw_buffer_printf(&out, ":%zu", error->line);
		if (error->line > 0 && error->column > 0)
			fw_buffer_printf(&out, ":%zu", error->column);
	}
	if (error->source && error->column > 0)
		append_source(&out, error->source, error->source_length, error->column - 1);
	if (error->hint) {
		fw_buffer_text(&out, "\n  hint: ");
		append_printable(&out, error->hint, strlen(error->hint), "\n\t");
	}
	return fw_buffer_take(&out);
}
