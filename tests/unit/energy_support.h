/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of energy share: this machine and the tables, a child process that does as it is told, and a manager
 * with its loop that fills the records of invocations of such children.
 */
#pragma once

#include <sys/types.h>

#include "energy/manager.h"
#include "tests/unit/support.h"

extern struct energy_world {
	struct fw_catalogue *catalogue;
	struct fw_root root;
	struct fw_machine machine;
} world;
/* Set-up and tear-down of a group of tests. */
int energy_set_up(void **state);
int energy_tear_down(void **state);

void burn_30_ms(void); /* of CPU time */
/* From 0 to 1, the same every time. */
double uniform(uint64_t *seed);

/* A child that does what one byte says and answers it: 'b' burns 30 ms of CPU, 'm' takes 32 MiB more and keeps them, 'w'
 * waits 60 ms, 'M' does the last two, 'n' nothing. */
struct child {
	pid_t pid;
	int fd;
};
struct child child_new(void);
void child_do(const struct child *child, char what);
void child_end(struct child *child);

enum { FIXTURE_HZ = 50 };
struct fixture {
	struct fw_loop *loop;
	struct fw_energy_manager *manager;
	size_t done, wanted;
};
void fixture_open(struct fixture *fixture);
void fixture_open_at(struct fixture *fixture, double rate_hz);
/* Until so many records are filled; fails after 100 s: only what hangs takes so long. */
void fixture_wait(struct fixture *fixture, size_t wanted);
void fixture_close(struct fixture *fixture);
/* For fw_energy_end(): counts; the context is the fixture. */
void fixture_count(void *context, struct fw_record *record);
/* One invocation, from begin to end; its record counts when it is filled. */
void fixture_invoke(struct fixture *fixture, struct fw_energy_worker *worker, const struct child *child, char what,
                    struct fw_record *record);
