/* SPDX-License-Identifier: Apache-2.0
 *
 * From readings to records. A counter is given to an invocation when the readings next to its edges bracket it alone, up
 * to 2 % of its duration; else it stays null, because nobody can tell whose it was. Memory is the largest sample, the
 * last of them at or just after the end.
 */
#include <math.h>
#include <unistd.h>

#include "base/time.h"
#include "energy/manager_internal.h"

#define FOREIGN_SHARE 0.02
#define MIB (1024.0 * 1024.0)

static void add_sample(struct fw_memory_samples *memory, uint64_t at_ns, double bytes)
{
	if (isnan(bytes))
		return;
	memory->peak_bytes = fmax(memory->peak_bytes, bytes); /* of NAN and a number: the number */
	if (at_ns > memory->until_ns) {
		memory->byte_ns += bytes * (double)(at_ns - memory->until_ns);
		memory->until_ns = at_ns;
	}
}

static double known_or_nan(int64_t value)
{
	return value < 0 ? NAN : (double)value;
}

void fw_energy_sample_worker(struct fw_energy_worker *worker)
{
	uint64_t before_ns = fw_monotonic_ns();
	double bytes = known_or_nan(fw_reading_memory(&worker->manager->source, &worker->metered));

	worker->manager->samples++;
	pthread_mutex_lock(&worker->state);
	if (!isnan(bytes))
		worker->last_memory_bytes = bytes;
	if (worker->active && before_ns >= worker->begin_ns)
		add_sample(&worker->memory, before_ns, bytes);
	pthread_mutex_unlock(&worker->state);
}

void fw_energy_read_worker(struct fw_energy_worker *worker)
{
	struct fw_reading reading;
	double bytes;

	fw_reading_take(&worker->manager->source, &worker->metered, &reading);
	worker->manager->readings++;
	bytes = known_or_nan(reading.stat.memory_bytes);
	pthread_mutex_lock(&worker->state);
	worker->last = reading;
	if (!isnan(bytes))
		worker->last_memory_bytes = bytes;
	if (worker->active && reading.before_ns >= worker->begin_ns) {
		add_sample(&worker->memory, reading.before_ns, bytes);
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
	both.memory_high_bytes = reading->memory_high_bytes;
	both.switches_voluntary = reading->switches_voluntary;
	both.switches_involuntary = reading->switches_involuntary;
	return both;
}

/* Nanoseconds of other invocations between this one's end and the reading after it. */
static uint64_t foreign_after(const struct fw_ended *ended, const struct fw_reading *after, uint64_t newest_serial)
{
	if (after->after_ns <= ended->end.after_ns)
		return UINT64_MAX; /* an old reading says nothing about this invocation */
	return newest_serial == ended->serial ? 0 : after->after_ns - ended->end.after_ns;
}

static void finish_memory(const struct fw_ended *ended, double last_bytes, struct fw_interval *interval)
{
	struct fw_memory_samples memory = ended->memory;
	uint64_t begin_ns = ended->begin.after_ns, end_ns = ended->end.after_ns;
	double elapsed_ns = end_ns > begin_ns ? (double)(end_ns - begin_ns) : 0;

	add_sample(&memory, end_ns, last_bytes);
	interval->memory_peak_mb = memory.peak_bytes / MIB;
	interval->memory_average_mb = elapsed_ns > 0 ? memory.byte_ns / elapsed_ns / MIB : interval->memory_peak_mb;
	if (isnan(memory.peak_bytes))
		interval->memory_average_mb = NAN;
}

static void fill_one(struct fw_energy_manager *manager, struct fw_ended *ended)
{
	struct fw_energy_worker *worker = ended->worker;
	struct fw_record *record = ended->record;
	struct fw_reading after;
	uint64_t newest_serial;
	double last_bytes, foreign_s;

	pthread_mutex_lock(&worker->state);
	after = worker->last;
	last_bytes = worker->last_memory_bytes;
	newest_serial = worker->serial;
	pthread_mutex_unlock(&worker->state);

	struct fw_interval interval = {.worker = &worker->metered, .cpu_s = NAN};
	uint64_t foreign = foreign_after(ended, &after, newest_serial);
	double elapsed_s = (double)(ended->end.after_ns - ended->begin.after_ns) / 1e9;

	interval.duration_s = isnan(record->duration_ms) ? elapsed_s : record->duration_ms / 1000;
	foreign_s = foreign == UINT64_MAX || ended->base_off_ns == UINT64_MAX
	                ? INFINITY
	                : ((double)foreign + (double)ended->base_off_ns) / 1e9;
	bool alone = foreign_s <= FOREIGN_SHARE * elapsed_s;

	interval.begin = combine(&ended->begin, alone ? &ended->base : NULL);
	interval.end = combine(&ended->end, alone ? &after : NULL);
	/* High-water marks are of the worker's whole life: any reading's is a bound of everything before it. */
	if (after.after_ns > ended->end.after_ns) {
		interval.end.stat.memory_high_bytes = after.stat.memory_high_bytes;
		interval.end.memory_high_bytes = after.memory_high_bytes;
	}
	if (ended->begin.stat.cpu_total_ns >= 0 && ended->end.stat.cpu_total_ns >= ended->begin.stat.cpu_total_ns)
		interval.cpu_s = (double)(ended->end.stat.cpu_total_ns - ended->begin.stat.cpu_total_ns) / 1e9;
	finish_memory(ended, last_bytes, &interval);
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (manager->monitors[i] && manager->reports[i].ops->attribute)
			manager->reports[i].ops->attribute(manager->monitors[i], &interval, record);
	fw_record_set_text(&record->method_version, manager->methods);
}

/* The first of its worker in the list reads for all of them. */
static bool is_first_of_worker(const struct fw_ended *list, const struct fw_ended *ended)
{
	for (; list != ended; list = list->next)
		if (list->worker == ended->worker)
			return false;
	return true;
}

void fw_energy_read_ended(struct fw_energy_manager *manager, const struct fw_ended *list, fw_may_read_fn *may_read)
{
	for (const struct fw_ended *ended = list; ended; ended = ended->next) {
		if (!is_first_of_worker(list, ended))
			continue;
		if (may_read(manager))
			fw_energy_read_worker(ended->worker);
		else
			manager->left_out++;
	}
}

void fw_energy_fill_ended(struct fw_energy_manager *manager, struct fw_ended *list)
{
	bool first = false;

	while (list) {
		struct fw_ended *next = list->next;

		fill_one(manager, list);
		first = fw_ended_push(&manager->filled, list) || first;
		list = next;
	}
	if (first && manager->filled_fd >= 0) {
		uint64_t one = 1;

		(void)!write(manager->filled_fd, &one, sizeof one);
	}
}
