/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine: a pure state machine over the event log. It has no clock, no loop and no I/O; time and chance come in with
 * events. The driver logs an event, steps the engine, carries out the actions, and feeds back what happened. Run, resume
 * (replay of the log), simulation and the kill-at-every-event test are the same code.
 *
 * Invariants: every task ends once; nothing is dispatched before its inputs are known; the reservations of dispatched
 * invocations never exceed the machine; the same events give the same state and actions.
 *
 * What a stage waits for, and what becomes of it:
 * - A scattered or broadcast input waits for the closed list of its producer; an `each` input turns every object into a
 *   task as soon as it is committed. Keys are listed when `after`, `when` and ${stage.result...} are satisfied; nothing
 *   is dispatched before the lists asked for at the start are there. A list of keys without objects fails the run.
 * - A scattered input gives min(workers, objects) tasks; without a partitioned input all workers run.
 * - An input that is cut into ranges waits for its list to close, then for the plan of the cuts. There are as many tasks
 *   as the plan has parts, at most as workers. Listed keys that hold no record fail the run; objects of another stage
 *   that hold none give no task. What cannot be cut fails the stage, which then has no task at all.
 * - All tasks of a failed stage finish. With `on_failure: continue` its list closes without what failed. With `stop` it
 *   is broken: who waits for the closed list or, by `after`, for the end is skipped; an `each` consumer keeps what it
 *   got, and its own list is broken in turn. The run fails either way.
 * - A stage whose `when` is false is skipped without failing the run, and so is who needs its objects or its result;
 *   who only comes after it runs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "record/record.h"
#include "storage/range.h"
#include "workflow/workflow.h"

struct fw_engine;

enum {
	FW_ENGINE_OVERTAKES_MAX = 16,        /* of the oldest ready task that does not fit; then the machine drains for it */
	FW_ENGINE_OVERSUBSCRIBED_MAX = 1024, /* invocations at once when admission is lifted */
	FW_ENGINE_LOST_MAX = 10,             /* attempts lost in a row before a task fails as lost */
};

enum fw_status { /* of an invocation, and of a task or stage when it has ended */
	FW_STATUS_OK,
	FW_STATUS_FUNCTION_ERROR,
	FW_STATUS_TIMEOUT,
	FW_STATUS_OUT_OF_MEMORY,
	FW_STATUS_LOST,      /* the engine died or the environment failed; always retried */
	FW_STATUS_CANCELLED,
	FW_STATUS_SKIPPED,   /* never dispatched: a producer failed or `when` was false */
};
const char *fw_status_name(enum fw_status status); /* "ok", "function_error", ... */
bool fw_status_parse(const char *name, enum fw_status *status);

/* One object of a list; texts are borrowed from the event or, in actions, from the engine until the next step. */
struct fw_engine_object {
	const char *key;   /* below the storage: "videos/a.mp4", "runs/<run>/split/0.1/chunks/x.mp4" */
	int64_t bytes;
	uint32_t output;   /* index of the producing output in its stage; 0 for listed objects */
	const char *version; /* that was listed, and is read; NULL: not known */
};

/* ---- events: what happened. All are logged before they are stepped. ---- */
enum fw_event_kind {
	FW_EV_RUN_STARTED,  /* machine: millivcpus, memory_mb, seed, oversubscribe */
	FW_EV_LISTED,       /* stage, input, objects: answers FW_ACT_LIST; without objects the run fails */
	FW_EV_LIST_FAILED,  /* stage, input, message: the run fails in its environment; running invocations finish */
	FW_EV_PLANNED,      /* stage, input, ranges, versions: answers FW_ACT_PLAN; without ranges there is no record in the
	                       objects. Versions of all or none: those of the list's objects that were cut */
	FW_EV_PLAN_FAILED,  /* stage, input, status, message: function_error: the objects are not what they should be, the stage
	                       fails; lost: they could not be read, the run fails in its environment */
	FW_EV_STARTED,      /* stage, task, attempt: the event was written to its worker */
	FW_EV_ENDED,        /* stage, task, attempt, status, objects (published, when ok), result, error; is the commit */
	FW_EV_TIMER,        /* timer: a timer set by FW_ACT_TIMER ran out; ignored when nobody waits for it any more */
	FW_EV_CANCEL,       /* now: false = let running invocations finish (graceful), true = kill them */
	FW_EV_RESUMED,      /* the previous engine died: what was dispatched and has not ended is lost and re-dispatched
	                       without using up a retry; machine as in RUN_STARTED; outstanding lists are asked again, who
	                       waited for a timer is ready. A finished run goes on, too: what was cancelled, skipped or
	                       failed (unless others went on without it, `on_failure: continue`) gets a fresh chance */
	FW_EV_RESTARTED,    /* stage: --from STAGE: that stage and its descendants start afresh, the rest is kept. Nothing is
	                       dispatched: RESUMED follows. Attempts count on, so that keys never meet those of before */
	FW_EV_RECUT,        /* stage: its objects are not what was cut and no task of it is committed: it alone starts afresh, with
	                       new lists and cuts. RESUMED follows, and attempts count on, as above */
};

struct fw_engine_event {
	enum fw_event_kind kind;
	uint64_t time_ns; /* since the start of the run, by the driver's clock; kept with the log, never compared */
	uint32_t stage;
	uint32_t input;
	uint32_t task;
	uint32_t attempt; /* from 1 */
	enum fw_status status;
	bool final;                /* another attempt could only end alike: none is made */
	const char *error_type;    /* or NULL */
	const char *error_message; /* or NULL */
	const struct fw_engine_object *objects;
	size_t object_count;
	const struct fw_range *ranges;
	size_t range_count;
	const char *const *versions; /* by object of the list; NULL: not known */
	size_t version_count;
	const json_t *result; /* or NULL; the engine takes its own reference */
	/* Of ENDED, for the log alone: what the record is known to be at the commit, its figures come later. A kill in between
	 * costs the figures, not the record. Written from the one, read into the other; each or NULL. */
	const struct fw_record *record;
	const json_t *recorded;
	uint64_t timer;
	bool now;
	bool oversubscribe;
	int64_t millivcpus;
	int64_t memory_mb;
	uint64_t seed; /* of the jitter */
};

/* ---- actions: what to do. ---- */
enum fw_action_kind {
	FW_ACT_LIST,      /* stage, input: list the storage; answer with LISTED or LIST_FAILED */
	FW_ACT_PLAN,      /* stage, input: cut fw_engine_input(); answer with PLANNED or PLAN_FAILED */
	FW_ACT_DISPATCH,  /* stage, task, attempt, memory_mb, millivcpus, cpu_capped: answer with STARTED (when it is) and ENDED */
	FW_ACT_CANCEL,    /* stage, task, attempt: end it; answer ENDED cancelled */
	FW_ACT_TIMER,     /* timer, delay_ms: answer TIMER */
	FW_ACT_STAGE_ENDED, /* stage, status: for progress and the stage row */
	FW_ACT_FINISH,    /* status: nothing is outstanding any more; no event follows */
};

struct fw_engine_action {
	enum fw_action_kind kind;
	uint32_t stage;
	uint32_t input;
	uint32_t task;
	uint32_t attempt;
	int64_t memory_mb;
	int64_t millivcpus; /* reserved, at most the machine's */
	uint64_t ready_ns;  /* time_ns of the event that made it ready: waiting for room counts from there */
	bool cpu_capped;    /* asks for more CPU than the machine has: runs alone */
	uint64_t timer;
	uint64_t delay_ms;
	enum fw_status status;
};

struct fw_engine_actions {
	FW_VECTOR(struct fw_engine_action) list; /* cleared by fw_engine_step() */
};

/* The workflow is borrowed and must outlive the engine. */
int fw_engine_new(const struct fw_workflow *workflow, struct fw_engine **engine, struct fw_error **err);
void fw_engine_free(struct fw_engine *engine);
FW_DEFINE_CLEANUP(struct fw_engine *, fw_engine_free)

/* One event in, actions out. An event that contradicts the state (unknown task, second end) is refused with
 * FW_E_CONFLICT and changes nothing; so is a machine with less memory than a stage needs at RUN_STARTED and RESUMED
 * (FW_E_LIMIT), unless oversubscribed. After FW_ACT_FINISH only CANCEL, TIMER (ignored), RESUMED and RESTARTED come. */
int fw_engine_step(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_engine_actions *actions,
                   struct fw_error **err);

/* After RESTARTED, before RESUMED: the stages that start afresh do so as this workflow says; the rest keep the plan that
 * they had. It has the same stages in the same order, else FW_E_CONFLICT, and must outlive the engine, too. After a
 * failure the engine can only be freed. */
int fw_engine_replan(struct fw_engine *engine, const struct fw_workflow *workflow, struct fw_error **err);

/* ---- what the driver and the summary ask ----
 * A task's number never depends on the order of arrival: its place where the width is known before, else made from
 * (producer task, ordinal). So the numbers of an `each` stage over another one may have gaps and exceed `total`. */
struct fw_task_inputs {
	/* per input of the stage, in order: the objects of this task */
	struct {
		const struct fw_engine_object *objects; /* an array of the engine's, until the next step */
		size_t count;
		const struct fw_range *ranges; /* these pieces of them instead, `object` is an index; NULL: whole objects */
		size_t range_count;
		uint32_t parts; /* the task does its part of each object, one of so many; 0: all of it */
	} *inputs;
	size_t count;
	void *scratch;
};
void fw_engine_task_inputs(struct fw_engine *engine, uint32_t stage, uint32_t task, struct fw_task_inputs *inputs);
void fw_task_inputs_done(struct fw_task_inputs *inputs);
/* The closed list of an input, in the order that ranges refer to; until the next step. */
const struct fw_engine_object *fw_engine_input(const struct fw_engine *engine, uint32_t stage, uint32_t input,
                                               size_t *count);

/* Whether the run, when it is resumed, goes on with an object as it was cut: a task that is not committed has a range of it.
 * `of` says which, an array of fw_engine_input()'s length. False: the stage has no cuts that it goes on with. */
bool fw_engine_goes_on_with(const struct fw_engine *engine, uint32_t stage, uint32_t *input, bool *of);

struct fw_stage_progress {
	uint32_t total;      /* tasks known so far */
	bool closed;         /* total is final */
	uint32_t waiting, running, ok, failed, skipped;
	uint32_t attempts;   /* dispatched so far */
	bool ended;
	enum fw_status status; /* when ended */
};
struct fw_stage_progress fw_engine_stage(const struct fw_engine *engine, uint32_t stage);
bool fw_engine_finished(const struct fw_engine *engine, enum fw_status *status);
/* Results by stage index for fw_payload_fill(), NULL before the stage ends and when no task gave one: the result of a
 * stage with one worker, else an array of all tasks' by (producer task, ordinal), null where there is none. Borrowed. */
json_t *const *fw_engine_results(const struct fw_engine *engine);
bool fw_engine_committed(const struct fw_engine *engine, uint32_t stage, uint32_t task, uint32_t attempt);
/* Why the run fails, so far: FW_E_INVALID nothing matched a glob, FW_E_ENVIRONMENT a list failed or a task was lost too
 * often, FW_E_FUNCTION "stage/task: status: type: message" of the first failure, FW_E_CANCELLED; FW_OK: it does not. */
int fw_engine_failure(const struct fw_engine *engine, struct fw_error **err);
size_t fw_engine_memory(const struct fw_engine *engine); /* bytes held without the texts of keys */

/* ---- the log ---- */
/* One event as a JSON text and back; replay = decode and step all. `event` borrows from the returned document. Encoding
 * appends; FW_E_INVALID for a key that is not UTF-8 (JSON cannot carry it), FW_E_LIMIT when the buffer is full. */
int fw_event_log_encode(const struct fw_engine_event *event, struct fw_buffer *out);
int fw_event_log_decode(const char *text, size_t length, struct fw_engine_event *event, json_t **owner,
                        struct fw_error **err);
void fw_event_log_release(struct fw_engine_event *event, json_t *owner);
