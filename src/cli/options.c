/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a command's options by its table, and printing its help from the same table.
 */
#include "cli/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { FIRST = 256, HELP = FIRST + 100, MAX_OPTIONS = 40 };

void fw_text_list_done(struct fw_text_list *list)
{
	for (size_t i = 0; i < list->texts.count; i++)
		free(list->texts.items[i]);
	free(list->texts.items);
}

static void print_help(const struct fw_command *command, const struct fw_option *options, size_t count)
{
	bool variables = false;

	printf("flexwatt %s%s%s\n  %s\n\n", command->name, *command->arguments ? " " : "", command->arguments, command->summary);
	for (size_t i = 0; i < count; i++) {
		fw_cleanup_free char *left = options[i].argument ? fw_printf("--%s %s", options[i].name, options[i].argument)
		                                                 : fw_printf("--%s", options[i].name);

		fw_cleanup_free char *both = options[i].letter ? fw_printf("-%c, %s", options[i].letter, left) : fw_strdup(left);

		printf("  %-20s %s%s%s%s\n", both, options[i].help, options[i].variable ? " [" : "",
		       options[i].variable ? options[i].variable : "", options[i].variable ? "]" : "");
		variables |= options[i].variable != NULL;
	}
	printf("  %-20s %s\n\n", "--help", "this page");
	if (variables)
		printf("A variable of the environment, in [], stands for its option: it wins over the file, the option over it.\n"
		       "FLEXWATT_SET holds one KEY=VALUE a line.\n\n");
	printf("example:\n%s\n", command->example);
}

static int unknown_option(const struct fw_command *command, const struct fw_option *options, size_t count,
                          const char *word, struct fw_error **err)
{
	const char *names[MAX_OPTIONS];
	bool is_long = strncmp(word, "--", 2) == 0;
	fw_cleanup_free char *name = is_long ? fw_strndup(word + 2, strcspn(word + 2, "=")) : NULL;
	int rc = fw_fail(err, FW_E_USAGE, "%s: unknown option %s", command->name, word);

	for (size_t i = 0; i < count; i++)
		names[i] = options[i].name;
	const char *near = is_long ? fw_nearest(name, names, count) : NULL;

	if (near)
		return fw_error_hint(err, rc, "did you mean --%s?", near);
	return fw_error_hint(err, rc, "flexwatt %s --help lists the options", command->name);
}

/* `source` is how the user said it: "run: --memory", "FLEXWATT_MEMORY". */
static int take(const char *source, const struct fw_option *option, const char *argument, struct fw_error **err)
{
	int64_t count = 0;

	switch (option->kind) {
	case FW_OPTION_FLAG:
		*(bool *)option->target = true;
		break;
	case FW_OPTION_TEXT:
		*(const char **)option->target = argument;
		break;
	case FW_OPTION_LIST:
		FW_PUSH(&((struct fw_text_list *)option->target)->texts, fw_strdup(argument));
		break;
	case FW_OPTION_COUNT:
		if (!fw_str_to_i64(fw_str_of(argument), &count) || count < 1)
			return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "%s needs a whole number of 1 or more, not '%s'", source, argument),
			                     "--%s %s: %s", option->name, option->argument, option->help);
		*(int64_t *)option->target = count;
		break;
	}
	return FW_OK;
}

static int take_variable(const struct fw_option *option, const char *value, struct fw_error **err)
{
	struct fw_str rest = fw_str_of(value), line;

	if (option->kind != FW_OPTION_LIST)
		return take(option->variable, option, value, err);
	while (fw_str_next_line(&rest, &line))
		if (line.length > 0)
			FW_PUSH(&((struct fw_text_list *)option->target)->texts, fw_strndup(line.text, line.length));
	return FW_OK;
}

int fw_options_read_variables(const struct fw_option *options, size_t count, struct fw_error **err)
{
	int rc = FW_OK;

	for (size_t i = 0; rc == FW_OK && i < count; i++) {
		const char *value = options[i].variable ? getenv(options[i].variable) : NULL;

		if (value && *value)
			rc = take_variable(&options[i], value, err);
	}
	return rc;
}

static void fill_long_options(struct option *longs, const struct fw_option *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		longs[i] = (struct option){options[i].name, options[i].argument ? required_argument : no_argument, NULL,
		                           FIRST + (int)i};
	longs[count] = (struct option){"help", no_argument, NULL, HELP};
	longs[count + 1] = (struct option){0};
}

/* ":hr:o:": a missing argument is told apart; "+": nothing is moved to the front of the words. */
static void fill_letters(char *letters, const struct fw_command *command, const struct fw_option *options, size_t count)
{
	if (command->takes_command)
		*letters++ = '+';
	*letters++ = ':';
	*letters++ = 'h';
	for (size_t i = 0; i < count; i++) {
		if (!options[i].letter)
			continue;
		*letters++ = options[i].letter;
		if (options[i].argument)
			*letters++ = ':';
	}
	*letters = 0;
}

static const struct fw_option *option_of(int found, const struct fw_option *options, size_t count)
{
	if (found >= FIRST)
		return &options[found - FIRST];
	for (size_t i = 0; i < count; i++)
		if (options[i].letter == found)
			return &options[i];
	return NULL;
}

static int check_positional(const struct fw_command *command, size_t least, size_t most, size_t given,
                            struct fw_error **err)
{
	if (given >= least && given <= most)
		return FW_OK;
	int rc = given < least ? fw_fail(err, FW_E_USAGE, "%s: %s is missing", command->name, command->arguments)
	                       : fw_fail(err, FW_E_USAGE, "%s: too many arguments", command->name);

	return fw_error_hint(err, rc, "flexwatt %s%s%s", command->name, *command->arguments ? " " : "", command->arguments);
}

int fw_options_read(const struct fw_command *command, const struct fw_option *options, size_t count, int argc, char **argv,
                    size_t least, size_t most, struct fw_text_list *positional, bool *help, struct fw_error **err)
{
	struct option longs[MAX_OPTIONS + 2];
	char letters[2 * MAX_OPTIONS + 4];
	int letter;

	fill_long_options(longs, options, count);
	fill_letters(letters, command, options, count);
	opterr = 0;
	optind = 1;
	*help = false;
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (letter == HELP || letter == 'h') {
			print_help(command, options, count);
			*help = true;
			return FW_OK;
		}
		if (letter == ':')
			return fw_error_hint(err, fw_fail(err, FW_E_USAGE, "%s: %s needs an argument", command->name, argv[optind - 1]),
			                     "flexwatt %s --help lists the options", command->name);
		const struct fw_option *option = letter == '?' ? NULL : option_of(letter, options, count);

		if (!option)
			return unknown_option(command, options, count, argv[optind - 1], err);
		fw_cleanup_free char *source = fw_printf("%s: --%s", command->name, option->name);
		int rc = take(source, option, optarg, err);

		if (rc != FW_OK)
			return rc;
	}
	for (int i = optind; i < argc; i++)
		FW_PUSH(&positional->texts, fw_strdup(argv[i]));
	return check_positional(command, least, most, positional->texts.count, err);
}
