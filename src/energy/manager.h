/* SPDX-License-Identifier: Apache-2.0
 *
 * The EnergyManager: owns the monitors and the one sampler thread, meters workers, and fills the resources, counters and
 * energy of a record. Monitors are isolated from each other. The record of an invocation is final one sample after its
 * end: scheduling never waits for energy.
 */
#pragma once

#include "base/loop.h"
#include "energy/monitor.h"

struct fw_energy_manager;
struct fw_energy_worker; /* one metered worker */

struct fw_energy_options {
	struct fw_loop *loop;  /* `done` callbacks come on its thread; NULL for `flexwatt monitors` */
	struct fw_monitor_context context;
	double rate_hz;        /* memory and counters while an invocation runs; 0: default 10 */
	double smt_weight;     /* what a busy thread of the same core takes off CPU time (sharing.h); 0: nothing */
	bool keeps_readings;   /* for fw_energy_manager_readings() */
	bool no_sampler;       /* tests: everything on the calling thread */
	/* The directory that stands for "/" for energy counters alone; NULL: as everything else. Borrowed. */
	const struct fw_root *counters_root;
	/* Tests: these monitors, up to a NULL, instead of all. */
	const struct fw_monitor_ops *const *monitors;
};

/* Opens every monitor that works here; never fails because one does not. */
int fw_energy_manager_new(const struct fw_energy_options *options, struct fw_energy_manager **manager,
                          struct fw_error **err);
void fw_energy_manager_free(struct fw_energy_manager *manager);
FW_DEFINE_CLEANUP(struct fw_energy_manager *, fw_energy_manager_free)

/* Opens one, with what our file may read beyond the user where the root is the machine's own. */
int fw_energy_open_monitor(const struct fw_monitor_ops *ops, const struct fw_monitor_context *context, struct fw_monitor **monitor,
                           struct fw_error **err);

struct fw_monitor_report {
	const struct fw_monitor_ops *ops;
	bool works;
	int rc;       /* FW_OK, or why not */
	char *detail; /* what it reads here, or why not */
	char *hint;   /* what would enable it, or NULL */
};
size_t fw_energy_manager_monitors(const struct fw_energy_manager *manager, const struct fw_monitor_report **reports);
const char *fw_energy_manager_methods(const struct fw_energy_manager *manager); /* of all that work: "rapl/1 model/1" */
/* All normalised system-wide metrics as one JSON object {"name": {"value": …, "unit": …}}: at least 50. New reference. */
json_t *fw_energy_manager_metrics(struct fw_energy_manager *manager);

/* What all counters measured since the start and to whom it was handed out, domain by domain, with the residual; NULL where
 * there are none. New reference. After fw_energy_flush() nothing is in the open. */
json_t *fw_energy_manager_books(struct fw_energy_manager *manager);

/* One counter as it counts, without attribution. Joules are cumulative. */
struct fw_counter_look {
	const struct fw_domain *domain;
	struct fw_domain_reading reading; /* at the latest tick */
	bool is_unknown;                  /* it tells nothing now */
	uint64_t known_ns;                /* when it moved last, and what it showed then; 0: never */
	double known_j, known_lost_j;
	unsigned flags;                   /* of all readings since the last look */
	enum fw_domain_reason reason;     /* of the latest of them that had one */
	double most_w, least_s, update_s; /* as fw_attribution_look() */
};
/* Reads all counters now. One caller at a time. Returns how many there are, at most `capacity`. */
size_t fw_energy_manager_look(struct fw_energy_manager *manager, struct fw_counter_look *looks, size_t capacity);

/* The floors of an earlier run on this machine, as its books tell them; it ended so long ago. */
void fw_energy_manager_inherit(struct fw_energy_manager *manager, const json_t *books, double age_s);

/* Moves what all counters showed, and whose work was done, since the last time to the end of `out` (energy/feed.h); false when
 * there was nothing. About once a second: a page that is full keeps no more. */
bool fw_energy_manager_readings(struct fw_energy_manager *manager, struct fw_buffer *out);

/* Loop thread. The worker's cgroup must stay open until fw_energy_worker_free(), which takes the last reading. */
struct fw_energy_worker *fw_energy_worker_new(struct fw_energy_manager *manager, const struct fw_metered *worker);
void fw_energy_worker_free(struct fw_energy_worker *worker);

/* The edges of an invocation, loop thread, cheap: CPU counters of the worker alone. The first begin of a worker also
 * takes a whole reading, so that its start-up is not charged to the invocation. */
void fw_energy_begin(struct fw_energy_worker *worker);
/* Before the host kills a worker within an invocation: the last sample of its memory. */
void fw_energy_last_sample(struct fw_energy_worker *worker);
/* Ends it; its energy is final with the first reading of the counters after that. `alive`: the worker waits for its next event and still holds what it had. `record` (owned by the caller, at rest
 * until then) gets its figures; `done` comes on the loop's thread with the next tick, also when the worker is freed before.
 * duration_ms of the record must be set. */
typedef void fw_energy_done_fn(void *context, struct fw_record *record);
void fw_energy_end(struct fw_energy_worker *worker, bool alive, struct fw_record *record, fw_energy_done_fn *done,
                   void *context);
/* Adds what invocations that run now have used so far to totals->joules, by the best source of each: as far as the counters were
 * read, or as the model estimates up to now. Returns how many were added. Loop thread; a progress bar's tick, not an edge's. */
size_t fw_energy_add_running(struct fw_energy_manager *manager, struct fw_totals *totals);
/* Lets pending `done` calls happen now (end of a run); waits, up to a second, for counters that have not been updated. */
void fw_energy_flush(struct fw_energy_manager *manager);
/* Only those that are due: waits for nothing. */
void fw_energy_collect(struct fw_energy_manager *manager);
/* After `done`, of a worker that keeps_seen: how long before the end of its last invocation its CPU time was read last, because it
 * could not be read then; 0: it was. */
uint64_t fw_energy_unseen_ns(const struct fw_energy_worker *worker);

/* The monitor's own cost. Everything read beside the CPU time of the edges, on whichever thread, and all wake-ups of the
 * sampler thread are bounded by 0.5 % of a CPU: beyond it samples are left out. Only the reading at the end of an
 * invocation of 50 ms or more and the first of a worker are always taken; what they overdraw the others wait for. An
 * invocation whose memory was not sampled at its end has no memory_peak_mb and says so; its upper bound is there all the
 * same. Filling records, one to two microseconds each, is no metering: counted apart. */
struct fw_energy_cost {
	uint64_t metering_ns;    /* CPU time of all threads for readings and wake-ups: what the budget bounds */
	uint64_t thread_ns;      /* CPU time of the sampler thread: its part of that, and filling */
	uint64_t filling_ns;     /* of thread_ns */
	uint64_t wake_ups;       /* of the sampler thread */
	uint64_t readings;       /* whole readings of a worker */
	uint64_t samples;        /* memory alone */
	uint64_t left_out;       /* readings, samples and ticks that the budget did not allow */
	uint64_t missed_ticks;   /* expirations of the timer that came too late to be served */
	uint64_t invocations;
	uint64_t ticks;          /* readings of all energy counters */
};
void fw_energy_cost(struct fw_energy_manager *manager, struct fw_energy_cost *cost);
