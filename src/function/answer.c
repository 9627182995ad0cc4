/* SPDX-License-Identifier: Apache-2.0
 *
 * What an invocation says at its end: outputs, phases, units, metrics and result of a version 1 event; for a plain event
 * the result alone, as any Lambda function answers; or the first failure that was recorded, which nothing undoes.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "function/sdk.h"

enum { MESSAGE_MAX_BYTES = 8 << 10 };

int fw_fail_invocation(struct fw_invocation *invocation, const char *type, const char *format, ...)
{
	char message[MESSAGE_MAX_BYTES];
	va_list arguments;

	if (invocation->error_type) /* the first is the cause */
		return FW_ERROR;
	va_start(arguments, format);
	vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	invocation->error_message = fw_sdk_copy(&invocation->arena, message, strlen(message));
	char *kept = fw_sdk_copy(&invocation->arena, type, strlen(type));
	for (char *at = kept; *at; at++) /* it becomes a header */
		if (*at <= ' ' || *at > '~')
			*at = '_';
	invocation->error_type = *kept ? kept : "Function.Error";
	return FW_ERROR;
}

void fw_log(struct fw_invocation *invocation, const char *format, ...)
{
	char line[MESSAGE_MAX_BYTES];
	va_list arguments;

	(void)invocation;
	va_start(arguments, format);
	int length = vsnprintf(line, sizeof line - 1, format, arguments);
	va_end(arguments);
	if (length < 0)
		return;
	size_t count = (size_t)length < sizeof line - 2 ? (size_t)length : sizeof line - 2;
	if (count == 0 || line[count - 1] != '\n')
		line[count++] = '\n';
	(void)!write(STDERR_FILENO, line, count); /* one write: lines of several threads do not mix */
}

void fw_units(struct fw_invocation *invocation, double units)
{
	invocation->units += units;
	invocation->has_units = true;
}

void fw_metric(struct fw_invocation *invocation, const char *name, double value)
{
	struct fw_sdk_metric **end = &invocation->metrics;

	if (!__builtin_isfinite(value)) {
		fw_fail_invocation(invocation, "Function.Metric", "metric '%s' is not a finite number", name);
		return;
	}
	while (*end && strcmp((*end)->name, name) != 0)
		end = &(*end)->next;
	if (!*end) {
		*end = fw_sdk_take(&invocation->arena, sizeof **end);
		(*end)->name = fw_sdk_copy(&invocation->arena, name, strlen(name));
	}
	(*end)->value = value;
}

int fw_result(struct fw_invocation *invocation, const char *json)
{
	struct fw_sdk_text text = {json, strlen(json)};

	if (!fw_sdk_json_check(text))
		return fw_fail_invocation(invocation, "Function.Result", "the result is not JSON: %.200s", json);
	invocation->result = (struct fw_sdk_text){fw_sdk_copy(&invocation->arena, json, text.length), text.length};
	return FW_OK;
}

static void append_outputs(const struct fw_invocation *invocation, struct fw_sdk_buffer *out)
{
	fw_sdk_append_text(out, "{\"outputs\":{");
	for (const struct fw_sdk_output *output = invocation->outputs; output; output = output->next) {
		fw_sdk_append_quoted(out, output->name);
		fw_sdk_append_text(out, ":[");
		for (size_t i = 0; i < output->count; i++) {
			if (i)
				fw_sdk_append_text(out, ",");
			fw_sdk_append_quoted(out, output->objects[i].name);
		}
		fw_sdk_append_text(out, output->next ? "]," : "]");
	}
	fw_sdk_append_text(out, "}");
}

static void append_phases(const struct fw_invocation *invocation, uint64_t total_ns, struct fw_sdk_buffer *out)
{
	uint64_t other = invocation->read_ns + invocation->write_ns;
	char text[128];

	/* In whole microseconds: no locale, no rounding of the sum. */
	uint64_t read = invocation->read_ns / 1000, write = invocation->write_ns / 1000;
	uint64_t compute = (total_ns > other ? total_ns - other : 0) / 1000;
	snprintf(text, sizeof text, ",\"phases\":{\"read_ms\":%llu.%03llu,\"compute_ms\":%llu.%03llu,\"write_ms\":%llu.%03llu}",
	         (unsigned long long)read / 1000, (unsigned long long)read % 1000, (unsigned long long)compute / 1000,
	         (unsigned long long)compute % 1000, (unsigned long long)write / 1000, (unsigned long long)write % 1000);
	fw_sdk_append_text(out, text);
}

static void append_metrics(const struct fw_invocation *invocation, struct fw_sdk_buffer *out)
{
	if (!invocation->metrics)
		return;
	fw_sdk_append_text(out, ",\"metrics\":{");
	for (const struct fw_sdk_metric *metric = invocation->metrics; metric; metric = metric->next) {
		fw_sdk_append_quoted(out, metric->name);
		fw_sdk_append_text(out, ":");
		fw_sdk_append_number(out, metric->value);
		fw_sdk_append_text(out, metric->next ? "," : "}");
	}
}

void fw_sdk_answer(struct fw_invocation *invocation, uint64_t ended_ns, struct fw_sdk_buffer *out)
{
	struct fw_sdk_text result = invocation->result;

	if (!invocation->staged) {
		fw_sdk_append(out, result.bytes ? result.bytes : "null", result.bytes ? result.length : 4);
		return;
	}
	append_outputs(invocation, out);
	append_phases(invocation, ended_ns - invocation->started_ns, out);
	if (invocation->has_units) {
		fw_sdk_append_text(out, ",\"units\":");
		fw_sdk_append_number(out, invocation->units);
	}
	append_metrics(invocation, out);
	if (result.bytes) {
		fw_sdk_append_text(out, ",\"result\":");
		fw_sdk_append(out, result.bytes, result.length);
	}
	fw_sdk_append_text(out, "}");
}

void fw_sdk_error_document(const char *type, const char *message, struct fw_sdk_buffer *out)
{
	fw_sdk_append_text(out, "{\"errorMessage\":");
	fw_sdk_append_quoted(out, message);
	fw_sdk_append_text(out, ",\"errorType\":");
	fw_sdk_append_quoted(out, type);
	fw_sdk_append_text(out, ",\"stackTrace\":[]}");
}
