/* SPDX-License-Identifier: Apache-2.0
 *
 * What is true, written beside the counters for tests to compare with. All times are CLOCK_MONOTONIC in nanoseconds.
 *
 *     packages  "<t> <package> <floor J> <dynamic J>"        since the beginning, every few updates
 *     ran       "<tree> <cpu> <from> <to> <watts>"           a tree was on a CPU; between two lines it was not
 *     names     "<tree> <t> <name>"                          a thread of it took a name
 *     summary   JSON, at the end                             trees by name with CPU seconds and joules, packages, lateness
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "switches.h"

enum { SIM_PACKAGES = 8 };

struct sim_truth {
	FILE *packages, *ran, *names;
	char directory[512];
	double cpu_s[SIM_TREES], dynamic_j[SIM_TREES]; /* by tree; of packages, without dram */
	double package_floor_j[SIM_PACKAGES], package_dynamic_j[SIM_PACKAGES];
	uint64_t begin_ns, end_ns, updates, latest_ns; /* latest: by how much an update came too late at worst */
};

bool sim_truth_open(struct sim_truth *truth, const char *directory);
void sim_truth_flush(struct sim_truth *truth);
/* Writes the summary and closes. */
bool sim_truth_close(struct sim_truth *truth, const struct sim_switches *switches, unsigned packages);
