/* SPDX-License-Identifier: Apache-2.0
 *
 * The power model of the simulated machine, pure: what a package draws as a function of time and of how many of its CPUs
 * are busy. Every joule that the simulator shows in a counter, or tells as true, comes from here.
 *
 *     watts of a package = floor + core x frequency(t) x busy CPUs,   dram likewise with its own two figures
 *
 * Frequency steps scale all busy CPUs alike, so that a share of CPU time within a step is a share of energy by construction: the
 * machine judges how a reader reads, splits and cuts, and not whether CPU time is the right share where cores draw unequally.
 */
#pragma once

#include <stdint.h>

enum { SIM_STEPS = 32 };

struct sim_step {
	uint64_t at_ns; /* after the beginning */
	double factor;
};

struct sim_watts {
	double floor, core;
};

struct sim_model {
	struct sim_watts package, dram;
	struct sim_step steps[SIM_STEPS]; /* rising in time */
	unsigned step_count;
};

/* 1 before the first step. Times count from the beginning. */
double sim_factor(const struct sim_model *model, uint64_t at_ns);
/* When the factor changes next after at_ns; UINT64_MAX: never. */
uint64_t sim_next_step(const struct sim_model *model, uint64_t at_ns);
/* Seconds of one busy CPU between two times, each weighted with its factor. */
double sim_weighted_s(const struct sim_model *model, uint64_t from_ns, uint64_t to_ns);

/* A counter as hardware keeps it: whole units, of so many bits. */
struct sim_counter {
	uint64_t unit_nj;  /* 61035: 2^-14 J as Linux rounds it */
	unsigned bits;
	uint64_t start_uj; /* what it shows for 0 J */
};

uint64_t sim_counter_shows_uj(const struct sim_counter *counter, double joules);
uint64_t sim_counter_range_uj(const struct sim_counter *counter);
