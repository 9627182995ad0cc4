/* SPDX-License-Identifier: Apache-2.0
 *
 * START, END and REPORT (report_line.h).
 */
#include "runtime/report_line.h"

#include <string.h>

#include "base/buffer.h"

char *fw_start_line(const char *request_id)
{
	return fw_printf("START RequestId: %s Version: $LATEST\n", request_id);
}

char *fw_end_line(const char *request_id)
{
	return fw_printf("END RequestId: %s\n", request_id);
}

/* AWS names a status only when it was not a success, and counts what the handler itself raised as one. */
static void add_status(struct fw_buffer *line, const struct fw_record *record)
{
	if (strcmp(record->status, "ok") == 0)
		return;
	if (strcmp(record->status, "timeout") == 0)
		fw_buffer_text(line, "Status: timeout");
	else
		fw_buffer_printf(line, "Status: error\tError Type: %s", record->error_type ? record->error_type : "Runtime.Unknown");
}

char *fw_report_line(const struct fw_record *record, int64_t timeout_ms)
{
	fw_cleanup_buffer struct fw_buffer line;
	double init_ms = isnan(record->init_ms) ? 0 : record->init_ms, duration_ms = record->duration_ms;

	fw_buffer_init(&line, 4096);
	if (strcmp(record->status, "timeout") == 0 && duration_ms > (double)timeout_ms)
		duration_ms = (double)timeout_ms;
	fw_buffer_printf(&line, "REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %lld ms\tMemory Size: %lld MB\t",
	                 record->request_id, duration_ms, (long long)record->billed_ms,
	                 (long long)record->memory_mb);
	if (!isnan(record->memory_peak_high_mb))
		fw_buffer_printf(&line, "Max Memory Used: %.0f MB\t", ceil(record->memory_peak_high_mb));
	if (init_ms > 0)
		fw_buffer_printf(&line, "Init Duration: %.2f ms\t", init_ms);
	add_status(&line, record);
	fw_buffer_text(&line, "\n");
	return fw_buffer_take(&line);
}

char *fw_init_report_line(const struct fw_record *record, double init_ms)
{
	fw_cleanup_buffer struct fw_buffer line;

	fw_buffer_init(&line, 4096);
	fw_buffer_printf(&line, "INIT_REPORT Init Duration: %.2f ms\tPhase: init\t", init_ms);
	add_status(&line, record);
	fw_buffer_text(&line, "\n");
	return fw_buffer_take(&line);
}

char *fw_report_silent(const struct fw_record *record)
{
	fw_cleanup_free char *start = fw_start_line(record->request_id), *end = fw_end_line(record->request_id);
	fw_cleanup_free char *report = fw_report_line(record, 0);

	return fw_printf("%s%s%s", start, end, report);
}
