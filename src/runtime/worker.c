/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of one worker: start, first GET next, invocations, end. Its death is told by a pidfd and may come at any time;
 * every state has a deadline, so that nothing waits for a worker that does nothing.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/memory.h"
#include "runtime/runtime_internal.h"

#define GIVE_UP_NS (5 * FW_NS_PER_S) /* after SIGKILL: an uninterruptible process must not hold the run */

void fw_worker_link(struct fw_worker *worker)
{
	struct fw_runtime *runtime = worker->runtime;

	worker->next = runtime->workers;
	worker->link = &runtime->workers;
	if (worker->next)
		worker->next->link = &worker->next;
	runtime->workers = worker;
}

static void unlink_worker(struct fw_worker *worker)
{
	*worker->link = worker->next;
	if (worker->next)
		worker->next->link = worker->link;
}

void fw_worker_touch(struct fw_worker *worker)
{
	unlink_worker(worker);
	fw_worker_link(worker);
}

static void free_list(char **list)
{
	for (size_t i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

void fw_worker_free(struct fw_worker *worker)
{
	fw_api_free(worker->api);
	fw_log_stream_free(worker->output);
	fw_watch_free(worker->death);
	fw_timer_free(worker->timer);
	free_list(worker->read_only);
	free(worker->hidden);
	free(worker->attempts);
	free(worker->key);
	free(worker);
}

/* Removal of a sandbox on the pool. Its `done` may come after the runtime is gone. */
struct removal {
	struct fw_runtime *runtime;
	struct fw_sandbox *sandbox;
	char *attempts;
};

static void remove_sandbox(void *context)
{
	struct removal *removal = context;
	struct fw_runtime *runtime = removal->runtime;

	fw_sandbox_free(removal->sandbox);
	(void)rmdir(removal->attempts); /* stays when something is in it: the storage sweeps */
	fw_runtime_job_ended(runtime);
}

static void forget_removal(void *context)
{
	struct removal *removal = context;

	free(removal->attempts);
	free(removal);
}

/* The energy manager reads the group a last time before it goes. */
static void discard(struct fw_worker *worker)
{
	struct fw_runtime *runtime = worker->runtime;
	struct removal *removal = fw_alloc(sizeof *removal);

	unlink_worker(worker);
	if (worker->energy)
		fw_energy_worker_free(worker->energy);
	*removal = (struct removal){runtime, worker->sandbox, FW_TAKE(worker->attempts)};
	fw_runtime_job_begins(runtime);
	fw_worker_free(worker);
	fw_pool_submit(runtime->options.pool, remove_sandbox, forget_removal, removal);
}

/* "signal: killed", as Go's runtime says it in AWS's messages. */
static char *describe_exit(int wait_status)
{
	if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0)
		return fw_strdup("Runtime exited without providing a reason");
	if (WIFEXITED(wait_status))
		return fw_printf("Runtime exited with error: exit status %d", WEXITSTATUS(wait_status));
	char *text = fw_printf("Runtime exited with error: signal: %s%s", strsignal(WTERMSIG(wait_status)),
	                       WCOREDUMP(wait_status) ? " (core dumped)" : "");
	char *name = strrchr(text, ':') + 2;

	*name = (char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name);
	return text;
}

/* Whatever signal it was: what we ended has its verdict already, what the kernel ended for memory gets it from the group's
 * events, and nobody else reaches into a sandbox. As on Lambda, the function is to blame for its process. */
static void judge_death(struct fw_invocation *invocation, int wait_status)
{
	fw_cleanup_free char *cause = describe_exit(wait_status);

	fw_invocation_judge(invocation, "function_error", fw_strdup("Runtime.ExitError"),
	                    fw_printf("RequestId: %s Error: %s", invocation->request_id, cause));
	invocation->record->exit = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

static void judge_vanished(struct fw_invocation *invocation)
{
	fw_invocation_judge(invocation, "lost", fw_strdup("Sandbox.Failure"),
	                    fw_printf("RequestId: %s Error: the worker could not be ended", invocation->request_id));
}

void fw_worker_died(struct fw_worker *worker)
{
	struct fw_invocation *invocation = worker->invocation;
	int wait_status = 0;
	bool reaped = fw_sandbox_reap(worker->sandbox, &wait_status, NULL) == FW_OK;

	/* its children must not outlive it: what they could still write is being looked at from now on */
	(void)fw_sandbox_signal(worker->sandbox, SIGKILL, NULL);
	worker->state = FW_WORKER_ENDING;
	if (invocation) {
		if (reaped)
			judge_death(invocation, wait_status);
		else
			judge_vanished(invocation);
		if (!invocation->started_ns)
			invocation->init_ns = fw_monotonic_ns() - worker->exec_ns;
		worker->invocation = NULL;
		fw_invocation_end(invocation, worker);
	}
	discard(worker);
}

void fw_worker_on_death(void *context, int fd)
{
	(void)fd;
	fw_worker_died(context);
}

static void kill_now(struct fw_worker *worker)
{
	fw_cleanup_error struct fw_error *err = NULL;

	worker->killed = true;
	if (fw_sandbox_signal(worker->sandbox, SIGKILL, &err) != FW_OK)
		fw_warning("kill %s: %s", worker->name, fw_error_message(err));
	fw_timer_set(worker->timer, GIVE_UP_NS);
}

void fw_worker_stop(struct fw_worker *worker, uint64_t grace_ns)
{
	bool ending = worker->state == FW_WORKER_ENDING;

	worker->state = FW_WORKER_ENDING;
	if (worker->killed)
		return;
	if (!ending && worker->energy && worker->invocation && worker->invocation->started_ns)
		fw_energy_last_sample(worker->energy);
	if (grace_ns == 0)
		return kill_now(worker);
	if (ending)
		return; /* the first grace counts */
	(void)fw_sandbox_signal(worker->sandbox, SIGTERM, NULL);
	fw_timer_set(worker->timer, grace_ns);
}

static void judge_timeout(struct fw_invocation *invocation, const struct fw_worker *worker)
{
	double limit_s = (double)invocation->invoke.timeout_ms / 1000;
	const char *text = "Task timed out after %.2f seconds";
	char message[96];

	if (worker->state == FW_WORKER_STARTING) {
		limit_s += (double)worker->runtime->options.init_ns / 1e9;
		text = "Init timed out: the worker did not ask for its first event within %.2f seconds";
	}
	snprintf(message, sizeof message, text, limit_s);
	fw_invocation_judge(invocation, "timeout", fw_strdup("Sandbox.Timedout"),
	                    fw_printf("RequestId: %s Error: %s", invocation->request_id, message));
}

void fw_worker_on_timer(void *context)
{
	struct fw_worker *worker = context;

	if (worker->killed)
		return fw_worker_died(worker);
	if (worker->state == FW_WORKER_ENDING)
		return kill_now(worker);
	judge_timeout(worker->invocation, worker);
	fw_worker_stop(worker, worker->runtime->options.grace_ns);
}

static void first_next(struct fw_worker *worker)
{
	struct fw_invocation *invocation = worker->invocation;
	struct fw_record *record = invocation->record;
	uint64_t now = fw_monotonic_ns();

	record->init_ms = fw_ns_to_ms(now - worker->exec_ns);
	record->cold_start_ms = fw_ns_to_ms(now - invocation->dispatch_ns);
	if (fw_sandbox_settle(worker->sandbox, NULL) != FW_OK)
		fw_record_flag(&record->flags, "limits_not_enforced");
	worker->state = FW_WORKER_BUSY;
	int64_t memory_mb = invocation->invoke.memory_mb, tmp_mb = invocation->invoke.tmp_mb;
	fw_invocation_begin(invocation);
	fw_stock_used(worker->runtime, memory_mb, tmp_mb); /* its own start is over: the next one's may begin */
}

static void on_next(void *context)
{
	struct fw_worker *worker = context;
	struct fw_invocation *invocation = worker->invocation;

	if (worker->state == FW_WORKER_ENDING)
		return fw_worker_stop(worker, 0); /* it has nothing left to do in its grace */
	if (worker->state == FW_WORKER_STARTING)
		return first_next(worker);
	if (worker->state != FW_WORKER_BUSY)
		return; /* it dropped its wait and asks again */
	fw_timer_clear(worker->timer);
	worker->state = FW_WORKER_IDLE;
	worker->invocation = NULL;
	fw_worker_touch(worker);
	fw_invocation_end(invocation, worker);
}

static void on_answer(void *context, struct fw_str body)
{
	struct fw_worker *worker = context;
	struct fw_invocation *invocation = worker->invocation;

	if (!invocation || invocation->status)
		return; /* too late: it timed out or was cancelled */
	invocation->record->response_ms = fw_ns_to_ms(fw_monotonic_ns() - invocation->started_ns);
	fw_invocation_keep_body(invocation, body);
	fw_invocation_judge(invocation, "ok", NULL, NULL);
}

static void on_error(void *context, const struct fw_error_document *document, struct fw_str body, bool during_init)
{
	struct fw_worker *worker = context;
	struct fw_invocation *invocation = worker->invocation;

	if (!invocation || invocation->status)
		return;
	if (!during_init)
		invocation->record->response_ms = fw_ns_to_ms(fw_monotonic_ns() - invocation->started_ns);
	fw_invocation_keep_body(invocation, body);
	fw_invocation_judge(invocation, "function_error", fw_strdup(document->type), fw_strdup(document->message));
	if (during_init)
		fw_worker_stop(worker, worker->runtime->options.grace_ns); /* it exits by itself, or is made to */
}

static void on_progress(void *context, double done, double total, const char *note)
{
	const struct fw_worker *worker = context;
	const struct fw_invocation *invocation = worker->invocation;

	if (invocation && !invocation->status && invocation->invoke.progress)
		invocation->invoke.progress(invocation->invoke.context, done, total, note);
}

static void on_stage_in(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request)
{
	const struct fw_worker *worker = context;
	const struct fw_invocation *invocation = worker->invocation;

	if (!invocation || invocation->status || !invocation->invoke.stage_in)
		return fw_stage_request_refuse(request, FW_E_PERMISSION, "No invocation that reads objects is running");
	invocation->invoke.stage_in(invocation->invoke.context, uri, offset, length, request);
}

const struct fw_api_owner fw_worker_api = {
	.next = on_next, .answer = on_answer, .error = on_error, .progress = on_progress, .stage_in = on_stage_in};
