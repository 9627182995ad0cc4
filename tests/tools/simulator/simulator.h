/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulated machine as a whole: what main.c advances and options.c fills in.
 */
#pragma once

#include "model.h"
#include "pmu.h"
#include "switches.h"
#include "truth.h"
#include "zones.h"

struct simulator {
	const char *root;
	char truth_directory[512];
	const char *prefix;
	struct sim_model model;
	struct sim_counter counter;
	unsigned packages;
	uint64_t update_ns, jitter_ns;
	uint64_t begin_ns;
	struct sim_zone zones[SIM_ZONES];
	unsigned zone_count;
	uint64_t with_pmu;
	struct sim_pmu pmu;
	double busy_s[SIM_PACKAGES];  /* weighted seconds of busy CPUs that are settled */
	double ahead_s[SIM_PACKAGES]; /* what was added to them since, as far as is known */
	double now_s;                /* the latest update, since the beginning */
	struct sim_switches switches;
	struct sim_truth truth;
	char command[256];
	size_t command_length;
};

/* On error a line on standard error and false. */
bool sim_options_read(struct simulator *sim, int count, char **arguments);
