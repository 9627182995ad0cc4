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
#include "energy/manager.h"
#include "energy/reading.h"

enum { FW_MONITOR_COUNT = 3 };

/* Memory within one invocation. */
struct fw_memory_samples {
	double peak_bytes;     /* NAN before the first sample */
	double byte_ns;        /* integral: each sample stands for the time since the one before */
	uint64_t until_ns;     /* end of that integral */
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
};

struct fw_energy_worker {
	struct fw_energy_manager *manager;
	struct fw_metered metered;

	/* Loop thread. */
	struct fw_reading begin, last_end;
	bool read_before; /* the first begin has taken its whole reading */

	pthread_mutex_t state;
	bool active;
	uint64_t serial;       /* of the invocation that began last */
	uint64_t begin_ns, end_ns;
	struct fw_reading base;
	uint64_t base_off_ns;
	struct fw_memory_samples memory;
	struct fw_reading last; /* the latest whole reading; after_ns 0: none yet */
	double last_memory_bytes; /* the latest sample of any kind; NAN: none yet */
};

struct fw_energy_manager {
	struct fw_loop *loop;
	struct fw_reading_source source;
	struct fw_monitor_report reports[FW_MONITOR_COUNT];
	struct fw_monitor *monitors[FW_MONITOR_COUNT]; /* NULL: does not work here */
	char *methods;                                 /* "system/1 model/1 …" */

	pthread_mutex_t pass;
	FW_VECTOR(struct fw_energy_worker *) workers;

	_Atomic(struct fw_ended *) ended;  /* newest first: from the loop to the sampler */
	_Atomic(struct fw_ended *) filled; /* newest first: from the sampler to the loop */
	struct fw_ended *spare;            /* loop thread: no allocation in the steady state */
	struct fw_watch *filled_watch;
	int filled_fd;                     /* eventfd: records are filled */

	bool has_sampler;
	pthread_t sampler;
	int kick_fd, timer_fd;
	atomic_bool wants_kick, stopping, ticking;
	uint64_t period_ns;

	/* Sampler thread. */
	int64_t allowance_ns;
	uint64_t allowance_at_ns;

	atomic_ullong thread_ns, reading_ns, readings, samples, left_out, missed_ticks, invocations;
};

/* Pops all, oldest first. */
struct fw_ended *fw_ended_take(_Atomic(struct fw_ended *) *list);
/* True when the list was empty. */
bool fw_ended_push(_Atomic(struct fw_ended *) *list, struct fw_ended *ended);

/* fill.c: with `pass` held. May readings be taken? Asked before each. */
typedef bool fw_may_read_fn(struct fw_energy_manager *manager);
void fw_energy_sample_worker(struct fw_energy_worker *worker);
void fw_energy_read_worker(struct fw_energy_worker *worker);
/* One whole reading for each worker in the list, as far as it may. */
void fw_energy_read_ended(struct fw_energy_manager *manager, const struct fw_ended *list, fw_may_read_fn *may_read);
/* Fills the records of the list and moves them to `filled`. */
void fw_energy_fill_ended(struct fw_energy_manager *manager, struct fw_ended *list);

/* sampler.c */
int fw_energy_sampler_start(struct fw_energy_manager *manager, double rate_hz, struct fw_error **err);
void fw_energy_sampler_stop(struct fw_energy_manager *manager);
void fw_energy_sampler_tick(struct fw_energy_manager *manager, bool on); /* with `pass` held */
void fw_energy_sampler_kick(struct fw_energy_manager *manager);

/* edges.c */
void fw_energy_deliver(struct fw_energy_manager *manager);
