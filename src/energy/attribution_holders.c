/* SPDX-License-Identifier: Apache-2.0
 *
 * Who has a part in the machine's energy: holders come, tell their work, and go. What they get for it is settled when a
 * slice is closed (attribution.c).
 */
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "energy/attribution_internal.h"

struct fw_holder *fw_attribution_join(struct fw_attribution *attribution, double reserved_cpus, double reserved_bytes,
                                      const struct fw_work_now *now)
{
	struct fw_holder *holder = fw_alloc(sizeof *holder + attribution->count * sizeof holder->stakes[0]);

	holder->attribution = attribution;
	holder->reserved_cpus = reserved_cpus;
	holder->reserved_bytes = reserved_bytes;
	holder->now = *now;
	holder->known_ns = now->at_ns;
	holder->is_unknown = holder->lacks_base = now->total_ns < 0;
	holder->now.total_ns = fmax(now->total_ns, 0);
	holder->now.misses = fmax(now->misses, 0);
	holder->lacks_misses = !(now->misses >= 0);
	for (size_t i = 0; i < attribution->count; i++) {
		holder->stakes[i].work = fw_holder_work(holder, &attribution->pools[i], &holder->now);
		holder->stakes[i].total_ns = holder->now.total_ns;
		holder->stakes[i].until_ns = now->at_ns;
		holder->stakes[i].joined = attribution->pools[i].number + 1;
	}
	FW_PUSH(&attribution->holders, holder);
	return holder;
}

void fw_holder_free(struct fw_holder *holder)
{
	if (!holder)
		return;
	struct fw_attribution *attribution = holder->attribution;

	for (size_t i = 0; i < attribution->holders.count; i++)
		if (attribution->holders.items[i] == holder) {
			attribution->holders.items[i] = attribution->holders.items[--attribution->holders.count];
			break;
		}
	free(holder);
}

/* What it did before it could be read first is not known, and not all of it is of now. */
static void take_base(struct fw_holder *holder)
{
	for (size_t i = 0; i < holder->attribution->count; i++) {
		const struct fw_pool *pool = &holder->attribution->pools[i];

		if (!fw_pool_is_of_cpus(pool))
			continue;
		holder->stakes[i].work = fw_holder_work(holder, pool, &holder->now);
		holder->stakes[i].total_ns = holder->now.total_ns;
		holder->stakes[i].was_unknown = false; /* nothing of that comes late */
		holder->stakes[i].is_partial = true;
	}
	holder->lacks_base = false;
}

/* A counter that went back (its group is gone) stays where it was. */
void fw_holder_set(struct fw_holder *holder, const struct fw_work_now *now, double held)
{
	holder->is_unknown = now->total_ns < 0;
	if (!isnan(now->misses)) {
		holder->lacks_misses = now->misses < 0;
		holder->now.misses = fmax(holder->now.misses, now->misses);
	}
	for (size_t i = 0; i < holder->attribution->machine.packages; i++)
		holder->now.ns[i] = fmax(holder->now.ns[i], now->ns[i]);
	for (size_t i = 0; i < FW_ATTRIBUTION_GPUS; i++)
		holder->now.gpu_ns[i] = fmax(holder->now.gpu_ns[i], now->gpu_ns[i]);
	holder->now.total_ns = fmax(holder->now.total_ns, now->total_ns);
	holder->held_ns += held * (double)fw_ns_between(holder->now.at_ns, now->at_ns);
	holder->now.bytes = now->bytes;
	holder->now.at_ns = now->at_ns;
	if (holder->is_unknown)
		return;
	holder->known_ns = now->at_ns;
	if (holder->lacks_base)
		take_base(holder);
}
