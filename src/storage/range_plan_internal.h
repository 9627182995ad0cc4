/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of a plan share: passes over CSV first (range_pass.c), then the cuts that are still open (range_probe.c),
 * then a last look at the objects (range_look.c), several at a time, since a server far away answers each only after a
 * while. All but the sinks is on the loop's thread.
 */
#pragma once

#include <stdatomic.h>

#include "storage/csv_index.h"
#include "storage/range_cut.h"
#include "storage/range_plan.h"

enum { FW_PLAN_ENOUGH = 1 }; /* what a sink returns that has found what it looked for */

struct fw_range_plan {
	struct fw_loop *loop;
	struct fw_pool *pool;
	struct fw_storage *storage;
	char *place, *cache_directory;
	struct fw_range_format format;
	char **keys, **versions; /* what is cut: as listed, else as it was when first looked at */
	bool *listed;            /* that version is of the list: each reading names it, so that no last look is needed */
	struct fw_cut_object *objects;
	struct fw_csv_index *indexes; /* of csv, by object */
	size_t object_count;
	struct fw_cut *cuts; /* first where they would fall, then where they are */
	bool *open;          /* cuts that are still where they would fall */
	size_t cut_count;
	size_t next_object, passes; /* the next one to be passed over, and how many are being */
	size_t next_cut, probes;    /* likewise looked at */
	size_t next_look, looks;    /* objects, likewise, at last */
	fw_range_plan_fn *done;
	void *context;
	int rc;
	struct fw_error *error;
	atomic_bool cancelled;
	int64_t bytes; /* of all objects */
	_Atomic int64_t passed_bytes;
};

/* range_pass.c: learns the version of the objects that are left, indexes those of CSV, then goes on with fw_plan_probe(). */
void fw_plan_pass(struct fw_range_plan *plan);
/* range_probe.c: closes the cuts that are open, then goes on with fw_plan_look(). */
void fw_plan_probe(struct fw_range_plan *plan);
/* range_look.c: whether the objects that are left are what was cut, then tells. */
void fw_plan_look(struct fw_range_plan *plan);
/* range_plan.c */
void fw_plan_tell(struct fw_range_plan *plan);
/* The first failure is the plan's. The storage's own is never FW_E_INVALID: that is said of the bytes alone. */
void fw_plan_fail(struct fw_range_plan *plan, int rc, const struct fw_error *error);
void fw_plan_fail_changed(struct fw_range_plan *plan, size_t object);
