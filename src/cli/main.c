/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line: chooses the command, prints its error once, maps it to the exit status. Results go to standard output;
 * progress, warnings and errors to standard error.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/terminal.h"
#include "host/privileges.h"

/* That nobody reads, or that a file may not grow, is an error of a write, to be told. */
static const int ignored[] = {SIGPIPE, SIGXFSZ};
static struct sigaction found[FW_COUNT_OF(ignored)];

static void ignore_signals(void)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < FW_COUNT_OF(ignored); i++)
		sigaction(ignored[i], &ignore, &found[i]);
}

void fw_signals_as_found(void)
{
	for (size_t i = 0; i < FW_COUNT_OF(ignored); i++)
		sigaction(ignored[i], &found[i], NULL);
}

static const struct fw_command *const commands[] = {
	&fw_command_run, &fw_command_check, &fw_command_runs, &fw_command_show, &fw_command_measure,
	&fw_command_monitors, &fw_command_recompute,
};

static void print_usage(FILE *out)
{
	fprintf(out, "flexwatt runs serverless workflows and tells what every invocation cost:\n"
	             "seconds, joules, dollars and grams of CO2e.\n\n");
	for (size_t i = 0; i < FW_COUNT_OF(commands); i++) {
		fw_cleanup_free char *left = fw_printf("%s %s", commands[i]->name, commands[i]->arguments);

		fprintf(out, "  flexwatt %-20s %s\n", left, commands[i]->summary);
	}
	fprintf(out, "\nflexwatt COMMAND --help tells the options of a command; flexwatt --version its version.\n"
	             "FLEXWATT_STORE names the store; FLEXWATT_LOG=info or debug tells more; NO_COLOR takes the colour away.\n"
	             "Exit status: 0 done, 1 a function failed, 2 wrong usage or input, 3 environment,\n"
	             "130 interrupted (Ctrl-C, SIGTERM or SIGHUP: what runs may finish; a second one ends it now).\n");
}

static void log_line(void *context, enum fw_log_level level, const char *message)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	(void)context;
	fw_progress_make_way();
	fprintf(stderr, "%s: %s\n", names[level], message);
}

static void set_log_level(void)
{
	const char *wanted = getenv("FLEXWATT_LOG");
	enum fw_log_level level = FW_LOG_WARNING;

	if (wanted && strcmp(wanted, "debug") == 0)
		level = FW_LOG_DEBUG;
	if (wanted && strcmp(wanted, "info") == 0)
		level = FW_LOG_INFO;
	fw_log_set(level, log_line, NULL);
}

static const struct fw_command *find(const char *name)
{
	for (size_t i = 0; i < FW_COUNT_OF(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	const char *names[FW_COUNT_OF(commands)];

	for (size_t i = 0; i < FW_COUNT_OF(commands); i++)
		names[i] = commands[i]->name;
	const char *near = fw_nearest(name, names, FW_COUNT_OF(commands));

	fprintf(stderr, "error: unknown command '%s'\n", name);
	if (near)
		fprintf(stderr, "  hint: did you mean 'flexwatt %s'?\n", near);
	else
		fprintf(stderr, "  hint: flexwatt --help lists the commands\n");
	return 2;
}

int fw_print_error(struct fw_error *error, int rc)
{
	fw_cleanup_free char *text = error ? fw_error_describe(error) : fw_strdup(fw_code_text(rc));
	bool colour = fw_terminal_colour(STDERR_FILENO);

	fprintf(stderr, "%serror:%s %s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "", text);
	fw_error_free(error);
	return fw_code_exit_status(rc);
}

static int run_command(const struct fw_command *command, int argc, char **argv)
{
	struct fw_error *error = NULL;
	int rc = command->run(argc, argv, &error);

	return rc < 0 ? fw_print_error(error, rc) : rc;
}

static int choose(int argc, char **argv)
{
	const struct fw_command *command;

	if (argc < 2) {
		print_usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("flexwatt %s\n", FW_VERSION);
		return 0;
	}
	command = find(argv[1]);
	return command ? run_command(command, argc - 1, argv + 1) : unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
	fw_privileges_hold_back();
	ignore_signals();
	set_log_level();
	int status = choose(argc, argv);

	if (fflush(stdout) != 0 && errno != EPIPE && status == 0) {
		fprintf(stderr, "error: write to standard output failed\n");
		return 3;
	}
	return status;
}
