/* SPDX-License-Identifier: Apache-2.0
 *
 * What the engine's tests share: workflows built by hand, and a world that feeds events and writes down the actions as
 * one line of text, so that a test reads as a conversation.
 */
#pragma once

#include "engine/engine.h"

struct world {
	struct fw_workflow workflow;
	struct fw_engine *engine;
	struct fw_engine_actions actions; /* of the last step */
	struct fw_buffer trace;           /* the same as text: "list split/videos; dispatch split/0.1; finish ok" */
	int64_t millivcpus, memory_mb;
	bool oversubscribe;
};

/* ---- building: a stage refers to earlier ones only ---- */
void world_init(struct world *world);
void world_done(struct world *world);
#define fw_cleanup_world __attribute__((cleanup(world_done)))
struct fw_stage *add_stage(struct world *world, const char *name, int64_t workers); /* with one output, "out" */
void add_keys(struct fw_stage *stage, const char *keys, enum fw_edge edge);
void add_from(struct world *world, struct fw_stage *stage, const char *from, const char *output, enum fw_edge edge);
void add_output(struct fw_stage *stage, const char *name);
void add_after(struct world *world, struct fw_stage *stage, const char *after);
void add_when(struct world *world, struct fw_stage *stage, const char *of, const char *path, int64_t least);
void add_payload(struct world *world, struct fw_stage *stage, const char *json); /* and what its ${...} refer to */
void world_build(struct world *world); /* producers and order; makes the engine */

/* ---- the conversation ---- */
uint32_t stage_index(const struct world *world, const char *name);
/* Steps; on success the trace is that of the actions. */
int try_step(struct world *world, const struct fw_engine_event *event, struct fw_error **err);
void step(struct world *world, const struct fw_engine_event *event);
void start(struct world *world);
void resume(struct world *world);
void listed(struct world *world, const char *stage, uint32_t input, const char *const *keys, size_t count);
void ended_ok(struct world *world, const char *stage, uint32_t task, uint32_t attempt, size_t objects);
void ended_as(struct world *world, const char *stage, uint32_t task, uint32_t attempt, enum fw_status status);
void ended_with(struct world *world, const char *stage, uint32_t task, uint32_t attempt, const char *result);
void cancel(struct world *world, bool now);
void timer(struct world *world, uint64_t timer);
#define LISTED(world, stage, input, ...)                                                   \
	listed(world, stage, input, (const char *const[]){__VA_ARGS__},                        \
	       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

void expect(const struct world *world, const char *trace);
/* "a.mp4 b.mp4": keys of one input of a task. */
void expect_input(struct world *world, const char *stage, uint32_t task, uint32_t input, const char *keys);
