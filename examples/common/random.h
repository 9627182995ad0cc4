/* SPDX-License-Identifier: Apache-2.0
 *
 * SplitMix64 (Steele, Lea, Flood 2014): a number for each step of a seed.
 */
#pragma once

#include <stdint.h>

#define RANDOM_STEP 0x9e3779b97f4a7c15U

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t mixed = *state += RANDOM_STEP;

	mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
	return mixed ^ mixed >> 31;
}
