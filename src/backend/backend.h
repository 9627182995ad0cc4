/* SPDX-License-Identifier: Apache-2.0
 *
 * A backend executes invocations somewhere: local, later kubernetes, lambda, sim. The driver (driver.c) owns the engine,
 * the storage and the store; a backend only runs what it is given and fills the record with what it can know.
 */
#pragma once

#include "base/loop.h"
#include "base/pool.h"
#include "catalogue/catalogue.h"
#include "energy/manager.h"
#include "host/machine.h"
#include "record/record.h"
#include "runtime/stage_request.h"
#include "storage/storage.h"
#include "workflow/workflow.h"

struct fw_backend; /* first member of every implementation: const struct fw_backend_ops *ops */

/* Borrowed; outlives the backend. */
struct fw_backend_context {
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_storage *storage;
	const struct fw_workflow *workflow;
	const struct fw_catalogue *catalogue;
	const char *run;
	const char *state_directory; /* beside the store: package cache, logs/<run>/ */
	const char *region;
	const char *counters_root; /* the directory that stands for "/" for energy counters; NULL: "/" */
	uint64_t start_ns;
	double smt_weight;         /* fw_energy_options */
	bool oversubscribe;
	bool resume; /* end_orphans() follows: until then groups of this run's name are a killed engine's */
};

struct fw_dispatch_outcome {
	struct fw_record *record;   /* status, error, times set */
	const char *body;           /* the function's answer or error document, or NULL */
	size_t length;
	const char *directory;      /* the attempt's working directory with what it wrote, or NULL */
	bool final;                 /* another attempt would end alike */
	const char *log_path;       /* what it wrote to stdout and stderr, or NULL */
};

struct fw_dispatch {
	uint32_t stage, task, attempt;
	int64_t memory_mb;
	int64_t millivcpus;
	bool cpu_capped;
	uint64_t ready_ns;
	/* Makes the event for a directory chosen by the backend; newly allocated. May write into the directory, which is not yet
	 * the worker's; of a stage without outputs it is not there yet and made by whoever has something to put into it. */
	int (*event)(void *context, const char *directory, char **body, size_t *length, struct fw_error **err);
	void (*started)(void *context);
	void (*progress)(void *context, double done, double total, const char *note);
	/* Its function wants an object of the event as a local file; length -1: to its end. Answers the request, now or later.
	 * Until `ended`. */
	void (*stage_in)(void *context, const char *uri, int64_t offset, int64_t length, struct fw_stage_request *request);
	void (*ended)(void *context, const struct fw_dispatch_outcome *outcome); /* once */
	void (*metered)(void *context); /* once, after ended: the record is final; frees what hangs on context */
	void *context;
	struct fw_record *record; /* identity filled; the backend fills the rest */
};

struct fw_backend_ops {
	const char *name; /* stored in every record */

	/* Fails before any task starts for what can be known by then: FW_E_ENVIRONMENT, FW_E_PERMISSION. */
	int (*open)(const struct fw_backend_context *context, struct fw_backend **backend, struct fw_error **err);

	/* What the engine may promise. */
	void (*capacity)(struct fw_backend *backend, int64_t *millivcpus, int64_t *memory_mb);

	/* What its workers run on, where it knows more than a record's cpu_model says: true. */
	bool (*processor)(struct fw_backend *backend, struct fw_processor *processor);

	/* What is not enforced or not measured here, one line each, or NULL. Borrowed. */
	const char *(*missing)(struct fw_backend *backend);

	/* Environment of the run's row: machine, monitors, versions. New reference. */
	json_t *(*describe)(struct fw_backend *backend);

	/* Starts an invocation; never fails synchronously: what goes wrong comes through `ended`, later. */
	void (*dispatch)(struct fw_backend *backend, const struct fw_dispatch *dispatch);

	/* Ends one; `ended` follows with cancelled (or what it had become). */
	void (*cancel)(struct fw_backend *backend, uint32_t stage, uint32_t task, uint32_t attempt, bool now);

	/* Ends what a killed engine of this run left on this machine; returns how many sandboxes. Before resume. */
	int (*end_orphans)(struct fw_backend *backend, size_t *ended, struct fw_error **err);

	/* What energy counters measured during the run and to whom it was handed out, or NULL. After flush. New reference. */
	json_t *(*energy_books)(struct fw_backend *backend);

	/* Adds what invocations that run now have used so far to totals->joules; how many of them could be told. */
	size_t (*energy_running)(struct fw_backend *backend, struct fw_totals *totals);

	/* Those of an earlier run on this machine, which ended so long ago: what it knew of idle power. After open. */
	void (*energy_inherit)(struct fw_backend *backend, const json_t *books, double age_s);

	/* Moves the raw readings behind energy since the last call to the end of `out`; false when there were none. Once a second,
	 * and after the last flush. */
	bool (*energy_readings)(struct fw_backend *backend, struct fw_buffer *out);

	/* Waits for pending `metered` calls. */
	void (*flush)(struct fw_backend *backend);

	void (*close)(struct fw_backend *backend); /* no invocation is running any more */
};

struct fw_backend {
	const struct fw_backend_ops *ops;
};

extern const struct fw_backend_ops fw_backend_local;
