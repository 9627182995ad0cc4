/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the sandbox share: sandboxes on this machine's real control groups, a package that holds the payload
 * program, and one call that runs it with a list of actions and returns what it said.
 */
#pragma once

#include "runtime/sandbox.h"
#include "tests/unit/support.h"

struct world {
	struct tree tree;      /* state/, package/bootstrap, attempts/ */
	struct fw_root root;
	struct fw_machine machine;
	struct fw_cgroups *cgroups; /* or NULL */
	struct fw_sandboxes *sandboxes;
	char package[96], attempts[96], state[96], run[32];
};

/* SANDBOX_TEST_AS=user: the tests go on as a normal user; =plain: also without namespaces. False: cannot be done here, said
 * (return WORLD_SKIPPED from main). */
enum { WORLD_SKIPPED = 77, WORLD_USER = 65534 };
bool world_as_asked(void);

/* The one of a test program: group set-up and tear-down for cmocka, and a path below its tree (good for 32 calls). */
extern struct world world;
int world_set_up(void **state);
int world_tear_down(void **state);
const char *below(const char *name);

/* One worker that is being run: set what differs from the defaults of running_new() before running_start(). */
struct running {
	struct fw_sandbox *sandbox;
	struct fw_sandbox_spec spec;
	enum fw_network network;
	int output_fd;
	char output[65536];
	size_t length;
	int wait_status;
};

struct running *running_new(void);
int running_start(struct running *running, struct fw_error **err, const char *action, ...) __attribute__((sentinel));
void running_wait_for(struct running *running, const char *text); /* in its output; fails when it hangs */
void running_wait_until_ended(struct running *running);           /* fails when it hangs; reaps */
void running_free(struct running *running); /* nothing of it lives on */
void assert_all_writers_have_ended(int output_fd); /* fails when it hangs */

/* Runs to its end and returns its output, newly allocated. */
char *say(struct running *running, const char *action, ...) __attribute__((sentinel));

void assert_says(const char *output, const char *text);
void assert_says_not(const char *output, const char *text);
void require_root(void); /* skips with a printed reason */

size_t count_entries(const char *directory);
size_t count_lines(const char *file);
