/* SPDX-License-Identifier: Apache-2.0
 *
 * A random workflow in a random world: the graph and the behaviour of each function follow from a seed, what happens when
 * from chance. Each function's behaviour depends on its task alone. What the engine asks for is checked as it asks.
 */
#pragma once

#include "tests/unit/engine_world.h"
#include "tests/unit/support.h"

struct job { /* what the world remembers of a task, from dispatches and the log */
	uint32_t stage, task;
	uint32_t attempt; /* the last one seen */
	uint32_t errors;  /* of its own, so far */
	int64_t memory_mb, millivcpus;
	bool running, committed, given;
	char *inputs; /* keys as given to the last attempt */
};

struct item { /* outstanding: the world owes an event for it */
	enum fw_event_kind kind;
	uint32_t stage, input;
	size_t job;
	uint64_t timer;
};

struct run {
	struct world world;
	uint64_t seed, chance;
	FW_VECTOR(struct job) jobs;
	FW_VECTOR(struct item) outstanding;
	FW_VECTOR(char *) log;
	bool recording, finished;
	enum fw_status status;
	unsigned deaths, cancels; /* still to come */
};

#define must(run, condition, ...)                                                              \
	do {                                                                                       \
		if (!(condition)) {                                                                    \
			print_error("seed %llu: " #condition "\n", (unsigned long long)(run)->seed); \
			fail_msg(__VA_ARGS__);                                                             \
		}                                                                                      \
	} while (0)

uint64_t mix(uint64_t x);
uint32_t draw(uint64_t *chance, uint32_t below);
/* How many objects a task publishes, the output of each, and how many keys a list holds: drawn from the seed. */
uint32_t published_count(const struct run *run, uint32_t stage, uint32_t task);
uint32_t published_output(const struct run *run, uint32_t stage, uint32_t task, uint32_t object);
uint32_t listed_count(const struct run *run, uint32_t stage, uint32_t input);

/* What becomes of the plan of an input that is cut: its objects are one range each, or there is no record, or it fails. */
enum planned { PLANNED_OBJECTS, PLANNED_NOTHING, PLANNED_FAILURE };
enum planned plan_fate(const struct run *run, uint32_t stage);

void run_init(struct run *run, uint64_t seed, uint64_t chance);
void run_done(struct run *run);
#define cleanup_run __attribute__((cleanup(run_done)))
void happens(struct run *run, struct fw_engine_event *event); /* logged, stepped, its actions checked and noted */
void machine(struct run *run, enum fw_event_kind kind);       /* RUN_STARTED or RESUMED */
void drive(struct run *run);                                  /* until it has finished */
