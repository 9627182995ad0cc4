/* SPDX-License-Identifier: Apache-2.0
 *
 * What is not over yet, for whoever looks on: nothing here changes an account, ends an opening or is stored.
 */
#include <math.h>

#include "base/time.h"
#include "energy/counters.h"
#include "energy/manager_internal.h"

#define MIB (1024.0 * 1024.0)

static struct fw_monitor *model_of(const struct fw_energy_manager *manager)
{
	for (size_t i = 0; i < FW_MONITOR_COUNT; i++)
		if (manager->reports[i].ops == &fw_monitor_model)
			return manager->monitors[i];
	return NULL;
}

static void estimate(const struct fw_energy_manager *manager, const struct fw_energy_worker *worker, struct fw_record *record)
{
	struct fw_interval interval = {.worker = &worker->metered, .begin = worker->begin, .cpu_s = NAN};
	struct fw_monitor *model = model_of(manager);
	int64_t held_bytes = worker->held_bytes;

	if (!model)
		return;
	fw_reading_take_cpu(&manager->source, &worker->metered, &interval.end);
	interval.duration_s = (double)(interval.end.after_ns - interval.begin.after_ns) / 1e9;
	if (interval.begin.stat.cpu_total_ns >= 0 && interval.end.stat.cpu_total_ns >= interval.begin.stat.cpu_total_ns)
		interval.cpu_s = (double)(interval.end.stat.cpu_total_ns - interval.begin.stat.cpu_total_ns) / 1e9;
	interval.memory_peak_mb = interval.memory_average_mb = held_bytes >= 0 ? (double)held_bytes / MIB : (double)NAN;
	fw_monitor_model.attribute(model, &interval, record);
}

static bool is_active(struct fw_energy_worker *worker)
{
	bool active;

	pthread_mutex_lock(&worker->state);
	active = worker->active;
	pthread_mutex_unlock(&worker->state);
	return active;
}

static bool add_one(struct fw_energy_manager *manager, struct fw_energy_worker *worker, struct fw_totals *totals)
{
	struct fw_energy_sum best;
	struct fw_record record;

	fw_record_init(&record);
	if (manager->counters)
		fw_counters_fill_so_far(manager->counters, worker, &record);
	if (!fw_energy_best(&record, &best))
		estimate(manager, worker, &record);
	bool known = fw_energy_best(&record, &best);

	fw_totals_add(totals, &record);
	fw_record_done(&record);
	return known;
}

size_t fw_energy_add_running(struct fw_energy_manager *manager, struct fw_totals *totals)
{
	uint64_t paid_ns = fw_thread_cpu_ns();
	size_t added = 0;

	pthread_mutex_lock(&manager->pass);
	for (size_t i = 0; i < manager->workers.count; i++)
		if (is_active(manager->workers.items[i]))
			added += add_one(manager, manager->workers.items[i], totals);
	pthread_mutex_unlock(&manager->pass);
	fw_energy_pay(manager, paid_ns);
	return added;
}
