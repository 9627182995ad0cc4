/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of figures of a measurement, for the files that show it.
 */
#pragma once

#include "report/measured.h"

struct fw_measured_figure {
	const char *name, *unit;
	const char *field; /* of the record, or NULL */
	double (*get)(const struct fw_measured_one *one);
	bool of_energy; /* no mean of it over repetitions of which some are measured and some modelled */
};
extern const struct fw_measured_figure fw_measured_figures[];
extern const size_t fw_measured_figure_count;

/* How many repetitions have modelled joules where others have measured ones; 0: all are alike. */
size_t fw_measured_modelled_among(const struct fw_measured *measured);
double fw_measured_value(const struct fw_measured_figure *figure, const struct fw_measured_one *one);
struct fw_mean fw_measured_mean(const struct fw_measured *measured, const struct fw_measured_figure *figure);
