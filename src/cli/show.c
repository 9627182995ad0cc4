/* SPDX-License-Identifier: Apache-2.0
 *
 * flexwatt show: a run stage by stage, one task's invocations field by field, its logs, the workflow's graph.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tree.h"
#include "catalogue/catalogue.h"
#include "cli/commands.h"
#include "cli/store_path.h"
#include "cli/terminal.h"
#include "report/format.h"
#include "report/summary.h"
#include "runtime/error_document.h"
#include "runtime/report_line.h"
#include "workflow/workflow.h"

enum { OUTPUT_MAX = 256 << 20 };

struct selection {
	struct fw_store *store;
	char *stage;   /* NULL: all */
	int64_t task;  /* < 0: all */
	bool logs, json, energy, failed;
	struct fw_buffer *out;
	json_t *list;
	size_t found;
};

/* ---- one invocation ---- */

static void print_value(const struct fw_field *field, const void *base, struct fw_buffer *out)
{
	const char *member = (const char *)base + field->offset;

	switch (field->kind) {
	case FW_FIELD_TEXT:
		fw_buffer_text(out, *(char *const *)member);
		break;
	case FW_FIELD_INT:
		fw_buffer_printf(out, "%lld", (long long)*(const int64_t *)member);
		break;
	case FW_FIELD_REAL:
		fw_buffer_printf(out, "%.9g", *(const double *)member);
		break;
	}
}

static bool is_null(const struct fw_field *field, const void *base)
{
	const char *member = (const char *)base + field->offset;

	return field->kind == FW_FIELD_TEXT  ? *(char *const *)member == NULL
	       : field->kind == FW_FIELD_INT ? *(const int64_t *)member == FW_NULL_INT
	                                     : isnan(*(const double *)member);
}

static void print_energy(const struct fw_energy *energy, struct fw_buffer *out)
{
	char interval[FW_FORMAT_SIZE];

	fw_buffer_printf(out, "    %-24s %s %s, %s, method %s\n", energy->source ? energy->source : "?",
	                 fw_format_joules_interval(interval, energy->joules, energy->low, energy->high),
	                 energy->domain ? energy->domain : "", energy->flags ? energy->flags : "",
	                 energy->method ? energy->method : "?");
}

/* Of the figure that totals use. */
static void print_per_count(const char *name, const struct fw_record *record, int64_t count, struct fw_buffer *out)
{
	double joules = fw_energy_per_count(record, count);
	struct fw_energy_sum sum;

	if (!isnan(joules) && fw_energy_best(record, &sum))
		fw_buffer_printf(out, "    %-24s %.3g nJ, by %s\n", name, joules * 1e9, sum.source);
}

/* Fields that are null are not known here; they are left out, the JSON has them. */
static void print_record(const struct fw_record *record, struct fw_buffer *out)
{
	const char *group = "";

	fw_buffer_printf(out, "%s/%lld attempt %lld: %s\n", record->stage, (long long)record->task,
	                 (long long)record->attempt, record->status ? record->status : "unknown");
	for (size_t i = 0; i < fw_record_field_count; i++) {
		const struct fw_field *field = &fw_record_fields[i];

		if (is_null(field, record))
			continue;
		if (strcmp(group, field->group) != 0)
			fw_buffer_printf(out, "  %s\n", group = field->group);
		fw_buffer_printf(out, "    %-24s ", field->name);
		print_value(field, record, out);
		fw_buffer_text(out, "\n");
	}
	if (record->energy.count > 0)
		fw_buffer_text(out, "  energy\n");
	for (size_t i = 0; i < record->energy.count; i++)
		print_energy(&record->energy.items[i], out);
	print_per_count("per cycle", record, record->cycles, out);
	print_per_count("per instruction", record, record->instructions, out);
	if (record->metrics) {
		fw_cleanup_free char *metrics = fw_json_dump(record->metrics);

		fw_buffer_printf(out, "  metrics                    %s\n", metrics);
	}
}

/* A success that printed nothing has no file. */
static void print_silent(const struct fw_record *record, struct fw_buffer *out)
{
	bool ok = record->request_id && record->status && strcmp(record->status, "ok") == 0;
	fw_cleanup_free char *lines = ok ? fw_report_silent(record) : fw_strdup("  (no log)\n");

	fw_buffer_text(out, lines);
}

/* What a function wrote may drive a terminal, and JSON is UTF-8: there, and only there, other characters become '?'. */
static char *printable_text(struct fw_str text)
{
	char *printable = fw_alloc(text.length + 1);

	fw_error_text_copy(text, printable, text.length + 1);
	return printable;
}

static int read_log(const struct selection *selection, const struct fw_record *record, struct fw_buffer *out,
                    struct fw_error **err)
{
	fw_cleanup_free char *path =
		fw_log_path(selection->store, record->run, record->stage, record->task, record->attempt);
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 64 << 20);
	int rc = fw_read_file(AT_FDCWD, path, &text, err);

	if (rc == FW_E_ABSENT) {
		if (err)
			fw_error_free(FW_TAKE(*err));
		print_silent(record, out);
		return FW_OK;
	}
	if (rc != FW_OK)
		return rc;
	bool as_it_is = !selection->json && !isatty(STDOUT_FILENO);
	fw_cleanup_free char *printable = as_it_is ? NULL : printable_text(fw_buffer_str(&text));

	rc = printable ? fw_buffer_text(out, printable) : fw_buffer_append(out, text.data, text.length);
	if (text.length > 0 && text.data[text.length - 1] != '\n')
		fw_buffer_text(out, "\n");
	return rc == FW_OK ? rc : fw_fail(err, rc, "the logs are longer than can be shown: choose one with --task STAGE/N");
}

static int add_record(struct selection *selection, const struct fw_record *record, struct fw_error **err)
{
	json_t *json = fw_record_to_json(record);
	int rc = FW_OK;

	if (selection->logs) {
		fw_cleanup_buffer struct fw_buffer log;

		fw_buffer_init(&log, OUTPUT_MAX);
		rc = read_log(selection, record, &log, err);
		json_object_set_new(json, "log", json_stringn(log.length ? log.data : "", log.length));
	}
	json_array_append_new(selection->list, json);
	return rc;
}

static int show_record(void *context, const struct fw_record *record, struct fw_error **err)
{
	struct selection *selection = context;

	selection->found++;
	if (selection->json)
		return add_record(selection, record, err);
	if (!selection->logs) {
		print_record(record, selection->out);
		return FW_OK;
	}
	fw_buffer_printf(selection->out, "== %s/%lld attempt %lld: %s\n", record->stage, (long long)record->task,
	                 (long long)record->attempt, record->status ? record->status : "unknown");
	return read_log(selection, record, selection->out, err);
}

/* ---- "stage/3" ---- */

static int read_task(const char *text, struct selection *selection, struct fw_error **err)
{
	const char *slash = strchr(text, '/');

	selection->stage = slash ? fw_strndup(text, (size_t)(slash - text)) : fw_strdup(text);
	if (!slash || (fw_str_to_i64(fw_str_of(slash + 1), &selection->task) && selection->task >= 0))
		return FW_OK;
	int rc = fw_fail(err, FW_E_USAGE, "show: --task '%s' is not a task", text);

	return fw_error_hint(err, rc, "STAGE or STAGE/INDEX: --task split/0");
}

static int nothing_found(const struct selection *selection, const struct fw_run_row *row, struct fw_error **err)
{
	int rc = selection->task >= 0
	             ? fw_fail(err, FW_E_USAGE, "run %s has no invocation of %s/%lld", row->run, selection->stage,
	                       (long long)selection->task)
	             : fw_fail(err, FW_E_USAGE, "run %s has no invocation%s%s", row->run, selection->stage ? " of " : "",
	                       selection->stage ? selection->stage : "");

	return fw_error_hint(err, rc, "flexwatt show %s lists its stages and counts their tasks", row->run);
}

static int show_records(struct selection *selection, const struct fw_run_row *row, struct fw_error **err)
{
	int rc = fw_store_record_each(selection->store, row->run, selection->stage, selection->task, show_record, selection, err);

	if (rc == FW_OK && selection->found == 0)
		rc = nothing_found(selection, row, err);
	if (rc == FW_OK && selection->json)
		rc = fw_print_json(json_incref(selection->list), err);
	else if (rc == FW_OK)
		rc = fw_print(selection->out, err);
	return rc;
}

/* ---- the run ---- */

enum { TASKS_NAMED = 10 };

/* Without a task that failed: why no task could run. */
static void print_failed(const struct fw_summary *summary, size_t most, struct fw_buffer *out)
{
	size_t count = summary->failed.count < most ? summary->failed.count : most;

	for (size_t i = 0; i < count; i++)
		fw_print_failed_task(&summary->failed.items[i], out);
	fw_print_failed_rest(summary, count, out);
	if (count == 0 && summary->row.error)
		fw_buffer_printf(out, "  error: %s\n", summary->row.error);
}

/* Every task whose latest attempt failed, none left out. */
static int show_failed(struct selection *selection, const struct fw_run_row *row, struct fw_error **err)
{
	struct fw_summary summary;
	int rc = fw_summary_load(selection->store, row->run, &summary, err);

	if (rc != FW_OK)
		return rc;
	if (selection->json) {
		rc = fw_print_json(fw_failed_to_json(&summary), err);
	} else {
		print_failed(&summary, SIZE_MAX, selection->out);
		if (selection->out->length == 0)
			fw_buffer_printf(selection->out, "no task of run %s failed\n", row->run);
		rc = fw_print(selection->out, err);
	}
	fw_summary_done(&summary);
	return rc;
}

static int show_summary(struct selection *selection, const struct fw_run_row *row, struct fw_error **err)
{
	struct fw_summary summary;
	int rc = fw_summary_load(selection->store, row->run, &summary, err);

	if (rc != FW_OK)
		return rc;
	if (selection->json) {
		rc = fw_print_json(fw_summary_to_json(&summary), err);
	} else {
		(selection->energy ? fw_summary_print_energy : fw_summary_print)
			(&summary, fw_terminal_colour(STDOUT_FILENO), fw_terminal_width(STDOUT_FILENO), selection->out);
		if (!selection->energy)
			print_failed(&summary, TASKS_NAMED, selection->out);
		rc = fw_print(selection->out, err);
	}
	fw_summary_done(&summary);
	return rc;
}

/* Several runs, which are only compared by their energy. */
static int show_several(struct selection *selection, const struct fw_text_list *runs, struct fw_error **err)
{
	fw_cleanup_free struct fw_summary *summaries = fw_alloc_array(runs->texts.count, sizeof *summaries);
	size_t loaded = 0;
	int rc = fw_open_default_store(true, &selection->store, err);

	for (; rc == FW_OK && loaded < runs->texts.count; loaded += rc == FW_OK)
		rc = fw_summary_load(selection->store, runs->texts.items[loaded], &summaries[loaded], err);
	if (rc == FW_OK && selection->json) {
		rc = fw_print_json(fw_summaries_energy_to_json(summaries, loaded), err);
	} else if (rc == FW_OK) {
		fw_summaries_print_energy(summaries, loaded, fw_terminal_colour(STDOUT_FILENO), selection->out);
		rc = fw_print(selection->out, err);
	}
	for (size_t i = 0; i < loaded; i++)
		fw_summary_done(&summaries[i]);
	return rc;
}

/* The graph as it was run: from the effective workflow of the row, not from the file of today. */
static int show_graph(struct selection *selection, const struct fw_run_row *row, const char *format, struct fw_error **err)
{
	FW_CLEANUP(fw_workflow_free) struct fw_workflow *workflow = NULL;
	int rc = fw_workflow_parse(row->workflow_path, row->workflow_text, strlen(row->workflow_text), NULL, false, &workflow,
	                           err);

	if (rc == FW_OK)
		rc = fw_workflow_graph(workflow, format, selection->out, err);
	if (rc != FW_OK)
		return rc;
	return selection->json ? fw_print_json(json_pack("{s:s, s:s, s:s}", "run", row->run, "format", format, "graph",
	                                                 selection->out->data), err)
	                       : fw_print(selection->out, err);
}

static int show(struct selection *selection, const char *id, const char *task, const char *graph, struct fw_error **err)
{
	struct fw_run_row row = {0};
	int rc = task ? read_task(task, selection, err) : FW_OK;

	if (rc == FW_OK)
		rc = fw_open_default_store(true, &selection->store, err);
	if (rc == FW_OK)
		rc = fw_store_run_get(selection->store, id, &row, err);
	if (rc == FW_OK)
		rc = graph                          ? show_graph(selection, &row, graph, err)
		     : task || selection->logs ? show_records(selection, &row, err)
		     : selection->failed       ? show_failed(selection, &row, err)
		                                    : show_summary(selection, &row, err);
	fw_run_row_done(&row);
	return rc;
}

static int run(int argc, char **argv, struct fw_error **err)
{
	fw_cleanup_text_list struct fw_text_list positional = {0};
	fw_cleanup_buffer struct fw_buffer out;
	fw_cleanup_json json_t *list = json_array();
	struct selection selection = {.task = -1, .out = &out, .list = list};
	const char *task = NULL, *graph = NULL;
	bool help = false;
	const struct fw_option options[] = {
		{"task", "STAGE[/N]", "every field of its invocations", FW_OPTION_TEXT, &task, NULL},
		{"logs", NULL, "what the functions printed, with START, END and REPORT", FW_OPTION_FLAG, &selection.logs, NULL},
		{"failed", NULL, "every task that failed, with its error", FW_OPTION_FLAG, &selection.failed, NULL},
		{"energy", NULL, "stages by joules: watts, work per joule, carbon intensity; several RUNs against each other", FW_OPTION_FLAG, &selection.energy, NULL},
		{"graph", "FORMAT", "the workflow as it was run: text, dot or svg", FW_OPTION_TEXT, &graph, NULL},
		{"json", NULL, "as JSON: the summary, the records of --task, with their logs, the graph", FW_OPTION_FLAG, &selection.json, NULL},
	};

	fw_buffer_init(&out, OUTPUT_MAX);
	int rc = fw_options_read(&fw_command_show, options, FW_COUNT_OF(options), argc, argv, 1, SIZE_MAX, &positional, &help, err);

	if (rc == FW_OK && !help)
		rc = positional.texts.count == 1 ? show(&selection, positional.texts.items[0], task, graph, err)
		     : selection.energy && !task && !graph && !selection.logs
		         ? show_several(&selection, &positional, err)
		         : fw_error_hint(err, fw_fail(err, FW_E_USAGE, "show: too many arguments"),
		                         "several runs are compared by --energy alone: flexwatt show A B --energy");
	free(selection.stage);
	fw_store_close(selection.store);
	return rc;
}

const struct fw_command fw_command_show = {
	.name = "show",
	.arguments = "RUN",
	.summary = "a run: its stages, one task's invocations, logs, graph",
	.example = "  flexwatt show k3f\n  flexwatt show k3f --energy\n  flexwatt show k3f --task sharpen/3 --logs",
	.run = run,
};
