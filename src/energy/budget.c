/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of metering. Readings that must be may overdraw it, and everything else then waits until that is paid.
 */
#include "energy/budget.h"

#include <time.h>

#include "base/time.h"

#define SHARE 0.005
#define MOST_SAVED_NS (20 * 1000000LL) /* what a quiet time can save for a busy one */
#define MOST_OWED_NS (50 * 1000000LL)
#define FIRST_NS (10 * 1000000LL) /* for the first invocations, before any time has passed */

void fw_budget_init(struct fw_budget *budget, uint64_t now_ns)
{
	*budget = (struct fw_budget){.left_ns = FIRST_NS, .at_ns = now_ns};
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
	budget->left_ns += (int64_t)((double)(now_ns - budget->at_ns) * SHARE);
	budget->at_ns = now_ns;
	if (budget->left_ns > MOST_SAVED_NS)
		budget->left_ns = MOST_SAVED_NS;
}

bool fw_budget_allows(struct fw_budget *budget, uint64_t now_ns, enum fw_budget_keep keep)
{
	bool allowed;

	pthread_mutex_lock(&budget->lock);
	earn(budget, now_ns);
	allowed = budget->left_ns > (int64_t)keep;
	pthread_mutex_unlock(&budget->lock);
	return allowed;
}

void fw_budget_spend(struct fw_budget *budget, uint64_t used_ns)
{
	pthread_mutex_lock(&budget->lock);
	budget->spent_ns += used_ns;
	budget->left_ns -= (int64_t)used_ns;
	if (budget->left_ns < -MOST_OWED_NS)
		budget->left_ns = -MOST_OWED_NS;
	pthread_mutex_unlock(&budget->lock);
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
