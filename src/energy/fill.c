/* SPDX-License-Identifier: Apache-2.0
 *
 * From readings to records. A counter is given to an invocation when the readings next to its edges bracket it alone, up
 * to 2 % of its duration; else it stays null, because nobody can tell whose it was. Memory is the largest sample, if the
 * last of them was taken at the end: without that it is null, for it might be far too low.
 */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/counters.h"
#include "energy/manager_internal.h"

#define FOREIGN_SHARE 0.02
#define MIB (1024.0 * 1024.0)

uint64_t fw_energy_pay(struct fw_energy_manager *manager, uint64_t since_ns)
{
	uint64_t now_ns = fw_thread_cpu_ns();

	fw_budget_spend(&manager->budget, now_ns - since_ns);
	return now_ns;
}

bool fw_energy_may(struct fw_energy_manager *manager, enum fw_budget_keep keep)
{
	return fw_budget_allows(&manager->budget, fw_monotonic_ns(), keep);
}

void fw_energy_add_sample(struct fw_memory_samples *memory, uint64_t at_ns, int64_t bytes)
{
	if (bytes < 0)
		return;
	memory->peak_bytes = fmax(memory->peak_bytes, (double)bytes); /* of NAN and a number: the number */
	if (at_ns > memory->until_ns) {
		memory->byte_ns += (double)bytes * (double)(at_ns - memory->until_ns);
		memory->until_ns = at_ns;
	}
}

/* With `state` held. */
static void see(struct fw_energy_worker *worker, const struct fw_reading *reading)
{
	if (worker->metered.keeps_seen && worker->active && reading->before_ns >= worker->begin_ns && reading->stat.cpu_total_ns >= 0)
		worker->seen = (struct fw_seen){reading->before_ns, reading->stat};
}

void fw_energy_sample_worker(struct fw_energy_worker *worker)
{
	uint64_t before_ns = fw_monotonic_ns();
	int64_t bytes = fw_reading_memory(&worker->manager->source, &worker->metered);
	struct fw_reading reading = {.stat = FW_CGROUP_STAT_UNKNOWN};

	if (worker->metered.keeps_seen)
		fw_reading_take_cpu(&worker->manager->source, &worker->metered, &reading);
	worker->manager->samples++;
	worker->held_bytes = bytes;
	pthread_mutex_lock(&worker->state);
	see(worker, &reading);
	if (worker->active && before_ns >= worker->begin_ns)
		fw_energy_add_sample(&worker->memory, before_ns, bytes);
	pthread_mutex_unlock(&worker->state);
}

/* With `state` held. A reading that began within an invocation never replaces one taken after its end. */
static void keep_reading(struct fw_energy_worker *worker, const struct fw_reading *reading)
{
	bool parked = !worker->active && reading->before_ns >= worker->end_ns;

	if (!parked && worker->parked_serial == worker->serial)
		return;
	worker->last = *reading;
	worker->held_bytes = reading->stat.memory_bytes;
	if (parked)
		worker->parked_serial = worker->serial;
}

void fw_energy_read_worker(struct fw_energy_worker *worker)
{
	struct fw_reading reading;

	fw_reading_take(&worker->manager->source, &worker->metered, &reading);
	worker->manager->readings++;
	pthread_mutex_lock(&worker->state);
	keep_reading(worker, &reading);
	see(worker, &reading);
	if (worker->active && reading.before_ns >= worker->begin_ns) {
		fw_energy_add_sample(&worker->memory, reading.before_ns, reading.stat.memory_bytes);
		if (worker->base_off_ns == UINT64_MAX) {
			worker->base = reading;
			worker->base_off_ns = reading.after_ns - worker->begin_ns;
		}
	}
	pthread_mutex_unlock(&worker->state);
}

/* Counters of `reading` with the clock and the CPU time of the edge. */
static struct fw_reading combine(const struct fw_reading *edge, const struct fw_reading *reading)
{
	struct fw_reading both = *edge;

	if (!reading)
		return both;
	both.stat = reading->stat;
	both.stat.cpu_user_ns = edge->stat.cpu_user_ns;
	both.stat.cpu_system_ns = edge->stat.cpu_system_ns;
	both.stat.cpu_total_ns = edge->stat.cpu_total_ns;
	if (edge->stat.throttled_ns >= 0)
		both.stat.throttled_ns = edge->stat.throttled_ns;
	both.memory_high_bytes = reading->memory_high_bytes;
	both.switches_voluntary = reading->switches_voluntary;
	both.switches_involuntary = reading->switches_involuntary;
	memcpy(both.counts, reading->counts, sizeof both.counts);
	both.counts_scaled = reading->counts_scaled;
	both.ended_faults = reading->ended_faults;
	return both;
}

/* The reading after the end, if it is of this invocation alone: taken at the end, or later while the worker still waited.
 * Else the latest one, which bounds it and no more. */
static bool reading_after(const struct fw_ended *ended, struct fw_reading *after)
{
	struct fw_energy_worker *worker = ended->worker;
	bool alone = ended->has_after;

	*after = ended->after;
	if (alone)
		return true;
	pthread_mutex_lock(&worker->state);
	*after = worker->last;
	alone = worker->parked_serial == ended->serial;
	pthread_mutex_unlock(&worker->state);
	return alone;
}

/* High-water marks are of the worker's whole life: any reading's is a bound of everything before it. */
static void bound_memory(const struct fw_ended *ended, const struct fw_reading *after, struct fw_reading *end)
{
	if (after->after_ns > ended->end.after_ns) {
		end->stat.memory_high_bytes = after->stat.memory_high_bytes;
		/* Processes that have ended took their own marks along. */
		end->memory_high_bytes = ended->alive ? after->memory_high_bytes : -1;
	} else if (ended->worker->high_at_ns > ended->end.after_ns) {
		end->stat.memory_high_bytes = ended->worker->high_bytes;
	}
}

/* It has gone with all that it could tell: what was seen of it last is the least that it used. */
static bool is_unseen(const struct fw_ended *ended)
{
	return !ended->alive && ended->worker->metered.keeps_seen && ended->end.stat.cpu_total_ns < 0;
}

static void take_seen(const struct fw_ended *ended, struct fw_reading *end)
{
	ended->worker->unseen_ns = is_unseen(ended) ? ended->end.after_ns - ended->seen.at_ns : 0;
	if (!is_unseen(ended))
		return;
	end->stat.cpu_user_ns = ended->seen.stat.cpu_user_ns;
	end->stat.cpu_system_ns = ended->seen.stat.cpu_system_ns;
	end->stat.cpu_total_ns = ended->seen.stat.cpu_total_ns;
}

static double cpu_s_between(const struct fw_reading *begin, const struct fw_reading *end)
{
	int64_t from_ns = begin->stat.cpu_total_ns, until_ns = end->stat.cpu_total_ns;

	return from_ns >= 0 && until_ns >= from_ns ? (double)(until_ns - from_ns) / 1e9 : (double)NAN;
}

/* after_bytes: at its end, or -1; seen_bytes: as it was seen last, by whichever reading. */
static void finish_memory(const struct fw_ended *ended, int64_t after_bytes, int64_t seen_bytes, struct fw_interval *interval)
{
	bool as_seen = !ended->alive && ended->worker->metered.keeps_seen;
	struct fw_memory_samples memory = ended->memory;
	uint64_t begin_ns = ended->begin.after_ns, end_ns = ended->end.after_ns;
	double elapsed_ns = end_ns > begin_ns ? (double)(end_ns - begin_ns) : 0;

	if (after_bytes >= 0) {
		fw_energy_add_sample(&memory, end_ns, after_bytes);
		memory.final = true;
	}
	if (as_seen && isnan(memory.peak_bytes))
		fw_energy_add_sample(&memory, end_ns, seen_bytes);
	memory.final = memory.final || as_seen;
	interval->memory_peak_mb = memory.final ? memory.peak_bytes / MIB : NAN;
	interval->memory_average_mb = memory.final && elapsed_ns > 0 ? memory.byte_ns / elapsed_ns / MIB
	                                                             : interval->memory_peak_mb;
}

static void attribute(struct fw_energy_manager *manager, const struct fw_interval *interval, struct fw_record *record)
{
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (manager->monitors[i] && manager->reports[i].ops->attribute)
			manager->reports[i].ops->attribute(manager->monitors[i], interval, record);
	fw_record_set_text(&record->method_version, manager->methods);
}

static bool knows_cpu(const struct fw_reading *edge)
{
	return edge->stat.cpu_total_ns >= 0 || edge->work_ns >= 0;
}

/* Work that nobody could read is not no work: without it there is no row. What has ended was read while it lived. */
static bool knows_work(const struct fw_ended *ended)
{
	return knows_cpu(&ended->begin) && (knows_cpu(&ended->end) || !ended->alive);
}

static void fill_one(struct fw_energy_manager *manager, struct fw_ended *ended)
{
	struct fw_record *record = ended->record;
	struct fw_interval interval = {.worker = &ended->worker->metered, .cpu_s = NAN};
	double elapsed_ns = (double)(ended->end.after_ns - ended->begin.after_ns);
	struct fw_reading after;
	bool ends_alone = reading_after(ended, &after);
	bool alone = ends_alone && ended->base_off_ns != UINT64_MAX &&
	             (double)ended->base_off_ns <= FOREIGN_SHARE * elapsed_ns;

	interval.duration_s = isnan(record->duration_ms) ? elapsed_ns / 1e9 : record->duration_ms / 1000;
	interval.begin = combine(&ended->begin, alone ? &ended->base : NULL);
	interval.end = combine(&ended->end, alone ? &after : NULL);
	bound_memory(ended, &after, &interval.end);
	take_seen(ended, &interval.end);
	interval.cpu_s = cpu_s_between(&interval.begin, &interval.end);
	interval.end.unique_bytes = ends_alone && ended->alive ? after.unique_bytes : -1;
	interval.end.proportional_bytes = ends_alone && ended->alive ? after.proportional_bytes : -1;
	finish_memory(ended, ends_alone && ended->alive ? after.stat.memory_bytes : -1, after.stat.memory_bytes, &interval);
	if (manager->counters && knows_work(ended))
		fw_counters_fill(manager->counters, ended);
	attribute(manager, &interval, record);
}

static uint64_t last_reading_ns(struct fw_energy_worker *worker)
{
	uint64_t at_ns;

	pthread_mutex_lock(&worker->state);
	at_ns = worker->last.after_ns;
	pthread_mutex_unlock(&worker->state);
	return at_ns > worker->high_at_ns ? at_ns : worker->high_at_ns;
}

/* Bounds for every invocation in the list: one whole reading for each worker, `always` or as far as the budget allows, else its
 * high-water mark alone. */
static void read_ended(struct fw_energy_manager *manager, const struct fw_ended *list, bool always)
{
	for (const struct fw_ended *ended = list; ended; ended = ended->next) {
		struct fw_energy_worker *worker = ended->worker;

		if (ended->has_after || last_reading_ns(worker) > ended->end.after_ns)
			continue;
		if (always || fw_energy_may(manager, FW_KEEP_NOTHING)) {
			fw_energy_read_worker(worker);
		} else {
			worker->high_bytes = fw_reading_memory_high(&worker->metered);
			worker->high_at_ns = fw_monotonic_ns();
			manager->left_out++;
		}
	}
}

/* What the worker does next must not take away the reading that was this invocation's. */
static void keep_after(struct fw_ended *ended)
{
	struct fw_reading after;

	if (!ended->has_after && reading_after(ended, &after)) {
		ended->after = after;
		ended->has_after = true;
	}
}

/* Those that wait come before those that have just ended. */
static struct fw_ended *behind_waiting(struct fw_energy_manager *manager, struct fw_ended *list)
{
	struct fw_ended *all = manager->waiting, **end = &all;

	while (*end)
		end = &(*end)->next;
	*end = list;
	manager->waiting = NULL;
	return all;
}

/* Fills the records of those that wait and of the list, and moves them to `filled`; those whose energy only the next slice
 * tells wait, unless this is the last chance. */
static void fill_ended(struct fw_energy_manager *manager, struct fw_ended *list, bool last_chance)
{
	struct fw_ended **waits = &manager->waiting;
	bool first = false;

	list = behind_waiting(manager, list);
	while (list) {
		struct fw_ended *ended = list;

		list = ended->next;
		if (manager->counters && !last_chance && !fw_counters_covers(ended)) {
			keep_after(ended);
			ended->next = NULL;
			*waits = ended;
			waits = &ended->next;
			continue;
		}
		fill_one(manager, ended);
		first = fw_ended_push(&manager->filled, ended) || first;
	}
	if (first && manager->filled_fd >= 0) {
		uint64_t one = 1;

		(void)!write(manager->filled_fd, &one, sizeof one);
	}
}

uint64_t fw_energy_finish(struct fw_energy_manager *manager, struct fw_ended *list, bool always, bool last_chance,
                          uint64_t paid_ns)
{
	read_ended(manager, list, always);
	paid_ns = fw_energy_pay(manager, paid_ns);
	fill_ended(manager, list, last_chance);
	uint64_t now_ns = fw_thread_cpu_ns();

	manager->filling_ns += now_ns - paid_ns;
	return now_ns;
}
