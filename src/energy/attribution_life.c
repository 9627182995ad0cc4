/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of the ledger: pools are made of domains once, and their books are told. What happens in between is
 * attribution.c's.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "energy/attribution_internal.h"

#define SLICES_IN_A_WAIT (FW_SLICES_KEPT / 2.0)

static int package_of(const struct fw_attribution_machine *machine, const struct fw_domain *domain)
{
	if (machine->packages == 1)
		return 0;
	for (size_t i = 0; i < machine->packages; i++)
		if (domain->package >= 0 && machine->physical[i] == domain->package)
			return (int)i;
	return -1;
}

static int gpu_of(const struct fw_domain *domain)
{
	return domain->kind == FW_DOMAIN_GPU && !domain->is_unshared && domain->gpu < FW_ATTRIBUTION_GPUS ? domain->gpu : -1;
}

struct fw_attribution *fw_attribution_new(const struct fw_attribution_machine *machine, const struct fw_domain *domains,
                                          size_t count)
{
	struct fw_attribution *attribution = fw_alloc(sizeof *attribution + count * sizeof attribution->pools[0]);

	assert(machine->packages >= 1 && machine->packages <= FW_ATTRIBUTION_PACKAGES);
	attribution->machine = *machine;
	attribution->count = count;
	for (size_t i = 0; i < machine->packages; i++)
		attribution->all_cpus += machine->cpus[i];
	for (size_t i = 0; i < count; i++) {
		struct fw_pool *pool = &attribution->pools[i];

		pool->domain = domains[i];
		pool->counts = domains[i].is_root;
		pool->package = package_of(machine, &domains[i]);
		pool->cpus = pool->package >= 0 ? machine->cpus[pool->package] : attribution->all_cpus;
		if (pool->counts && domains[i].update_s > 0)
			attribution->pace_s = fmax(attribution->pace_s, FW_SLICE_UPDATES * domains[i].update_s / SLICES_IN_A_WAIT);
		pool->gpu = gpu_of(&domains[i]);
		if (fw_pool_is_gpu(pool))
			pool->cpus = pool->gpu >= 0 ? 1 : 0; /* as busy as it is itself */
		fw_floor_init(&pool->floor);
	}
	return attribution;
}

void fw_attribution_inherit(struct fw_attribution *attribution, size_t index, double watts, double half_w, double age_s)
{
	if (isnan(attribution->pools[index].floor.least_w))
		fw_floor_inherit(&attribution->pools[index].floor, watts, half_w, age_s);
}

void fw_attribution_free(struct fw_attribution *attribution)
{
	if (!attribution)
		return;
	for (size_t i = 0; i < attribution->holders.count; i++)
		free(attribution->holders.items[i]);
	free(attribution->holders.items);
	free(attribution);
}

/* ---- books ---- */

const struct fw_domain *fw_attribution_domain(const struct fw_attribution *attribution, size_t index)
{
	return &attribution->pools[index].domain;
}

/* A hole that is open has hidden what the next slice would tell: NAN when nothing bounds it. */
static double hidden_j(const struct fw_attribution *attribution, const struct fw_pool *pool)
{
	double most_w = fw_pool_most_watts(pool);

	if (!pool->is_hole || attribution->tick_ns <= pool->until_ns)
		return 0;
	return pool->has_baseline && most_w > 0 ? most_w * (double)(attribution->tick_ns - pool->until_ns) / 1e9 : (double)NAN;
}

size_t fw_attribution_books(const struct fw_attribution *attribution, struct fw_pool_books *books, size_t capacity)
{
	size_t count = 0;

	for (size_t i = 0; i < attribution->count && count < capacity; i++) {
		const struct fw_pool *pool = &attribution->pools[i];

		if (!pool->counts)
			continue;
		books[count] = (struct fw_pool_books){
			&pool->domain, pool->books, pool->floor, fw_floor_age_s(&pool->floor, attribution->tick_ns), pool->all_flags, pool->reason, pool->number,
			pool->holes};
		books[count++].books.lost_j += hidden_j(attribution, pool);
	}
	return count;
}

struct fw_pool_look fw_attribution_look(const struct fw_attribution *attribution, size_t index)
{
	const struct fw_pool *pool = &attribution->pools[index];
	double most_w = fw_pool_most_watts(pool);

	return (struct fw_pool_look){pool->is_hole, most_w > 0 ? most_w : (double)NAN, fw_pool_least_s(attribution, pool),
	                             fw_pool_update_s(pool)};
}

double fw_attribution_residual_j(const struct fw_attribution *attribution)
{
	double sum = 0;

	for (size_t i = 0; i < attribution->count; i++)
		if (attribution->pools[i].counts)
			sum += fabs(fw_books_residual(&attribution->pools[i].books));
	return sum;
}
