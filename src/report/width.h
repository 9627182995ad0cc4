/* SPDX-License-Identifier: Apache-2.0
 *
 * How much room a UTF-8 text takes on a terminal: wide characters take two columns, combining ones none.
 */
#pragma once

#include <stddef.h>

size_t fw_display_width(const char *text);
/* Bytes of the longest beginning that takes at most so many columns; never within a character. */
size_t fw_display_cut(const char *text, size_t columns);
/* The text on one line of at most so many columns, cut with '…', line breaks and tabs as blanks; newly allocated. */
char *fw_display_line(const char *text, size_t columns);
