/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime (runtime.h): options, prepared functions, the way of an invocation to a worker, and the orderly end.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>

#include "base/memory.h"
#include "runtime/runtime_internal.h"

#define GRACE_NS (2 * FW_NS_PER_S)
#define INIT_NS (10 * FW_NS_PER_S)
#define IDLE_GRACE_NS (100 * FW_NS_PER_MS)
#define KILL_NS (5 * FW_NS_PER_S)

void fw_runtime_random(void *bytes, size_t length)
{
	while (getrandom(bytes, length, 0) < 0 && errno == EINTR)
		continue;
}

int fw_runtime_new(const struct fw_runtime_options *options, struct fw_runtime **runtime, struct fw_error **err)
{
	const struct fw_sandboxes_options sandboxes = {
		.cgroups = options->cgroups,
		.machine = options->machine,
		.state_directory = options->state_directory,
		.run = options->run,
	};
	struct fw_sandboxes *made_sandboxes = NULL;
	int rc = fw_sandboxes_new(&sandboxes, &made_sandboxes, err);

	if (rc != FW_OK)
		return rc;
	struct fw_runtime *made = fw_alloc(sizeof *made);

	made->options = *options;
	made->sandboxes = made_sandboxes;
	made->log_directory = fw_strdup(options->log_directory);
	made->region = fw_strdup(options->region);
	made->launches = fw_map_new();
	if (!made->options.grace_ns)
		made->options.grace_ns = GRACE_NS;
	if (!made->options.init_ns)
		made->options.init_ns = INIT_NS;
	fw_runtime_random(&made->random, sizeof made->random);
	pthread_mutex_init(&made->lock, NULL);
	pthread_cond_init(&made->job_ended, NULL);
	*runtime = made;
	return FW_OK;
}

const char *fw_runtime_missing(const struct fw_runtime *runtime)
{
	return fw_sandboxes_missing(runtime->sandboxes);
}

static char *launch_key(const struct fw_function *function)
{
	struct fw_buffer key;

	fw_buffer_init(&key, 1 << 20);
	fw_buffer_printf(&key, "%d\n%s\n%s\n%d", (int)function->kind, function->path ? function->path : "",
	                 function->interpreter ? function->interpreter : "", function->per_object);
	if (function->kind == FW_FUNCTION_PYTHON) /* whose annotation says what it wants */
		fw_buffer_printf(&key, "\n%d %s", (int)function->style, function->handler);
	for (size_t i = 0; i < function->command.count; i++)
		fw_buffer_printf(&key, "\n%zu %s", strlen(function->command.items[i]), function->command.items[i]);
	return fw_buffer_take(&key);
}

int fw_runtime_launch(struct fw_runtime *runtime, const struct fw_function *function, const struct fw_launch **launch,
                      struct fw_error **err)
{
	fw_cleanup_free char *key = launch_key(function);
	struct fw_launch *found = fw_map_get(runtime->launches, key);

	if (!found) {
		int rc = fw_launch_prepare(runtime->sandboxes, function, &found, err);

		if (rc != FW_OK)
			return rc;
		fw_map_set(runtime->launches, key, found);
	}
	*launch = found;
	return FW_OK;
}

int fw_runtime_prepare(struct fw_runtime *runtime, const struct fw_function *function, struct fw_error **err)
{
	const struct fw_launch *launch;

	return fw_runtime_launch(runtime, function, &launch, err);
}

/* A version 4 UUID, and a trace header that nobody samples. */
static void make_ids(struct fw_invocation *invocation)
{
	uint8_t b[28];

	fw_runtime_random(b, sizeof b);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(invocation->request_id, sizeof invocation->request_id,
	         "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4], b[5],
	         b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	snprintf(invocation->trace_id, sizeof invocation->trace_id,
	         "Root=1-%08x-%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x;Sampled=0", (unsigned)(fw_wall_ms() / 1000),
	         b[16], b[17], b[18], b[19], b[20], b[21], b[22], b[23], b[24], b[25], b[26], b[27]);
}

static void fill_submission(const struct fw_invocation *invocation)
{
	struct fw_record *record = invocation->record;
	uint64_t ready_ns = invocation->invoke.ready_ns, start_ns = invocation->runtime->options.start_ns;
	struct fw_cgroups *cgroups = invocation->runtime->options.cgroups;

	if (!ready_ns || ready_ns > invocation->dispatch_ns)
		ready_ns = invocation->dispatch_ns;
	record->submitted_ms = ready_ns > start_ns ? fw_ns_to_ms(ready_ns - start_ns) : 0;
	record->queue_ms = fw_ns_to_ms(invocation->dispatch_ns - ready_ns);
	if (record->wall_ms == FW_NULL_INT)
		record->wall_ms = (int64_t)fw_wall_ms();
	fw_record_set_text(&record->request_id, invocation->request_id);
	if (!cgroups || fw_cgroups_missing(cgroups)) /* memory, CPU or processes */
		fw_record_flag(&record->flags, "limits_not_enforced");
}

static struct fw_invocation *invocation_new(struct fw_runtime *runtime, const struct fw_invoke *invoke,
                                            struct fw_record *record)
{
	struct fw_invocation *invocation = fw_alloc(sizeof *invocation);

	*invocation = (struct fw_invocation){
		.runtime = runtime,
		.next = runtime->invocations,
		.link = &runtime->invocations,
		.invoke = *invoke,
		.record = record,
		.arn = fw_printf("arn:aws:lambda:%s:000000000000:function:%s", runtime->region, invoke->name),
		.log_name = fw_strdup(invoke->log_name),
		.dispatch_ns = fw_monotonic_ns(),
	};
	if (invocation->next)
		invocation->next->link = &invocation->next;
	runtime->invocations = invocation;
	runtime->invocation_count++;
	make_ids(invocation);
	fill_submission(invocation);
	return invocation;
}

static int find_worker(struct fw_invocation *invocation, struct fw_error **err)
{
	struct fw_runtime *runtime = invocation->runtime;
	const struct fw_launch *launch = NULL;
	int rc = fw_runtime_launch(runtime, invocation->invoke.function, &launch, err);

	if (rc != FW_OK)
		return rc;
	if (!invocation->record->package_digest && launch->digest[0])
		fw_record_set_text(&invocation->record->package_digest, launch->digest);
	fw_cleanup_free char *key = fw_pool_key(launch, &invocation->invoke);
	struct fw_worker *worker = fw_pool_take(runtime, key);

	if (!worker) {
		fw_pool_make_room(runtime, invocation->invoke.memory_mb);
		return fw_worker_start(invocation, launch, FW_TAKE(key), err);
	}
	worker->state = FW_WORKER_BUSY;
	worker->invocation = invocation;
	invocation->worker = worker;
	fw_worker_touch(worker);
	fw_invocation_begin(invocation);
	return FW_OK;
}

int fw_runtime_invoke(struct fw_runtime *runtime, const struct fw_invoke *invoke, struct fw_record *record,
                      struct fw_invocation **invocation, struct fw_error **err)
{
	fw_cleanup_error struct fw_error *failure = NULL;

	if (runtime->closing)
		return fw_fail(err, FW_E_CANCELLED, "the runtime is ending");
	*invocation = invocation_new(runtime, invoke, record);
	if (find_worker(*invocation, &failure) != FW_OK) {
		fw_invocation_judge_start(*invocation, failure);
		fw_invocation_end_soon(*invocation);
	}
	return FW_OK;
}

struct fw_runtime_counts fw_runtime_count(const struct fw_runtime *runtime)
{
	struct fw_runtime_counts counts = {.cold_starts = runtime->cold_starts, .invocations = runtime->invocation_count};

	for (const struct fw_worker *worker = runtime->workers; worker; worker = worker->next) {
		counts.workers++;
		counts.idle += worker->state == FW_WORKER_IDLE;
	}
	return counts;
}

static bool any_busy(const struct fw_runtime *runtime)
{
	for (const struct fw_worker *worker = runtime->workers; worker; worker = worker->next)
		if (worker->invocation)
			return true;
	return false;
}

/* Takes those away that have ended; false when none has until the time is up. */
static bool collect_dead(struct fw_runtime *runtime, uint64_t until_ns)
{
	FW_VECTOR(struct pollfd) fds = {0};
	FW_VECTOR(struct fw_worker *) workers = {0};
	uint64_t now = fw_monotonic_ns();
	int timeout_ms = now < until_ns ? (int)((until_ns - now) / FW_NS_PER_MS) + 1 : 0;

	for (struct fw_worker *worker = runtime->workers; worker; worker = worker->next) {
		FW_PUSH(&fds, (struct pollfd){.fd = fw_sandbox_pidfd(worker->sandbox), .events = POLLIN});
		FW_PUSH(&workers, worker);
	}
	int ready = poll(fds.items, fds.count, timeout_ms);

	for (size_t i = 0; ready > 0 && i < fds.count; i++)
		if (fds.items[i].revents)
			fw_worker_died(workers.items[i]);
	free(fds.items);
	free(workers.items);
	return ready > 0 || (ready < 0 && errno == EINTR);
}

static void end_workers(struct fw_runtime *runtime)
{
	uint64_t grace_ns = any_busy(runtime) ? runtime->options.grace_ns : IDLE_GRACE_NS;
	uint64_t until_ns = fw_monotonic_ns() + grace_ns;

	for (struct fw_worker *worker = runtime->workers; worker; worker = worker->next)
		if (worker->invocation)
			fw_runtime_cancel(worker->invocation, false);
		else
			fw_worker_stop(worker, IDLE_GRACE_NS);
	while (runtime->workers && collect_dead(runtime, until_ns))
		continue;
	for (struct fw_worker *worker = runtime->workers; worker; worker = worker->next)
		fw_worker_stop(worker, 0);
	until_ns = fw_monotonic_ns() + KILL_NS;
	while (runtime->workers && collect_dead(runtime, until_ns))
		continue;
	while (runtime->workers)
		fw_worker_died(runtime->workers); /* given up */
}

void fw_runtime_job_begins(struct fw_runtime *runtime)
{
	pthread_mutex_lock(&runtime->lock);
	runtime->jobs++;
	pthread_mutex_unlock(&runtime->lock);
}

void fw_runtime_job_ended(struct fw_runtime *runtime)
{
	pthread_mutex_lock(&runtime->lock);
	runtime->jobs--;
	pthread_cond_signal(&runtime->job_ended);
	pthread_mutex_unlock(&runtime->lock);
}

static void wait_for_jobs(struct fw_runtime *runtime)
{
	pthread_mutex_lock(&runtime->lock);
	while (runtime->jobs)
		pthread_cond_wait(&runtime->job_ended, &runtime->lock);
	pthread_mutex_unlock(&runtime->lock);
}

static void free_launches(struct fw_map *launches)
{
	const char *key;
	void *launch;

	for (size_t i = 0; fw_map_next(launches, &i, &key, &launch);)
		fw_launch_free(launch);
	fw_map_free(launches);
}

void fw_runtime_free(struct fw_runtime *runtime)
{
	if (!runtime)
		return;
	pthread_mutex_lock(&runtime->lock);
	runtime->closing = true;
	pthread_mutex_unlock(&runtime->lock);
	end_workers(runtime);
	if (runtime->options.energy)
		fw_energy_flush(runtime->options.energy);
	while (runtime->invocations)
		fw_invocation_finish_now(runtime->invocations);
	wait_for_jobs(runtime);
	fw_sandboxes_free(runtime->sandboxes);
	free_launches(runtime->launches);
	pthread_cond_destroy(&runtime->job_ended);
	pthread_mutex_destroy(&runtime->lock);
	free(runtime->sizes.items);
	free(runtime->log_directory);
	free(runtime->region);
	free(runtime);
}
