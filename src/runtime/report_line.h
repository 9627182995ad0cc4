/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines that AWS Lambda itself writes into a log, in its exact format. Joules are never in them: parsers would break.
 */
#pragma once

#include "record/record.h"

/* "START RequestId: … Version: $LATEST\n" and "END RequestId: …\n"; newly allocated. */
char *fw_start_line(const char *request_id);
char *fw_end_line(const char *request_id);
/* REPORT of a metered record. timeout_ms clamps the duration of an invocation that timed out, as AWS does. A figure that
 * is not known is left out. */
char *fw_report_line(const struct fw_record *record, int64_t timeout_ms);
/* INIT_REPORT of a worker that never asked for its first event, after init_ms. */
char *fw_init_report_line(const struct fw_record *record, double init_ms);
/* The whole log of a success that printed nothing, for which no file is made; from its metered record. */
char *fw_report_silent(const struct fw_record *record);
