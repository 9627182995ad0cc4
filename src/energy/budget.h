/* SPDX-License-Identifier: Apache-2.0
 *
 * What metering may cost: 0.5 % of a CPU, whoever reads. An account fills with time and pays for each reading and each
 * wake-up; who finds too little in it leaves its reading out. A fifth of it is a purse for ticks alone: they price all
 * work, and the readings that must be when many workers start at once may not take that from them. Account and purse
 * begin with what two seconds earn, for the first invocations. Any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fw_budget {
	pthread_mutex_t lock;
	int64_t left_ns;
	int64_t purse_ns;  /* what is left for ticks when left_ns is used up */
	uint64_t at_ns;    /* what has been earned until then is in both */
	uint64_t spent_ns; /* since the start */
};

/* What must stay in the account: the less a reading can be done without, the less it leaves. */
enum fw_budget_keep {
	FW_KEEP_NOTHING = 0,            /* once a tick for each worker that ended something: bounds for all of it */
	FW_KEEP_FOR_ENDS = 500 * 1000,  /* samples within invocations */
	FW_KEEP_FOR_TICKS = 1000 * 1000, /* memory at the end of a short invocation */
	FW_KEEP_MUCH = 5 * 1000 * 1000, /* whole readings at the edges of short invocations */
};

void fw_budget_init(struct fw_budget *budget, uint64_t now_ns);
void fw_budget_done(struct fw_budget *budget);
bool fw_budget_allows(struct fw_budget *budget, uint64_t now_ns, enum fw_budget_keep keep);
void fw_budget_spend(struct fw_budget *budget, uint64_t used_ns);
/* The same of a tick, which may take the purse. */
bool fw_budget_allows_tick(struct fw_budget *budget, uint64_t now_ns);
void fw_budget_spend_tick(struct fw_budget *budget, uint64_t used_ns);
/* Whether ticks may come faster; else they come too fast. */
bool fw_budget_allows_faster(struct fw_budget *budget, uint64_t now_ns);
/* How far apart ticks that cost so much must be for the purse to go on paying for them alone. */
uint64_t fw_budget_purse_period_ns(uint64_t tick_ns);
uint64_t fw_budget_spent_ns(struct fw_budget *budget);
/* CPU time of the calling thread. */
uint64_t fw_thread_cpu_ns(void);
