/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt measure: what a command, a process or the whole system took: time, CPU, memory, joules, dollars, CO2e. The command
 * has its streams, its signals and its exit status to itself; the report goes to standard error, or to a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/measure_child.h"
#include "cli/measure_floor.h"
#include "cli/measure_group.h"
#include "cli/measure_notes.h"
#include "cli/measure_wait.h"
#include "cli/measure_wishes.h"
#include "cli/scope.h"
#include "cli/terminal.h"
#include "energy/here.h"
#include "energy/whole.h"
#include "host/procfs.h"
#include "report/measured.h"
#include "runtime/error_document.h"

enum { OWN_FAILURE = 125, CANNOT_EXECUTE = 126, NOT_FOUND = 127, REPORT_MAX = 16 << 20, MOST_TROUBLES = 8 };

struct session {
	const struct fw_measure_wishes *wishes;
	struct fw_energy_here *here;
	struct fw_cgroups *cgroups;
	struct fw_measured measured;
	struct fw_launcher launcher;
	int signals;
	FILE *out;     /* --output, else NULL */
	int status;
	size_t failed;     /* repetitions that ended with another status than 0 */
	bool not_executed; /* status says why */
};

/* ---- what all three share ---- */

static void take_totals(const struct fw_span_totals *totals, struct session *session)
{
	struct fw_measured_one *one = fw_measured_add(&session->measured);
	const struct fw_machine *machine = &session->here->machine;

	fw_span_add(&one->record, &totals->record);
	one->record.duration_ms = totals->record.duration_ms;
	one->record.vcpus = totals->record.vcpus;
	one->record.cpus_visible = machine->cpus_allowed;
	one->peak_w = totals->peak_w;
	one->peak_over_s = totals->peak_over_s;
	fw_record_set_text(&one->record.cpu_model, machine->cpu_model);
	fw_record_set_text(&one->record.architecture, machine->architecture);
}

static const struct fw_span_totals *span_totals(void *context, bool cut)
{
	return cut ? fw_span_cut(context) : fw_span_look(context);
}

static const struct fw_span_totals *whole_totals(void *context, bool cut)
{
	return cut ? fw_whole_cut(context) : fw_whole_look(context);
}

static struct fw_waiting waiting_of(const struct session *session)
{
	return (struct fw_waiting){.signals = session->signals, .ended = -1, .for_ns = session->wishes->for_ns,
	                           .watch = session->wishes->watch};
}

/* ---- a command ---- */

/* Of the command and the children that it waited for: the kernel's own account, exact where samples are not. Without a group
 * the samples have our own memory in them. */
static void take_usage(const struct rusage *usage, bool has_group, struct fw_record *record)
{
	record->faults_minor = usage->ru_minflt;
	record->faults_major = usage->ru_majflt;
	record->switches_voluntary = usage->ru_nvcsw;
	record->switches_involuntary = usage->ru_nivcsw;
	/* The largest process against the samples of all of them together. */
	record->memory_peak_mb = fmax(has_group ? record->memory_peak_mb : NAN, (double)usage->ru_maxrss / 1024);
	record->memory_peak_high_mb = fmax(record->memory_peak_high_mb, record->memory_peak_mb);
}

static void note_left(size_t left, struct session *session)
{
	if (left > 0)
		fw_measured_note(&session->measured, fw_printf("%zu %s of the command still %s: counted until its end", left,
		                                               left == 1 ? "process" : "processes", left == 1 ? "runs" : "run"));
}

static int hint_at(const char *program, int errnum, int rc, struct fw_error **err)
{
	bool has_path = strchr(program, '/') != NULL;
	struct stat status;

	if (errnum == ENOENT && !has_path)
		return fw_error_hint(err, rc, "none of the directories of $PATH has it");
	if (errnum == ENOENT)
		return stat(program, &status) == 0 ? fw_error_hint(err, rc, "the interpreter that it names (#! line, loader) is not there")
		                                   : fw_error_hint(err, rc, "a path counts from the working directory");
	if (errnum == ENOTDIR)
		return fw_error_hint(err, rc, "a part of the path that should be a directory is a file");
	if (has_path && stat(program, &status) == 0 && S_ISDIR(status.st_mode))
		return fw_error_hint(err, rc, "it is a directory");
	return errnum == EACCES ? fw_error_hint(err, rc, "it must be executable: chmod +x %s", program) : rc;
}

static int fail_to_execute(struct session *session, const char *program, int errnum, struct fw_error **err)
{
	int rc = fw_fail_errno(err, errnum, "measure: %s", program);

	session->not_executed = true;
	session->status = errnum == ENOENT ? NOT_FOUND : CANNOT_EXECUTE;
	return hint_at(program, errnum, rc, err);
}

static struct fw_cgroup *group_of(struct session *session, pid_t pid)
{
	fw_cleanup_error struct fw_error *reason = NULL;
	struct fw_cgroup *group = session->cgroups ? fw_measure_group_new(session->cgroups, pid, &reason) : NULL;

	if (session->cgroups && !group && session->measured.ones.count == 0)
		fw_measured_note(&session->measured,
		                 fw_printf("no control group of its own, so that a little of measure is counted too: %s",
		                           reason ? fw_error_message(reason) : "unknown"));
	return group;
}

/* The span begins at the gate and ends while the command is a zombie, whose counters can still be read. Without a group it is of
 * our own tree, to which processes come back whose parents have ended: a little of measure itself is in it. */
static int measure_once(struct session *session, const char *program, bool *interrupted, struct fw_error **err)
{
	struct fw_waiting waiting = waiting_of(session);
	struct fw_metered metered = {0};
	struct rusage usage = {0};
	struct fw_child child;
	int status = 0, rc = fw_child_start(&session->launcher, &child, err);

	if (rc != FW_OK)
		return rc;
	struct fw_cgroup *group = group_of(session, child.pid);

	metered.cgroup = group;
	metered.wants_shares = session->wishes->shares;
	metered.pid = group ? child.pid : getpid();
	fw_energy_here_reserve(session->here, session->wishes->cpus, &metered);
	waiting.ended = child.pidfd;
	waiting.forward = child.pid;
	FW_CLEANUP(fw_span_free) struct fw_span *span = fw_span_begin(session->here->manager, &metered);

	fw_child_release(&session->launcher);
	*interrupted = fw_wait(&waiting, span_totals, span).interrupted || *interrupted;
	const struct fw_span_totals *totals = fw_span_end(span, false);
	int errnum = fw_child_reap(&session->launcher, &child, &status, &usage);

	if (errnum == 0) {
		take_totals(totals, session);
		take_usage(&usage, group != NULL, &session->measured.ones.items[session->measured.ones.count - 1].record);
	}
	fw_span_free(FW_TAKE(span)); /* before its group is closed */
	note_left(fw_measure_group_end(group), session);
	if (errnum)
		return fail_to_execute(session, program, errnum, err);
	int told = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);

	session->failed += told != 0;
	if (session->status == 0)
		session->status = told;
	return FW_OK;
}

static int measure_command(struct session *session, const char *program, struct fw_error **err)
{
	fw_cleanup_error struct fw_error *reason = NULL;
	bool interrupted = false;
	int rc = FW_OK;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	session->cgroups = fw_measure_groups_open(&session->here->root, &reason);
	if (!session->cgroups)
		fw_measured_note(&session->measured,
		                 fw_printf("no control groups, so that a little of measure is counted too: %s",
		                           reason ? fw_error_message(reason) : "unknown"));
	for (int64_t i = 0; rc == FW_OK && i < session->wishes->repeat && !interrupted; i++)
		rc = measure_once(session, program, &interrupted, err);
	if (session->failed > 0 && session->measured.ones.count > 1)
		fw_measured_note(&session->measured, fw_printf("%zu of %zu repetitions failed, the first of them with status %d", session->failed,
		                                               session->measured.ones.count, session->status));
	if (interrupted && (int64_t)session->measured.ones.count < session->wishes->repeat)
		fw_measured_note(&session->measured, fw_printf("interrupted after %zu of %lld repetitions",
		                                               session->measured.ones.count, (long long)session->wishes->repeat));
	return rc;
}

/* ---- a process, the system ---- */

static int measure_process(struct session *session, struct fw_error **err)
{
	struct fw_waiting waiting = waiting_of(session);
	struct fw_metered metered = {.pid = (pid_t)session->wishes->pid, .keeps_seen = true,
	                             .wants_shares = session->wishes->shares};
	fw_cleanup_fd int pidfd = session->wishes->pid > INT32_MAX ? -1 : (int)syscall(SYS_pidfd_open, metered.pid, 0);

	if (pidfd < 0) {
		int rc = fw_fail(err, FW_E_ABSENT, "measure: no process %lld", (long long)session->wishes->pid);

		return fw_error_hint(err, rc, "--pid takes the first process of a tree, not a thread");
	}
	if (!fw_process_runs(metered.pid)) {
		int rc = fw_fail(err, FW_E_ABSENT, "measure: process %lld has ended; its parent has not waited for it yet",
		                 (long long)session->wishes->pid);

		return fw_error_hint(err, rc, "what a command takes from its beginning to its end: flexwatt measure -- COMMAND");
	}
	fw_energy_here_reserve(session->here, session->wishes->cpus, &metered);
	waiting.ended = pidfd;
	FW_CLEANUP(fw_span_free) struct fw_span *span = fw_span_begin(session->here->manager, &metered);

	bool has_ended = fw_wait(&waiting, span_totals, span).has_ended;
	const struct fw_span_totals *totals = fw_span_end(span, !has_ended);

	take_totals(totals, session);
	if (totals->unseen_s > 0)
		fw_measured_note(&session->measured,
		                 fw_printf("its CPU time and memory are of %.0f ms before its end: nothing was left to read then",
		                           ceil(totals->unseen_s * 1000)));
	return FW_OK;
}

static int measure_system(struct session *session, struct fw_error **err)
{
	struct fw_waiting waiting = waiting_of(session);
	FW_CLEANUP(fw_whole_free) struct fw_whole *whole = NULL;
	int rc = fw_whole_begin(session->here, &whole, err);

	if (rc != FW_OK)
		return rc;
	fw_wait(&waiting, whole_totals, whole);
	take_totals(fw_whole_cut(whole), session);
	char *notes[MOST_TROUBLES];
	size_t count = fw_whole_troubles(whole, notes, FW_COUNT_OF(notes));

	for (size_t i = 0; i < count; i++)
		fw_measured_note(&session->measured, notes[i]);
	return FW_OK;
}

/* ---- the report ---- */

static int write_report(struct session *session, struct fw_buffer *text, struct fw_error **err)
{
	FILE *out = session->out ? session->out : stderr;

	if (session->out && ftruncate(fileno(out), 0) != 0 && errno != EINVAL) /* EINVAL: a device or a pipe */
		return fw_fail_errno(err, errno, "measure: write the report");
	if (fwrite(text->data, 1, text->length, out) != text->length || fflush(out) != 0)
		return fw_fail_errno(err, errno, "measure: write the report");
	return FW_OK;
}

static int report(struct session *session, struct fw_error **err)
{
	const struct fw_machine *machine = &session->here->machine;
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_processor processor;

	fw_catalogue_processor(session->here->catalogue, machine->cpu_model, machine->vendor, machine->family, machine->model,
	                       &processor);
	int rc = fw_measured_price(session->here->catalogue, &processor, session->wishes->memory_mb, &session->measured, err);

	if (rc != FW_OK)
		return rc;
	fw_measure_note(session->here, !session->wishes->system_text, &session->measured); /* fw_whole_troubles() has told it */
	fw_buffer_init(&text, REPORT_MAX);
	if (session->wishes->json) {
		fw_cleanup_json json_t *json = fw_measured_to_json(&session->measured);

		if (session->measured.is_command)
			json_object_set_new(json, "status", json_integer(session->status));
		fw_json_append(json, &text);
		fw_buffer_text(&text, "\n");
	} else {
		fw_measured_print(&session->measured, !session->out && fw_terminal_colour(STDERR_FILENO), &text);
	}
	return write_report(session, &text, err);
}

/* ---- command line ---- */

/* What a file of that name holds stays until there is a report to put in its place. */
static FILE *open_output(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

/* The launcher first: it must be small. Signals are taken last: while counters are opened Ctrl-C ends us as it does others. */
static int open_session(struct session *session, const struct fw_text_list *words, struct fw_error **err)
{
	const struct fw_measure_wishes *wishes = session->wishes;

	if (wishes->output && !(session->out = open_output(wishes->output)))
		return fw_error_hint(err, fw_fail_errno(err, errno, "measure: --output %s", wishes->output),
		                     "a file in a directory that is there and may be written to");
	sigset_t mask;
	int rc = FW_OK;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	if (words->texts.count > 0) {
		rc = fw_launcher_start(words->texts.items, &mask, &session->launcher, err);
		fw_scope_enter();
	}
	if (rc == FW_OK)
		rc = fw_energy_here_open(true, wishes->counters_root, &session->here, err);
	if (rc == FW_OK)
		rc = fw_measure_check_cpus(&session->here->machine, wishes, err);
	if (rc == FW_OK)
		rc = session->signals = fw_waiting_signals(err);
	if (rc < 0)
		return rc;
	fw_measure_floor_take(session->here, wishes->counters_root);
	session->measured.region = wishes->region ? wishes->region : "eu-central-1";
	session->measured.is_command = words->texts.count > 0;
	return fw_measure_check_region(session->here->catalogue, session->measured.region, err);
}

static char *title_of(const struct fw_measure_wishes *wishes, const struct fw_text_list *words)
{
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, REPORT_MAX);
	if (wishes->pid > 0)
		return fw_printf("process %lld and its children", (long long)wishes->pid);
	if (words->texts.count == 0)
		return fw_strdup("the whole system");
	for (size_t i = 0; i < words->texts.count; i++)
		fw_buffer_printf(&text, "%s%s", i ? " " : "", words->texts.items[i]);
	char *title = fw_alloc(text.length + 1);

	fw_error_text_copy(fw_buffer_str(&text), title, text.length + 1);
	return title;
}

static int measure(struct fw_measure_wishes *wishes, struct fw_text_list *words, int *status, struct fw_error **err)
{
	struct session session = {.wishes = wishes, .signals = -1};

	fw_measured_init(&session.measured);
	FW_PUSH(&words->texts, NULL); /* argv ends so */
	words->texts.count--;
	int rc = open_session(&session, words, err);

	if (rc == FW_OK) {
		session.measured.title = title_of(wishes, words);
		rc = words->texts.count > 0 ? measure_command(&session, words->texts.items[0], err)
		     : wishes->pid > 0      ? measure_process(&session, err)
		                            : measure_system(&session, err);
	}
	if (rc == FW_OK) {
		fw_measure_floor_keep(session.here, wishes->counters_root);
		rc = report(&session, err);
	}
	*status = rc == FW_OK || session.not_executed ? session.status : OWN_FAILURE;
	fw_launcher_end(&session.launcher);
	fw_measured_done(&session.measured);
	fw_cgroups_close(session.cgroups);
	fw_energy_here_close(session.here);
	if (session.out)
		fclose(session.out);
	if (session.signals >= 0)
		close(session.signals);
	return rc;
}

/* Every failure of ours is 125, so that it is never taken for the command's. */
static int run(int argc, char **argv, struct fw_error **err)
{
	fw_cleanup_text_list struct fw_text_list words = {0};
	struct fw_measure_wishes wishes = {0};
	const char *region = getenv("FLEXWATT_REGION");
	bool help = false;
	int status = OWN_FAILURE;
	const struct fw_option options[] = {
		{"repeat", "N", "N times; mean and 95 % confidence of each figure", FW_OPTION_COUNT, &wishes.repeat, NULL, 'r'},
		{"watch", NULL, "watts, joules, CPU and memory while it runs, on a terminal", FW_OPTION_FLAG, &wishes.watch, NULL, 'w'},
		{"memory", "MB", "dollars as if on Lambda with that; else the smallest that fits the peak", FW_OPTION_COUNT, &wishes.memory_mb, NULL, 0},
		{"region", "REGION", "prices and grid as if there (default eu-central-1)", FW_OPTION_TEXT, &wishes.region, "FLEXWATT_REGION", 0},
		{"cpus", "N", "the idle power of so many CPUs is its own (default: of all it may use)", FW_OPTION_TEXT, &wishes.cpus_text, NULL, 0},
		{"pid", "PID", "a process that runs, and its children, until it ends or Ctrl-C", FW_OPTION_COUNT, &wishes.pid, NULL, 'p'},
		{"for", "TIME", "with --pid: no longer than that", FW_OPTION_TEXT, &wishes.for_text, NULL, 0},
		{"system", "TIME", "the whole machine for that long", FW_OPTION_TEXT, &wishes.system_text, NULL, 0},
		{"counters-root", "DIR", "directory that stands for / for energy counters: the host's, in a container", FW_OPTION_TEXT, &wishes.counters_root,
	     "FLEXWATT_COUNTERS_ROOT", 0},
		{"output", "FILE", "the report goes there, not to standard error", FW_OPTION_TEXT, &wishes.output, NULL, 'o'},
		{"shares", NULL, "unique and proportional memory (USS, PSS) too, each second: costs some 40 ms a GB", FW_OPTION_FLAG, &wishes.shares, NULL, 0},
		{"json", NULL, "the report as JSON", FW_OPTION_FLAG, &wishes.json, NULL, 0},
	};
	int rc = fw_options_read(&fw_command_measure, options, FW_COUNT_OF(options), argc, argv, 0, SIZE_MAX, &words, &help, err);

	if (rc == FW_OK && help)
		return 0;
	if (rc == FW_OK)
		rc = fw_measure_check_wishes(&wishes, words.texts.count > 0, err);
	if (!wishes.region && region && *region)
		wishes.region = region;
	if (rc == FW_OK)
		rc = measure(&wishes, &words, &status, err);
	if (rc < 0)
		(void)fw_print_error(err ? FW_TAKE(*err) : NULL, rc);
	return status;
}

const struct fw_command fw_command_measure = {
	.name = "measure",
	.arguments = "[--] COMMAND",
	.summary = "time, joules, dollars and CO2e of any command",
	.example = "  flexwatt measure -r 5 -- gzip -k big.csv\n  flexwatt measure --watch --pid 4711 --for 30s\n"
			   "  flexwatt measure --system 10s --json --output system.json\n\n"
			   "The report goes to standard error, or to the file of --output: standard output is the command's own.\n"
			   "Exit status: the command's (128 + n when a signal ended it), 125 when measure itself failed, 126 when the\n"
			   "command cannot be executed, 127 when it is not found.",
	.takes_command = true,
	.run = run,
};
