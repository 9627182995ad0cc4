/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges of an invocation, on the loop's thread, thousands of times a second: one read of the worker's CPU time at the
 * end, and one at the begin unless the worker ended its last invocation a moment ago and has been waiting since. The rest
 * is read here too, where it is the invocation's own beyond doubt: always at the end of a long one, else as far as the
 * budget allows. No allocation in the steady state, no wake-up of another thread, no wait for its reading.
 */
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "energy/counters.h"
#include "energy/manager_internal.h"

/* A worker that waited this long may have used CPU for itself: the chain of readings is begun anew. */
#define CHAIN_NS (200 * 1000ULL)
/* The kernel looks at each page for USS and PSS. */
#define SHARES_NS_PER_BYTE 0.04
#define SHARES_MOST_NS 10e6
#define SHARES_PART 0.005

struct fw_ended *fw_ended_take(_Atomic(struct fw_ended *) *list)
{
	struct fw_ended *newest = atomic_exchange_explicit(list, NULL, memory_order_acquire), *oldest = NULL;

	while (newest) {
		struct fw_ended *next = newest->next;

		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

bool fw_ended_push(_Atomic(struct fw_ended *) *list, struct fw_ended *ended)
{
	struct fw_ended *head = atomic_load_explicit(list, memory_order_relaxed);

	do
		ended->next = head;
	while (!atomic_compare_exchange_weak(list, &head, ended));
	return head == NULL;
}

static bool may_read(struct fw_energy_manager *manager, uint64_t now_ns, enum fw_budget_keep keep)
{
	return !manager->has_sampler || fw_budget_allows(&manager->budget, now_ns, keep);
}

/* USS and PSS cost by the pages that are held, on the thread that serves all workers: where it is next to nothing against
 * what it is measured of. */
static bool may_share(const struct fw_energy_worker *worker, int64_t held_bytes)
{
	double cost_ns = (double)held_bytes * SHARES_NS_PER_BYTE;

	if (worker->metered.wants_shares)
		return true;
	return held_bytes >= 0 && cost_ns <= SHARES_MOST_NS && cost_ns <= SHARES_PART * (double)worker->lasted_ns &&
	       may_read(worker->manager, fw_monotonic_ns(), FW_KEEP_FOR_TICKS);
}

/* Nothing runs in the worker now: a reading on this thread is of no invocation but the one that ended last. `shares`: with
 * USS and PSS. */
static void read_parked(struct fw_energy_worker *worker, bool shares, struct fw_reading *reading)
{
	struct fw_energy_manager *manager = worker->manager;
	uint64_t paid_ns = fw_thread_cpu_ns();

	fw_reading_take(&manager->source, &worker->metered, reading);
	if (shares && may_share(worker, reading->stat.memory_bytes))
		fw_reading_take_shares(&manager->source, &worker->metered, reading);
	manager->readings++;
	pthread_mutex_lock(&worker->state);
	worker->last = *reading;
	worker->parked_serial = worker->serial;
	worker->held_bytes = reading->stat.memory_bytes;
	pthread_mutex_unlock(&worker->state);
	fw_energy_pay(manager, paid_ns);
}

static bool has_parked_reading(struct fw_energy_worker *worker)
{
	bool has;

	pthread_mutex_lock(&worker->state);
	has = worker->parked_serial == worker->serial;
	pthread_mutex_unlock(&worker->state);
	return has;
}

static void take_edge(struct fw_energy_worker *worker, struct fw_reading *edge)
{
	fw_reading_take_cpu(&worker->manager->source, &worker->metered, edge);
	edge->fallen_ns = atomic_load(&worker->fallen_ns);
}

void fw_energy_begin(struct fw_energy_worker *worker)
{
	uint64_t now_ns = fw_monotonic_ns();
	struct fw_reading reading;

	if (!worker->read_before ||
	    (!has_parked_reading(worker) && may_read(worker->manager, now_ns, FW_KEEP_MUCH))) {
		read_parked(worker, false, &reading);
		worker->read_before = true;
		now_ns = fw_monotonic_ns();
	}
	if (worker->last_end.after_ns > 0 && now_ns - worker->last_end.after_ns < CHAIN_NS) {
		worker->begin = worker->last_end;
		worker->begin.before_ns = worker->begin.after_ns = now_ns;
	} else {
		take_edge(worker, &worker->begin);
	}
	pthread_mutex_lock(&worker->state);
	/* A parked worker does nothing: a reading since its last end is as good as one taken now. */
	bool read_since = worker->parked_serial == worker->serial;

	worker->active = true;
	worker->serial++;
	worker->begin_ns = worker->begin.after_ns;
	if (worker->manager->counters)
		worker->begin_edge = fw_counters_edge(worker, &worker->begin);
	worker->memory = (struct fw_memory_samples){.peak_bytes = NAN, .until_ns = worker->begin_ns};
	worker->seen = (struct fw_seen){worker->begin_ns, worker->begin.stat};
	worker->base_off_ns = read_since ? 0 : UINT64_MAX;
	if (read_since)
		worker->base = worker->last;
	pthread_mutex_unlock(&worker->state);
	if (worker->manager->counters)
		fw_energy_sampler_edge(worker->manager, worker->begin_ns,
		                       worker->lasted_ns == 0 || worker->lasted_ns >= FW_ALWAYS_READ_NS);
}

static int64_t sample_memory(struct fw_energy_worker *worker)
{
	uint64_t paid_ns = fw_thread_cpu_ns();
	int64_t bytes = fw_reading_memory(&worker->manager->source, &worker->metered);

	worker->manager->samples++;
	fw_energy_pay(worker->manager, paid_ns);
	return bytes;
}

void fw_energy_last_sample(struct fw_energy_worker *worker)
{
	uint64_t now_ns = fw_monotonic_ns();
	int64_t bytes = sample_memory(worker);

	pthread_mutex_lock(&worker->state);
	if (worker->active && bytes >= 0) {
		fw_energy_add_sample(&worker->memory, now_ns, bytes);
		worker->memory.final = true;
	}
	pthread_mutex_unlock(&worker->state);
}

/* What the worker holds now is what it held at the end. Memory comes first; counters when there is plenty or they must. */
static void read_at_end(struct fw_energy_worker *worker, struct fw_ended *ended)
{
	struct fw_energy_manager *manager = worker->manager;
	uint64_t end_ns = ended->end.after_ns;
	int64_t bytes;

	if (end_ns - ended->begin.after_ns >= FW_ALWAYS_READ_NS || may_read(manager, end_ns, FW_KEEP_MUCH)) {
		read_parked(worker, true, &ended->after);
		ended->has_after = true;
		bytes = ended->after.stat.memory_bytes;
	} else if (may_read(manager, end_ns, FW_KEEP_FOR_TICKS)) {
		bytes = sample_memory(worker);
	} else {
		manager->left_out++;
		return;
	}
	ended->memory.final = bytes >= 0;
	fw_energy_add_sample(&ended->memory, end_ns, bytes);
}

static struct fw_ended *ended_new(struct fw_energy_manager *manager)
{
	struct fw_ended *ended = manager->spare;

	if (!ended)
		return fw_alloc(sizeof *ended);
	manager->spare = ended->next;
	return ended;
}

void fw_energy_end(struct fw_energy_worker *worker, bool alive, struct fw_record *record, fw_energy_done_fn *done,
                   void *context)
{
	struct fw_energy_manager *manager = worker->manager;
	struct fw_ended *ended = ended_new(manager);

	*ended = (struct fw_ended){
		.worker = worker, .record = record, .done = done, .context = context, .alive = alive};
	take_edge(worker, &ended->end);
	ended->begin = worker->begin;
	worker->last_end = ended->end;
	pthread_mutex_lock(&worker->state);
	worker->active = false;
	worker->end_ns = ended->end.after_ns;
	worker->lasted_ns = worker->end_ns > worker->begin_ns ? worker->end_ns - worker->begin_ns : 0;
	worker->held_ns += worker->lasted_ns;
	ended->serial = worker->serial;
	ended->base_off_ns = worker->base_off_ns;
	if (worker->base_off_ns != UINT64_MAX)
		ended->base = worker->base;
	ended->memory = worker->memory;
	ended->seen = worker->seen;
	pthread_mutex_unlock(&worker->state);
	if (alive)
		read_at_end(worker, ended);
	manager->invocations++;
	fw_ended_push(&manager->ended, ended);
	if (worker->lasted_ns < FW_NS_PER_S)
		manager->short_ns = worker->end_ns;
	if (manager->counters)
		fw_energy_sampler_edge(manager, worker->end_ns, worker->lasted_ns >= FW_ALWAYS_READ_NS);
	if (!manager->has_sampler)
		fw_energy_flush(manager);
}

bool fw_energy_deliver(struct fw_energy_manager *manager, size_t most)
{
	for (size_t i = 0;; i++) {
		if (!manager->due)
			manager->due = fw_ended_take(&manager->filled);
		if (!manager->due)
			return true;
		if (i == most)
			return false;
		struct fw_ended *ended = manager->due;
		fw_energy_done_fn *done = ended->done;
		struct fw_record *record = ended->record;
		void *context = ended->context;

		manager->due = ended->next;
		ended->next = manager->spare;
		manager->spare = ended;
		if (done)
			done(context, record);
	}
}
