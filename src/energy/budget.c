/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of metering. Readings that must be may overdraw it, and everything else then waits until that is paid.
 */
#include "energy/budget.h"

#include <time.h>

#include "base/time.h"

/* 0.5 % of a CPU, in whole nanoseconds: each microsecond earns five, of which one is for the purse. What is left of it is
 * earned with the next one, so that nothing is lost to who asks often. */
#define EARNS_EACH_NS 1000ULL
#define EARNED_NS 5
#define TO_PURSE_NS 1
#define FIRST (2 * FW_NS_PER_S / EARNS_EACH_NS) /* before any time has passed: what two seconds earn */
#define MOST_IN_PURSE_NS (int64_t)(FIRST * TO_PURSE_NS)
#define MOST_SAVED_NS (20 * 1000000LL) /* what a quiet time can save for a busy one */
#define MOST_OWED_NS (50 * 1000000LL)

void fw_budget_init(struct fw_budget *budget, uint64_t now_ns)
{
	*budget = (struct fw_budget){.left_ns = FIRST * (EARNED_NS - TO_PURSE_NS), .purse_ns = MOST_IN_PURSE_NS, .at_ns = now_ns};
	pthread_mutex_init(&budget->lock, NULL);
}

void fw_budget_done(struct fw_budget *budget)
{
	pthread_mutex_destroy(&budget->lock);
}

static void earn(struct fw_budget *budget, uint64_t now_ns)
{
	if (now_ns <= budget->at_ns)
		return; /* another thread was here with a later clock */
	uint64_t times = (now_ns - budget->at_ns) / EARNS_EACH_NS;
	int64_t earned_ns = (int64_t)times * EARNED_NS, purse_ns = (int64_t)times * TO_PURSE_NS;

	if (purse_ns > MOST_IN_PURSE_NS - budget->purse_ns)
		purse_ns = MOST_IN_PURSE_NS - budget->purse_ns;
	budget->purse_ns += purse_ns;
	budget->left_ns += earned_ns - purse_ns;
	budget->at_ns += times * EARNS_EACH_NS;
	if (budget->left_ns > MOST_SAVED_NS)
		budget->left_ns = MOST_SAVED_NS;
}

static bool allows(struct fw_budget *budget, uint64_t now_ns, int64_t keep_ns, int64_t keep_in_purse_ns)
{
	bool allowed;

	pthread_mutex_lock(&budget->lock);
	earn(budget, now_ns);
	allowed = budget->left_ns > keep_ns || budget->purse_ns > keep_in_purse_ns;
	pthread_mutex_unlock(&budget->lock);
	return allowed;
}

bool fw_budget_allows(struct fw_budget *budget, uint64_t now_ns, enum fw_budget_keep keep)
{
	return allows(budget, now_ns, keep, MOST_IN_PURSE_NS);
}

bool fw_budget_allows_tick(struct fw_budget *budget, uint64_t now_ns)
{
	return allows(budget, now_ns, FW_KEEP_NOTHING, 0);
}

bool fw_budget_allows_faster(struct fw_budget *budget, uint64_t now_ns)
{
	return allows(budget, now_ns, FW_KEEP_FOR_TICKS, MOST_IN_PURSE_NS / 2);
}

uint64_t fw_budget_purse_period_ns(uint64_t tick_ns)
{
	return tick_ns * (EARNS_EACH_NS / TO_PURSE_NS);
}

/* The account owes what must be, up to a bound; the purse pays for what is allowed alone and owes at most its last tick. */
static void spend(struct fw_budget *budget, uint64_t used_ns, bool tick)
{
	pthread_mutex_lock(&budget->lock);
	budget->spent_ns += used_ns;
	if (tick && budget->left_ns <= FW_KEEP_FOR_TICKS && budget->purse_ns > 0)
		budget->purse_ns -= (int64_t)used_ns;
	else
		budget->left_ns -= (int64_t)used_ns;
	if (budget->left_ns < -MOST_OWED_NS)
		budget->left_ns = -MOST_OWED_NS;
	pthread_mutex_unlock(&budget->lock);
}

void fw_budget_spend(struct fw_budget *budget, uint64_t used_ns)
{
	spend(budget, used_ns, false);
}

void fw_budget_spend_tick(struct fw_budget *budget, uint64_t used_ns)
{
	spend(budget, used_ns, true);
}

uint64_t fw_budget_spent_ns(struct fw_budget *budget)
{
	uint64_t spent_ns;

	pthread_mutex_lock(&budget->lock);
	spent_ns = budget->spent_ns;
	pthread_mutex_unlock(&budget->lock);
	return spent_ns;
}

uint64_t fw_thread_cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * FW_NS_PER_S + (uint64_t)time.tv_nsec;
}
