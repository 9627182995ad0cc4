/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole machine for a while: every energy counter as it counts, without attribution, and the model for all CPUs. Its
 * totals are those of a span; what a counter cannot tell, dynamic against idle, is null.
 */
#pragma once

#include "energy/here.h"
#include "energy/span.h"

struct fw_whole;

int fw_whole_begin(const struct fw_energy_here *here, struct fw_whole **whole, struct fw_error **err);
/* A slice has ended, the next one begins. */
const struct fw_span_totals *fw_whole_cut(struct fw_whole *whole);
const struct fw_span_totals *fw_whole_look(const struct fw_whole *whole);
/* What the counters in the machine's total could not tell, and why: a sentence each, to be freed. Returns how many. */
size_t fw_whole_troubles(const struct fw_whole *whole, char **notes, size_t capacity);
void fw_whole_free(struct fw_whole *whole);
FW_DEFINE_CLEANUP(struct fw_whole *, fw_whole_free)
