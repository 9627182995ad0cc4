/* SPDX-License-Identifier: Apache-2.0
 *
 * How much room a UTF-8 text takes on a terminal: wide characters take two columns, combining ones none.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

size_t fw_display_width(const char *text);
/* Bytes of the longest beginning that takes at most so many columns; never within a character. */
size_t fw_display_cut(const char *text, size_t columns);
/* Bytes of the first line of the text where lines have that many columns, at least 1: it ends before a blank where it can. */
size_t fw_display_break(const char *text, size_t columns);
/* The text in lines of at most so many columns; all but the first begin with that many blanks. */
void fw_display_paragraph(const char *text, size_t columns, size_t indent, struct fw_buffer *out);
/* What stands in the buffer from that byte on, its lines no wider than so many columns (0: as they are); what is left of a
 * line goes on four blanks in. */
void fw_display_fold(struct fw_buffer *text, size_t from, size_t columns);
/* The text on one line of at most so many columns, cut with '…', line breaks and tabs as blanks; newly allocated. */
char *fw_display_line(const char *text, size_t columns);
