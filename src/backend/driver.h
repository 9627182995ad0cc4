/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver of one run: it owns the loop, the engine, the storage and the backend, writes the event log and the records,
 * and carries out what the engine decides. Order is everything here: an event is logged and committed before any action
 * that follows from it is carried out, so that a killed run can be replayed to the point where it was.
 */
#pragma once

#include "backend/backend.h"
#include "engine/engine.h"
#include "store/store.h"

struct fw_driver;

/* Outlives the driver, but for run and state_directory, which are copied, and options. */
struct fw_driver_options {
	const struct fw_workflow *workflow;
	const struct fw_backend_ops *backend;
	struct fw_store *store;
	const char *state_directory;          /* package cache and logs */
	const char *region;
	const char *region_said;              /* how an error calls it: "--region", "FLEXWATT_REGION" */
	const char *run;                      /* id of a new run, or of the one to resume */
	bool resume;
	const char *from_stage;               /* resume: this stage and its descendants start afresh, or NULL */
	double smt_weight; /* what a busy thread of the same core takes off CPU time, in energy; 0: nothing */
	bool oversubscribe;
	const char *counters_root;            /* stands for "/" for energy counters, or NULL */
	json_t *options;                      /* what the command line said, kept in the run's row; borrowed */
	void (*before_traces)(void);          /* called before anything is written that a sudden end would leave, or NULL */
	uint64_t seed;
};

/* Checks everything that can be known before a task starts: storage, catalogue, backend, the run to resume. */
int fw_driver_new(const struct fw_driver_options *options, struct fw_driver **driver, struct fw_error **err);
void fw_driver_free(struct fw_driver *driver);
FW_DEFINE_CLEANUP(struct fw_driver *, fw_driver_free)
#define fw_cleanup_driver FW_CLEANUP(fw_driver_free)

/* Runs to the end. `status` is the run's; an error is returned only when the driver itself cannot go on (the store is full,
 * say): then the run can be resumed. */
int fw_driver_run(struct fw_driver *driver, enum fw_status *status, struct fw_error **err);

/* Ctrl-C, and what comes of it: the first one lets running invocations finish, the second ends them and what the storage
 * is at. When the run has ended it stays what it has become: then the next one is told that the storage is being cleaned,
 * and the one after it leaves that. From the loop's thread. */
enum fw_driver_cancelled {
	FW_DRIVER_WAITS, /* for invocations, if any run */
	FW_DRIVER_ENDS,
	FW_DRIVER_CLEANS, /* once more leaves it */
	FW_DRIVER_LEAVES,
	FW_DRIVER_AT_ITS_END /* nothing new comes of it */
};
enum fw_driver_cancelled fw_driver_cancel(struct fw_driver *driver);

/* For progress, on the loop's thread. */
struct fw_loop *fw_driver_loop(struct fw_driver *driver);
struct fw_stage_progress fw_driver_stage(const struct fw_driver *driver, uint32_t stage);
/* Of the records that are final, and the joules of what runs now as far as they are known; *running: of how many. */
struct fw_totals fw_driver_totals(struct fw_driver *driver, size_t *running);
double fw_driver_fraction(const struct fw_driver *driver, uint32_t stage); /* mean of the running tasks that tell; or NAN */
/* How far the cutting of its inputs into ranges is; NAN: nothing is cut that takes a while. */
double fw_driver_cutting(const struct fw_driver *driver, uint32_t stage);
const char *fw_driver_note(const struct fw_driver *driver, uint32_t stage); /* last progress note, or NULL */
double fw_driver_elapsed_ms(const struct fw_driver *driver);
const char *fw_driver_missing(const struct fw_driver *driver); /* what is not enforced here, or NULL */

/* The first invocation that failed for good, for the last lines of a failed run; stage UINT32_MAX when there is none. */
struct fw_driver_failure {
	uint32_t stage, task, attempt;
	char *error_type, *error_message, *log_path;
};
const struct fw_driver_failure *fw_driver_failure(const struct fw_driver *driver);
/* Why the run fails, as fw_engine_failure() says. */
int fw_driver_reason(const struct fw_driver *driver, struct fw_error **err);
