/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fake_energy.h"

#include "base/memory.h"

struct pending {
	struct pending *next;
	struct fw_record *record;
	fw_energy_done_fn *done;
	void *context;
};

struct fw_energy_worker {
	struct fw_energy_manager *manager;
	struct fw_energy_worker *next, **link;
	struct pending *pending;
};

static void settle(struct fw_energy_worker *worker)
{
	while (worker->pending) {
		struct pending *pending = worker->pending;

		worker->pending = pending->next;
		pending->record->memory_peak_high_mb = 17.25;
		pending->done(pending->context, pending->record);
		free(pending);
	}
}

struct fw_energy_worker *fw_energy_worker_new(struct fw_energy_manager *manager, const struct fw_metered *metered)
{
	struct fw_energy_worker *worker = fw_alloc(sizeof *worker);

	(void)metered;
	*worker = (struct fw_energy_worker){.manager = manager, .next = manager->first, .link = &manager->first};
	if (worker->next)
		worker->next->link = &worker->next;
	manager->first = worker;
	manager->workers++;
	return worker;
}

void fw_energy_worker_free(struct fw_energy_worker *worker)
{
	settle(worker);
	*worker->link = worker->next;
	if (worker->next)
		worker->next->link = worker->link;
	worker->manager->workers--;
	free(worker);
}

void fw_energy_begin(struct fw_energy_worker *worker)
{
	worker->manager->begun++;
}

void fw_energy_last_sample(struct fw_energy_worker *worker)
{
	(void)worker;
}

void fw_energy_end(struct fw_energy_worker *worker, bool alive, struct fw_record *record, fw_energy_done_fn *done,
                   void *context)
{
	struct pending *pending = fw_alloc(sizeof *pending);

	(void)alive;
	*pending = (struct pending){worker->pending, record, done, context};
	worker->pending = pending;
	worker->manager->ended++;
	if (worker->manager->at_once)
		settle(worker);
}

void fw_energy_flush(struct fw_energy_manager *manager)
{
	for (struct fw_energy_worker *worker = manager->first; worker; worker = worker->next)
		settle(worker);
}
