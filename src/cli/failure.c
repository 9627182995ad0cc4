/* SPDX-License-Identifier: Apache-2.0
 *
 * The last lines of a run that failed (failure.h). The first failure comes with its log, as the others mostly fail alike.
 */
#include "cli/failure.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/tree.h"
#include "cli/terminal.h"

enum { LOG_LINES = 5, TASKS_NAMED = 10 };

/* Lines of the platform's own, which the summary and the first line of the failure say already. */
static bool is_told(struct fw_str line, const struct fw_driver_failure *failure)
{
	static const char *const starts[] = {"START RequestId: ", "END RequestId: ", "REPORT RequestId: ", "INIT_REPORT "};

	for (size_t i = 0; i < FW_COUNT_OF(starts); i++)
		if (fw_str_starts(line, starts[i]))
			return true;
	return (failure->error_type && fw_str_is(line, failure->error_type)) ||
	       (failure->error_message && fw_str_is(line, failure->error_message));
}

static void print_log_tail(const struct fw_driver_failure *failure)
{
	const char *path = failure->log_path;
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_str lines[LOG_LINES], rest, line;
	size_t count = 0;

	fw_buffer_init(&text, 64 << 20);
	if (!path || fw_read_file(AT_FDCWD, path, &text, NULL) != FW_OK)
		return;
	rest = fw_buffer_str(&text);
	while (fw_str_next_line(&rest, &line))
		if (line.length > 0 && !is_told(line, failure))
			lines[count++ % LOG_LINES] = line;
	for (size_t i = count > LOG_LINES ? count - LOG_LINES : 0; i < count; i++)
		fw_print_foreign(stderr, "  | ", lines[i % LOG_LINES]);
}

/* The engine of root reads what its workers may not. */
static void print_permission(const struct fw_driver_failure *failure, const struct fw_workflow *workflow)
{
	const char *storage = workflow->storage;

	if (geteuid() == 0 && failure->error_message && strstr(failure->error_message, "Permission denied") &&
	    fw_str_starts(fw_str_of(storage), "file:"))
		fprintf(stderr, "  hint: functions run as another user; chmod -R o+rX %s lets them read the files there\n",
		        storage + strlen("file:"));
}

static bool is_of(const struct fw_failed_task *task, const char *stage, const struct fw_driver_failure *failure)
{
	return task->task == failure->task && strcmp(task->stage, stage) == 0;
}

/* The first in time, with its log, then the others in the order of their numbers. */
static void print_tasks(const struct fw_driver_failure *first, const char *stage, const char *run,
                        const struct fw_summary *summary)
{
	struct fw_failed_task told = {(char *)(uintptr_t)stage, first->task, first->attempt, NULL, first->error_type,
	                              first->error_message};
	fw_cleanup_buffer struct fw_buffer out;
	size_t named = 1;

	fw_buffer_init(&out, 1 << 20);
	fw_print_failed_task(&told, &out);
	fputs(out.data, stderr);
	print_log_tail(first);
	fprintf(stderr, "  more:   flexwatt show %s --task %s/%u --logs\n", run, stage, first->task);
	out.length = 0;
	for (size_t i = 0; i < summary->failed.count && named < TASKS_NAMED; i++)
		if (!is_of(&summary->failed.items[i], stage, first)) {
			fw_print_failed_task(&summary->failed.items[i], &out);
			named++;
		}
	fw_print_failed_rest(summary, named, &out);
	if (out.length > 0)
		fputs(out.data, stderr);
}

void fw_print_failure(const struct fw_driver *driver, const struct fw_workflow *workflow, const struct fw_summary *summary)
{
	const struct fw_driver_failure *failure = fw_driver_failure(driver);
	const char *tail = strrchr(summary->row.run, '-') + 1;

	if (failure) {
		print_tasks(failure, workflow->stages.items[failure->stage].name, tail, summary);
		print_permission(failure, workflow);
	} else {
		fw_cleanup_error struct fw_error *reason = NULL;

		int why = fw_driver_reason(driver, &reason);

		if (why != FW_OK)
			fprintf(stderr, "%s%s\n", why == FW_E_CANCELLED ? "" : "failed: ", fw_error_message(reason));
		if (fw_error_hint_text(reason))
			fprintf(stderr, "  hint: %s\n", fw_error_hint_text(reason));
	}
	fprintf(stderr, "  resume: flexwatt run --resume %s\n", tail);
}
