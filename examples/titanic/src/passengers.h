/* SPDX-License-Identifier: Apache-2.0
 *
 * Passengers as numbers: what of a list can be learnt from, in the order in which it stands there.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "flexwatt/function.h"

enum { PASSENGER_FEATURES = 6 }; /* Pclass, Age, SibSp, Parch, Fare, Sex_male */

struct passengers {
	float (*features)[PASSENGER_FEATURES];
	float *survived; /* 0 or 1 */
	size_t count, capacity;
	size_t dropped; /* rows with a cell missing */
};

/* Reads all objects, or ranges, of the input; rows with a missing cell are dropped. On failure the reason is recorded. */
int passengers_read(struct fw_invocation *invocation, const char *input, struct passengers *passengers);
/* Puts them in an order that depends on the seed alone. */
void passengers_shuffle(struct passengers *passengers, uint64_t seed);
void passengers_done(struct passengers *passengers);
