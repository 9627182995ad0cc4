/* SPDX-License-Identifier: Apache-2.0
 *
 * The tasks of a run whose latest attempt failed, each on a line: what a person mends before the run is taken up again.
 */
#include <stdlib.h>
#include <string.h>

#include "report/summary.h"
#include "report/width.h"

enum { LINE_COLUMNS = 400 }; /* of a list with others: errors of several lines, or of kilobytes, are told by themselves */

static void failed_done(struct fw_failed_task *task)
{
	free(task->stage);
	free(task->status);
	free(task->error_type);
	free(task->error_message);
}

void fw_summary_failed_done(struct fw_summary *summary)
{
	for (size_t i = 0; i < summary->failed.count; i++)
		failed_done(&summary->failed.items[i]);
	free(summary->failed.items);
}

/* Attempts of a task come one after the other, the latest last. */
void fw_summary_take_attempt(struct fw_summary *summary, const struct fw_record *record)
{
	struct fw_failed_task *last = summary->failed.count ? &summary->failed.items[summary->failed.count - 1] : NULL;
	const char *status = record->status;

	if (last && last->task == record->task && strcmp(last->stage, record->stage) == 0) {
		failed_done(last);
		summary->failed.count--;
	}
	if (!status || strcmp(status, "ok") == 0 || strcmp(status, "cancelled") == 0 || strcmp(status, "skipped") == 0)
		return;
	FW_PUSH(&summary->failed,
	        (struct fw_failed_task){fw_strdup(record->stage), record->task, record->attempt, fw_strdup(status),
	                                fw_strdup(record->error_type), fw_strdup(record->error_message)});
}

void fw_print_failed_task(const struct fw_failed_task *task, struct fw_buffer *out)
{
	fw_cleanup_free char *message = fw_display_line(task->error_message ? task->error_message : "no message", LINE_COLUMNS);

	fw_buffer_printf(out, "failed: %s/%lld (attempt %lld): %s%s%s\n", task->stage, (long long)task->task,
	                 (long long)task->attempt, task->error_type ? task->error_type : "", task->error_type ? ": " : "",
	                 message);
}

void fw_print_failed_rest(const struct fw_summary *summary, size_t shown, struct fw_buffer *out)
{
	const char *tail = strrchr(summary->row.run, '-');

	if (summary->failed.count > shown)
		fw_buffer_printf(out, "  and %zu more: flexwatt show %s --failed\n", summary->failed.count - shown,
		                 tail ? tail + 1 : summary->row.run);
}

json_t *fw_failed_to_json(const struct fw_summary *summary)
{
	json_t *list = json_array();

	for (size_t i = 0; i < summary->failed.count; i++) {
		const struct fw_failed_task *task = &summary->failed.items[i];

		json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:s, s:s?, s:s?}", "stage", task->stage, "task",
		                                      (json_int_t)task->task, "attempt", (json_int_t)task->attempt, "status",
		                                      task->status, "error_type", task->error_type, "error_message",
		                                      task->error_message));
	}
	return list;
}
