/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of cuts: where they would fall if records had no length, and what lies between those that were made.
 */
#pragma once

#include "storage/range.h"

struct fw_cut { /* a part begins here */
	uint32_t object;
	int64_t offset;
};

struct fw_cut_object {
	int64_t bytes;
	int64_t data;       /* first byte that belongs to a range: behind mark and header */
	const char *header; /* or NULL */
};

/* The beginnings of parts 1 to parts - 1 of the concatenation, equally long but for a byte. */
void fw_cut_targets(const struct fw_cut_object *objects, size_t count, uint32_t parts, struct fw_cut *targets);
/* What lies between the cuts, which do not decrease; empty parts are left out. Headers are borrowed. */
void fw_cut_ranges(const struct fw_cut_object *objects, size_t count, const struct fw_cut *cuts, size_t cut_count,
                   struct fw_ranges *ranges);
