/* SPDX-License-Identifier: Apache-2.0
 *
 * Dated tables (data/CSV with source and year) and the arithmetic on them: what an invocation costs in dollars and
 * grams of CO2e. A new processor, price or region touches a CSV, never C.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "record/record.h"

struct fw_catalogue;

/* directory: NULL looks in $FLEXWATT_DATA, the source tree of a development build, and the installed data directory. */
int fw_catalogue_open(const char *directory, struct fw_catalogue **catalogue, struct fw_error **err);
void fw_catalogue_close(struct fw_catalogue *catalogue);
FW_DEFINE_CLEANUP(struct fw_catalogue *, fw_catalogue_close)

struct fw_price {
	const char *region, *architecture; /* borrowed */
	double usd_per_gb_second;   /* tier 1; GB = 1024 MB */
	double usd_per_request;
	double usd_per_tmp_gb_second; /* above 512 MB */
	const char *date, *source;
};
int fw_catalogue_price(const struct fw_catalogue *catalogue, const char *region, const char *architecture,
                       struct fw_price *price, struct fw_error **err);

struct fw_processor {
	const char *name;
	double tdp_w;            /* of the socket */
	double threads;          /* of the socket: vCPUs */
	double low_w_per_vcpu_min, mid_w_per_vcpu_min, high_w_per_vcpu_min; /* at rest */
	double low_w_per_vcpu_max, mid_w_per_vcpu_max, high_w_per_vcpu_max; /* fully used */
	double embodied_kgco2e;  /* of making a machine with one such socket */
	double life_years;       /* that it serves */
	const char *source;
	int year;
	bool exact; /* false: a family or the general entry */
};
/* By the model name as /proc/cpuinfo gives it; falls back to vendor and family, then to the general entry: never fails. */
void fw_catalogue_processor(const struct fw_catalogue *catalogue, const char *cpu_model, const char *vendor, int family,
                            int model, struct fw_processor *processor);

struct fw_memory_power { double low, mid, high; const char *source; }; /* W per GB */
void fw_catalogue_memory_power(const struct fw_catalogue *catalogue, struct fw_memory_power *power);

struct fw_grid {
	const char *region;
	double gco2e_per_kwh;
	double pue;
	int year;
	const char *kind, *source; /* "average" */
};
int fw_catalogue_grid(const struct fw_catalogue *catalogue, const char *region, struct fw_grid *grid,
                      struct fw_error **err);

/* ceil(duration + init) */
int64_t fw_billed_ms(double duration_ms, double init_ms);

/* Fills the money fields, and billed_ms where it is not known yet, from memory_mb, duration_ms, init_ms, architecture, tmp_mb. basis: "as if on Lambda"
 * or "AWS Lambda". */
int fw_cost_fill(const struct fw_catalogue *catalogue, const char *region, const char *basis, int64_t tmp_mb,
                 struct fw_record *record, struct fw_error **err);
/* Fills the carbon fields from the record's best energy source (measured before modelled) and its vcpus, as far as
 * cpus_visible lets it have them. processor: what it
 * ran on; NULL: as its cpu_model alone says, which in a guest may name no more than the maker. */
int fw_carbon_fill(const struct fw_catalogue *catalogue, const char *region, const struct fw_processor *processor,
                   struct fw_record *record, struct fw_error **err);

/* Its operational part again, for energy that has changed, with the grid and PUE that the record names. */
void fw_carbon_of_energy(struct fw_record *record);

/* The figure of a record's energy that reports use: the measured one where there is one of all the machine's packages, else
 * "model"; sums domains that do not overlap (package + dram). False when there is none. */
struct fw_energy_sum { double joules, low, high, dynamic_j, idle_j; bool modelled; const char *source; };
bool fw_energy_best(const struct fw_record *record, struct fw_energy_sum *sum);
/* Mean power over that time; NAN where the interval of the figure is wider than twice the figure: the counter's steps, an edge
 * or a gap would be told as watts. */
double fw_energy_watts(const struct fw_energy_sum *sum, double seconds);
/* Joules of one of `count` cycles or instructions of the record, by that figure; NAN where either is unknown. */
double fw_energy_per_count(const struct fw_record *record, int64_t count);

/* What records come to together. What is unknown of one adds nothing; of what nobody knows the sum is unknown, not zero. */
struct fw_totals {
	double joules, usd, gco2e; /* NAN: nothing known */
	bool modelled;             /* some of the joules are */
};
#define FW_TOTALS_OF_NOTHING ((struct fw_totals){.joules = FW_NULL_REAL, .usd = FW_NULL_REAL, .gco2e = FW_NULL_REAL})
void fw_totals_add(struct fw_totals *totals, const struct fw_record *record);
