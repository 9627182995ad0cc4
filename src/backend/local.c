/* SPDX-License-Identifier: Apache-2.0
 *
 * The local backend: this machine's workers, with limits, sandboxes and every monitor that works here. It is the reference
 * for the others. A task is admitted by the engine; which worker takes it is the runtime's affair.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/attempt.h"
#include "backend/backend.h"
#include "base/log.h"
#include "base/tree.h"
#include "runtime/runtime.h"

/* Kept free for the engine itself and the page cache. */
enum { MEMORY_RESERVE_MB = 512, LARGEST_WORKER_MB = FW_MEMORY_MAX_MB };

struct local {
	struct fw_backend base;
	struct fw_backend_context context;
	struct fw_root root;
	struct fw_machine machine;
	struct fw_cgroups *cgroups;
	struct fw_energy_manager *energy;
	struct fw_root counters_root; /* where energy counters are; fd -1: with everything else */
	struct fw_runtime *runtime;
	char *inputs_root;
	char *attempts_root;
	char *missing;
	struct job *jobs;
};

/* One dispatch while it is in this backend's hands. */
struct job {
	struct local *local;
	struct job *previous, *next;
	struct fw_dispatch dispatch;
	struct fw_invocation *invocation;
	char *name;      /* "<stage>-<task>.<attempt>" */
	char *log_name;
	char *directory; /* made when the worker is known */
	const char *read_only[2];
	struct fw_error *error; /* that kept it from being invoked */
	bool ended;
};

static const struct fw_stage *stage_of(const struct job *job)
{
	return &job->local->context.workflow->stages.items[job->dispatch.stage];
}

static void job_free(struct job *job)
{
	if (job->previous)
		job->previous->next = job->next;
	else
		job->local->jobs = job->next;
	if (job->next)
		job->next->previous = job->previous;
	fw_error_free(job->error);
	free(job->name);
	free(job->log_name);
	free(job->directory);
	free(job);
}

/* ---- the runtime's callbacks ---- */

static int prepare(void *context, const char *attempts, uid_t uid, char **body, size_t *length, struct fw_error **err)
{
	struct job *job = context;

	job->directory = fw_printf("%s/%s", attempts, job->name);
	int rc = fw_attempt_make(stage_of(job), job->directory, err);

	if (rc == FW_OK)
		rc = job->dispatch.event(job->dispatch.context, job->directory, body, length, err);
	if (stage_of(job)->outputs.count == 0 && access(job->directory, F_OK) != 0)
		free(FW_TAKE(job->directory)); /* nothing was put there */
	return rc == FW_OK ? fw_attempt_hand_over(stage_of(job), job->directory, uid, err) : rc;
}

static void started(void *context, const char *worker)
{
	struct job *job = context;

	(void)worker;
	job->dispatch.started(job->dispatch.context);
}

static void progress(void *context, double done, double total, const char *note)
{
	struct job *job = context;

	job->dispatch.progress(job->dispatch.context, done, total, note);
}

static void stage_in(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request)
{
	struct job *job = context;

	job->dispatch.stage_in(job->dispatch.context, uri, offset, length, request);
}

static void ended(void *context, const struct fw_invoke_outcome *outcome)
{
	struct job *job = context;
	struct fw_dispatch_outcome report = {
		.record = outcome->record,
		.body = outcome->body,
		.length = outcome->length,
		.final = outcome->final,
		.directory = job->directory,
		.log_path = outcome->log_path,
	};

	job->ended = true;
	job->invocation = NULL;
	job->dispatch.ended(job->dispatch.context, &report);
}

static void metered(void *context)
{
	struct job *job = context;
	struct fw_dispatch dispatch = job->dispatch;

	job_free(job);
	dispatch.metered(dispatch.context);
}

/* ---- hooks ---- */

static void refused(void *context)
{
	struct job *job = context;
	struct fw_record *record = job->dispatch.record;
	struct fw_dispatch_outcome report = {.record = record};

	fw_record_set_text(&record->status, "lost");
	fw_record_set_text(&record->error_type, "Flexwatt.NotStarted");
	fw_record_set_text(&record->error_message, fw_error_message(job->error));
	job->ended = true;
	job->dispatch.ended(job->dispatch.context, &report);
	metered(job);
}

static void invoke(struct job *job)
{
	struct local *local = job->local;
	const struct fw_stage *stage = stage_of(job);
	struct fw_invoke invoke = {
		.function = &stage->function,
		.name = job->dispatch.record->function,
		.handler = stage->function.handler,
		.memory_mb = job->dispatch.memory_mb,
		.tmp_mb = stage->tmp_mb,
		.network = stage->network,
		.timeout_ms = stage->timeout_ms,
		.read_only = job->read_only,
		.hidden = local->attempts_root,
		.attempts_root = local->attempts_root,
		.log_name = job->log_name,
		.stage_aware = stage->payload == NULL,
		.ready_ns = job->dispatch.ready_ns,
		.context = job,
		.prepare = prepare,
		.started = started,
		.progress = progress,
		.stage_in = stage_in,
		.ended = ended,
		.metered = metered,
	};

	if (fw_runtime_invoke(local->runtime, &invoke, job->dispatch.record, &job->invocation, &job->error) != FW_OK)
		fw_loop_defer(local->context.loop, refused, job);
}

static void local_dispatch(struct fw_backend *base, const struct fw_dispatch *dispatch)
{
	struct local *local = (struct local *)base;
	struct job *job = fw_alloc(sizeof *job);

	job->local = local;
	job->dispatch = *dispatch;
	job->next = local->jobs;
	if (job->next)
		job->next->previous = job;
	local->jobs = job;
	job->name = fw_printf("%s-%u.%u", stage_of(job)->name, dispatch->task, dispatch->attempt);
	job->log_name = fw_printf("%s.log", job->name);
	job->read_only[0] = local->inputs_root;
	fw_record_set_text(&dispatch->record->architecture, local->machine.architecture);
	fw_record_set_text(&dispatch->record->cpu_model, local->machine.cpu_model);
	dispatch->record->clock_offset_ms = dispatch->record->clock_offset_bound_ms = 0; /* the run's own clock */
	invoke(job);
}

static void local_cancel(struct fw_backend *base, uint32_t stage, uint32_t task, uint32_t attempt, bool now)
{
	struct local *local = (struct local *)base;

	for (struct job *job = local->jobs; job; job = job->next)
		if (job->dispatch.stage == stage && job->dispatch.task == task && job->dispatch.attempt == attempt) {
			if (job->invocation && !job->ended)
				fw_runtime_cancel(job->invocation, now);
			return;
		}
}

static void local_capacity(struct fw_backend *base, int64_t *millivcpus, int64_t *memory_mb)
{
	struct local *local = (struct local *)base;
	int64_t total_mb = (int64_t)(local->machine.memory_bytes >> 20);

	*millivcpus = (int64_t)local->machine.cpus_allowed * 1000;
	*memory_mb = total_mb / 2 > MEMORY_RESERVE_MB ? total_mb - MEMORY_RESERVE_MB : total_mb / 2;
}

static bool local_processor(struct fw_backend *base, struct fw_processor *processor)
{
	const struct local *local = (struct local *)base;
	const struct fw_machine *machine = &local->machine;

	fw_catalogue_processor(local->context.catalogue, machine->cpu_model, machine->vendor, machine->family, machine->model,
	                       processor);
	return true;
}

static const char *local_missing(struct fw_backend *base)
{
	return ((struct local *)base)->missing;
}

/* Which machine's counters they are, so that what one run learns of idle power serves the next: its id and the directory. */
static char *machine_of_counters(const struct local *local)
{
	char text[64];
	ssize_t length = fw_root_peek(&local->root, "etc/machine-id", text, sizeof text);

	return fw_printf("%.*s%s", length > 0 ? (int)strcspn(text, "\n") : 0, text,
	                 local->context.counters_root ? local->context.counters_root : "/");
}

static json_t *local_describe(struct fw_backend *base)
{
	struct local *local = (struct local *)base;
	const struct fw_monitor_report *reports = NULL;
	size_t count = fw_energy_manager_monitors(local->energy, &reports);
	json_t *monitors = json_object();

	for (size_t i = 0; i < count; i++)
		json_object_set_new(monitors, reports[i].ops->name,
		                    json_pack("{s:b, s:s?, s:s}", "works", reports[i].works, "detail", reports[i].detail,
		                              "method", reports[i].ops->method));
	fw_cleanup_free char *place = machine_of_counters(local);

	return json_pack("{s:o, s:o, s:s?, s:s, s:s}", "machine", fw_machine_to_json(&local->machine), "monitors", monitors,
	                 "missing", local->missing, "version", FW_VERSION, "counters_of", place);
}

/* Workers of a stage at one time: what it asks for, as far as the machine's CPUs go. */
static size_t expected_workers(const struct local *local, const struct fw_stage *stage)
{
	int64_t fitting = (int64_t)local->machine.cpus_allowed * 1000 / fw_memory_millivcpus(stage->memory_mb);

	if (fitting < 1)
		fitting = 1;
	return (size_t)(stage->workers != FW_WORKERS_AUTO && stage->workers < fitting ? stage->workers : fitting);
}

static void expect_workers(struct local *local)
{
	const struct fw_workflow *workflow = local->context.workflow;

	for (size_t i = 0; i < workflow->stages.count; i++) {
		const struct fw_stage *stage = &workflow->stages.items[i];

		fw_runtime_expect(local->runtime, stage->memory_mb, stage->tmp_mb, expected_workers(local, stage));
	}
}

static int local_end_orphans(struct fw_backend *base, size_t *count, struct fw_error **err)
{
	struct local *local = (struct local *)base;

	*count = 0;
	int rc = local->cgroups ? fw_sandboxes_end_orphans(local->cgroups, local->context.run, count, err) : FW_OK;
	expect_workers(local);
	return rc;
}

static void local_flush(struct fw_backend *base)
{
	fw_energy_flush(((struct local *)base)->energy);
}

static json_t *local_energy_books(struct fw_backend *base)
{
	return fw_energy_manager_books(((struct local *)base)->energy);
}

static size_t local_energy_running(struct fw_backend *base, struct fw_totals *totals)
{
	return fw_energy_add_running(((struct local *)base)->energy, totals);
}

static void local_energy_inherit(struct fw_backend *base, const json_t *books, double age_s)
{
	fw_energy_manager_inherit(((struct local *)base)->energy, books, age_s);
}

static bool local_energy_readings(struct fw_backend *base, struct fw_buffer *out)
{
	return fw_energy_manager_readings(((struct local *)base)->energy, out);
}

static void local_close(struct fw_backend *base)
{
	struct local *local = (struct local *)base;

	fw_runtime_free(local->runtime);
	fw_energy_manager_free(local->energy);
	for (struct job *job = local->jobs, *next; job; job = next) {
		next = job->next;
		job_free(job);
	}
	fw_cgroups_close(local->cgroups);
	fw_root_close(&local->root);
	fw_root_close(&local->counters_root);
	free(local->inputs_root);
	free(local->attempts_root);
	free(local->missing);
	free(local);
}

/* Limits need control groups; without them everything still runs and the output says so. */
static void open_cgroups(struct local *local)
{
	fw_cleanup_error struct fw_error *error = NULL;

	if (fw_cgroups_open(&local->root, "flexwatt", &local->cgroups, &error) != FW_OK) {
		const char *hint = fw_error_hint_text(error);

		local->missing = fw_printf("memory, CPU and number of processes are not limited: %s%s%s%s", fw_error_message(error),
		                           hint ? " (" : "", hint ? hint : "", hint ? ")" : "");
	}
}

static int open_runtime(struct local *local, struct fw_error **err)
{
	const struct fw_backend_context *context = &local->context;
	fw_cleanup_free char *logs = fw_printf("%s/logs/%s", context->state_directory, context->run);
	struct fw_runtime_options options = {
		.loop = context->loop,
		.pool = context->pool,
		.machine = &local->machine,
		.cgroups = local->cgroups,
		.energy = local->energy,
		.run = context->run,
		.state_directory = context->state_directory,
		.log_directory = logs,
		.region = context->region,
		.start_ns = context->start_ns,
	};
	int64_t millivcpus;
	int rc = fw_make_directories(AT_FDCWD, logs, 0700, err);

	local_capacity(&local->base, &millivcpus, &options.memory_mb);
	if (context->oversubscribe)
		options.memory_mb = INT64_MAX;
	return rc == FW_OK ? fw_runtime_new(&options, &local->runtime, err) : rc;
}

/* A function that cannot be started here is known now, not at its first task. */
static int prepare_functions(struct local *local, struct fw_error **err)
{
	const struct fw_workflow *workflow = local->context.workflow;
	int rc = FW_OK;

	for (size_t i = 0; rc == FW_OK && i < workflow->stages.count; i++) {
		rc = fw_runtime_prepare(local->runtime, &workflow->stages.items[i].function, err);
		if (rc != FW_OK)
			rc = fw_error_wrap(err, rc, "stage '%s'", workflow->stages.items[i].name);
	}
	return rc;
}

/* What the missing control groups leave open, then what the rest of this machine does. */
static void collect_missing(struct local *local)
{
	const char *missing = fw_runtime_missing(local->runtime);
	fw_cleanup_free char *reason = FW_TAKE(local->missing);

	local->missing = reason && missing ? fw_printf("%s\n%s", reason, missing) : missing ? fw_strdup(missing) : FW_TAKE(reason);
}

static int open_counters_root(struct local *local, struct fw_error **err)
{
	int rc = fw_root_open(local->context.counters_root, &local->counters_root, err);

	return rc == FW_OK ? rc : fw_error_hint(err, rc, "--counters-root is the directory that holds the host's sys");
}

static int open_parts(struct local *local, struct fw_error **err)
{
	const struct fw_backend_context *context = &local->context;
	int rc = fw_root_open("/", &local->root, err);

	if (rc == FW_OK)
		rc = fw_machine_read(&local->root, &local->machine, err);
	if (rc == FW_OK && context->counters_root)
		rc = open_counters_root(local, err);
	if (rc == FW_OK)
		rc = context->storage->ops->attempts_root(context->storage, context->run, &local->attempts_root, err);
	if (rc == FW_OK)
		rc = context->storage->ops->inputs_root(context->storage, context->run, &local->inputs_root, err);
	if (rc != FW_OK)
		return rc;
	open_cgroups(local);

	struct fw_energy_options energy = {
		.loop = context->loop,
		.context = {&local->root, &local->machine, context->catalogue},
		.counters_root = context->counters_root ? &local->counters_root : NULL,
		.keeps_readings = true,
		.smt_weight = context->smt_weight,
	};

	rc = fw_energy_manager_new(&energy, &local->energy, err);
	if (rc == FW_OK)
		rc = open_runtime(local, err);
	return rc == FW_OK ? prepare_functions(local, err) : rc;
}

static int local_open(const struct fw_backend_context *context, struct fw_backend **backend, struct fw_error **err)
{
	struct local *local = fw_alloc(sizeof *local);

	local->base.ops = &fw_backend_local;
	local->context = *context;
	local->root.fd = local->counters_root.fd = -1;
	int rc = open_parts(local, err);

	if (rc != FW_OK) {
		local_close(&local->base);
		return rc;
	}
	collect_missing(local);
	if (!context->resume)
		expect_workers(local);
	*backend = &local->base;
	return FW_OK;
}

const struct fw_backend_ops fw_backend_local = {
	.name = "local",
	.open = local_open,
	.capacity = local_capacity,
	.processor = local_processor,
	.missing = local_missing,
	.describe = local_describe,
	.dispatch = local_dispatch,
	.cancel = local_cancel,
	.end_orphans = local_end_orphans,
	.flush = local_flush,
	.energy_books = local_energy_books,
	.energy_running = local_energy_running,
	.energy_inherit = local_energy_inherit,
	.energy_readings = local_energy_readings,
	.close = local_close,
};
