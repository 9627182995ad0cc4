/* SPDX-License-Identifier: Apache-2.0
 *
 * The store: one SQLite file (WAL) with runs, stages, invocations, their energy, and the event log that resume replays.
 * Writers batch: what is written in one turn of the loop is one transaction, committed by fw_store_flush() before any
 * action that depends on it is carried out. A killed process loses nothing that was flushed; fsync happens at most a
 * second later, off the loop (fw_store_checkpoint), so a power loss loses at most that second and never consistency.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "record/record.h"

struct fw_store;

/* $FLEXWATT_STORE, else $XDG_STATE_HOME/flexwatt/flexwatt.db, else ~/.local/state/…; newly allocated. */
char *fw_store_default_path(void);
/* Creates and migrates. A file that is not ours or is from a newer flexwatt is refused. read_only: FW_E_ABSENT if missing. */
int fw_store_open(const char *path, bool read_only, struct fw_store **store, struct fw_error **err);
/* Commits what is pending; a failure of that is only logged: flush before, to know. */
void fw_store_close(struct fw_store *store);
FW_DEFINE_CLEANUP(struct fw_store *, fw_store_close)
const char *fw_store_path(const struct fw_store *store);

/* Commits what has been written since the last flush. A write that fails undoes all that was written since the last
 * flush; the event log then refuses to go on with a hole. One thread uses a store; other threads open their own. */
int fw_store_flush(struct fw_store *store, struct fw_error **err);
/* Undoes what was written since the last flush. */
void fw_store_discard(struct fw_store *store);
/* Makes flushed transactions durable, and moves them into the main file when the log beside it has grown large. Any
 * thread; opens what it needs itself. */
int fw_store_checkpoint(const char *path, struct fw_error **err);

struct fw_run_row {
	char *run;
	char *workflow;        /* name */
	char *workflow_path;
	char *workflow_digest;
	char *workflow_text;   /* effective, JSON */
	char *backend;
	char *storage;         /* URI */
	char *state;           /* running, ok, failed, cancelled, interrupted */
	int64_t wall_ms;       /* start */
	double makespan_ms;    /* NAN while it runs */
	json_t *environment;   /* machine, kernel, versions, limits not enforced, options */
	json_t *totals;        /* made at the end, or NULL */
	char *error;           /* why it failed, for `runs` */
	int64_t pid;           /* of the engine, to tell a running from a dead one, */
	char *boot_id;         /* with its boot and start time */
	int64_t pid_start;
	char *sweep;           /* that it belongs to, or NULL */
	int64_t repetition;    /* within the sweep, from 0; FW_NULL_INT without one */
	json_t *configuration; /* of its stages: memory, workers, architecture; or NULL */
};
void fw_run_row_done(struct fw_run_row *row);
/* Fills pid, boot_id and pid_start with the calling process. root_fd is a directory that stands for "/". */
int fw_run_row_set_engine(struct fw_run_row *row, int root_fd, struct fw_error **err);
/* False when the run's engine has ended: another boot, no such process, or its pid was given to a later process. */
bool fw_store_run_is_alive(const struct fw_run_row *row, int root_fd);
int fw_store_run_insert(struct fw_store *store, const struct fw_run_row *row, struct fw_error **err);
int fw_store_run_update(struct fw_store *store, const struct fw_run_row *row, struct fw_error **err); /* by run */
/* By full id, or by a unique tail or prefix ("k3f"); FW_E_USAGE when there is none or it is ambiguous (the hint lists them). */
int fw_store_run_get(struct fw_store *store, const char *id, struct fw_run_row *row, struct fw_error **err);
/* The same for who takes the run up: FW_E_BUSY while its engine lives. `row` names the calling process, and until the flush
 * that follows fw_store_run_update(), or a discard, no other can take it up. root_fd is a directory that stands for "/". */
int fw_store_run_claim(struct fw_store *store, const char *id, int root_fd, struct fw_run_row *row, struct fw_error **err);
/* Newest first. The caller frees rows with fw_run_row_done() and the array. */
int fw_store_run_list(struct fw_store *store, size_t limit, struct fw_run_row **rows, size_t *count, struct fw_error **err);
int fw_store_run_delete(struct fw_store *store, const char *run, struct fw_error **err); /* with all that hangs on it */

/* The event log of an inserted run. seq counts from 1 without holes, else FW_E_CONFLICT. */
int fw_store_event_append(struct fw_store *store, const char *run, int64_t seq, const char *text, size_t length,
                          struct fw_error **err);
int fw_store_event_each(struct fw_store *store, const char *run,
                        int (*visit)(void *context, int64_t seq, const char *text, size_t length, struct fw_error **err),
                        void *context, struct fw_error **err);

/* Records of an inserted run; a second one of the same (run, stage, task, attempt) replaces the first. */
int fw_store_record_put(struct fw_store *store, const struct fw_record *record, struct fw_error **err);
/* stage NULL: all; task < 0: all. Ordered by stage's first start, task, attempt. */
int fw_store_record_each(struct fw_store *store, const char *run, const char *stage, int64_t task,
                         int (*visit)(void *context, const struct fw_record *record, struct fw_error **err), void *context,
                         struct fw_error **err);

struct fw_stage_row {
	char *run, *stage;
	int64_t position;     /* in the workflow */
	char *status;         /* ok, function_error, …, skipped; NULL while it runs */
	double first_start_ms, last_end_ms; /* since the start of the run */
	int64_t tasks, ok, failed, skipped, attempts;
	char *triggered_by;   /* branch whose commit started it, or NULL */
	int64_t resolved_at_start; /* futures already resolved then */
	json_t *configuration;
};
void fw_stage_row_done(struct fw_stage_row *row);
int fw_store_stage_put(struct fw_store *store, const struct fw_stage_row *row, struct fw_error **err);
int fw_store_stage_list(struct fw_store *store, const char *run, struct fw_stage_row **rows, size_t *count,
                        struct fw_error **err);
