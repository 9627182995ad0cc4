/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be done on a terminal: colour and redrawing only where a person looks.
 */
#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool fw_terminal_is(int fd)
{
	const char *term = getenv("TERM");

	return isatty(fd) && term && strcmp(term, "dumb") != 0;
}

bool fw_terminal_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR");

	return fw_terminal_is(fd) && !(no_color && no_color[0]);
}

void fw_print_foreign(FILE *file, const char *indent, struct fw_str line)
{
	fputs(indent, file);
	while (line.length > 0) {
		uint32_t character = 0;
		size_t bytes = fw_utf8_next(line.text, line.length, &character);
		bool control = (character < 0x20 && character != '\t') || (character >= 0x7f && character < 0xa0);

		if (bytes > 0 && !control)
			(void)fwrite(line.text, 1, bytes, file);
		else
			fputc('?', file);
		bytes += bytes == 0;
		line = (struct fw_str){line.text + bytes, line.length - bytes};
	}
	fputc('\n', file);
}

int fw_print(const struct fw_buffer *text, struct fw_error **err)
{
	if (fwrite(text->data, 1, text->length, stdout) != text->length || fflush(stdout) != 0)
		return fw_fail_errno(err, errno, "write to standard output");
	return FW_OK;
}

int fw_print_json(json_t *json, struct fw_error **err)
{
	fw_cleanup_free char *text = fw_json_dump(json);

	json_decref(json);
	if (puts(text) < 0 || fflush(stdout) != 0)
		return fw_fail_errno(err, errno, "write to standard output");
	return FW_OK;
}
