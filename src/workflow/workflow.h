/* SPDX-License-Identifier: Apache-2.0
 *
 * The workflow: a named DAG of stages, as its file says it, checked. Everything is owned by struct fw_workflow and does
 * not change after loading. The grammar lives in one table (grammar.c) that drives parser, JSON Schema and
 * docs/workflow.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "storage/range.h"

enum {
	FW_MEMORY_MIN_MB = 128,
	FW_MEMORY_MAX_MB = 10240,
	FW_TIMEOUT_MAX_S = 900,
	FW_WORKERS_MAX = 100000,
	FW_WORKERS_AUTO = 0, /* one task per input object */
};

enum fw_function_kind { FW_FUNCTION_PACKAGE, FW_FUNCTION_PYTHON, FW_FUNCTION_NODE, FW_FUNCTION_COMMAND };
enum fw_style { FW_STYLE_FOUND, FW_STYLE_EVENT, FW_STYLE_STAGE }; /* found: as the handler's annotation says */
enum fw_network { FW_NETWORK_HOST, FW_NETWORK_NONE };
enum fw_edge { FW_EDGE_SCATTER, FW_EDGE_BROADCAST, FW_EDGE_EACH };
enum fw_on_failure { FW_FAILURE_STOP, FW_FAILURE_CONTINUE };

struct fw_function {
	enum fw_function_kind kind;
	char *path;        /* absolute: package directory or zip, python or node directory; NULL for a command */
	char *handler;     /* default handler, NULL for a command */
	char *interpreter; /* python: absolute path or NULL */
	enum fw_style style; /* python: how the handler is called */
	FW_VECTOR(char *) command;
	bool per_object;   /* command: once per input object */
	json_t *environment; /* object of strings, or NULL */
};

struct fw_input {
	char *name;
	char *keys;             /* glob below the storage, or NULL */
	size_t keys_line, keys_column; /* where the file says so; 0 when an override does */
	size_t from_stage;      /* index of the producer; SIZE_MAX when keys is set */
	char *from_output;
	enum fw_edge edge;
	struct fw_range_format range; /* of a scattered one: objects are cut; kind FW_RANGE_NONE: dealt whole */
};

struct fw_output {
	char *name;
	char *suffix;  /* "" when none */
	char *from;    /* payload stages: JSON pointer into the result, or NULL */
	char *keys;    /* payload stages: glob of the objects that the function wrote, or NULL */
};

enum fw_operator { FW_OP_EQ, FW_OP_NE, FW_OP_LT, FW_OP_LE, FW_OP_GT, FW_OP_GE };
struct fw_condition {
	size_t stage;  /* SIZE_MAX: no condition */
	char *path;    /* dotted path into the stage's result */
	enum fw_operator operator_;
	json_t *value;
};

struct fw_stage {
	char *name;
	struct fw_function function;
	int64_t workers; /* FW_WORKERS_AUTO or N */
	int64_t memory_mb;
	int64_t timeout_ms;
	int64_t retries;      /* beyond the first attempt */
	bool grow;            /* more memory after out of memory */
	int64_t tmp_mb;       /* private /tmp, default 512 */
	enum fw_network network;
	enum fw_on_failure on_failure;
	FW_VECTOR(struct fw_input) inputs;
	FW_VECTOR(struct fw_output) outputs;
	FW_VECTOR(size_t) after; /* indices of stages that must have finished */
	FW_VECTOR(size_t) producers;   /* all stages that this one waits for: inputs, after, when, ${..}; sorted, unique */
	struct fw_condition when;
	json_t *params;  /* object, never NULL */
	json_t *payload; /* plain Lambda stage: the payload with ${stage.result.x} unfilled; NULL when stage-aware */
	size_t line;     /* in the file */
};

struct fw_workflow {
	char *name;
	char *path;      /* of the file, absolute */
	char *directory; /* of the file */
	char *text;      /* the file as read */
	char *digest;    /* SHA-256 of the workflow after overrides, canonical */
	char *storage;   /* "file:/absolute/dir" (never a trailing slash) */
	FW_VECTOR(struct fw_stage) stages; /* in the order of the file */
	FW_VECTOR(size_t) order;           /* topological, stable */
	json_t *effective; /* the workflow as JSON after defaults and overrides: what the store keeps */
};

/* Overrides from the environment and the command line, in order: "stages.split.params.chunk_seconds=5", "storage=…", "defaults.memory=…".
 * --storage, --memory and --workers are written by the CLI as storage=, *.memory= and *.workers=: "*" means every stage
 * (for workers: every stage that has a number of them). */
struct fw_override {
	const char *text;
	const char *origin; /* what errors call it: "FLEXWATT_SET"; NULL: "override" */
};
struct fw_overrides {
	FW_VECTOR(struct fw_override) settings;
};

/* No file that is there again later: a pipe, standard input. Its paths are relative to the working directory. */
bool fw_workflow_is_streamed(const char *path);
/* Reads, checks, resolves. Nothing is started. Errors carry file:line:column, the source line and a hint. */
int fw_workflow_load(const char *path, const struct fw_overrides *overrides, struct fw_workflow **workflow,
                     struct fw_error **err);
/* The same from bytes, for tests, fuzzing and resume; `path` names it and gives the directory. `check_files` false leaves
 * packages unread. */
int fw_workflow_parse(const char *path, const char *text, size_t length, const struct fw_overrides *overrides,
                      bool check_files, struct fw_workflow **workflow, struct fw_error **err);
void fw_workflow_free(struct fw_workflow *workflow);
FW_DEFINE_CLEANUP(struct fw_workflow *, fw_workflow_free)

const struct fw_stage *fw_workflow_stage(const struct fw_workflow *workflow, const char *name); /* or NULL */
bool fw_stage_is_each(const struct fw_stage *stage); /* one task per object of its `each` input */
const struct fw_input *fw_stage_partitioned(const struct fw_stage *stage); /* the one that is not broadcast, or NULL */

/* vCPUs of a memory size, in thousandths: memory / 1769. */
int64_t fw_memory_millivcpus(int64_t memory_mb);

/* The payload of a stage that has one, its placeholders filled in: ${STAGE.result.PATH} from results (by stage index, NULL
 * when none), ${output.NAME} with <directory>/NAME, where the attempt may write that output's files. *filled is a new
 * reference that shares values with the results. FW_E_ABSENT names what a producer did not give. */
int fw_payload_fill(const struct fw_workflow *workflow, const struct fw_stage *stage, json_t *const *results,
                    const char *directory, json_t **filled, struct fw_error **err);
/* Evaluates a condition on a result (NULL when the stage gave none: then false). */
bool fw_condition_holds(const struct fw_condition *condition, const json_t *result);

/* `${input.x}` style replacement is a command function's own matter: src/function/command.c. */

/* Graph for people: format "text", "dot" or "svg". */
int fw_workflow_graph(const struct fw_workflow *workflow, const char *format, struct fw_buffer *out, struct fw_error **err);

/* JSON Schema of the grammar, and docs/workflow.md's table; newly allocated. */
char *fw_workflow_schema(void);
char *fw_workflow_document(void);
