/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime: workers that are AWS Lambda Runtime API clients, each in its sandbox, pooled and reused as on Lambda.
 * It executes invocations; it knows nothing of stages, engines or stores. Everything runs on the loop's thread.
 * An answer that was accepted counts: a worker that dies, hangs or is killed behind it is discarded, the invocation is ok.
 */
#pragma once

#include "base/loop.h"
#include "base/pool.h"
#include "energy/manager.h"
#include "record/record.h"
#include "runtime/sandbox.h"
#include "runtime/stage_request.h"

struct fw_runtime;
struct fw_invocation; /* one invocation in flight; freed by the runtime after `ended` */

struct fw_runtime_options {
	struct fw_loop *loop;
	struct fw_pool *pool;
	const struct fw_machine *machine;
	struct fw_cgroups *cgroups;        /* or NULL: no limits */
	struct fw_energy_manager *energy;  /* or NULL */
	const char *run;
	const char *state_directory;       /* package cache */
	const char *log_directory;         /* one file an invocation that printed or failed */
	const char *region;                /* AWS_REGION of the functions */
	uint64_t start_ns;                 /* CLOCK_MONOTONIC of the run's start: times in records count from it */
	int64_t memory_mb;                 /* all workers together, idle ones too: idle ones are evicted to stay below */
	uint64_t grace_ns;                 /* SIGTERM to SIGKILL; 0: 2 s */
	uint64_t init_ns;                  /* beyond the timeout, until a worker's first GET next; 0: 10 s, as on Lambda */
	size_t log_bytes;                  /* kept of one invocation's output; 0: 4 MiB */
};

int fw_runtime_new(const struct fw_runtime_options *options, struct fw_runtime **runtime, struct fw_error **err);
/* Ends all workers (grace), waits for them, flushes. */
void fw_runtime_free(struct fw_runtime *runtime);
const char *fw_runtime_missing(const struct fw_runtime *runtime); /* what is not enforced, or NULL */

/* Copies the function's package into the cache and looks for its interpreter, so that what is missing is known before
 * anything starts: FW_E_ABSENT, FW_E_PERMISSION, FW_E_UNAVAILABLE with a hint. Blocks. An invocation of a function that
 * was not prepared prepares it then, on the loop's thread. */
int fw_runtime_prepare(struct fw_runtime *runtime, const struct fw_function *function, struct fw_error **err);

/* So many workers of this size will be started, as far as is known: a few control groups and images of /tmp are made on the
 * pool beforehand, more as they are used, and removed when no more are expected. */
void fw_runtime_expect(struct fw_runtime *runtime, int64_t memory_mb, int64_t tmp_mb, size_t workers);

struct fw_invoke_outcome {
	/* "ok", "function_error", "timeout", "out_of_memory", "lost", "cancelled" are written into the record */
	struct fw_record *record; /* as given to fw_runtime_invoke() */
	const char *body;         /* what the function posted: answer, or error document; NULL when none */
	size_t length;
	bool final;               /* the function cannot be started: another attempt would end alike */
	const char *log_path;     /* or NULL; of a failure it is there now, of a silent success soon after `metered` */
};

struct fw_invoke {
	const struct fw_function *function; /* outlives the invocation */
	const char *name;          /* function name: "<workflow>-<stage>" */
	const char *handler;       /* _HANDLER of a fresh worker; warm ones are told by the event */
	int64_t memory_mb;
	int64_t tmp_mb;
	enum fw_network network;
	int64_t timeout_ms;
	const char *const *read_only; /* NULL-terminated: what the sandbox shows beside the package */
	const char *hidden;
	const char *attempts_root;  /* the worker is shown <attempts_root>/<worker>, where `prepare` makes what it may write */
	const char *log_name;       /* file name in log_directory */
	bool stage_aware;           /* its handler is named by the event: warm workers serve any of the package's */
	uint64_t ready_ns;          /* when the engine had it ready: queue time counts from there */

	/* All on the loop's thread. */
	void *context;
	/* Just before the event is written: the invocation's writable directory (made here by the callback if it wants one)
	 * is below `attempts`; returns the event's bytes, newly allocated. A failure ends the invocation as lost. */
	int (*prepare)(void *context, const char *attempts, uid_t uid, char **body, size_t *length, struct fw_error **err);
	void (*started)(void *context, const char *worker);
	void (*progress)(void *context, double done, double total, const char *note);
	/* The function wants an object of its event as a local file: answer the request, now or later. NULL: none has any. */
	void (*stage_in)(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request);
	/* Once. The worker is free already. `record` holds identity.worker, outcome, times; resources and energy follow by
	 * `metered`. The outcome and its texts are valid during the call; the record is the callee's to keep. */
	void (*ended)(void *context, const struct fw_invoke_outcome *outcome);
	/* Once, after `ended`: the record is final. */
	void (*metered)(void *context);
};

/* Finds or starts a worker and runs one invocation. `record` (all null but identity) must live until `metered`. Fails only
 * when the runtime is ending: a function that cannot be started comes through `ended`, later, as function_error. The
 * texts and lists of `invoke` need not outlive the call. */
int fw_runtime_invoke(struct fw_runtime *runtime, const struct fw_invoke *invoke, struct fw_record *record,
                      struct fw_invocation **invocation, struct fw_error **err);
/* Ends it: SIGTERM, grace, SIGKILL; now: SIGKILL at once. `ended` follows with status cancelled. */
void fw_runtime_cancel(struct fw_invocation *invocation, bool now);

struct fw_runtime_counts {
	size_t workers, idle;            /* now */
	size_t cold_starts, invocations; /* so far */
};
struct fw_runtime_counts fw_runtime_count(const struct fw_runtime *runtime);
