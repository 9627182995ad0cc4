/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine's own files share: the compact state of tasks and stages. A task is 32 bytes in its stage's array and
 * is addressed by its slot there; the outside knows it by its number, which never depends on the order of arrival
 * (identity.c). Nothing is allocated per task: arrays double, keys lie in blocks that never move.
 */
#pragma once

#include "engine/engine.h"

enum {
	FW_ENGINE_BACKOFF_BASE_MS = 200, /* doubled by each failure of the task, the delay drawn evenly from 0 to it */
	FW_ENGINE_BACKOFF_MAX_MS = 10000,
};

enum task_state { TASK_READY, TASK_RUNNING, TASK_BACKOFF, TASK_DONE };

struct task {
	uint32_t number;        /* what the outside calls it */
	uint32_t attempt;       /* the last one dispatched; 0 before the first */
	uint32_t first_object;  /* published, in the stage's objects */
	uint32_t object_count;
	uint32_t source;        /* of a flow stage: slot of the producer's task */
	uint32_t source_object; /* of a flow stage: its input, in the producer's objects */
	uint16_t retries;       /* used up */
	uint8_t state;
	uint8_t status;         /* when done */
	uint8_t growth;         /* doublings of memory */
	uint8_t lost;           /* in a row */
	uint8_t failures;       /* for the backoff; stops counting at 255 */
};

struct queue_entry {
	uint64_t sequence;
	uint64_t ready_ns; /* of the event that made it ready */
	uint32_t stage;
	uint32_t slot;
};

struct queue { /* ring; capacity is a power of two */
	struct queue_entry *entries;
	size_t head, count, capacity;
};

struct demand { /* ready tasks that need the same, first come first */
	int64_t memory_mb;
	int64_t millivcpus;
	struct queue queue;
};

enum shape {
	SHAPE_WIDTH, /* no partitioned input: as many tasks as workers */
	SHAPE_LIST,  /* scatter, range, or each over listed keys: made when the list is closed */
	SHAPE_FLOW,  /* each over a stage: a task appears when its object is committed */
};

enum skip { SKIP_NONE, SKIP_CONDITION, SKIP_FAILURE };

struct input {
	bool asked, answered;
	bool holds; /* asked at the start: nothing is dispatched before the answer */
	uint32_t from_output;
	FW_VECTOR(struct fw_engine_object) list; /* closed; a scattered one lies task after task */
	bool planning, planned;
	FW_VECTOR(struct fw_range) ranges; /* task after task */
};

struct gate { /* a stage that must have ended, and whether its result is needed */
	uint32_t stage;
	bool data;
};

struct stage {
	const struct fw_stage *plan;
	enum shape shape;
	uint32_t partitioned; /* index of the input; UINT32_MAX when none */
	uint32_t from;        /* of a flow: the producer */

	FW_VECTOR(struct gate) gates;
	FW_VECTOR(uint32_t) consumers; /* stages that look at this one's commits or end */
	struct input *inputs;

	FW_VECTOR(struct task) tasks;
	FW_VECTOR(struct fw_engine_object) objects; /* published, in the order of commits */
	FW_VECTOR(uint32_t) commits;                /* slots in the order of commits */
	size_t fed;                                 /* of a flow: how many commits of the producer became tasks */
	uint32_t lanes;                             /* of a flow: width of the chain's first stage */
	uint32_t *odd_numbers;                      /* of a flow: hash of slots + 1 whose number is not the slot */
	size_t odd_count, odd_capacity;
	uint32_t *order; /* when ended: slots by (producer task, ordinal); NULL when that is how they stand */
	json_t **results; /* by slot; NULL while no task gave one */
	size_t result_capacity;

	uint32_t running, ok, failed, skipped, attempts;
	uint32_t attempt_base; /* attempts before the last --from */
	bool gathered; /* its lists are closed: it opens when they are cut, too */
	bool uncut;    /* they cannot be: the stage has failed without a task */
	bool open, closed, ended, broken, touched;
	bool restarted; /* by --from, or to be cut again, until resumed */
	enum skip skip;
	enum fw_status status;
	uint64_t failed_at; /* order of the first failure among stages; with what is told about it: */
	uint32_t failed_task;
	char *failure_type, *failure_message;
};

static inline bool fw_stage_has_failed(const struct stage *stage)
{
	return stage->failed || stage->uncut;
}

enum halt { HALT_NONE, HALT_ABORT, HALT_CANCEL };

struct key_block {
	struct key_block *next;
	char text[];
};

struct fw_engine {
	const struct fw_workflow *workflow;
	struct stage *stages;
	uint32_t stage_count;
	json_t **results; /* by stage */
	struct key_block *keys;
	size_t key_room;
	char *key_end;

	struct fw_engine_actions *actions; /* of the step in hand */
	uint64_t step_ns;                  /* its event's time: only handed on */
	FW_VECTOR(uint32_t) touched;

	int64_t millivcpus, memory_mb, used_millivcpus, used_memory_mb;
	uint32_t running;
	bool oversubscribe;
	uint64_t seed;
	FW_VECTOR(struct demand) demands;
	uint64_t sequence;
	uint32_t overtaken; /* times that the oldest ready task has been */

	bool started, finished;
	bool suspended; /* after RESTARTED and RECUT, until resumed */
	bool beginning; /* the step in hand starts or resumes the run */
	bool killing;   /* running invocations have been told to end */
	enum halt halt;
	uint32_t lists;   /* asked and not answered */
	uint32_t holding; /* of these, the ones that hold dispatching */
	uint32_t ended_stages;
	uint64_t failures;
	enum fw_status status;
	uint32_t abort_stage;
	struct fw_error *abort; /* why the run was given up */
};

/* engine.c */
void fw_stage_keep_failure(struct fw_engine *engine, struct stage *stage, const struct fw_engine_event *event);
int fw_engine_conflict(struct fw_error **err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fw_engine_act(struct fw_engine *engine, const struct fw_engine_action *action);
void fw_engine_abort(struct fw_engine *engine, uint32_t stage, struct fw_error *why); /* takes `why` */

/* stage.c */
void fw_engine_touch(struct fw_engine *engine, uint32_t stage); /* look at it before the step ends */
void fw_engine_settle(struct fw_engine *engine);                /* look at all that was touched; finish if it is over */
void fw_stage_task_done(struct fw_engine *engine, uint32_t stage, uint32_t slot, enum fw_status status);
bool fw_stage_ended_whole(const struct stage *stage); /* everything that it should have given is there */

/* identity.c */
bool fw_stage_find(const struct stage *stage, uint32_t number, uint32_t *slot);
bool fw_stage_number(const struct fw_engine *engine, const struct stage *stage, uint32_t source, uint32_t ordinal,
                     uint32_t *number);
void fw_stage_number_keep(struct stage *stage, uint32_t slot);
void fw_stage_order(const struct fw_engine *engine, struct stage *stage);
static inline uint32_t fw_stage_at(const struct stage *stage, uint32_t position)
{
	return stage->order ? stage->order[position] : position;
}

/* lists.c */
const char *fw_engine_key(struct fw_engine *engine, const char *key);
int fw_engine_listed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
int fw_engine_list_failed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
void fw_stage_ask_lists(struct fw_engine *engine, uint32_t stage);
void fw_stage_close_lists(struct fw_engine *engine, struct stage *stage);
size_t fw_stage_partition_count(const struct stage *stage);
void fw_stage_publish(struct fw_engine *engine, struct stage *stage, uint32_t slot, const struct fw_engine_event *event);
void fw_stage_gather_results(struct fw_engine *engine, uint32_t stage);

/* ranges.c */
int fw_engine_planned(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
int fw_engine_plan_failed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
bool fw_input_needs_plan(const struct fw_input *input);
bool fw_stage_has_cuts(const struct stage *stage); /* its plan is there */
void fw_stage_ask_plan(struct fw_engine *engine, uint32_t stage);
bool fw_stage_is_cut(const struct stage *stage); /* the plan is there, or none is needed */
size_t fw_stage_part_count(const struct stage *stage);
void fw_stage_part(const struct stage *stage, uint32_t part, const struct fw_range **ranges, size_t *count);
void fw_input_forget_plan(struct input *input);

/* admission.c */
int64_t fw_task_memory_mb(const struct fw_engine *engine, const struct stage *stage, unsigned growth);
int fw_engine_machine(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
void fw_engine_ready(struct fw_engine *engine, uint32_t stage, uint32_t slot);
void fw_engine_pump(struct fw_engine *engine);
void fw_engine_release(struct fw_engine *engine, uint32_t stage, uint32_t slot);
void fw_engine_queues_clear(struct fw_engine *engine);

/* retry.c */
/* False when the task has failed: `final` says that another attempt could only end alike. */
bool fw_task_retry(struct fw_engine *engine, uint32_t stage, uint32_t slot, enum fw_status status, bool final);
int fw_engine_timer(struct fw_engine *engine, uint64_t timer, struct fw_error **err);

/* resume.c */
int fw_engine_restarted(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
int fw_engine_recut(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
int fw_engine_resumed(struct fw_engine *engine, const struct fw_engine_event *event, struct fw_error **err);
void fw_stage_done(struct stage *stage); /* frees what it gathered, keeps plan and edges */
