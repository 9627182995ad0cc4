/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be done on a terminal, and writing a result to standard output.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/str.h"

bool fw_terminal_is(int fd);     /* a terminal that understands cursor moves */
bool fw_terminal_colour(int fd); /* a terminal, and NO_COLOR is not set */

/* Columns; 0 where it is no terminal or does not say. */
size_t fw_terminal_width(int fd);

/* Where a person looks: the line on standard error when this call is that many seconds old and was not taken back. One at a
 * time; `line`, with its newline, must live as long. */
void fw_terminal_say_later(const char *line, unsigned seconds);
void fw_terminal_say_nothing(void);

/* One line of a function's log: what would steer the terminal is replaced by '?', and a line without end is cut. */
void fw_print_foreign(FILE *file, const char *indent, struct fw_str line);
/* Writes the buffer to standard output; FW_E_IO when it cannot be. That nobody reads any more is no failure. */
int fw_print(const struct fw_buffer *text, struct fw_error **err);
/* One line of JSON; takes the reference. */
int fw_print_json(json_t *json, struct fw_error **err);
