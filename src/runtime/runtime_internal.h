/* SPDX-License-Identifier: Apache-2.0
 *
 * What the runtime's own files share. A worker is in one state and has at most one invocation; an invocation has one
 * worker, or none when it never got one. Whoever sets `status` first decides how an invocation ended.
 *
 *   STARTING --first next--> BUSY --next--> IDLE --event--> BUSY ...
 *   any --stop or death--> ENDING --death--> discarded
 */
#pragma once

#include <pthread.h>

#include "base/map.h"
#include "base/time.h"
#include "runtime/api.h"
#include "runtime/launch.h"
#include "runtime/log.h"
#include "runtime/runtime.h"

#define FW_TEXT_ID 37 /* UUID */

enum fw_worker_state { FW_WORKER_STARTING, FW_WORKER_IDLE, FW_WORKER_BUSY, FW_WORKER_ENDING };

struct fw_worker {
	struct fw_runtime *runtime;
	struct fw_worker *next, **link; /* most recently used first */
	enum fw_worker_state state;
	char name[32];
	char *key;                 /* of the pool */
	int64_t memory_mb;
	char *attempts;            /* its writable directory */
	char **read_only;          /* what it may read besides; NULL-terminated */
	char *hidden;
	struct fw_sandbox *sandbox;
	struct fw_api *api;
	struct fw_energy_worker *energy; /* or NULL */
	struct fw_log_stream *output;
	struct fw_watch *death;
	struct fw_timer *timer;    /* init, invocation, grace, end: one at a time */
	uint64_t exec_ns;
	bool killed;               /* SIGKILL was sent */
	struct fw_invocation *invocation;
};

struct fw_invocation {
	struct fw_runtime *runtime;
	struct fw_invocation *next, **link;
	struct fw_invoke invoke;   /* its texts and lists are valid during fw_runtime_invoke() only */
	char *arn, *log_name;
	struct fw_record *record;
	struct fw_worker *worker;
	struct fw_timer *soon;     /* what must not happen inside fw_runtime_invoke() */
	struct fw_log_file *log;
	char request_id[FW_TEXT_ID];
	char trace_id[64];
	uint64_t dispatch_ns;
	uint64_t started_ns;       /* 0: the event was never written */
	uint64_t init_ns;          /* spent by a worker that never asked for its first event */
	const char *status;        /* NULL while undecided */
	char *error_type, *error_message;
	char *body;                /* what the function posted */
	size_t length;
	bool final;                /* another one would end alike */
	bool ended;
	bool metered_early;        /* before `ended` */
};

struct fw_size { /* of workers */
	int64_t memory_mb, tmp_mb;
	size_t expected; /* starts still to come, as far as known */
	size_t stocked;  /* as last asked for */
	bool changed;    /* since then one was started */
};

struct fw_runtime {
	struct fw_runtime_options options;
	char *log_directory, *region;
	struct fw_sandboxes *sandboxes;
	struct fw_map *launches;   /* by what launch_key() says: struct fw_launch */
	struct fw_worker *workers;
	struct fw_invocation *invocations; /* not yet metered */
	size_t cold_starts, invocation_count, worker_number;
	uint32_t random;           /* part of worker names: a resumed run never meets old ones */
	bool closing;
	pthread_mutex_t lock;      /* of what follows, and of `closing` */
	pthread_cond_t job_ended;
	size_t jobs;               /* on the pool: sandboxes being removed, the stock being filled */
	FW_VECTOR(struct fw_size) sizes;
	bool stocking;             /* a job does */
};

/* runtime.c */
int fw_runtime_launch(struct fw_runtime *runtime, const struct fw_function *function, const struct fw_launch **launch,
                      struct fw_error **err);
/* Jobs of the pool that use the runtime, which waits for them before it goes. */
void fw_runtime_job_begins(struct fw_runtime *runtime); /* loop thread, before it is submitted */
void fw_runtime_job_ended(struct fw_runtime *runtime);  /* pool thread, the last thing it does with the runtime */
void fw_runtime_random(void *bytes, size_t length);

/* pool.c */
char *fw_pool_key(const struct fw_launch *launch, const struct fw_invoke *invoke);
/* The most recently used idle worker of that key that waits for an event, or NULL. */
struct fw_worker *fw_pool_take(struct fw_runtime *runtime, const char *key);
/* Ends idle workers, oldest first, until memory_mb more fits. */
void fw_pool_make_room(struct fw_runtime *runtime, int64_t memory_mb);

/* stock.c */
void fw_stock_used(struct fw_runtime *runtime, int64_t memory_mb, int64_t tmp_mb); /* a worker of that size has started */

/* worker_start.c */
/* Starts a worker for the invocation. On failure nothing is left behind. */
int fw_worker_start(struct fw_invocation *invocation, const struct fw_launch *launch, char *key, struct fw_error **err);
/* worker.c */
extern const struct fw_api_owner fw_worker_api; /* context: the worker */
void fw_worker_on_death(void *worker, int fd);
void fw_worker_on_timer(void *worker);
void fw_worker_link(struct fw_worker *worker); /* as the most recently used */
void fw_worker_free(struct fw_worker *worker); /* all but its sandbox; not linked */
void fw_worker_touch(struct fw_worker *worker); /* most recently used */
/* SIGTERM, then SIGKILL after grace_ns (0: at once). The invocation's status must be set, if there is one. */
void fw_worker_stop(struct fw_worker *worker, uint64_t grace_ns);
/* Its process has ended, or is given up: the invocation ends, the worker is gone after this call. */
void fw_worker_died(struct fw_worker *worker);

/* invocation.c */
void fw_invocation_free(struct fw_invocation *invocation);
/* Writes the event to its waiting worker. */
void fw_invocation_begin(struct fw_invocation *invocation);
/* First call wins. Takes the texts over; type and message may be NULL. */
void fw_invocation_judge(struct fw_invocation *invocation, const char *status, char *type, char *message);
void fw_invocation_judge_start(struct fw_invocation *invocation, const struct fw_error *error);
void fw_invocation_keep_body(struct fw_invocation *invocation, struct fw_str body);
/* Its part in the worker is over: fills the record, calls `ended`, has it metered. The worker is free already. */
void fw_invocation_end(struct fw_invocation *invocation, struct fw_worker *worker);
/* The same, in a later turn, for one that never got a worker. */
void fw_invocation_end_soon(struct fw_invocation *invocation);
/* At the end of the runtime: whatever it still waits for. */
void fw_invocation_finish_now(struct fw_invocation *invocation);
