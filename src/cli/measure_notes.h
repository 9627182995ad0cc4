/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reader of a measurement must know of its joules: counters that do not serve, ends that are not known.
 */
#pragma once

#include "energy/here.h"
#include "report/measured.h"

/* After the last repetition. tells_slow: also which counters are too slow for it. */
void fw_measure_note(const struct fw_energy_here *here, bool tells_slow, struct fw_measured *measured);
