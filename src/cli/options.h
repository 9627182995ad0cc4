/* SPDX-License-Identifier: Apache-2.0
 *
 * One table a command: it drives getopt_long, --help and the check that every option is documented.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/memory.h"

enum fw_option_kind {
	FW_OPTION_FLAG,  /* bool */
	FW_OPTION_TEXT,  /* const char *: the last one wins */
	FW_OPTION_LIST,  /* struct fw_text_list: each one adds */
	FW_OPTION_COUNT, /* int64_t, 1 or more */
};

struct fw_text_list {
	FW_VECTOR(char *) texts;
};

struct fw_option {
	const char *name;
	const char *argument; /* shown in help: "URI"; NULL for a flag */
	const char *help;
	enum fw_option_kind kind;
	void *target;
	const char *variable; /* of the environment, that stands for the option where it is missing; or NULL */
	char letter;          /* "-r" beside "--repeat"; 0: none */
};

struct fw_command {
	const char *name;
	const char *arguments; /* "WORKFLOW" */
	const char *summary;   /* one line */
	const char *example;   /* one or more lines */
	bool takes_command;    /* what follows the first word, or "--", is another program's: its options are not ours */
	int (*run)(int argc, char **argv, struct fw_error **err); /* exit status, or a negative error code */
};

/* Reads argv[1..]; positional arguments are left in `positional`. --help prints the page and sets *help. */
int fw_options_read(const struct fw_command *command, const struct fw_option *options, size_t count, int argc, char **argv,
                    size_t least, size_t most, struct fw_text_list *positional, bool *help, struct fw_error **err);
/* Fills the targets of the options whose variables are set and not empty; a list has one text a line. The caller lets
 * options win, so the targets are not those of fw_options_read(). */
int fw_options_read_variables(const struct fw_option *options, size_t count, struct fw_error **err);
void fw_text_list_done(struct fw_text_list *list);
#define fw_cleanup_text_list __attribute__((cleanup(fw_text_list_done)))
