/* SPDX-License-Identifier: Apache-2.0
 *
 * Slices: at a tick each pool that can be read is closed, priced and handed out to everyone who worked since it was
 * closed last. What nobody of ours did is the system's. Every joule is handed out once, or not at all and written down
 * as the system's: the books are checked in debug builds at each slice.
 */
#include "energy/attribution.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "energy/attribution_internal.h"

#define FLOOR_WINDOW_NS (50 * FW_NS_PER_MS)
/* A slice holds at least so many updates of its counter, and so many of its steps. */
#define LEAST_STEPS 100
#define LEAST_S 0.001
#define MOST_S_FOR_STEPS 0.1 /* of a domain that counts: records wait for its slices */
#define MOST_STILL_S 0.25
#define STILL_UPDATES 3
#define UNKNOWN_UPDATE_S 0.001
/* More work than so many times what all CPUs can do was counted before. */
#define LEAP 2
#define LEAP_LATE_NS 1e9
#define SKEW_SHARE 0.05

double fw_holder_work(const struct fw_holder *holder, const struct fw_pool *pool, const struct fw_work_now *now)
{
	double sum = 0;

	if (fw_pool_is_memory(pool))
		return holder->attribution->machine.has_misses ? now->misses : holder->bytes_work;
	if (fw_pool_is_gpu(pool))
		return pool->gpu >= 0 ? now->gpu_ns[pool->gpu] : 0;
	if (pool->package >= 0)
		return now->ns[pool->package];
	for (size_t i = 0; i < holder->attribution->machine.packages; i++)
		sum += now->ns[i];
	return sum;
}

double fw_holder_reserved(const struct fw_holder *holder, const struct fw_pool *pool)
{
	const struct fw_attribution *attribution = holder->attribution;
	double whole = fw_pool_is_memory(pool) ? attribution->machine.memory_bytes : attribution->all_cpus;
	double part = fw_pool_is_memory(pool) ? holder->reserved_bytes : holder->reserved_cpus;

	if (fw_pool_is_gpu(pool))
		return 0; /* nobody reserves one: what it draws at rest is the system's */
	return whole > 0 ? fmin(fmax(part / whole, 0), 1) : 0;
}

static double busy_ns(const struct fw_attribution *attribution, const struct fw_pool *pool)
{
	double sum = 0;

	if (fw_pool_is_gpu(pool))
		return pool->gpu >= 0 ? attribution->now.gpu_ns[pool->gpu] : 0;
	for (size_t i = 0; i < attribution->machine.packages; i++)
		if (pool->package < 0 || pool->package == (int)i)
			sum += attribution->now.ns[i];
	return sum;
}

static double machine_work(const struct fw_attribution *attribution, const struct fw_pool *pool)
{
	if (!fw_pool_is_memory(pool))
		return busy_ns(attribution, pool);
	return attribution->machine.has_misses ? attribution->misses : attribution->bytes_work;
}

static uint64_t middle_ns(const struct fw_domain_reading *reading)
{
	return reading->before_ns + (reading->after_ns - reading->before_ns) / 2;
}

double fw_pool_update_s(const struct fw_pool *pool)
{
	return pool->domain.update_s > 0 ? pool->domain.update_s : UNKNOWN_UPDATE_S;
}

double fw_pool_least_s(const struct fw_attribution *attribution, const struct fw_pool *pool)
{
	const struct fw_domain *domain = &pool->domain;
	double steps_s = pool->watts > 0 && domain->quantum_j > 0 ? LEAST_STEPS * domain->quantum_j / pool->watts : 0;
	double updates_s = domain->update_s > 0 ? FW_SLICE_UPDATES * domain->update_s : 0;

	if (pool->counts)
		steps_s = fmin(steps_s, MOST_S_FOR_STEPS);
	return fmax(fmax(steps_s, updates_s), fmax(LEAST_S, attribution->pace_s));
}

static void set_base(struct fw_attribution *attribution, struct fw_pool *pool, const struct fw_domain_reading *reading)
{
	pool->until_ns = middle_ns(reading);
	pool->joules = reading->joules;
	pool->lost_j = reading->lost_j;
	pool->work = machine_work(attribution, pool);
	pool->busy_ns = busy_ns(attribution, pool);
	pool->flags = 0;
	pool->is_coarse = false;
	pool->is_blind = false;
}

/* The floor learns from windows that are long against the counter's updates, and from whole ones alone. */
static void teach_floor(struct fw_attribution *attribution, struct fw_pool *pool, const struct fw_slice *slice,
                        uint64_t now_ns)
{
	double busy = busy_ns(attribution, pool);

	if (pool->window_from_ns == 0) {
		pool->window_from_ns = pool->until_ns;
		pool->window_busy_ns = pool->busy_ns;
	}
	pool->window_j += slice->joules;
	pool->window_spoilt |= (slice->flags & (FW_DOMAIN_GAP | FW_DOMAIN_RESET | FW_DOMAIN_STALE)) != 0;
	if (now_ns - pool->window_from_ns < FLOOR_WINDOW_NS)
		return;
	double seconds = (double)(now_ns - pool->window_from_ns) / 1e9;

	if (!pool->window_spoilt && pool->cpus > 0)
		fw_floor_add(&pool->floor, now_ns, seconds, pool->window_j,
		             fmax(busy - pool->window_busy_ns, 0) / 1e9 / (seconds * pool->cpus));
	pool->window_from_ns = now_ns;
	pool->window_j = 0;
	pool->window_busy_ns = busy;
	pool->window_spoilt = false;
}

/* Before anything is known of the floor, any part of the power may be idle. */
static void set_floor(const struct fw_pool *pool, struct fw_slice *slice)
{
	if (isnan(pool->floor.least_w) && !pool->floor.is_known) {
		slice->floor_w = slice->floor_half_w = pool->watts / 2;
		return;
	}
	slice->floor_w = pool->floor.floor_w;
	slice->floor_half_w = pool->floor.half_w;
}

static const struct fw_unevenness unlearnt;

static struct fw_slice slice_of(struct fw_attribution *attribution, struct fw_pool *pool,
                                const struct fw_domain_reading *reading)
{
	double skew_s = (double)(reading->after_ns - reading->before_ns) / 2e9;
	double update_s = fw_pool_update_s(pool);
	struct fw_slice slice = {
		.seconds = (double)(middle_ns(reading) - pool->until_ns) / 1e9,
		.joules = fmax(reading->joules - pool->joules, 0),
		.lost_j = fmax(reading->lost_j - pool->lost_j, 0),
		.work = fmax(machine_work(attribution, pool) - pool->work, 0),
		.flags = pool->flags | (reading->flags & FW_DOMAIN_EARLY),
	};

	pool->watts = slice.joules / slice.seconds;
	slice.counter_half_j = pool->domain.quantum_j + (update_s + skew_s) * pool->watts;
	if (2 * skew_s > SKEW_SHARE * slice.seconds)
		slice.flags |= FW_DOMAIN_SKEW;
	teach_floor(attribution, pool, &slice, middle_ns(reading));
	set_floor(pool, &slice);
	slice.is_coarse = pool->is_coarse;
	slice.unevenness = fw_unevenness_now(slice.is_coarse ? &unlearnt : &pool->unevenness, slice.seconds);
	return slice;
}

static double held_share(const struct fw_stake *stake, double seconds)
{
	return fmin(stake->held_ns / 1e9 / seconds, 1);
}

/* What nobody is known to have done may have been its own. What it is known to have done since then comes late: at another
 * price than it was done at. */
static void doubt(const struct fw_holder *holder, struct fw_pool *pool, struct fw_stake *stake, double nobodys_j)
{
	bool is_unknown = fw_holder_is_unknown(holder, pool) || stake->is_partial || pool->is_blind;
	size_t at = pool->number % FW_SLICES_KEPT;

	stake->slices[at].flags = is_unknown || stake->was_unknown ? FW_DOMAIN_GAP : 0;
	stake->slices[at].lost_j = is_unknown ? nobodys_j : 0;
	stake->account.lost_j += stake->slices[at].lost_j;
	stake->was_unknown = is_unknown && !stake->is_partial;
	stake->is_partial = false;
	if (!stake->slices[at].flags)
		return;
	pool->all_flags |= FW_DOMAIN_GAP;
	pool->reason = FW_REASON_WORK;
}

/* nobodys_j: of its dynamic joules what no holder is known to have used. */
static void hand_out(struct fw_holder *holder, size_t index, double nobodys_j, double *dynamic_j, double *idle_j)
{
	struct fw_pool *pool = &holder->attribution->pools[index];
	struct fw_stake *stake = &holder->stakes[index];
	size_t at = pool->number % FW_SLICES_KEPT;
	const struct fw_slice_price *price = &pool->slices[at].price;
	double work = fw_holder_work(holder, pool, &holder->now);
	struct fw_account own = {0};
	struct fw_part part = {.seconds = price->seconds,
	                       .work = fmax(work - stake->work, 0),
	                       .reserved = fw_holder_reserved(holder, pool) * pool->slices[at].scale,
	                       .at_edge = stake->was_unknown};
	double share = price->work > 0 ? fmin(part.work / price->work, 1) : 0;

	part.share_change = fabs(share - stake->share);
	stake->share = share;
	fw_account_add(&own, price, &part);
	fw_account_sum(&stake->account, &own, 1);
	doubt(holder, pool, stake, nobodys_j);
	*dynamic_j += own.dynamic_j; /* not what the account rose by: that has lost the digits of a small slice after large ones */
	*idle_j += own.idle_j * held_share(stake, price->seconds);
	stake->slices[at].from_ns = stake->until_ns;
	stake->slices[at].until_ns = stake->until_ns = holder->now.at_ns;
	stake->slices[at].work = part.work;
	stake->slices[at].held_ns = stake->held_ns;
	stake->slices[at].total_from_ns = stake->total_ns;
	stake->slices[at].total_until_ns = holder->now.total_ns;
	stake->slices[at].account = stake->account;
	stake->open_flags |= stake->is_open ? price->flags | stake->slices[at].flags : 0;
	stake->work = work;
	stake->total_ns = holder->now.total_ns;
	stake->held_ns = 0;
}

static void close_slice(struct fw_attribution *attribution, size_t index, const struct fw_domain_reading *reading)
{
	struct fw_pool *pool = &attribution->pools[index];
	struct fw_slice slice = slice_of(attribution, pool, reading);
	double known = 0, reserved = 0, dynamic_j = 0, idle_j = 0;

	for (size_t i = 0; i < attribution->holders.count; i++) {
		const struct fw_holder *holder = attribution->holders.items[i];
		const struct fw_stake *stake = &holder->stakes[index];

		known += fmax(fw_holder_work(holder, pool, &holder->now) - stake->work, 0);
		reserved += fw_holder_reserved(holder, pool) * held_share(stake, slice.seconds);
	}
	size_t at = ++pool->number % FW_SLICES_KEPT;

	pool->slices[at].from_ns = pool->until_ns;
	pool->slices[at].price = fw_price_of(&slice, known);
	if (pool->cpus > 0)
		fw_unevenness_add(&pool->unevenness, &pool->slices[at].price,
		                  fmax(busy_ns(attribution, pool) - pool->busy_ns, 0) / 1e9 / (slice.seconds * pool->cpus));
	pool->slices[at].scale = reserved > 1 ? 1 / reserved : 1;
	double nobodys_j = fmax(pool->slices[at].price.dynamic_j - pool->slices[at].price.per_work_j * known, 0);

	for (size_t i = 0; i < attribution->holders.count; i++)
		hand_out(attribution->holders.items[i], index, nobodys_j, &dynamic_j, &idle_j);
	if (pool->counts)
		fw_books_add(&pool->books, &pool->slices[at].price, dynamic_j, idle_j);
	set_base(attribution, pool, reading);
}

/* A clock that went back closes no slice: what the counter says since then comes with the next one. */
static void begin_anew(struct fw_attribution *attribution, size_t index, uint64_t now_ns)
{
	struct fw_pool *pool = &attribution->pools[index];

	pool->until_ns = now_ns;
	pool->flags |= FW_DOMAIN_GAP;
	pool->all_flags |= FW_DOMAIN_GAP;
	pool->reason = FW_REASON_CLOCK;
	pool->window_from_ns = 0;
	pool->window_j = 0;
	for (size_t i = 0; i < attribution->holders.count; i++)
		attribution->holders.items[i]->stakes[index].until_ns = attribution->holders.items[i]->now.at_ns;
}

/* No part that counts in the machine's total draws nothing: a counter that stands still has not been updated yet, and
 * after a while it is none. */
static bool stands_still(struct fw_pool *pool, const struct fw_domain_reading *reading)
{
	double seconds = (double)(middle_ns(reading) - pool->until_ns) / 1e9;

	if (!pool->counts || fw_pool_is_gpu(pool) || reading->joules > pool->joules)
		return false;
	pool->is_hole = seconds > fmax(MOST_STILL_S, STILL_UPDATES * pool->domain.update_s);
	if (pool->is_hole) {
		pool->flags |= FW_DOMAIN_GAP;
		pool->all_flags |= FW_DOMAIN_GAP;
		pool->reason = FW_REASON_STILL;
	}
	return true;
}

static void note_flags(struct fw_pool *pool, const struct fw_domain_reading *reading)
{
	pool->flags |= reading->flags & ~(unsigned)FW_DOMAIN_EARLY; /* that is of this moment alone */
	pool->all_flags |= reading->flags;
	if (reading->reason != FW_REASON_NONE)
		pool->reason = reading->reason;
}

static void tick_pool(struct fw_attribution *attribution, size_t index, const struct fw_domain_reading *reading)
{
	struct fw_pool *pool = &attribution->pools[index];
	uint64_t now_ns = middle_ns(reading);

	note_flags(pool, reading);
	pool->is_blind |= fw_pool_is_gpu(pool) && reading->reason == FW_REASON_WORK;
	pool->is_hole = isnan(reading->joules);
	if (pool->is_hole) {
		pool->holes++;
	} else if (!pool->has_baseline) {
		pool->has_baseline = true;
		set_base(attribution, pool, reading);
	} else if (now_ns < pool->until_ns) {
		begin_anew(attribution, index, now_ns);
	} else if (!stands_still(pool, reading) && (double)(now_ns - pool->until_ns) >= fw_pool_least_s(attribution, pool) * 1e9) {
		close_slice(attribution, index, reading);
	}
}

static uint64_t latest_ns(const struct fw_attribution *attribution, const struct fw_domain_reading *readings)
{
	uint64_t latest = 0;

	for (size_t i = 0; i < attribution->count; i++)
		if (middle_ns(&readings[i]) > latest)
			latest = middle_ns(&readings[i]);
	return latest;
}

/* Bytes x seconds: what is held now stands for the time since the last tick. */
static void add_bytes(struct fw_attribution *attribution, double seconds)
{
	double used = attribution->now.bytes;

	attribution->bytes_work += (used >= 0 ? used : attribution->machine.memory_bytes) * seconds;
	for (size_t i = 0; i < attribution->holders.count; i++) {
		struct fw_holder *holder = attribution->holders.items[i];

		if (holder->now.bytes >= 0)
			holder->bytes_work += holder->now.bytes * seconds;
	}
}

/* The machine's work never falls, but when a CPU is taken out with what it has counted, and never leaps, but when that one
 * is back: from there it goes on, and nothing is priced by a moment of which a part is unknown. */
static bool take_machine(struct fw_attribution *attribution, const struct fw_work_now *machine)
{
	struct fw_work_now before = attribution->now;
	double most_ns = LEAP * attribution->all_cpus * (double)(machine->at_ns - before.at_ns) + LEAP_LATE_NS;
	bool can_leap = before.at_ns > 0 && machine->at_ns >= before.at_ns, leapt = false;

	attribution->now = *machine;
	attribution->misses = fmax(attribution->misses, machine->misses); /* of NAN and a number: the number */
	for (size_t i = 0; i < attribution->machine.packages; i++) {
		double now_ns = machine->ns[i] + attribution->fallen_ns[i];

		if (now_ns < before.ns[i] || (can_leap && now_ns - before.ns[i] > most_ns)) {
			attribution->fallen_ns[i] += before.ns[i] - now_ns;
			leapt = true;
		}
		attribution->now.ns[i] = machine->ns[i] + attribution->fallen_ns[i];
	}
	return !leapt;
}

/* Whoever waits for a slice does not wait for work that cannot be read for long. */
static void miss_tick(struct fw_pool *pool, uint64_t now_ns, enum fw_domain_reason reason)
{
	pool->flags |= FW_DOMAIN_GAP;
	pool->all_flags |= FW_DOMAIN_GAP;
	pool->reason = reason;
	pool->is_coarse = true;
	if (now_ns > pool->until_ns && (double)(now_ns - pool->until_ns) / 1e9 > MOST_STILL_S)
		pool->is_hole = true;
}

void fw_attribution_miss(struct fw_attribution *attribution, uint64_t now_ns)
{
	for (size_t p = 0; p < attribution->count; p++)
		miss_tick(&attribution->pools[p], now_ns, FW_REASON_WORK);
}

static bool is_by_misses(const struct fw_attribution *attribution, const struct fw_pool *pool)
{
	return fw_pool_is_memory(pool) && attribution->machine.has_misses;
}

/* They cost more to read than all else, and are not asked for at each tick: memory closes no slice without them. */
static bool waits_for_misses(const struct fw_attribution *attribution, const struct fw_pool *pool, const struct fw_work_now *machine)
{
	return is_by_misses(attribution, pool) && isnan(machine->misses);
}

static bool lacks_misses(const struct fw_attribution *attribution, const struct fw_pool *pool, const struct fw_work_now *machine)
{
	return is_by_misses(attribution, pool) && machine->misses < 0;
}

static void pass_tick(struct fw_pool *pool, const struct fw_domain_reading *reading)
{
	note_flags(pool, reading);
	pool->holes += isnan(reading->joules) ? 1 : 0;
}

void fw_attribution_tick(struct fw_attribution *attribution, const struct fw_domain_reading *readings,
                         const struct fw_work_now *machine)
{
	uint64_t now_ns = latest_ns(attribution, readings);
	double passed_ns = attribution->tick_ns && now_ns > attribution->tick_ns ? (double)(now_ns - attribution->tick_ns) : 0;

	bool is_whole = take_machine(attribution, machine);

	attribution->tick_ns = now_ns;
	add_bytes(attribution, passed_ns / 1e9);
	for (size_t i = 0; i < attribution->holders.count; i++) {
		struct fw_holder *holder = attribution->holders.items[i];

		for (size_t p = 0; p < attribution->count; p++)
			holder->stakes[p].held_ns += holder->held_ns;
		holder->held_ns = 0;
	}
	for (size_t p = 0; p < attribution->count; p++)
		if (waits_for_misses(attribution, &attribution->pools[p], machine))
			pass_tick(&attribution->pools[p], &readings[p]);
		else if (lacks_misses(attribution, &attribution->pools[p], machine))
			miss_tick(&attribution->pools[p], now_ns, FW_REASON_WORK);
		else if (is_whole)
			tick_pool(attribution, p, &readings[p]);
		else
			miss_tick(&attribution->pools[p], now_ns, FW_REASON_CPU_GONE);
}

uint64_t fw_attribution_due_ns(const struct fw_attribution *attribution)
{
	uint64_t due_ns = 0;

	for (size_t i = 0; i < attribution->count; i++) {
		const struct fw_pool *pool = &attribution->pools[i];
		uint64_t own_ns = pool->until_ns + (uint64_t)(fw_pool_least_s(attribution, pool) * 1e9);

		if (pool->counts && pool->has_baseline && !pool->is_hole && own_ns > due_ns)
			due_ns = own_ns;
	}
	return due_ns;
}
