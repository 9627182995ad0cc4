/* SPDX-License-Identifier: Apache-2.0
 *
 * Where to cut. Objects are taken as one concatenation, which is cut at equal distances; a cut then moves on to the next
 * start of a record, so that every record is whole and in one range. The same objects, format and number of parts give
 * the same ranges. A part may have pieces of several objects; none is empty: where records are few or long, there are
 * fewer parts than were asked for.
 *
 * Lines are looked for at each cut alone. CSV is passed over once, object by object, and what was found is kept. What is
 * cut is one version of every object: one that changes meanwhile fails the plan.
 */
#pragma once

#include "storage/range.h"
#include "storage/storage.h"

struct fw_range_request { /* borrowed during the call */
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_storage *storage;
	const char *place; /* URI of the storage */
	struct fw_range_format format; /* bytes, lines or csv */
	const struct fw_range_object *objects;
	size_t object_count;
	uint32_t parts;
	const char *cache_directory; /* of indexes (csv_cache.h); NULL: none is kept */
};

/* On the loop's thread, after fw_range_plan() has returned. rc: FW_OK; FW_E_INVALID: the bytes are not what the format says;
 * else they could not be read. `ranges` and `err` are borrowed during the call. */
typedef void fw_range_plan_fn(void *context, int rc, const struct fw_ranges *ranges, const struct fw_error *err);

struct fw_range_plan;

/* Reads what it must of the objects, and tells. Frees itself after `done`. */
struct fw_range_plan *fw_range_plan(const struct fw_range_request *request, fw_range_plan_fn *done, void *context);
/* Of the bytes of CSV that are passed over, 0 to 1; NAN: nothing is. */
double fw_range_plan_fraction(const struct fw_range_plan *plan);
/* No more is read than what is on its way; `done` comes soon, with FW_E_CANCELLED. */
void fw_range_plan_cancel(struct fw_range_plan *plan);
