/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges of an invocation, on the loop's thread, thousands of times a second: one read of the worker's CPU time at the
 * end, and one at the begin unless the worker ended its last invocation a moment ago and has been waiting since. No
 * allocation in the steady state, at most one wake-up of the sampler for each of its turns, no wait for a reading.
 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/manager_internal.h"

/* A worker that waited this long may have used CPU for itself: the chain of readings is begun anew. */
#define CHAIN_NS (200 * 1000ULL)

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

	do /* sequentially consistent: the sampler announces that it will sleep, then looks here once more */
		ended->next = head;
	while (!atomic_compare_exchange_weak(list, &head, ended));
	return head == NULL;
}

static void first_reading(struct fw_energy_worker *worker)
{
	struct fw_reading reading;

	fw_reading_take(&worker->manager->source, &worker->metered, &reading);
	worker->manager->readings++;
	pthread_mutex_lock(&worker->state);
	worker->last = reading;
	if (reading.stat.memory_bytes >= 0)
		worker->last_memory_bytes = (double)reading.stat.memory_bytes;
	pthread_mutex_unlock(&worker->state);
	worker->read_before = true;
}

void fw_energy_begin(struct fw_energy_worker *worker)
{
	uint64_t now_ns;

	if (!worker->read_before)
		first_reading(worker);
	now_ns = fw_monotonic_ns();
	if (worker->last_end.after_ns > 0 && now_ns - worker->last_end.after_ns < CHAIN_NS) {
		worker->begin = worker->last_end;
		worker->begin.before_ns = worker->begin.after_ns = now_ns;
	} else {
		fw_reading_take_cpu(&worker->manager->source, &worker->metered, &worker->begin);
	}
	pthread_mutex_lock(&worker->state);
	worker->active = true;
	worker->serial++;
	worker->begin_ns = worker->begin.after_ns;
	worker->memory = (struct fw_memory_samples){.peak_bytes = NAN, .until_ns = worker->begin_ns};
	/* A parked worker does nothing: a reading since its last end is as good as one taken now. */
	bool read_since = worker->last.after_ns > 0 && worker->last.before_ns >= worker->end_ns;
	worker->base_off_ns = read_since ? 0 : UINT64_MAX;
	if (read_since)
		worker->base = worker->last;
	pthread_mutex_unlock(&worker->state);
}

static struct fw_ended *ended_new(struct fw_energy_manager *manager)
{
	struct fw_ended *ended = manager->spare;

	if (!ended)
		return fw_alloc(sizeof *ended);
	manager->spare = ended->next;
	return ended;
}

void fw_energy_end(struct fw_energy_worker *worker, struct fw_record *record, fw_energy_done_fn *done, void *context)
{
	struct fw_energy_manager *manager = worker->manager;
	struct fw_ended *ended = ended_new(manager);

	*ended = (struct fw_ended){.worker = worker, .record = record, .done = done, .context = context};
	fw_reading_take_cpu(&manager->source, &worker->metered, &ended->end);
	ended->begin = worker->begin;
	worker->last_end = ended->end;
	pthread_mutex_lock(&worker->state);
	worker->active = false;
	worker->end_ns = ended->end.after_ns;
	ended->serial = worker->serial;
	ended->base_off_ns = worker->base_off_ns;
	if (worker->base_off_ns != UINT64_MAX)
		ended->base = worker->base;
	ended->memory = worker->memory;
	pthread_mutex_unlock(&worker->state);
	manager->invocations++;
	fw_ended_push(&manager->ended, ended);
	if (manager->has_sampler)
		fw_energy_sampler_kick(manager);
	else
		fw_energy_flush(manager);
}

void fw_energy_deliver(struct fw_energy_manager *manager)
{
	for (struct fw_ended *ended = fw_ended_take(&manager->filled); ended;) {
		struct fw_ended *next = ended->next;
		fw_energy_done_fn *done = ended->done;
		struct fw_record *record = ended->record;
		void *context = ended->context;

		ended->next = manager->spare;
		manager->spare = ended;
		if (done)
			done(context, record);
		ended = next;
	}
}
