/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/range_cut.h"

void fw_cut_targets(const struct fw_cut_object *objects, size_t count, uint32_t parts, struct fw_cut *targets)
{
	int64_t total = 0, before = 0; /* bytes of the objects before `at` */
	uint32_t at = 0;

	for (size_t i = 0; i < count; i++)
		total += objects[i].bytes;
	for (uint32_t part = 1; part < parts; part++) {
		/* total * part / parts, which may be wider than 64 bits */
		int64_t position = total / parts * part + total % parts * part / parts;

		while (at + 1 < count && position >= before + objects[at].bytes)
			before += objects[at++].bytes;
		targets[part - 1] = (struct fw_cut){at, position - before};
	}
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* The pieces from one cut to the next. True when there are any. */
static bool add_pieces(const struct fw_cut_object *objects, struct fw_cut from, struct fw_cut to, uint32_t part,
                       struct fw_ranges *ranges)
{
	size_t before = ranges->list.count;

	for (uint32_t i = from.object; i <= to.object; i++) {
		int64_t start = larger(i == from.object ? from.offset : 0, objects[i].data);
		int64_t end = i == to.object ? to.offset : objects[i].bytes;

		if (end > start)
			FW_PUSH(&ranges->list, (struct fw_range){part, i, start, end - start, objects[i].header});
	}
	return ranges->list.count > before;
}

void fw_cut_ranges(const struct fw_cut_object *objects, size_t count, const struct fw_cut *cuts, size_t cut_count,
                   struct fw_ranges *ranges)
{
	struct fw_cut from = {0, 0};
	uint32_t part = 0;

	for (size_t i = 0; i <= cut_count && count > 0; i++) {
		struct fw_cut to = i < cut_count ? cuts[i] : (struct fw_cut){(uint32_t)(count - 1), objects[count - 1].bytes};

		part += add_pieces(objects, from, to, part, ranges);
		from = to;
	}
}
