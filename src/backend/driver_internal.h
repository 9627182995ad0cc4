/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the driver share.
 */
#pragma once

#include "backend/driver.h"
#include "base/map.h"

struct fw_driver {
	struct fw_driver_options options;
	const struct fw_workflow *workflow;
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_storage *storage;
	struct fw_catalogue *catalogue;
	struct fw_backend *backend;
	struct fw_processor processor; /* of the backend's workers */
	bool processor_known;
	struct fw_engine *engine;
	struct fw_store *store;
	char *run;
	bool claimed, inserted; /* this new run's place in the storage and its row in the store are ours: they may be removed */
	char *state_directory; /* the backend borrows it */
	uint64_t start_ns; /* CLOCK_MONOTONIC of the run's time zero */
	int64_t sequence;  /* of the last logged event */
	struct fw_engine_actions step;     /* of one event */
	FW_VECTOR(struct fw_engine_action) pending; /* to be carried out after the commit */
	FW_VECTOR(struct fw_engine_event) held; /* stepped and not yet logged: starts */
	struct fw_timer *checkpoint;
	bool checkpointing, dirty, not_durable;
	FW_VECTOR(struct fw_driver_timer *) timers;
	unsigned cancels;
	bool told_of_sweep;           /* who has asked for the end a time more */
	struct fw_timer *impatience;  /* of the sweep, or of what follows a fatal error */
	struct fw_task_run *runs; /* dispatched and not yet final */
	size_t open_records;      /* how many */
	struct fw_map *unpublished; /* stage/task -> how often its outputs could not be published */
	struct fw_driver_cut *cuts; /* plans of ranges on their way */
	const struct fw_input *empty; /* the first keys that matched nothing, or objects without a record; or NULL */
	bool recordless;              /* the latter */
	char *advice;                 /* of a listing that failed: what a person can do; or NULL */
	bool dispatched;              /* something was */
	bool finishing, closed;
	enum fw_status status;
	struct fw_error *fatal;
	bool closing; /* it is being freed: storage, pool and backend still tell what they give up */
	struct fw_run_row row;
	struct fw_stage_times {
		double first_start_ms, last_end_ms;
		char *note;
	} *stages;
	struct fw_totals totals;
	int64_t portions; /* of raw readings that are stored; -1: not asked yet */
	struct fw_driver_failure failure;
	bool *recut; /* by stage: its objects have changed before anything of it was committed; or NULL */
	json_t *packages; /* path → digest */
	json_t *history;  /* what the run was before each --from, oldest first: {digest, workflow, packages}; or NULL */
	FW_VECTOR(struct fw_workflow *) before; /* the workflows of the history */
};

struct fw_driver_timer {
	struct fw_driver *driver;
	struct fw_timer *timer;
	uint64_t id;
	size_t at; /* in the driver's timers */
};

/* The CPU quota of a configuration: AWS gives one vCPU at 1,769 MB. */
static inline double fw_driver_vcpus(int64_t memory_mb)
{
	return (double)memory_mb / 1769.0;
}

/* Logs the event, steps the engine and queues its actions. After a fatal error it does nothing. */
void fw_driver_feed(struct fw_driver *driver, struct fw_engine_event *event);
/* The driver cannot go on: ends the loop. Takes the error. */
void fw_driver_fatal(struct fw_driver *driver, struct fw_error *error);
double fw_driver_now_ms(const struct fw_driver *driver);
/* Message and hint in one text, newly allocated: events and records have no hint of their own. */
char *fw_driver_told(const struct fw_error *error);

/* driver_cancel.c: aborts what was being published or fetched when the fatal error came. */
void fw_driver_settle_storage(struct fw_driver *driver);
/* Whoever has ended the run twice does not wait long for its cleaning. */
void fw_driver_limit_sweep(struct fw_driver *driver);

/* driver_plan.c */
void fw_driver_plan(struct fw_driver *driver, const struct fw_engine_action *action);
void fw_driver_cancel_plans(struct fw_driver *driver);

/* driver_task.c */
void fw_driver_dispatch(struct fw_driver *driver, const struct fw_engine_action *action);
/* Ends a run whose engine has finished, once every record is final (driver.c). */
void fw_driver_maybe_finish(struct fw_driver *driver);
void fw_driver_begin_turns(struct fw_driver *driver);
/* driver_open.c: removes all traces of a run that never took place, and nothing of another that has its name. */
void fw_driver_forget_run(struct fw_driver *driver);

/* driver_resume.c: reads the row of options.run, refuses what has changed, makes the engine as the run began. */
int fw_driver_take_up(struct fw_driver *driver, struct fw_error **err);
/* Replays the log; sets start_ns, sequence and totals, and completes rows that the kill cost. */
int fw_driver_replay(struct fw_driver *driver, struct fw_error **err);

/* driver_change.c: how a workflow or package differs from what the run began with, FW_E_CONFLICT when it does. */
int fw_driver_check_unchanged(const struct fw_driver *driver, struct fw_error **err);

/* driver_cuts.c: whether the objects that a resumed run goes on with are what was cut. Stages that must be cut again are
 * noted; FW_E_USAGE when tasks of such a stage are committed. Waits for the storage. */
int fw_driver_check_cuts(struct fw_driver *driver, struct fw_error **err);

/* driver_stage.c: the stage's row as the engine has it. */
int fw_driver_put_stage(struct fw_driver *driver, uint32_t stage, struct fw_error **err);
/* Money and carbon of a record that is complete but for them, and its part of the totals. */
void fw_driver_price(struct fw_driver *driver, const struct fw_stage *stage, struct fw_record *record);
/* driver_energy.c: what the latest run on this machine knew of its idle power. */
void fw_driver_inherit_floors(struct fw_driver *driver);
/* driver_energy.c: stores what was read since the last time */
void fw_driver_put_readings(struct fw_driver *driver);
/* Digests of the functions' packages, {"path": "digest"}. */
int fw_driver_package_digests(const struct fw_workflow *workflow, json_t **digests, struct fw_error **err);
