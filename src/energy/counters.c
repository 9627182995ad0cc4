/* SPDX-License-Identifier: Apache-2.0
 *
 * One tick: whose work it was, then what all counters show, within some ten microseconds of each other; then the pure
 * arithmetic. A monitor that is in trouble gives holes with flags, and the others go on.
 */
#include "energy/counters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/time.h"
#include "energy/books.h"
#include "energy/manager_internal.h"
#include "energy/nvml.h"
#include "energy/perf_counts.h"

#define MISSES_NS (100 * FW_NS_PER_MS)

/* Of one counter, for whoever looks. */
struct known {
	uint64_t at_ns; /* when it moved last; 0: never */
	double joules, lost_j;
	unsigned flags; /* since the last look */
	enum fw_domain_reason reason;
};

struct fw_energy_counters {
	struct fw_energy_manager *manager;
	struct fw_feed *feed;
	struct fw_work_meter *meter;
	size_t bpf;  /* index of the monitor whose work is used, or FW_MONITOR_COUNT */
	size_t nvml; /* of the one that knows the work of GPUs, or FW_MONITOR_COUNT */
	size_t counts_at;        /* of the one that counts cache misses of all, or FW_MONITOR_COUNT */
	uint64_t misses_ns;      /* when they were read last */
	bool tells_misses;       /* at this tick */
	size_t count;
	size_t first[FW_MONITOR_COUNT], counts[FW_MONITOR_COUNT]; /* domains of each monitor */
	struct fw_domain_reading readings[FW_ATTRIBUTION_POOLS];
	struct known known[FW_ATTRIBUTION_POOLS];
	atomic_ullong tick_ns, youngest_ns;
	atomic_size_t active;
};

static size_t collect(struct fw_energy_counters *counters, struct fw_domain *domains)
{
	struct fw_energy_manager *manager = counters->manager;
	size_t count = 0;

	for (size_t i = 0; i < FW_MONITOR_COUNT; i++) {
		const struct fw_domain *own = NULL;
		const struct fw_monitor_ops *ops = manager->reports[i].ops;

		if (!manager->monitors[i] || !ops->domains || !ops->read)
			continue;
		size_t offered = ops->domains(manager->monitors[i], &own);

		if (count + offered > FW_ATTRIBUTION_POOLS)
			continue; /* all of its readings or none: they are read at once */
		counters->first[i] = count;
		counters->counts[i] = offered;
		for (size_t d = 0; d < offered; d++) {
			domains[count] = own[d];
			domains[count++].method = ops->method;
		}
	}
	return count;
}

static struct fw_work *find_bpf(struct fw_energy_counters *counters)
{
	struct fw_energy_manager *manager = counters->manager;

	for (counters->bpf = 0; counters->bpf < FW_MONITOR_COUNT; counters->bpf++)
		if (manager->monitors[counters->bpf] && manager->reports[counters->bpf].ops == &fw_monitor_ebpf)
			return fw_monitor_ebpf_work(manager->monitors[counters->bpf]);
	return NULL;
}

static size_t find_nvml(const struct fw_energy_counters *counters)
{
	size_t i = 0;

	while (i < FW_MONITOR_COUNT &&
	       !(counters->counts[i] > 0 && counters->manager->reports[i].ops == &fw_monitor_nvml))
		i++;
	return i;
}

static bool any_is_memory(const struct fw_domain *domains, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (domains[i].kind == FW_DOMAIN_DRAM)
			return true;
	return false;
}

static size_t find_misses(const struct fw_energy_counters *counters, const struct fw_domain *domains)
{
	const struct fw_energy_manager *manager = counters->manager;
	size_t i = 0;

	while (i < FW_MONITOR_COUNT &&
	       !(manager->monitors[i] && strcmp(manager->reports[i].ops->name, fw_monitor_counts.name) == 0 &&
	         fw_monitor_counts_has_misses(manager->monitors[i]) && any_is_memory(domains, counters->count)))
		i++;
	return i;
}

struct fw_energy_counters *fw_counters_new(struct fw_energy_manager *manager, const struct fw_machine *machine,
                                           const struct fw_energy_options *options)
{
	struct fw_energy_counters *counters = fw_alloc(sizeof *counters);
	fw_cleanup_free struct fw_domain *domains = fw_alloc_array(FW_ATTRIBUTION_POOLS, sizeof *domains);
	struct fw_attribution_machine shape;

	counters->manager = manager;
	counters->count = collect(counters, domains);
	counters->nvml = find_nvml(counters);
	fw_domains_choose_roots(domains, counters->count);
	if (counters->count == 0 || !machine) {
		free(counters);
		return NULL;
	}
	counters->meter = fw_work_meter_new(&manager->source, machine, find_bpf(counters));
	if (options->smt_weight > 0 && !fw_work_meter_share(counters->meter, machine, options->smt_weight))
		fw_warning("threads of one core are not weighted: that takes the monitor ebpf (flexwatt monitors says why it is off)");
	if (!any_is_memory(domains, counters->count))
		fw_work_meter_leave_memory(counters->meter);
	counters->counts_at = find_misses(counters, domains);
	shape = *fw_work_meter_machine(counters->meter);
	shape.has_misses = counters->counts_at < FW_MONITOR_COUNT;
	counters->feed = fw_feed_new(&shape, domains, counters->count,
	                             fw_work_meter_name(counters->meter), options->keeps_readings);
	fw_counters_tick(counters);
	return counters;
}

void fw_counters_free(struct fw_energy_counters *counters)
{
	if (!counters)
		return;
	fw_feed_free(counters->feed);
	fw_work_meter_free(counters->meter);
	free(counters);
}

static struct fw_work_key key_of(const struct fw_energy_counters *counters, const struct fw_energy_worker *worker)
{
	return counters->bpf < FW_MONITOR_COUNT ? fw_monitor_ebpf_key(worker->states[counters->bpf]) : (struct fw_work_key){0};
}

static double misses_of(const struct fw_energy_counters *counters, const struct fw_energy_worker *worker)
{
	return counters->counts_at < FW_MONITOR_COUNT ? (double)fw_monitor_counts_misses_of(worker->states[counters->counts_at])
	                                              : (double)NAN;
}

void fw_counters_join(struct fw_energy_counters *counters, struct fw_energy_worker *worker)
{
	const struct fw_metered *metered = &worker->metered;
	struct fw_work_now now;

	worker->key = key_of(counters, worker);
	fw_work_meter_now(counters->meter, metered, worker->key, &worker->past, &now);
	now.misses = misses_of(counters, worker);
	worker->held_at_ns = now.at_ns;
	worker->fed = fw_feed_join(counters->feed, metered->vcpus, (double)metered->memory_mb * 1048576,
	                           counters->bpf < FW_MONITOR_COUNT && worker->key.slot != 0, &now);
}

/* The part of the time since its last reading in which it had an invocation. */
static double held_since(struct fw_energy_worker *worker, uint64_t now_ns)
{
	uint64_t held_ns;

	pthread_mutex_lock(&worker->state);
	held_ns = worker->held_ns + (worker->active && now_ns > worker->begin_ns ? now_ns - worker->begin_ns : 0);
	pthread_mutex_unlock(&worker->state);

	double passed_ns = now_ns > worker->held_at_ns ? (double)(now_ns - worker->held_at_ns) : 0;
	double fresh_ns = held_ns > worker->held_then_ns ? (double)(held_ns - worker->held_then_ns) : 0;

	worker->held_at_ns = now_ns;
	worker->held_then_ns = held_ns;
	return passed_ns > 0 ? fmin(fresh_ns / passed_ns, 1) : 0;
}

static void give_work(const struct fw_energy_counters *counters, struct fw_energy_worker *worker, struct fw_work_now *now)
{
	int64_t bytes = atomic_load(&worker->held_bytes);

	if (counters->nvml < FW_MONITOR_COUNT)
		fw_monitor_nvml_work(counters->manager->monitors[counters->nvml], worker->states[counters->nvml],
		                     &counters->manager->source, &worker->metered, now->gpu_ns);
	atomic_store(&worker->fallen_ns, worker->past.fallen_ns);
	now->bytes = bytes >= 0 ? (double)bytes : NAN;
	fw_feed_set(worker->fed, now, held_since(worker, now->at_ns));
}

void fw_counters_leave(struct fw_energy_counters *counters, struct fw_energy_worker *worker)
{
	struct fw_work_now now;

	fw_work_meter_now(counters->meter, &worker->metered, worker->key, &worker->past, &now);
	now.misses = misses_of(counters, worker);
	give_work(counters, worker, &now);
	worker->left_ns = now.at_ns;
}

bool fw_counters_is_settled(const struct fw_energy_worker *worker)
{
	return !worker->fed || fw_holder_covers(fw_fed_holder(worker->fed), worker->left_ns);
}

void fw_counters_forget(struct fw_energy_worker *worker)
{
	fw_feed_forget(worker->fed);
	worker->fed = NULL;
}

static void read_work(struct fw_energy_counters *counters)
{
	struct fw_energy_manager *manager = counters->manager;

	for (size_t i = 0; i < manager->workers.count; i++) {
		struct fw_energy_worker *worker = manager->workers.items[i];
		struct fw_work_now now;

		fw_work_meter_worker(counters->meter, &worker->metered, worker->key, &worker->past, &now);
		now.misses = counters->tells_misses ? misses_of(counters, worker) : (double)NAN;
		give_work(counters, worker, &now);
	}
}

static void open_invocations(struct fw_energy_counters *counters)
{
	struct fw_energy_manager *manager = counters->manager;
	uint64_t now_ns = fw_monotonic_ns(), youngest_ns = UINT64_MAX;
	size_t count = 0;

	for (size_t i = 0; i < manager->workers.count; i++) {
		struct fw_energy_worker *worker = manager->workers.items[i];
		struct fw_edge begin;
		uint64_t serial;
		bool active;

		pthread_mutex_lock(&worker->state);
		active = worker->active;
		serial = worker->serial;
		begin = worker->begin_edge;
		pthread_mutex_unlock(&worker->state);
		if (!active)
			continue;
		count++;
		uint64_t age_ns = fw_ns_between(begin.at_ns, now_ns); /* it may have begun just now */

		youngest_ns = age_ns < youngest_ns ? age_ns : youngest_ns;
		fw_feed_open(worker->fed, serial, &begin);
	}
	atomic_store(&counters->active, count);
	atomic_store(&counters->youngest_ns, youngest_ns);
}

/* A system call for each CPU, and as many again for each worker: as often as memory is sampled. */
static double due_misses(struct fw_energy_counters *counters, uint64_t now_ns)
{
	counters->tells_misses = counters->counts_at < FW_MONITOR_COUNT && now_ns - counters->misses_ns >= MISSES_NS;
	if (!counters->tells_misses)
		return NAN;
	counters->misses_ns = now_ns;
	return (double)fw_monitor_counts_all_misses(counters->manager->monitors[counters->counts_at]);
}

void fw_counters_tick_all(struct fw_energy_counters *counters)
{
	counters->misses_ns = 0;
	fw_counters_tick(counters);
}

static uint64_t middle_ns(const struct fw_domain_reading *reading)
{
	return reading->before_ns + (reading->after_ns - reading->before_ns) / 2;
}

static void know(struct fw_energy_counters *counters)
{
	for (size_t i = 0; i < counters->count; i++) {
		const struct fw_domain_reading *now = &counters->readings[i];
		struct known *known = &counters->known[i];

		known->flags |= now->flags;
		if (now->reason != FW_REASON_NONE)
			known->reason = now->reason;
		if (!isnan(now->joules) && (known->at_ns == 0 || now->joules > known->joules)) {
			known->at_ns = middle_ns(now);
			known->joules = now->joules;
			known->lost_j = now->lost_j;
		}
	}
}

size_t fw_counters_look(struct fw_energy_counters *counters, struct fw_counter_look *looks, size_t capacity)
{
	struct fw_attribution *attribution = fw_feed_attribution(counters->feed);
	size_t count = counters->count < capacity ? counters->count : capacity;

	for (size_t i = 0; i < count; i++) {
		const struct fw_domain_reading *now = &counters->readings[i];
		struct fw_pool_look pool = fw_attribution_look(attribution, i);
		struct known *known = &counters->known[i];

		looks[i] = (struct fw_counter_look){.domain = fw_attribution_domain(attribution, i), .reading = *now, .known_ns = known->at_ns,
		                                    .known_j = known->joules, .known_lost_j = known->lost_j, .flags = known->flags,
		                                    .reason = known->reason, .most_w = pool.most_w, .least_s = pool.least_s,
		                                    .update_s = pool.update_s};
		looks[i].is_unknown = isnan(now->joules) || pool.is_hole || (now->flags & FW_DOMAIN_STALE) ||
		                      middle_ns(now) < fw_counters_tick_ns(counters);
		if (looks[i].is_unknown && known->reason == FW_REASON_NONE)
			looks[i].reason = isnan(now->joules) ? FW_REASON_UNREADABLE : FW_REASON_STILL;
		known->flags = 0;
		known->reason = FW_REASON_NONE;
	}
	return count;
}

void fw_counters_tick(struct fw_energy_counters *counters)
{
	struct fw_energy_manager *manager = counters->manager;
	struct fw_work_now machine;

	atomic_store(&counters->tick_ns, fw_monotonic_ns());
	if (!fw_work_meter_read(counters->meter, &machine)) {
		fw_feed_miss(counters->feed, fw_counters_tick_ns(counters)); /* the next tick prices what this one could not */
		return;
	}
	if (counters->nvml < FW_MONITOR_COUNT)
		fw_monitor_nvml_look(manager->monitors[counters->nvml], machine.gpu_ns);
	machine.misses = due_misses(counters, machine.at_ns);
	fw_feed_machine(counters->feed, &machine);
	read_work(counters);
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (counters->counts[i] > 0)
			manager->reports[i].ops->read(manager->monitors[i], counters->readings + counters->first[i]);
	know(counters);
	fw_feed_tick(counters->feed, counters->readings);
	open_invocations(counters);
	manager->ticks++;
}

uint64_t fw_counters_tick_ns(const struct fw_energy_counters *counters)
{
	return atomic_load(&counters->tick_ns);
}

uint64_t fw_counters_due_ns(const struct fw_energy_counters *counters)
{
	return fw_attribution_due_ns(fw_feed_attribution(counters->feed));
}

size_t fw_counters_active(const struct fw_energy_counters *counters, uint64_t *youngest_ns)
{
	*youngest_ns = atomic_load(&counters->youngest_ns);
	return atomic_load(&counters->active);
}

struct fw_edge fw_counters_edge(const struct fw_energy_worker *worker, const struct fw_reading *reading)
{
	return (struct fw_edge){reading->after_ns,
	                        fw_work_meter_edge(worker->manager->counters->meter, worker->key, reading)};
}

bool fw_counters_covers(const struct fw_ended *ended)
{
	return !ended->worker->fed || fw_holder_covers(fw_fed_holder(ended->worker->fed), ended->end.after_ns);
}

/* ---- records ---- */

static void add_rows(const struct fw_energy_counters *counters, const struct fw_energy_worker *worker,
                     const struct fw_share *shares, size_t count, struct fw_record *record)
{
	const char *work = fw_books_work_of(fw_work_meter_name(counters->meter), fw_fed_is_by_bpf(worker->fed));

	for (size_t i = 0; i < count; i++)
		fw_books_add_row(&shares[i], work, record);
}

void fw_counters_fill(struct fw_energy_counters *counters, struct fw_ended *ended)
{
	const struct fw_energy_worker *worker = ended->worker;
	struct fw_record *record = ended->record;
	struct fw_feed_key key = {record->stage, record->task, record->attempt};
	struct fw_share shares[FW_SHARES_MOST];
	struct fw_edge begin = fw_counters_edge(worker, &ended->begin), end = fw_counters_edge(worker, &ended->end);
	size_t count = fw_feed_cut(worker->fed, &key, ended->serial, &begin, &end, shares, FW_COUNT_OF(shares));

	add_rows(counters, worker, shares, count, record);
}

void fw_counters_fill_so_far(struct fw_energy_counters *counters, struct fw_energy_worker *worker, struct fw_record *record)
{
	struct fw_share shares[FW_SHARES_MOST];
	struct fw_edge begin;
	uint64_t serial;

	pthread_mutex_lock(&worker->state);
	begin = worker->begin_edge;
	serial = worker->serial;
	pthread_mutex_unlock(&worker->state);
	if (begin.total_ns < 0)
		return; /* as nothing will be told of it in the end */
	add_rows(counters, worker, shares,
	         fw_holder_so_far(fw_fed_holder(worker->fed), serial, &begin, shares, FW_COUNT_OF(shares)), record);
}

json_t *fw_counters_books(const struct fw_energy_counters *counters)
{
	return fw_books_to_json(fw_feed_attribution(counters->feed), fw_work_meter_name(counters->meter));
}

bool fw_counters_take(struct fw_energy_counters *counters, struct fw_buffer *out)
{
	return fw_feed_take(counters->feed, out);
}

static void inherit(struct fw_energy_counters *counters, size_t index, const json_t *domain, double age_s)
{
	const char *source = json_string_value(json_object_get(domain, "source"));
	const char *name = json_string_value(json_object_get(domain, "name"));
	const char *basis = json_string_value(json_object_get(domain, "floor_basis"));
	const struct fw_domain *own = fw_attribution_domain(fw_feed_attribution(counters->feed), index);
	const json_t *watts = json_object_get(domain, "floor_w"), *half_w = json_object_get(domain, "floor_half_w");
	const json_t *old = json_object_get(domain, "floor_age_s");

	if (!source || !name || !basis || strcmp(basis, fw_floor_basis_names[FW_FLOOR_UNKNOWN]) == 0 ||
	    strcmp(source, own->source) != 0 || strcmp(name, own->name) != 0 || !json_is_number(watts) || !json_is_number(half_w))
		return;
	fw_feed_inherit(counters->feed, index, json_number_value(watts), json_number_value(half_w), age_s + json_number_value(old));
}

void fw_counters_inherit(struct fw_energy_counters *counters, const json_t *books, double age_s)
{
	const json_t *domain;
	size_t i;

	for (size_t index = 0; index < counters->count; index++)
		json_array_foreach(json_object_get(books, "domains"), i, domain)
			inherit(counters, index, domain, age_s);
}
