/* SPDX-License-Identifier: Apache-2.0
 *
 * What may be done on a terminal: colour and redrawing only where a person looks.
 */
#include "cli/terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runtime/error_document.h"

enum { FOREIGN_BYTES = 400 }; /* five lines of a usual terminal */

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

size_t fw_terminal_width(int fd)
{
	struct winsize size;

	return isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static const char *said_later;

/* In the handler of a signal: whatever the program waits in. */
static void say_it(int signal_number)
{
	int kept = errno;

	(void)signal_number;
	if (said_later && write(STDERR_FILENO, said_later, strlen(said_later)) < 0)
		said_later = NULL;
	errno = kept;
}

void fw_terminal_say_later(const char *line, unsigned seconds)
{
	struct sigaction action = {.sa_handler = say_it, .sa_flags = SA_RESTART};

	if (!fw_terminal_is(STDERR_FILENO))
		return;
	said_later = line;
	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
}

void fw_terminal_say_nothing(void)
{
	alarm(0);
	said_later = NULL;
}

void fw_print_foreign(FILE *file, const char *indent, struct fw_str line)
{
	char printable[FOREIGN_BYTES];

	fw_error_text_copy(line, printable, sizeof printable);
	fprintf(file, "%s%s%s\n", indent, printable, line.length >= sizeof printable ? "…" : "");
}

/* A reader that has gone, as `head` does, has what it wanted. */
static int fail_to_print(struct fw_error **err)
{
	return errno == EPIPE ? FW_OK : fw_fail_errno(err, errno, "write to standard output");
}

int fw_print(const struct fw_buffer *text, struct fw_error **err)
{
	if (fwrite(text->data, 1, text->length, stdout) != text->length || fflush(stdout) != 0)
		return fail_to_print(err);
	return FW_OK;
}

int fw_print_json(json_t *json, struct fw_error **err)
{
	fw_cleanup_free char *text = fw_json_dump(json);

	json_decref(json);
	if (puts(text) < 0 || fflush(stdout) != 0)
		return fail_to_print(err);
	return FW_OK;
}
