/* SPDX-License-Identifier: Apache-2.0
 *
 * The first look at each object, which says what version is cut, and the passes over CSV: an object's index comes from the
 * cache, or from its bytes, and then it is kept. An object that changes during the pass fails the plan: what was found
 * would be of neither version, and must not be kept.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "storage/csv_cache.h"
#include "storage/range_plan_internal.h"

enum {
	KEPT_FROM_BYTES = 4 << 20, /* a smaller object is passed over as fast as its index is found */
	PASSES_AT_ONCE = 16,
};

struct passing {
	struct fw_range_plan *plan;
	size_t object;
	char *name;
	bool settled, hit;
	size_t first_cut, cut_count; /* of the plan's, in this object */
	int64_t *cuts;
	struct fw_csv_pass pass;
	struct fw_csv_index index;
	struct fw_error *warning;
};

/* Deferred: a storage may answer at once, within the loop that starts passes. */
static void pass_ends(void *context)
{
	struct passing *passing = context;
	struct fw_range_plan *plan = passing->plan;

	fw_csv_pass_done(&passing->pass);
	fw_csv_index_done(&passing->index);
	fw_error_free(passing->warning);
	free(passing->name);
	free(passing->cuts);
	free(passing);
	plan->passes--;
	fw_plan_pass(plan);
}

static void finish(struct passing *passing)
{
	fw_loop_defer(passing->plan->loop, pass_ends, passing);
}

/* The index is the object's now. */
static void succeed(struct passing *passing)
{
	struct fw_range_plan *plan = passing->plan;
	struct fw_cut_object *object = &plan->objects[passing->object];
	struct fw_csv_index *index = &plan->indexes[passing->object];

	*index = passing->index;
	passing->index = (struct fw_csv_index){0};
	object->data = index->data;
	object->header = index->header;
	finish(passing);
}

static void fail(struct passing *passing, int rc, const struct fw_error *error)
{
	fw_plan_fail(passing->plan, rc == FW_E_INVALID ? FW_E_IO : rc, error);
	finish(passing);
}

/* ---- keeping ---- */

static void store_work(void *context)
{
	struct passing *passing = context;

	fw_csv_cache_store(passing->plan->cache_directory, passing->name, &passing->index, &passing->warning);
}

/* Without it the next plan passes over the object again, which is told and no failure. */
static void stored(void *context)
{
	struct passing *passing = context;

	if (passing->warning)
		fw_warning("what was found in %s cannot be kept: %s", passing->plan->keys[passing->object],
		           fw_error_message(passing->warning));
	succeed(passing);
}

static void looked_again(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *error)
{
	struct passing *passing = context;

	if (rc != FW_OK) {
		fail(passing, rc, error);
	} else if (strcmp(stat->version, passing->plan->versions[passing->object]) != 0) {
		fw_plan_fail_changed(passing->plan, passing->object);
		finish(passing);
	} else if (passing->settled && passing->name) {
		fw_pool_submit(passing->plan->pool, store_work, stored, passing);
	} else {
		succeed(passing);
	}
}

/* ---- the pass ---- */

static int take(void *context, const void *bytes, size_t length)
{
	struct passing *passing = context;

	atomic_fetch_add(&passing->plan->passed_bytes, (int64_t)length);
	return passing->plan->cancelled ? FW_E_CANCELLED : fw_csv_pass_feed(&passing->pass, bytes, length);
}

static void passed(void *context, int rc, const struct fw_error *error)
{
	struct passing *passing = context;
	struct fw_range_plan *plan = passing->plan;

	if (rc == FW_OK)
		rc = fw_csv_pass_end(&passing->pass);
	if (passing->pass.error) {
		fw_plan_fail(plan, rc, passing->pass.error);
		finish(passing);
		return;
	}
	if (rc != FW_OK) {
		fail(passing, rc, error);
		return;
	}
	for (size_t i = 0; i < passing->cut_count; i++) {
		plan->cuts[passing->first_cut + i].offset = passing->cuts[i];
		plan->open[passing->first_cut + i] = false;
	}
	passing->index = passing->pass.index;
	passing->pass.index = (struct fw_csv_index){0};
	plan->storage->ops->stat(plan->storage, plan->keys[passing->object], looked_again, passing);
}

/* The first cut in an object or a later one. */
static size_t first_cut(const struct fw_range_plan *plan, size_t object)
{
	size_t low = 0, high = plan->cut_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (plan->cuts[middle].object < object)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void find_cuts(struct passing *passing)
{
	const struct fw_range_plan *plan = passing->plan;

	passing->first_cut = first_cut(plan, passing->object);
	passing->cut_count = first_cut(plan, passing->object + 1) - passing->first_cut;
	passing->cuts = fw_alloc_array(passing->cut_count + 1, sizeof *passing->cuts);
	for (size_t i = 0; i < passing->cut_count; i++)
		passing->cuts[i] = plan->cuts[passing->first_cut + i].offset;
}

static void pass_over(struct passing *passing)
{
	struct fw_range_plan *plan = passing->plan;
	const struct fw_cut_object *object = &plan->objects[passing->object];

	find_cuts(passing);
	fw_csv_pass_init(&passing->pass, plan->keys[passing->object], object->bytes, &plan->format, passing->cuts,
	                 passing->cut_count);
	plan->storage->ops->read(plan->storage,
	                         &(struct fw_storage_range){plan->keys[passing->object], plan->versions[passing->object], 0,
	                                                    object->bytes, object->bytes},
	                         take, passed, passing);
}

/* ---- what is known already ---- */

static void load_work(void *context)
{
	struct passing *passing = context;
	const struct fw_range_plan *plan = passing->plan;

	passing->hit = fw_csv_cache_load(plan->cache_directory, passing->name, plan->objects[passing->object].bytes,
	                                 &passing->index);
}

static void loaded(void *context)
{
	struct passing *passing = context;

	if (passing->hit) {
		atomic_fetch_add(&passing->plan->passed_bytes, passing->plan->objects[passing->object].bytes);
		succeed(passing);
	} else {
		pass_over(passing);
	}
}

static void looked(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *error)
{
	struct passing *passing = context;
	struct fw_range_plan *plan = passing->plan;

	if (rc != FW_OK) {
		fail(passing, rc, error);
		return;
	}
	char **version = &plan->versions[passing->object];

	if (stat->bytes != plan->objects[passing->object].bytes || (*version && strcmp(stat->version, *version) != 0)) {
		fw_plan_fail_changed(plan, passing->object);
		finish(passing);
		return;
	}
	*version = *version ? *version : fw_strdup(stat->version);
	if (plan->format.kind != FW_RANGE_CSV) {
		finish(passing);
		return;
	}
	passing->settled = stat->settled;
	if (!plan->cache_directory || stat->bytes < KEPT_FROM_BYTES) {
		pass_over(passing);
		return;
	}
	passing->name = fw_csv_cache_name(plan->place, plan->keys[passing->object], stat->version, &plan->format);
	fw_pool_submit(plan->pool, load_work, loaded, passing);
}

static void start(struct fw_range_plan *plan, size_t object)
{
	struct passing *passing = fw_alloc(sizeof *passing);

	passing->plan = plan;
	passing->object = object;
	plan->passes++;
	plan->storage->ops->stat(plan->storage, plan->keys[object], looked, passing);
}

void fw_plan_pass(struct fw_range_plan *plan)
{
	while (plan->next_object < plan->object_count && plan->passes < PASSES_AT_ONCE && plan->rc == FW_OK &&
	       !plan->cancelled) {
		size_t object = plan->next_object++;

		if (plan->format.kind == FW_RANGE_CSV || !plan->listed[object])
			start(plan, object);
	}
	if (plan->passes == 0)
		fw_plan_probe(plan);
}
