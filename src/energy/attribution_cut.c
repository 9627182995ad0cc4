/* SPDX-License-Identifier: Apache-2.0
 *
 * Cutting an invocation out of its holder's account: the part of the slice in which it began, what the account rose by
 * in the slices that it filled, and the part of the slice in which it ended. Inside a slice work is told by the holder's
 * own counter at the edge, and memory, which has no such counter, by time.
 */
#include <math.h>
#include <string.h>

#include "energy/attribution_internal.h"

/* Less of an invocation than this, and its figure would be a guess: there is none. */
#define LEAST_COVERED 0.5
/* The highest power of late, so many times, bounds what a hole hides. */
#define HOLE_FACTOR 2.0
/* Half of the longest sample period of a driver. */
#define GPU_LAG_NS 0.5e9

enum { NO_SLICE = 0 };

static uint64_t oldest(const struct fw_pool *pool, const struct fw_stake *stake)
{
	uint64_t kept = pool->number >= FW_SLICES_KEPT ? pool->number - FW_SLICES_KEPT + 1 : 1;

	return stake->joined > kept ? stake->joined : kept;
}

/* The slice that holds the moment; the oldest one for what was before it. */
static uint64_t slice_at(const struct fw_pool *pool, const struct fw_stake *stake, uint64_t at_ns)
{
	uint64_t first = oldest(pool, stake);

	if (pool->number < first || at_ns >= stake->until_ns)
		return NO_SLICE;
	for (uint64_t number = pool->number; number > first; number--)
		if (stake->slices[number % FW_SLICES_KEPT].from_ns <= at_ns)
			return number;
	return first;
}

/* It was before all slices that are kept, though the holder was there. */
static bool is_forgotten(const struct fw_pool *pool, const struct fw_stake *stake, uint64_t number, uint64_t at_ns)
{
	return number == oldest(pool, stake) && number > stake->joined && at_ns < stake->slices[number % FW_SLICES_KEPT].from_ns;
}

static double clip(double value, double least, double most)
{
	return fmin(fmax(value, least), most);
}

/* Of the pool's slice: a worker may have joined or left within it. */
static double seconds_into(const struct fw_pool *pool, size_t at, uint64_t at_ns)
{
	uint64_t from_ns = pool->slices[at].from_ns;

	return at_ns > from_ns ? clip((double)(at_ns - from_ns) / 1e9, 0, pool->slices[at].price.seconds) : 0;
}

/* Whether the holder's own counter of work was read at the edge, and tells of this pool. */
static bool edge_is_counted(const struct fw_pool *pool, const struct fw_edge *edge)
{
	return !fw_pool_is_memory(pool) && !fw_pool_is_gpu(pool) && edge->total_ns >= 0;
}

/* How much of the holder's work in this slice was done by then. */
static double share_by(const struct fw_pool *pool, const struct fw_stake *stake, size_t at, const struct fw_edge *edge)
{
	double from_ns = stake->slices[at].total_from_ns, until_ns = stake->slices[at].total_until_ns;

	if (!fw_pool_is_memory(pool) && until_ns > from_ns && edge->total_ns >= 0)
		return clip((edge->total_ns - from_ns) / (until_ns - from_ns), 0, 1);
	return seconds_into(pool, at, edge->at_ns) / pool->slices[at].price.seconds;
}

/* A GPU's work is told too seldom for edges: it is spread over the time in which the holder had an invocation. */
static double gpu_work(const struct fw_stake *stake, size_t at, double seconds)
{
	double held_s = stake->slices[at].held_ns / 1e9;

	return held_s > 0 ? stake->slices[at].work * clip(seconds / held_s, 0, 1) : 0;
}

/* So late the work of a slice can be told, and so much of it can be another's. */
static double work_half(const struct fw_holder *holder, const struct fw_pool *pool, const struct fw_stake *stake, size_t at)
{
	double lag_ns = fw_pool_is_gpu(pool) ? GPU_LAG_NS : holder->attribution->machine.lag_ns;

	return fw_pool_is_memory(pool) ? 0 : fmin(lag_ns, stake->slices[at].work);
}

/* begin, end: NULL where the invocation goes on beyond the slice. */
static void add_part(const struct fw_holder *holder, size_t index, uint64_t number, const struct fw_edge *begin,
                     const struct fw_edge *end, struct fw_account *account)
{
	const struct fw_pool *pool = &holder->attribution->pools[index];
	const struct fw_stake *stake = &holder->stakes[index];
	size_t at = number % FW_SLICES_KEPT;
	double seconds = pool->slices[at].price.seconds;
	double from_s = begin ? seconds_into(pool, at, begin->at_ns) : 0;
	double until_s = end ? seconds_into(pool, at, end->at_ns) : seconds;
	double work = fw_pool_is_gpu(pool) ? gpu_work(stake, at, until_s - from_s)
	                                   : stake->slices[at].work * ((end ? share_by(pool, stake, at, end) : 1) -
	                                                               (begin ? share_by(pool, stake, at, begin) : 0));
	struct fw_part part = {
		.seconds = fmax(until_s - from_s, 0),
		.work = fmax(work, 0),
		.work_half = work_half(holder, pool, stake, at),
		.reserved = fw_holder_reserved(holder, pool) * pool->slices[at].scale,
		.at_edge = from_s > 0 || until_s < seconds,
		.at_begin = begin != NULL,
		.at_end = end != NULL,
	};

	fw_account_add(account, &pool->slices[at].price, &part);
	account->lost_j += stake->slices[at].lost_j; /* all of it may be of this part */
}

/* Differences of large sums: what rounding leaves below zero is zero. */
static void add_between(struct fw_account *sum, const struct fw_account *from, const struct fw_account *until)
{
	struct fw_account between = {0};

	fw_account_sum(&between, until, 1);
	fw_account_sum(&between, from, -1);
	between.dynamic_j = fmax(between.dynamic_j, 0);
	between.idle_j = fmax(between.idle_j, 0);
	between.lost_j = fmax(between.lost_j, 0);
	between.variance_j2 = fmax(between.variance_j2, 0);
	fw_account_sum(sum, &between, 1);
}

static unsigned flags_in(const struct fw_pool *pool, const struct fw_stake *stake, uint64_t number)
{
	return pool->slices[number % FW_SLICES_KEPT].price.flags | stake->slices[number % FW_SLICES_KEPT].flags;
}

static void open_stake(const struct fw_holder *holder, size_t index, struct fw_stake *stake, const struct fw_edge *begin)
{
	const struct fw_pool *pool = &holder->attribution->pools[index];
	uint64_t number = stake->is_open ? NO_SLICE : slice_at(pool, stake, begin->at_ns);

	if (number == NO_SLICE)
		return;
	stake->is_open = true;
	stake->open_slice = number;
	stake->first = (struct fw_account){0};
	stake->open_flags = 0;
	add_part(holder, index, number, begin, NULL, &stake->first);
	stake->from = stake->slices[number % FW_SLICES_KEPT].account;
	for (uint64_t later = number; later <= pool->number; later++)
		stake->open_flags |= flags_in(pool, stake, later);
}

bool fw_holder_would_open(const struct fw_holder *holder, uint64_t serial)
{
	if (!holder->has_open || holder->open_serial != serial)
		return !holder->has_open;
	for (size_t i = 0; i < holder->attribution->count; i++)
		if (!holder->stakes[i].is_open)
			return true;
	return false;
}

void fw_holder_open(struct fw_holder *holder, uint64_t serial, const struct fw_edge *begin)
{
	if (holder->has_open && holder->open_serial != serial)
		return; /* the one before is still to be cut */
	holder->has_open = true;
	holder->open_serial = serial;
	for (size_t i = 0; i < holder->attribution->count; i++)
		open_stake(holder, i, &holder->stakes[i], begin);
}

bool fw_holder_covers(const struct fw_holder *holder, uint64_t end_ns)
{
	for (size_t i = 0; i < holder->attribution->count; i++) {
		const struct fw_pool *pool = &holder->attribution->pools[i];

		if (pool->counts && pool->has_baseline && !pool->is_hole && holder->stakes[i].until_ns < end_ns)
			return false;
	}
	return true;
}

/* Of the slices that are kept. */
static double highest_watts(const struct fw_pool *pool)
{
	uint64_t first = pool->number >= FW_SLICES_KEPT ? pool->number - FW_SLICES_KEPT + 1 : 1;
	double most = pool->watts;

	for (uint64_t number = first; number <= pool->number; number++) {
		const struct fw_slice_price *price = &pool->slices[number % FW_SLICES_KEPT].price;

		most = fmax(most, (price->idle_j + price->dynamic_j) / price->seconds);
	}
	return most;
}

/* The most that the pool may have drawn: what its domain can, or, where that is unknown, a multiple of the highest power of
 * late: what a hole hides need not be like the moment before it. */
double fw_pool_most_watts(const struct fw_pool *pool)
{
	return pool->domain.most_w > 0 ? pool->domain.most_w : HOLE_FACTOR * highest_watts(pool);
}

/* Of all power in a hole, by the larger of its share before and of how busy its own counter says that it was since. */
static double share_in_hole(const struct fw_holder *holder, const struct fw_pool *pool, const struct fw_stake *stake,
                            const struct fw_edge *end, double rest_s)
{
	size_t at = pool->number % FW_SLICES_KEPT;
	double work = pool->slices[at].price.work, share = work > 0 ? stake->slices[at].work / work : 1;
	double busy = edge_is_counted(pool, end) ? (end->total_ns - stake->total_ns) / 1e9 / rest_s : 1;

	return fmin(fmax(fmax(share, busy), fw_holder_reserved(holder, pool)), 1);
}

/* The end lies in a hole: what is known up to there, and a bound of the rest. */
static void add_hole(const struct fw_holder *holder, const struct fw_pool *pool, const struct fw_stake *stake,
                     const struct fw_edge *end, struct fw_account *account)
{
	double rest_s = (double)(end->at_ns - stake->until_ns) / 1e9;

	if (rest_s > 0)
		account->lost_j += fw_pool_most_watts(pool) * share_in_hole(holder, pool, stake, end, rest_s) * rest_s;
	account->flags |= FW_DOMAIN_GAP;
}

/* Its end was not read (its processes had gone, or were too many): what it did since it was read last may be anything. */
static void add_unseen(const struct fw_holder *holder, const struct fw_pool *pool, const struct fw_edge *begin,
                       const struct fw_edge *end, struct fw_account *account)
{
	uint64_t from_ns = holder->known_ns > begin->at_ns ? holder->known_ns : begin->at_ns;

	if (end->at_ns > from_ns)
		account->lost_j += highest_watts(pool) * (double)(end->at_ns - from_ns) / 1e9;
	account->flags |= FW_DOMAIN_GAP;
}

/* False when too little of it is known. */
static bool cut_stake(const struct fw_holder *holder, size_t index, bool opened, const struct fw_edge *begin,
                      const struct fw_edge *end, struct fw_account *account)
{
	const struct fw_pool *pool = &holder->attribution->pools[index];
	const struct fw_stake *stake = &holder->stakes[index];
	bool has_opening = opened && stake->is_open;
	uint64_t first = has_opening ? stake->open_slice : slice_at(pool, stake, begin->at_ns);
	uint64_t last = slice_at(pool, stake, end->at_ns > begin->at_ns ? end->at_ns - 1 : end->at_ns);
	bool in_hole = last == NO_SLICE;

	*account = (struct fw_account){0};
	if (first == NO_SLICE || pool->number == 0)
		return false;
	if ((!in_hole && is_forgotten(pool, stake, last, end->at_ns)) ||
	    (!has_opening && is_forgotten(pool, stake, first, begin->at_ns)))
		return false;
	if (in_hole)
		last = pool->number;
	if (last <= first) {
		/* An opening is made after its slice was closed: that is still kept when the end lies in it as well. */
		if (first + FW_SLICES_KEPT <= pool->number)
			return false;
		add_part(holder, index, first, begin, end, account);
	} else {
		if (has_opening) {
			*account = stake->first;
			account->flags |= stake->open_flags;
		} else {
			add_part(holder, index, first, begin, NULL, account);
			for (uint64_t number = first; number < last; number++)
				account->flags |= flags_in(pool, stake, number);
		}
		add_between(account, has_opening ? &stake->from : &stake->slices[first % FW_SLICES_KEPT].account,
		            &stake->slices[(last - 1) % FW_SLICES_KEPT].account);
		add_part(holder, index, last, NULL, end, account);
	}
	account->flags |= flags_in(pool, stake, last);
	if (in_hole)
		add_hole(holder, pool, stake, end, account);
	else if (end->total_ns < 0 && fw_pool_is_of_cpus(pool))
		add_unseen(holder, pool, begin, end, account);
	return account->seconds * 1e9 >= LEAST_COVERED * (double)(end->at_ns - begin->at_ns);
}

struct group {
	struct fw_account account;
	bool any, missing, has_roots, is_virtual;
};

static bool has_roots(const struct fw_attribution *attribution, const char *source, enum fw_domain_kind kind)
{
	for (size_t i = 0; i < attribution->count; i++)
		if (attribution->pools[i].counts && attribution->pools[i].domain.kind == kind &&
		    strcmp(attribution->pools[i].domain.source, source) == 0)
			return true;
	return false;
}

/* The domains of one source and kind, each of which counts another part of the machine. */
static void cut_group(const struct fw_holder *holder, const char *source, enum fw_domain_kind kind, bool opened,
                      const struct fw_edge *begin, const struct fw_edge *end, struct group *group)
{
	const struct fw_attribution *attribution = holder->attribution;

	group->has_roots = has_roots(attribution, source, kind);
	for (size_t i = 0; i < attribution->count; i++) {
		const struct fw_pool *pool = &attribution->pools[i];
		struct fw_account account;

		if (pool->domain.kind != kind || pool->domain.is_unshared || strcmp(pool->domain.source, source) != 0 || (group->has_roots && !pool->counts))
			continue;
		if (cut_stake(holder, i, opened, begin, end, &account)) {
			fw_account_sum(&group->account, &account, 1);
			group->account.flags |= account.flags;
			group->is_virtual |= pool->domain.is_virtual;
			group->any = true;
		} else if (pool->number > 0) {
			group->account.lost_j += fw_pool_most_watts(pool) * (double)(end->at_ns - begin->at_ns) / 1e9;
			group->missing = true;
		}
	}
}

static bool is_opened(const struct fw_holder *holder, uint64_t serial)
{
	return holder->has_open && holder->open_serial == serial;
}

static size_t cut_all(const struct fw_holder *holder, uint64_t serial, const struct fw_edge *begin, const struct fw_edge *end,
                      struct fw_share *shares, size_t capacity)
{
	const struct fw_attribution *attribution = holder->attribution;
	bool opened = is_opened(holder, serial);
	size_t count = 0;

	for (size_t i = 0; i < attribution->count && count < capacity; i++) {
		const struct fw_domain *domain = &attribution->pools[i].domain;
		bool seen = domain->is_unshared || domain->kind == FW_DOMAIN_OTHER;
		struct group group = {0};

		for (size_t before = 0; before < i && !seen; before++)
			seen = attribution->pools[before].domain.kind == domain->kind && !attribution->pools[before].domain.is_unshared &&
			       strcmp(attribution->pools[before].domain.source, domain->source) == 0;
		if (seen)
			continue;
		cut_group(holder, domain->source, domain->kind, opened, begin, end, &group);
		if (!group.any)
			continue;
		if (group.missing)
			group.account.flags |= FW_DOMAIN_GAP;
		shares[count++] = (struct fw_share){domain->source, domain->method, domain->kind, fw_account_figure(&group.account),
		                                    group.account.seconds, group.has_roots, group.is_virtual,
		                                    domain->kind == FW_DOMAIN_DRAM && attribution->machine.has_misses};
	}
	return count;
}

size_t fw_holder_cut(struct fw_holder *holder, uint64_t serial, const struct fw_edge *begin, const struct fw_edge *end,
                     struct fw_share *shares, size_t capacity)
{
	size_t count = cut_all(holder, serial, begin, end, shares, capacity);

	if (is_opened(holder, serial)) {
		holder->has_open = false;
		for (size_t i = 0; i < holder->attribution->count; i++)
			holder->stakes[i].is_open = false;
	}
	return count;
}

/* The moment up to which all counters that can be read have told. */
static struct fw_edge latest_edge(const struct fw_holder *holder)
{
	struct fw_edge latest = {UINT64_MAX, -1};

	for (size_t i = 0; i < holder->attribution->count; i++) {
		const struct fw_pool *pool = &holder->attribution->pools[i];
		const struct fw_stake *stake = &holder->stakes[i];

		if (pool->counts && pool->number > 0 && !pool->is_hole && stake->until_ns < latest.at_ns)
			latest = (struct fw_edge){stake->until_ns, stake->total_ns};
	}
	return latest;
}

size_t fw_holder_so_far(const struct fw_holder *holder, uint64_t serial, const struct fw_edge *begin, struct fw_share *shares,
                        size_t capacity)
{
	struct fw_edge latest = latest_edge(holder);

	if (latest.at_ns == UINT64_MAX || latest.at_ns <= begin->at_ns)
		return 0;
	return cut_all(holder, serial, begin, &latest, shares, capacity);
}
