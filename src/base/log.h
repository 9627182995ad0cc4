/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's log: one sink set by the command line (standard error), quiet by default. Libraries log at debug and
 * info only; what a user must know is an error or a warning that the caller returns.
 */
#pragma once

enum fw_log_level { FW_LOG_ERROR, FW_LOG_WARNING, FW_LOG_INFO, FW_LOG_DEBUG };

typedef void fw_log_fn(void *context, enum fw_log_level level, const char *message);

void fw_log_set(enum fw_log_level level, fw_log_fn *sink, void *context); /* main thread, before others start */
void fw_log(enum fw_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define fw_debug(...) fw_log(FW_LOG_DEBUG, __VA_ARGS__)
#define fw_info(...) fw_log(FW_LOG_INFO, __VA_ARGS__)
#define fw_warning(...) fw_log(FW_LOG_WARNING, __VA_ARGS__)
