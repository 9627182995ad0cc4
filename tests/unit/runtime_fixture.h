/* SPDX-License-Identifier: Apache-2.0
 *
 * A runtime whose workers are a scripted bootstrap: the event {"do": WHAT} says how it behaves. Which sandboxes it gets is
 * a matter of linking: the real ones, or tests/unit/fake_sandbox.c.
 */
#pragma once

#include "base/json.h"
#include "runtime/runtime.h"
#include "tests/unit/fake_energy.h"
#include "tests/unit/http_client.h"

struct fixture {
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_runtime *runtime;
	struct fw_energy_manager energy;
	struct tree tree; /* package/, attempts/, logs/ */
	struct fw_function function;
	char *attempts, *logs, *package;
	bool metering;
};

/* What a test changes before fixture_start(). */
struct fixture *fixture_new(void);
void fixture_start(struct fixture *fixture, const struct fw_runtime_options *changes);
void fixture_free(struct fixture *fixture);

/* One call of the runtime and what came of it. */
struct call {
	struct fixture *fixture;
	struct fw_invoke invoke;
	const char *action;          /* {"do": action, "argument": argument} */
	const char *argument;
	uid_t uid;                   /* of its worker */
	struct fw_record record;
	struct fw_invocation *invocation;
	int fail_prepare;            /* the error of `prepare` */
	bool final;
	int started, ended, metered, progresses;
	char *body;
	size_t length;
	char *log_path;
	char note[64];
};

struct call *call_new(struct fixture *fixture, const char *action);
void call_submit(struct call *call);
void call_wait(struct call *call);            /* for `ended` */
struct call *call_of(struct fixture *fixture, const char *action); /* the three in one */
void call_free(struct call *call);            /* waits for `metered` */
char *call_log(struct call *call);            /* the whole log, newly allocated */

#define assert_status(call, expected)                                                                                \
	do {                                                                                                             \
		if (strcmp((call)->record.status, expected) != 0)                                                            \
			fail_msg("status %s (%s: %s), not %s", (call)->record.status, (call)->record.error_type,                 \
			         (call)->record.error_message, expected);                                                        \
	} while (0)
