/* SPDX-License-Identifier: Apache-2.0
 *
 * Units as types. Kernels and drivers count in microjoules, millijoules, 2^-32 joules, microwatts and milliwatts; each
 * raw figure is wrapped where it is read, so that a compiler refuses what has gone wrong elsewhere: power stored as
 * energy, millijoules as microjoules. Everything past the readers is in joules, watts, seconds and nanoseconds.
 */
#pragma once

#include <stdint.h>

struct fw_microjoules {
	uint64_t uj;
};
struct fw_millijoules {
	uint64_t mj;
};
struct fw_microwatts {
	uint64_t uw;
};
struct fw_milliwatts {
	uint64_t mw;
};

static inline double fw_joules_of_micro(struct fw_microjoules energy)
{
	return (double)energy.uj / 1e6;
}

static inline double fw_joules_of_milli(struct fw_millijoules energy)
{
	return (double)energy.mj / 1e3;
}

static inline double fw_watts_of_micro(struct fw_microwatts power)
{
	return (double)power.uw / 1e6;
}

static inline double fw_watts_of_milli(struct fw_milliwatts power)
{
	return (double)power.mw / 1e3;
}
