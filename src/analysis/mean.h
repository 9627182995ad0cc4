/* SPDX-License-Identifier: Apache-2.0
 *
 * The mean of repeated measurements and how far it can be trusted: Student's interval, which is right for few repetitions
 * of what scatters normally.
 */
#pragma once

#include <stddef.h>

struct fw_mean {
	double mean;   /* NAN when one of the values is */
	double ci95;   /* half the width of its 95 % confidence interval; NAN for fewer than two values */
	double least, most;
	size_t count;
};

struct fw_mean fw_mean_of(const double *values, size_t count);
/* The t beyond which, on both sides together, 5 % of Student's distribution lie; degrees >= 1. */
double fw_student_95(size_t degrees);
