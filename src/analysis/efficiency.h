/* SPDX-License-Identifier: Apache-2.0
 *
 * Energy against work: power over time, joules per unit of work, the efficiency score among configurations that are compared,
 * and the software carbon intensity. Pure arithmetic; NAN is unknown and stays so.
 */
#pragma once

#include <stddef.h>

/* Something that drew `joules` evenly between two points of time. */
struct fw_power_stretch {
	double begin_ms, end_ms, joules;
};
/* The most that was drawn at once, in watts, as far as averages of each stretch can tell: peaks within one are not seen. Sorts
 * nothing of the caller's. NAN when there is no stretch of any length; those without joules are left out. */
double fw_peak_watts(const struct fw_power_stretch *stretches, size_t count);

/* joules / units; NAN without units. */
double fw_joules_per_unit(double joules, double units);

/* 100 x (least joules per unit among those compared) / (this one's): 100 is the most efficient. NAN where it is not known. */
void fw_efficiency_scores(const double *joules_per_unit, size_t count, double *scores);

/* Software carbon intensity (ISO/IEC 21031): (E x I + M) / R, in grams per unit: operational is E x I with PUE, embodied is M. */
double fw_sci(double operational_gco2e, double embodied_gco2e, double units);
