/* SPDX-License-Identifier: Apache-2.0
 *
 * One invocation: event, verdict, record. It ends exactly once, and is freed when it is metered: scheduling goes on between
 * the two.
 */
#include <string.h>

#include "base/memory.h"
#include "catalogue/catalogue.h"
#include "runtime/report_line.h"
#include "runtime/runtime_internal.h"

void fw_invocation_free(struct fw_invocation *invocation)
{
	*invocation->link = invocation->next;
	if (invocation->next)
		invocation->next->link = invocation->link;
	fw_timer_free(invocation->soon);
	fw_log_file_free(invocation->log);
	free(invocation->arn);
	free(invocation->log_name);
	free(invocation->error_type);
	free(invocation->error_message);
	free(invocation->body);
	free(invocation);
}

void fw_invocation_judge(struct fw_invocation *invocation, const char *status, char *type, char *message)
{
	if (invocation->status) {
		free(type);
		free(message);
		return;
	}
	invocation->status = status;
	invocation->error_type = type;
	invocation->error_message = message;
}

void fw_invocation_keep_body(struct fw_invocation *invocation, struct fw_str body)
{
	invocation->body = fw_alloc(body.length + 1); /* bytes, not text: they may hold NULs */
	memcpy(invocation->body, body.text, body.length);
	invocation->length = body.length;
}

static void judge_failure(struct fw_invocation *invocation, const char *status, const char *type,
                          const struct fw_error *error)
{
	fw_cleanup_free char *text = fw_error_describe(error);

	fw_invocation_judge(invocation, status, fw_strdup(type),
	                    fw_printf("RequestId: %s Error: %s", invocation->request_id, text));
}

/* A start that fails for what the function is will fail again; anything else may go better on a retry. */
void fw_invocation_judge_start(struct fw_invocation *invocation, const struct fw_error *error)
{
	switch (fw_error_code(error)) {
	case FW_E_INVALID:
	case FW_E_ABSENT:
	case FW_E_PERMISSION:
	case FW_E_UNAVAILABLE:
	case FW_E_LIMIT:
		invocation->final = true;
		return judge_failure(invocation, "function_error", "Runtime.InvalidEntrypoint", error);
	default:
		return judge_failure(invocation, "lost", "Sandbox.Failure", error);
	}
}

/* So will an event that cannot be made of the stage's own params, or of objects that are not what they were. */
static void judge_event(struct fw_invocation *invocation, const struct fw_error *error)
{
	int code = fw_error_code(error);

	invocation->final = code == FW_E_INVALID || code == FW_E_LIMIT || code == FW_E_CONFLICT;
	judge_failure(invocation, invocation->final ? "function_error" : "lost", "Flexwatt.NotPrepared", error);
}

/* What the worker printed while it started comes first, as on Lambda. */
static void open_log(struct fw_invocation *invocation, struct fw_log_stream *output)
{
	const struct fw_runtime *runtime = invocation->runtime;
	fw_cleanup_free char *line = fw_start_line(invocation->request_id);

	invocation->log = fw_log_file_new(runtime->log_directory, invocation->log_name, runtime->options.log_bytes);
	if (output)
		fw_log_stream_attach(output, invocation->log);
	fw_log_file_write(invocation->log, fw_str_of(line));
}

static void write_event(struct fw_invocation *invocation, struct fw_str body)
{
	struct fw_worker *worker = invocation->worker;
	int64_t timeout_ms = invocation->invoke.timeout_ms;
	const struct fw_api_event event = {
		.request_id = invocation->request_id,
		.deadline_ms = fw_wall_ms() + (uint64_t)timeout_ms,
		.arn = invocation->arn,
		.trace_id = invocation->trace_id,
		.body = body,
	};

	if (worker->energy)
		fw_energy_begin(worker->energy);
	fw_timer_set(worker->timer, (uint64_t)timeout_ms * FW_NS_PER_MS);
	invocation->started_ns = fw_monotonic_ns();
	fw_api_send(worker->api, &event);
}

void fw_invocation_begin(struct fw_invocation *invocation)
{
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_free char *body = NULL;
	struct fw_worker *worker = invocation->worker;
	const struct fw_invoke *invoke = &invocation->invoke;
	size_t length = 0;

	fw_record_set_text(&invocation->record->worker, worker->name);
	if (invocation->runtime->options.machine)
		invocation->record->cpus_visible =
			fw_sandbox_cpus(worker->memory_mb, invocation->runtime->options.machine->cpus_allowed);
	if (invoke->prepare(invoke->context, worker->attempts, fw_sandbox_uid(worker->sandbox), &body, &length, &err) !=
	    FW_OK) {
		judge_event(invocation, err);
		fw_timer_clear(worker->timer);
		worker->state = FW_WORKER_IDLE;
		worker->invocation = NULL;
		fw_invocation_end_soon(invocation);
		return;
	}
	write_event(invocation, (struct fw_str){body, length});
	invocation->record->started_ms = fw_ns_to_ms(invocation->started_ns - invocation->runtime->options.start_ns);
	open_log(invocation, worker->output);
	if (invoke->started)
		invoke->started(invoke->context, worker->name);
}

/* The verdict's own words belong into the log when the function could not say them. */
static void close_log(struct fw_invocation *invocation, struct fw_log_stream *output)
{
	if (!invocation->log)
		open_log(invocation, output);
	if (output)
		fw_log_stream_detach(output);
	if (!invocation->body && invocation->error_message) {
		fw_cleanup_free char *line = fw_printf("%s\n%s\n", invocation->error_message, invocation->error_type);

		fw_log_file_write(invocation->log, fw_str_of(line));
	}
	fw_cleanup_free char *line = fw_end_line(invocation->request_id);

	fw_log_file_write(invocation->log, fw_str_of(line));
	fw_log_file_end(invocation->log, strcmp(invocation->status, "ok") == 0);
}

/* A worker in which the kernel killed something for memory failed by that, whatever the function made of it. */
static void blame_memory(struct fw_invocation *invocation, struct fw_worker *worker)
{
	static const char *const by_memory[] = {"lost", "function_error", "timeout"};

	if (!worker || !fw_sandbox_out_of_memory(worker->sandbox))
		return;
	for (size_t i = 0; i < FW_COUNT_OF(by_memory); i++) {
		if (strcmp(invocation->status, by_memory[i]) != 0)
			continue;
		invocation->status = "out_of_memory";
		free(invocation->error_type);
		invocation->error_type = fw_strdup("Runtime.OutOfMemory");
		return;
	}
}

static void append_report(struct fw_invocation *invocation)
{
	const struct fw_record *record = invocation->record;

	if (!fw_log_file_path(invocation->log))
		return;
	fw_cleanup_free char *line = invocation->started_ns
	                                 ? fw_report_line(record, invocation->invoke.timeout_ms)
	                                 : fw_init_report_line(record, fw_ns_to_ms(invocation->init_ns));

	fw_log_file_append(invocation->log, fw_str_of(line));
}

static void metered(struct fw_invocation *invocation)
{
	struct fw_invoke invoke = invocation->invoke;

	append_report(invocation);
	fw_invocation_free(invocation);
	if (invoke.metered)
		invoke.metered(invoke.context);
}

static void metered_soon(void *context)
{
	metered(context);
}

static void later(struct fw_invocation *invocation, fw_loop_fn *callback)
{
	fw_timer_free(invocation->soon);
	invocation->soon = fw_timer_new(invocation->runtime->options.loop, callback, invocation);
	fw_timer_set(invocation->soon, 0);
}

/* May come before `ended`, from a manager without a sampler. */
static void on_metered(void *context, struct fw_record *record)
{
	struct fw_invocation *invocation = context;

	(void)record;
	if (invocation->ended)
		metered(invocation);
	else
		invocation->metered_early = true;
}

/* Where nothing meters, the group's own high-water mark is still true. */
static void read_memory(struct fw_record *record, struct fw_worker *worker)
{
	struct fw_cgroup *cgroup = worker ? fw_sandbox_cgroup(worker->sandbox) : NULL;
	struct fw_cgroup_stat stat;

	if (!cgroup)
		return;
	fw_cgroup_read(cgroup, &stat);
	if (stat.memory_high_bytes >= 0)
		record->memory_peak_high_mb = (double)stat.memory_high_bytes / (1 << 20);
}

static void fill_record(struct fw_invocation *invocation)
{
	struct fw_record *record = invocation->record;

	if (invocation->started_ns) {
		record->duration_ms = fw_ns_to_ms(fw_monotonic_ns() - invocation->started_ns);
		/* What a worker does in its grace after the timeout is on no bill. */
		record->billed_ms = fw_billed_ms(fmin(record->duration_ms, (double)invocation->invoke.timeout_ms), record->init_ms);
	}
	fw_record_set_text(&record->status, invocation->status);
	fw_record_set_text(&record->error_type, invocation->error_type);
	fw_record_set_text(&record->error_message, invocation->error_message);
}

/* True when fw_energy_end() will tell when the record is final. */
static bool end_metering(struct fw_invocation *invocation, struct fw_worker *worker)
{
	bool metering = worker && worker->energy && invocation->started_ns;

	if (metering)
		fw_energy_end(worker->energy, worker->state != FW_WORKER_ENDING, invocation->record, on_metered, invocation);
	else
		read_memory(invocation->record, worker);
	return metering;
}

static void tell(struct fw_invocation *invocation)
{
	fw_cleanup_free char *document = NULL;
	struct fw_invoke_outcome outcome = {
		.record = invocation->record,
		.body = invocation->body,
		.length = invocation->length,
		.final = invocation->final,
		.log_path = fw_log_file_path(invocation->log),
	};

	if (!invocation->length && invocation->error_type) {
		document = fw_error_document_write(invocation->error_type, invocation->error_message);
		outcome.body = document;
		outcome.length = strlen(document);
	}
	invocation->ended = true;
	invocation->invoke.ended(invocation->invoke.context, &outcome);
	free(FW_TAKE(invocation->body));
}

void fw_invocation_end(struct fw_invocation *invocation, struct fw_worker *worker)
{
	invocation->worker = NULL;
	blame_memory(invocation, worker);
	fill_record(invocation);
	bool metering = end_metering(invocation, worker);

	close_log(invocation, worker ? worker->output : NULL);
	tell(invocation);
	if (!metering || invocation->metered_early)
		later(invocation, metered_soon);
}

static void end_without_worker(void *context)
{
	fw_invocation_end(context, NULL);
}

void fw_invocation_end_soon(struct fw_invocation *invocation)
{
	invocation->worker = NULL;
	later(invocation, end_without_worker);
}

void fw_invocation_finish_now(struct fw_invocation *invocation)
{
	if (!invocation->ended) {
		fw_invocation_judge(invocation, "cancelled", fw_strdup("Flexwatt.Cancelled"), fw_strdup("cancelled"));
		fw_invocation_end(invocation, NULL);
	}
	metered(invocation);
}

void fw_runtime_cancel(struct fw_invocation *invocation, bool now)
{
	struct fw_worker *worker = invocation->worker;

	if (invocation->ended)
		return;
	fw_invocation_judge(invocation, "cancelled", fw_strdup("Flexwatt.Cancelled"),
	                    fw_printf("RequestId: %s Error: cancelled", invocation->request_id));
	if (worker)
		fw_worker_stop(worker, now ? 0 : invocation->runtime->options.grace_ns);
}
