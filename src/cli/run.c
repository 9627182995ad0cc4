/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt run: executes a workflow, or takes a killed run up again, and ends with the summary. When it fails, the last
 * lines say which task, its own error, the end of its log, and the commands that go on from there.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "backend/driver.h"
#include "base/time.h"
#include "base/tree.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/files.h"
#include "cli/overrides.h"
#include "cli/progress.h"
#include "cli/scope.h"
#include "cli/store_path.h"
#include "cli/terminal.h"
#include "report/summary.h"

enum { WORD_AFTER_S = 5 }; /* of waiting for a server: then a person is told */

struct settings {
	struct fw_override_options overrides;
	const char *region, *resume, *from, *counters_root, *smt_weight;
	bool oversubscribe, json;
};

/* ---- the run to resume ---- */

/* A run's figures are of one region, its promises of one kind, however often it is taken up. */
static void take_from_row(struct fw_collected *collected, struct settings *settings, const struct fw_run_row *row)
{
	const json_t *set = fw_json_at(row->environment, "options.set");
	const char *region = json_string_value(fw_json_at(row->environment, "options.region"));

	for (size_t i = 0; i < json_array_size(set); i++)
		fw_collected_add(collected, fw_strdup(json_string_value(json_array_get(set, i))), NULL);
	const char *counters = json_string_value(fw_json_at(row->environment, "options.counters_root"));

	if (region)
		settings->region = region;
	if (counters && !settings->counters_root)
		settings->counters_root = counters;
	settings->smt_weight = json_string_value(fw_json_at(row->environment, "options.smt_weight"));
	settings->oversubscribe = json_is_true(fw_json_at(row->environment, "options.oversubscribe"));
}

/* ---- one run ---- */

struct session {
	struct settings settings;
	struct settings variables; /* what the environment says; options win */
	struct fw_store *store;
	struct fw_workflow *workflow;
	struct fw_driver *driver;
	struct fw_run_row previous; /* of the run to resume */
	struct fw_collected collected;
	char run[24];
};

static void on_signal(void *context, int signal_number)
{
	static const char *const words[] = {
		[FW_DRIVER_WAITS] = "interrupted: running invocations may finish; once more ends them now",
		[FW_DRIVER_ENDS] = "interrupted again: ending what runs",
		[FW_DRIVER_CLEANS] = "the run has ended: attempts that lost are being removed; once more leaves them",
		[FW_DRIVER_LEAVES] = "interrupted again: leaving them",
	};
	struct session *session = context;
	enum fw_driver_cancelled cancelled = fw_driver_cancel(session->driver);

	(void)signal_number;
	if (cancelled == FW_DRIVER_AT_ITS_END)
		return;
	fw_progress_make_way();
	fprintf(stderr, "%s\n", words[cancelled]);
}

static int load_previous(struct session *session, struct fw_error **err)
{
	int rc = fw_store_run_get(session->store, session->settings.resume, &session->previous, err);

	if (rc != FW_OK)
		return rc;
	const char *state = fw_run_state(&session->previous);

	if (strcmp(state, "running") == 0)
		return fw_fail(err, FW_E_BUSY, "run %s is still running (process %lld)", session->previous.run,
		               (long long)session->previous.pid);
	if (strcmp(state, "ok") == 0 && !session->settings.from) {
		rc = fw_fail(err, FW_E_USAGE, "run %s is complete: there is nothing to resume", session->previous.run);
		return fw_error_hint(err, rc, "run a stage and what follows it again with --from STAGE");
	}
	snprintf(session->run, sizeof session->run, "%s", session->previous.run);
	take_from_row(&session->collected, &session->settings, &session->previous);
	return FW_OK;
}

/* Paths in the overrides of a run to resume are relative to the directory in which it began. */
static int load_there(struct session *session, const char *path, const char *directory, struct fw_error **err)
{
	fw_cleanup_fd int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fw_cleanup_free char *file = realpath(path, NULL);

	if (here < 0 || chdir(directory) < 0)
		return fw_fail_errno(err, errno, "enter %s, where the run began", directory);
	int rc = fw_workflow_load(file ? file : path, &session->collected.overrides, &session->workflow, err);

	if (fchdir(here) < 0 && rc == FW_OK)
		rc = fw_fail_errno(err, errno, "leave %s", directory);
	return rc;
}

static int load_workflow(struct session *session, const char *path, struct fw_error **err)
{
	const char *wanted = path ? path : session->previous.workflow_path;
	const char *directory = json_string_value(fw_json_at(session->previous.environment, "options.directory"));
	int rc;

	if (!path && fw_workflow_is_streamed(wanted)) {
		rc = fw_fail(err, FW_E_USAGE, "the workflow of run %s came from %s", session->previous.run, wanted);
		return fw_error_hint(err, rc, "give it again: flexwatt run --resume %s FILE", session->previous.run);
	}
	rc = directory && session->collected.overrides.settings.count > 0
	         ? load_there(session, wanted, directory, err)
	         : fw_workflow_load(wanted, &session->collected.overrides, &session->workflow, err);

	if (rc == FW_OK || path || access(wanted, F_OK) == 0)
		return rc;
	return fw_error_hint(err, rc, "the run began with this file; when it has moved: flexwatt run --resume %s FILE",
	                     session->previous.run);
}

static const char *region_of(const struct session *session)
{
	if (session->settings.region)
		return session->settings.region;
	return session->variables.region ? session->variables.region : "eu-central-1";
}

static const char *counters_root_of(const struct session *session)
{
	return session->settings.counters_root ? session->settings.counters_root : session->variables.counters_root;
}

static const char *smt_weight_of(const struct session *session)
{
	return session->settings.smt_weight ? session->settings.smt_weight : session->variables.smt_weight;
}

/* 0 where none is asked for. */
static int read_smt_weight(const struct session *session, double *weight, struct fw_error **err)
{
	const char *text = smt_weight_of(session);

	*weight = 0;
	if (!text || (fw_str_to_double(fw_str_of(text), weight) && *weight >= 0 && *weight <= 1))
		return FW_OK;
	int rc = fw_fail(err, FW_E_USAGE, "run: --smt-weight '%s' is no number from 0 to 1", text);

	return fw_error_hint(err, rc, "0.5: two busy threads of one core count as one core");
}

static json_t *options_json(const struct session *session)
{
	const json_t *before = fw_json_at(session->previous.environment, "options.directory");
	fw_cleanup_free char *here = before ? NULL : realpath(".", NULL);
	fw_cleanup_free char *counters = counters_root_of(session) ? realpath(counters_root_of(session), NULL) : NULL;
	json_t *set = json_array();

	for (size_t i = 0; i < session->collected.overrides.settings.count; i++)
		json_array_append_new(set, json_string(session->collected.overrides.settings.items[i].text));
	return json_pack("{s:o, s:b, s:s, s:s?, s:s?, s:s?}", "set", set, "oversubscribe", session->settings.oversubscribe, "region",
	                 region_of(session), "directory", before ? json_string_value(before) : here,
	                 "counters_root", counters, "smt_weight", smt_weight_of(session));
}

/* As under nohup. */
static bool is_ignored(int signal_number)
{
	struct sigaction action;

	return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static volatile sig_atomic_t held_signal;

static void hold(int signal_number)
{
	if (held_signal == 0)
		held_signal = signal_number;
}

/* From the first trace that a run leaves until somebody listens: one signal then ends the run in order, a second one ends
 * the process at once. */
static void hold_signals(void)
{
	struct sigaction action = {.sa_handler = hold, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!is_ignored(SIGHUP))
		sigaction(SIGHUP, &action, NULL);
}

static int open_driver(struct session *session, struct fw_error **err)
{
	fw_cleanup_json json_t *options = options_json(session);
	fw_cleanup_free char *state = fw_state_directory(session->store);
	uint32_t random[3] = {0};
	double smt_weight = 0;
	int rc = read_smt_weight(session, &smt_weight, err);

	if (rc != FW_OK)
		return rc;
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		random[0] = (uint32_t)getpid();
	if (!session->settings.resume)
		fw_run_id(fw_wall_ms(), random[0], session->run);
	struct fw_driver_options driver = {
		.workflow = session->workflow,
		.backend = &fw_backend_local,
		.store = session->store,
		.state_directory = state,
		.region = region_of(session),
		.region_said = session->settings.region ? "--region" : "FLEXWATT_REGION",
		.run = session->run,
		.resume = session->settings.resume != NULL,
		.from_stage = session->settings.from,
		.oversubscribe = session->settings.oversubscribe,
		.counters_root = counters_root_of(session),
		.smt_weight = smt_weight,
		.options = options,
		.before_traces = hold_signals,
		.seed = (uint64_t)random[1] << 32 | random[2],
	};

	fw_cleanup_free char *waiting = fw_printf("waiting for an answer of %.*s\n", (int)strcspn(session->workflow->storage, "&"),
	                                          session->workflow->storage);

	if (fw_str_starts(fw_str_of(session->workflow->storage), "s3:"))
		fw_terminal_say_later(waiting, WORD_AFTER_S);
	rc = fw_driver_new(&driver, &session->driver, err);
	fw_terminal_say_nothing();
	return rc;
}

/* What is not enforced here. The summary will say it to people, so that its number is enough for them now. */
static void print_missing(const struct session *session)
{
	struct fw_str rest = fw_str_of(fw_driver_missing(session->driver)), line;
	size_t count = 0;

	while (fw_str_next_line(&rest, &line)) {
		if (line.length > 0 && session->settings.json)
			fprintf(stderr, "warning: %.*s\n", (int)line.length, line.text);
		count += line.length > 0;
	}
	if (count > 0 && !session->settings.json)
		fprintf(stderr, "warning: %zu %s not enforced here: the summary says which\n", count,
		        count == 1 ? "thing is" : "things are");
}

static void swallow(int signal_number)
{
	(void)signal_number;
}

/* The run has ended: a signal does not undo that, nor the exit status. A second one may end a summary that nobody reads. */
static void come_too_late(int signal_number)
{
	struct sigaction action = {.sa_handler = swallow, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};

	sigaction(signal_number, &action, NULL);
}

static void block_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(how, &signals, NULL);
}

static int execute(struct session *session, enum fw_status *status, struct fw_error **err)
{
	struct fw_loop *loop = fw_driver_loop(session->driver);
	struct fw_watch *interrupt = fw_signal_new(loop, SIGINT, on_signal, session);
	struct fw_watch *terminate = fw_signal_new(loop, SIGTERM, on_signal, session);
	bool no_hang_up = is_ignored(SIGHUP);
	struct fw_watch *hang_up = no_hang_up ? NULL : fw_signal_new(loop, SIGHUP, on_signal, session);
	struct fw_progress *progress = fw_progress_new(session->driver, session->workflow);

	if (held_signal)
		raise(held_signal);
	print_missing(session);
	int rc = fw_driver_run(session->driver, status, err);

	fw_progress_free(progress);
	block_signals(SIG_BLOCK);
	fw_watch_free(interrupt);
	fw_watch_free(terminate);
	fw_watch_free(hang_up);
	come_too_late(SIGINT);
	come_too_late(SIGTERM);
	if (!no_hang_up)
		come_too_late(SIGHUP);
	block_signals(SIG_UNBLOCK);
	return rc;
}

/* ---- the end ---- */

static int print_summary(const struct session *session, const struct fw_summary *summary, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer out;

	fw_buffer_init(&out, 16 << 20);
	if (session->settings.json)
		return fw_print_json(fw_summary_to_json(summary), err);
	fw_summary_print(summary, fw_terminal_colour(STDOUT_FILENO), fw_terminal_width(STDOUT_FILENO), &out);
	return fw_print(&out, err);
}

static int print_end(const struct session *session, enum fw_status status, struct fw_error **err)
{
	struct fw_summary summary;
	int rc = fw_summary_load(session->store, session->run, &summary, err);

	if (rc != FW_OK)
		return rc;
	rc = print_summary(session, &summary, err);
	if (rc == FW_OK && status != FW_STATUS_OK)
		fw_print_failure(session->driver, session->workflow, &summary);
	fw_summary_done(&summary);
	return rc;
}

static int exit_status_of(enum fw_status status)
{
	return status == FW_STATUS_OK ? 0 : status == FW_STATUS_CANCELLED ? 130 : 1;
}

static int run_session(struct session *session, const char *path, struct fw_error **err)
{
	enum fw_status status = FW_STATUS_LOST;
	int rc = FW_OK;

	fw_collected_add_options(&session->collected, &session->variables.overrides, true);
	fw_collected_add_bucket(&session->collected, &session->settings.overrides);
	fw_collected_add_options(&session->collected, &session->settings.overrides, false);
	if (session->settings.resume) {
		rc = fw_open_default_store(false, &session->store, err);
		if (rc == FW_OK)
			rc = load_previous(session, err);
	}
	if (rc == FW_OK)
		rc = load_workflow(session, path, err);
	if (rc == FW_OK && !session->store)
		rc = fw_open_default_store(false, &session->store, err);
	if (rc == FW_OK) {
		fw_scope_enter();
		rc = fw_allow_files(err);
	}
	if (rc == FW_OK)
		rc = open_driver(session, err);
	if (rc == FW_OK)
		rc = execute(session, &status, err);
	if (rc == FW_OK)
		rc = print_end(session, status, err);
	return rc == FW_OK ? exit_status_of(status) : rc;
}

static bool has_settings(const struct settings *settings)
{
	return fw_override_options_any(&settings->overrides) || settings->region || settings->oversubscribe || settings->smt_weight;
}

#define RUN_OPTIONS(settings)                                                                                           \
	FW_OVERRIDE_OPTIONS(&(settings)->overrides),                                                                         \
		{"region", "REGION", "prices and grid as if there (default eu-central-1)", FW_OPTION_TEXT, &(settings)->region,   \
	     "FLEXWATT_REGION"},                                                                                             \
		{"resume", "RUN", "take up a run that was killed, cancelled or failed; it keeps its settings", FW_OPTION_TEXT,    \
	     &(settings)->resume, NULL},                                                                                     \
		{"from", "STAGE", "with --resume: run this stage and what follows it again", FW_OPTION_TEXT, &(settings)->from,   \
	     NULL},                                                                                                          \
		{"oversubscribe", NULL, "promise more than the machine has; figures are flagged contended", FW_OPTION_FLAG,       \
	     &(settings)->oversubscribe, NULL},                                                                              \
		{"counters-root", "DIR", "directory that stands for / for energy counters: the host's, in a container",            \
	     FW_OPTION_TEXT, &(settings)->counters_root, "FLEXWATT_COUNTERS_ROOT"},                                           \
		{"smt-weight", "W", "in energy, what a busy thread of the same core takes off CPU time: 0.5, two are one core",   \
	     FW_OPTION_TEXT, &(settings)->smt_weight, "FLEXWATT_SMT_WEIGHT"},                                           \
		{"json", NULL, "the summary as JSON", FW_OPTION_FLAG, &(settings)->json, NULL}

static int run(int argc, char **argv, struct fw_error **err)
{
	struct session session = {0};
	struct settings *settings = &session.settings;
	const struct fw_option options[] = {RUN_OPTIONS(settings)};
	const struct fw_option variables[] = {RUN_OPTIONS(&session.variables)};
	fw_cleanup_text_list struct fw_text_list positional = {0};
	bool help = false;
	int rc = fw_options_read(&fw_command_run, options, FW_COUNT_OF(options), argc, argv, 0, 1, &positional, &help, err);

	if (rc == FW_OK && !help && !settings->resume) /* a run that is taken up keeps the settings that it began with */
		rc = fw_options_read_variables(variables, FW_COUNT_OF(variables), err);
	if (rc == FW_OK && !help) {
		const char *path = positional.texts.count ? positional.texts.items[0] : NULL;

		if (!path && !settings->resume)
			rc = fw_error_hint(err, fw_fail(err, FW_E_USAGE, "run: WORKFLOW is missing"), "flexwatt run WORKFLOW");
		else if (settings->from && !settings->resume)
			rc = fw_fail(err, FW_E_USAGE, "run: --from goes with --resume RUN");
		else if (settings->resume && has_settings(settings))
			rc = fw_fail(err, FW_E_USAGE, "run: a resumed run keeps its settings: with --resume go --from and --json alone");
		else
			rc = run_session(&session, path, err);
	}
	fw_driver_free(session.driver);
	fw_workflow_free(session.workflow);
	fw_store_close(session.store);
	fw_run_row_done(&session.previous);
	fw_collected_done(&session.collected);
	fw_override_options_done(&settings->overrides);
	fw_override_options_done(&session.variables.overrides);
	return rc;
}

const struct fw_command fw_command_run = {
	.name = "run",
	.arguments = "WORKFLOW",
	.summary = "execute a workflow; progress, summary, a record of every invocation",
	.example = "  flexwatt run examples/video/workflow.yaml --set stages.split.params.chunk_seconds=5",
	.run = run,
};
