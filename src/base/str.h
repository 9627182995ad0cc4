/* SPDX-License-Identifier: Apache-2.0
 *
 * A borrowed piece of text, for parsers: they take bytes and a length, never need a final NUL and never copy.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fw_str {
	const char *text;
	size_t length;
};

#define FW_STR(literal) ((struct fw_str){(literal), sizeof(literal) - 1})

struct fw_str fw_str_of(const char *text); /* NULL gives the empty one */
bool fw_str_equal(struct fw_str a, struct fw_str b);
bool fw_str_is(struct fw_str a, const char *text);
bool fw_str_starts(struct fw_str a, const char *prefix);
bool fw_str_ends(struct fw_str a, const char *suffix);
struct fw_str fw_str_trim(struct fw_str a); /* ASCII white space at both ends */

/* Takes the next line (without its newline, a CR before it dropped) or field off the front; false at the end.
 * An empty text has no line but one empty field; "a," has two fields. */
bool fw_str_next_line(struct fw_str *rest, struct fw_str *line);
bool fw_str_next_field(struct fw_str *rest, char separator, struct fw_str *field);
bool fw_str_next_word(struct fw_str *rest, struct fw_str *word); /* runs of blanks and tabs separate */

/* The length of the UTF-8 character at the front (1 to 4 bytes), 0 when there is none or it is malformed. */
size_t fw_utf8_next(const char *text, size_t length, uint32_t *character);
bool fw_is_utf8(const char *text);
/* The text as a person can read it: what is no UTF-8, and what would steer a terminal, as "\xE9". Newly allocated. */
char *fw_utf8_shown(const char *text);

/* Whole-text numbers: no sign tricks, no trailing bytes, no overflow; false leaves *value alone. */
bool fw_str_to_u64(struct fw_str a, uint64_t *value);
bool fw_str_to_i64(struct fw_str a, int64_t *value);
/* -?(digits[.digits?]|.digits)([eE][+-]?digits)?, of whatever size. */
bool fw_str_is_decimal(struct fw_str a);
bool fw_str_to_double(struct fw_str a, double *value); /* '.' decimal point in every locale; finite only */

/* "did you mean": the nearest candidate within two edits, or NULL. */
const char *fw_nearest(const char *word, const char *const *candidates, size_t count);

/* Glob with *, ?, [..] and ** over '/'-separated keys: '*' and '?' stay within one component. */
bool fw_glob_match(const char *pattern, const char *key);
/* True when the text is a relative path without "..", ".", empty or NUL-bearing components: it cannot leave its root. */
bool fw_path_is_inside(const char *path);
/* The directory itself, or a path that begins with it; both absolute, or both relative to the same place. NULL: false. */
bool fw_path_is_below(const char *path, const char *directory);
