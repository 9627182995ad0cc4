/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the EnergyManager share. Two locks: `pass` covers the list of workers, every whole reading and the
 * filling of records; a worker's `state` covers what the edges and the sampler exchange and is held for nanoseconds, so
 * that an edge never waits for a reading. Order: pass, then state.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "energy/feed.h"
#include "energy/budget.h"
#include "energy/manager.h"
#include "energy/reading.h"
#include "energy/work.h"
#include "energy/work_meter.h"

enum { FW_MONITOR_COUNT = 9 };

/* An invocation that lasted this long is read at its end whatever the budget says: less than 0.1 % of what it measures. */
#define FW_ALWAYS_READ_NS (50 * 1000000ULL)

/* Memory within one invocation. */
struct fw_memory_samples {
	double peak_bytes;     /* NAN before the first sample */
	double byte_ns;        /* integral: each sample stands for the time since the one before */
	uint64_t until_ns;     /* end of that integral */
	bool final;            /* the last of them was taken at the end, while the worker still held what it had */
};

/* CPU time of a worker that keeps_seen, at its begin or its latest sample. */
struct fw_seen {
	uint64_t at_ns;
	struct fw_cgroup_stat stat;
};

/* An invocation that has ended and waits for its last sample, then for the loop. */
struct fw_ended {
	struct fw_ended *next;
	struct fw_energy_worker *worker;
	struct fw_record *record;
	fw_energy_done_fn *done;
	void *context;
	uint64_t serial;
	struct fw_reading begin, end; /* the edges: CPU and clock */
	struct fw_reading base;       /* the reading next to the begin */
	uint64_t base_off_ns;         /* how far inside the invocation it was; UINT64_MAX: there is none */
	struct fw_memory_samples memory;
	struct fw_seen seen;          /* within it, the latest */
	bool alive;                   /* the worker was there after its end */
	bool has_after;
	struct fw_reading after;      /* the whole reading at the end, before anything else could run */
};

struct fw_energy_worker {
	struct fw_energy_manager *manager;
	struct fw_metered metered;
	void *states[FW_MONITOR_COUNT]; /* the monitors' */

	/* Loop thread. */
	struct fw_reading begin, last_end;
	bool read_before; /* the first begin has taken its whole reading */
	uint64_t lasted_ns; /* its latest invocation; 0: none yet */

	pthread_mutex_t state;
	bool active;
	uint64_t serial;       /* of the invocation that began last */
	uint64_t begin_ns, end_ns;
	struct fw_edge begin_edge; /* for the counters of energy */
	uint64_t held_ns;      /* all invocations that have ended */
	struct fw_reading base;
	uint64_t base_off_ns;
	struct fw_memory_samples memory;
	struct fw_reading last; /* the latest whole reading; after_ns 0: none yet */
	struct fw_seen seen;    /* within the invocation */
	uint64_t parked_serial; /* it was taken after the end of this invocation and before the next begin */

	_Atomic double fallen_ns;    /* what the sum of its processes has lost (work_meter.h), for its edges */
	_Atomic int64_t held_bytes; /* of memory, at the latest sample; -1 unknown */

	uint64_t unseen_ns; /* of the last invocation; written before it is `filled` */

	/* With `pass` held. */
	struct fw_fed *fed; /* NULL where nothing counts energy */
	struct fw_work_key key;
	struct fw_work_past past;
	uint64_t held_at_ns, held_then_ns;
	uint64_t left_ns;       /* when it left: it stays until its last slice is closed */
	int64_t high_bytes;     /* high-water mark of the group at high_at_ns, later than `last` */
	uint64_t high_at_ns;
};

struct fw_energy_manager {
	struct fw_loop *loop;
	struct fw_reading_source source;
	struct fw_monitor_report reports[FW_MONITOR_COUNT];
	struct fw_monitor *monitors[FW_MONITOR_COUNT]; /* NULL: does not work here */
	struct fw_machine *counters_machine;           /* whose counters are read, where their tree tells; else NULL */
	char *methods;                                 /* "system/1 model/1 …" */

	pthread_mutex_t pass;
	FW_VECTOR(struct fw_energy_worker *) workers;
	FW_VECTOR(struct fw_energy_worker *) leaving; /* gone, with energy still to be handed out */
	struct fw_energy_counters *counters; /* NULL where nothing counts energy */
	struct fw_ended *waiting;          /* oldest first: until a slice covers their end */

	_Atomic(struct fw_ended *) ended;  /* newest first: from the loop to the sampler */
	_Atomic(struct fw_ended *) filled; /* newest first: from the sampler to the loop */
	struct fw_ended *due;              /* loop thread: taken from `filled`, oldest first */
	uint64_t portion_at;               /* loop thread: invocations when the last portion was delivered */
	struct fw_ended *spare;            /* loop thread: no allocation in the steady state */
	struct fw_watch *filled_watch;
	int filled_fd;                     /* eventfd: records are filled */

	bool has_sampler;
	pthread_t sampler;
	int stop_fd, timer_fd;
	int edge_fd;                       /* eventfd: an edge wants a reading now */
	atomic_bool stopping;
	uint64_t period_ns;                /* of samples */
	atomic_ullong ticking_ns;          /* of the timer as it is set; 0: off */
	uint64_t least_ns;                 /* sampler: the budget lowers the rate: no period is shorter */
	uint64_t tick_cost_ns;             /* sampler: CPU time of a tick of late */
	uint64_t sampled_ns;               /* sampler: when everything was sampled last */
	atomic_ullong short_ns;            /* when an invocation of less than a second ended last */

	struct fw_budget budget;
	atomic_ullong thread_ns, filling_ns, wake_ups, readings, samples, left_out, missed_ticks, invocations, ticks;
};

/* Pops all, oldest first. */
struct fw_ended *fw_ended_take(_Atomic(struct fw_ended *) *list);
/* True when the list was empty. */
bool fw_ended_push(_Atomic(struct fw_ended *) *list, struct fw_ended *ended);

/* fill.c */
/* The manager pays for what the calling thread used since `since_ns` of its CPU time. Returns that time. */
uint64_t fw_energy_pay(struct fw_energy_manager *manager, uint64_t since_ns);
bool fw_energy_may(struct fw_energy_manager *manager, enum fw_budget_keep keep);
void fw_energy_add_sample(struct fw_memory_samples *memory, uint64_t at_ns, int64_t bytes);
void fw_energy_sample_worker(struct fw_energy_worker *worker);
void fw_energy_read_worker(struct fw_energy_worker *worker);
/* With `pass` held: one whole reading for each worker in the list, `always` or as far as the budget allows, which is paid; then
 * their records and those of all that wait are filled, but for those whose energy only the next slice tells, unless this is the
 * last chance. paid_ns: as of fw_energy_pay(), also what it returns. */
uint64_t fw_energy_finish(struct fw_energy_manager *manager, struct fw_ended *list, bool always, bool last_chance,
                          uint64_t paid_ns);
/* Frees workers that have left and are settled. */
void fw_energy_settle(struct fw_energy_manager *manager, bool last_chance);

/* sampler.c */
int fw_energy_sampler_start(struct fw_energy_manager *manager, double rate_hz, struct fw_error **err);
void fw_energy_sampler_stop(struct fw_energy_manager *manager);
void fw_energy_sampler_tick(struct fw_energy_manager *manager, bool on); /* with `pass` held */
/* Loop thread: an edge of an invocation. `wanted`: the counters shall be read now, as far as the budget goes. */
void fw_energy_sampler_edge(struct fw_energy_manager *manager, uint64_t now_ns, bool wanted);

/* edges.c: at most `most` of them; false when there are more */
bool fw_energy_deliver(struct fw_energy_manager *manager, size_t most);
