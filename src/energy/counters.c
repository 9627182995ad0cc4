/* SPDX-License-Identifier: Apache-2.0
 *
 * One tick: whose work it was, then what all counters show, within some ten microseconds of each other; then the pure
 * arithmetic. A monitor that is in trouble gives holes with flags, and the others go on.
 */
#include "energy/counters.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "energy/manager_internal.h"
#include "energy/nvml.h"

#define METHOD "ledger/1"

struct fw_energy_counters {
	struct fw_energy_manager *manager;
	struct fw_attribution *attribution;
	struct fw_work_meter *meter;
	size_t bpf;  /* index of the monitor whose work is used, or FW_MONITOR_COUNT */
	size_t nvml; /* of the one that knows the work of GPUs, or FW_MONITOR_COUNT */
	size_t count;
	size_t first[FW_MONITOR_COUNT], counts[FW_MONITOR_COUNT]; /* domains of each monitor */
	struct fw_domain_reading readings[FW_ATTRIBUTION_POOLS];
	struct fw_work_now machine;
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
		for (size_t d = 0; d < offered; d++)
			domains[count++] = own[d];
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

struct fw_energy_counters *fw_counters_new(struct fw_energy_manager *manager, const struct fw_machine *machine)
{
	struct fw_energy_counters *counters = fw_alloc(sizeof *counters);
	fw_cleanup_free struct fw_domain *domains = fw_alloc_array(FW_ATTRIBUTION_POOLS, sizeof *domains);

	counters->manager = manager;
	counters->count = collect(counters, domains);
	counters->nvml = find_nvml(counters);
	fw_domains_choose_roots(domains, counters->count);
	if (counters->count == 0 || !machine) {
		free(counters);
		return NULL;
	}
	counters->meter = fw_work_meter_new(&manager->source, machine, find_bpf(counters));
	counters->attribution = fw_attribution_new(fw_work_meter_machine(counters->meter), domains, counters->count);
	fw_counters_tick(counters);
	return counters;
}

void fw_counters_free(struct fw_energy_counters *counters)
{
	if (!counters)
		return;
	fw_attribution_free(counters->attribution);
	fw_work_meter_free(counters->meter);
	free(counters);
}

static struct fw_work_key key_of(const struct fw_energy_counters *counters, const struct fw_energy_worker *worker)
{
	return counters->bpf < FW_MONITOR_COUNT ? fw_monitor_ebpf_key(worker->states[counters->bpf]) : (struct fw_work_key){0};
}

void fw_counters_join(struct fw_energy_counters *counters, struct fw_energy_worker *worker)
{
	const struct fw_metered *metered = &worker->metered;
	struct fw_work_now now;

	worker->key = key_of(counters, worker);
	fw_work_meter_now(counters->meter, metered, worker->key, &now);
	worker->holder = fw_attribution_join(counters->attribution, metered->vcpus, (double)metered->memory_mb * 1048576, &now);
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
	now->bytes = bytes >= 0 ? (double)bytes : NAN;
	fw_holder_set(worker->holder, now, held_since(worker, now->at_ns));
}

void fw_counters_leave(struct fw_energy_counters *counters, struct fw_energy_worker *worker)
{
	struct fw_work_now now;

	fw_work_meter_now(counters->meter, &worker->metered, worker->key, &now);
	give_work(counters, worker, &now);
	worker->left_ns = now.at_ns;
}

bool fw_counters_is_settled(const struct fw_energy_worker *worker)
{
	return !worker->holder || fw_holder_covers(worker->holder, worker->left_ns);
}

void fw_counters_forget(struct fw_energy_worker *worker)
{
	fw_holder_free(worker->holder);
	worker->holder = NULL;
}

static void read_work(struct fw_energy_counters *counters)
{
	struct fw_energy_manager *manager = counters->manager;

	for (size_t i = 0; i < manager->workers.count; i++) {
		struct fw_energy_worker *worker = manager->workers.items[i];
		struct fw_work_now now;

		fw_work_meter_worker(counters->meter, &worker->metered, worker->key, &now);
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
		if (now_ns - begin.at_ns < youngest_ns)
			youngest_ns = now_ns - begin.at_ns;
		fw_holder_open(worker->holder, serial, &begin);
	}
	atomic_store(&counters->active, count);
	atomic_store(&counters->youngest_ns, youngest_ns);
}

void fw_counters_tick(struct fw_energy_counters *counters)
{
	struct fw_energy_manager *manager = counters->manager;

	atomic_store(&counters->tick_ns, fw_monotonic_ns());
	if (!fw_work_meter_read(counters->meter, &counters->machine))
		return; /* the next tick prices what this one could not */
	if (counters->nvml < FW_MONITOR_COUNT)
		fw_monitor_nvml_look(manager->monitors[counters->nvml], counters->machine.gpu_ns);
	read_work(counters);
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (counters->counts[i] > 0)
			manager->reports[i].ops->read(manager->monitors[i], counters->readings + counters->first[i]);
	fw_attribution_tick(counters->attribution, counters->readings, &counters->machine);
	open_invocations(counters);
	manager->ticks++;
}

uint64_t fw_counters_tick_ns(const struct fw_energy_counters *counters)
{
	return atomic_load(&counters->tick_ns);
}

uint64_t fw_counters_due_ns(const struct fw_energy_counters *counters)
{
	return fw_attribution_due_ns(counters->attribution);
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
	return !ended->worker->holder || fw_holder_covers(ended->worker->holder, ended->end.after_ns);
}

/* ---- records ---- */

void fw_counters_flag_words(unsigned flags, char **text)
{
	static const struct {
		unsigned bits;
		const char *word;
	} words[] = {
		{FW_DOMAIN_WRAP, "wrap"},
		{FW_DOMAIN_RESET, "reset"},
		{FW_DOMAIN_GAP | FW_DOMAIN_STALE, "gap"},
		{FW_DOMAIN_SKEW, "skew"},
		{FW_DOMAIN_EARLY, "early"},
	};

	for (size_t i = 0; i < FW_COUNT_OF(words); i++)
		if (flags & words[i].bits)
			fw_record_flag(text, words[i].word);
}

static char *flags_of(const struct fw_record *record, unsigned flags)
{
	char *text = fw_strdup("measured");
	bool contended = fw_record_has_flag(record->flags, "contended");

	if (flags == 0 && !contended)
		fw_record_flag(&text, "ok");
	fw_counters_flag_words(flags, &text);
	if (contended)
		fw_record_flag(&text, "contended");
	return text;
}

static const char *method_of(const struct fw_energy_counters *counters, const char *source)
{
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (counters->counts[i] > 0 && strcmp(counters->manager->reports[i].ops->name, source) == 0)
			return counters->manager->reports[i].ops->method;
	return "unknown";
}

static void add_row(const struct fw_energy_counters *counters, const struct fw_share *share, bool by_bpf,
                    struct fw_record *record)
{
	const struct fw_figure *figure = &share->figure;
	struct fw_energy *energy = fw_record_add_energy(record);
	bool bpf_rapl = by_bpf && strcmp(share->source, "rapl") == 0;

	energy->source = fw_strdup(bpf_rapl ? "ebpf+rapl" : share->source);
	energy->domain = fw_strdup(fw_domain_kind_names[share->kind]);
	energy->method = fw_printf("%s %s %s", method_of(counters, share->source), METHOD,
	                           by_bpf ? "ebpf" : fw_work_meter_name(counters->meter));
	energy->flags = flags_of(record, figure->flags);
	energy->joules = figure->joules;
	energy->low = figure->low;
	energy->high = figure->high;
	energy->dynamic_j = figure->dynamic_j;
	energy->idle_j = figure->idle_j;
}

void fw_counters_fill(struct fw_energy_counters *counters, struct fw_ended *ended)
{
	const struct fw_energy_worker *worker = ended->worker;
	struct fw_share shares[FW_DOMAIN_KINDS * 4];
	bool by_bpf = counters->bpf < FW_MONITOR_COUNT && worker->key.slot != 0;
	struct fw_edge begin = fw_counters_edge(worker, &ended->begin), end = fw_counters_edge(worker, &ended->end);
	size_t count = fw_holder_cut(worker->holder, ended->serial, &begin, &end, shares, FW_COUNT_OF(shares));

	for (size_t i = 0; i < count; i++)
		add_row(counters, &shares[i], by_bpf, ended->record);
}

const struct fw_attribution *fw_counters_attribution(const struct fw_energy_counters *counters)
{
	return counters->attribution;
}

const char *fw_counters_work_name(const struct fw_energy_counters *counters)
{
	return fw_work_meter_name(counters->meter);
}
