/* SPDX-License-Identifier: Apache-2.0
 *
 * Student's distribution by its finite sums for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4), turned
 * round by bisection: exact to the last digits that anybody prints, without a table.
 */
#include "analysis/mean.h"

#include <math.h>

enum { MANY_DEGREES = 100000 }; /* normal to six digits */

/* Probability of |T| < t. */
static double inside(double t, size_t degrees)
{
	double angle = atan(t / sqrt((double)degrees)), sine = sin(angle), cosine = cos(angle);
	double term = degrees % 2 ? cosine : 1, sum = 0;

	for (size_t i = degrees % 2 ? 3 : 2; i <= degrees; i += 2) {
		sum += term;
		term *= cosine * cosine * (double)(i - 1) / (double)i;
	}
	return degrees % 2 ? 2 / M_PI * (angle + sine * sum) : sine * sum;
}

double fw_student_95(size_t degrees)
{
	double low = 1.9, high = 13;

	if (degrees > MANY_DEGREES)
		degrees = MANY_DEGREES;
	for (int i = 0; i < 60; i++) {
		double middle = (low + high) / 2;

		if (inside(middle, degrees) < 0.95)
			low = middle;
		else
			high = middle;
	}
	return high;
}

struct fw_mean fw_mean_of(const double *values, size_t count)
{
	struct fw_mean mean = {.mean = NAN, .ci95 = NAN, .least = NAN, .most = NAN, .count = count};
	double sum = 0, squares = 0;

	for (size_t i = 0; i < count; i++) {
		sum += values[i];
		mean.least = fmin(mean.least, values[i]);
		mean.most = fmax(mean.most, values[i]);
	}
	if (count == 0)
		return mean;
	mean.mean = sum / (double)count;
	for (size_t i = 0; i < count; i++)
		squares += (values[i] - mean.mean) * (values[i] - mean.mean);
	if (count > 1)
		mean.ci95 = fw_student_95(count - 1) * sqrt(squares / (double)(count - 1) / (double)count);
	return mean;
}
