/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store keeps of a stage when it ends, and what the run has cost so far. A stage's row is made from the engine's
 * counts alone, so that it can be made again when a kill came between the end of a stage and its row.
 */
#include "backend/driver_internal.h"

static const char *trigger_of(const struct fw_driver *driver, uint32_t stage)
{
	const struct fw_stage *of = &driver->workflow->stages.items[stage];
	const char *last = NULL;
	double latest = -1;

	for (size_t i = 0; i < of->producers.count; i++) {
		size_t producer = of->producers.items[i];

		if (driver->stages[producer].last_end_ms > latest) {
			latest = driver->stages[producer].last_end_ms;
			last = driver->workflow->stages.items[producer].name;
		}
	}
	return last;
}

/* With the workflow's digest of that moment: a stage that --from keeps can be told from those that ran again. */
static json_t *configuration_of(const struct fw_driver *driver, const struct fw_stage *stage)
{
	return json_pack("{s:I, s:I, s:s}", "memory_mb", (json_int_t)stage->memory_mb, "workers", (json_int_t)stage->workers,
	                 "workflow_digest", driver->workflow->digest);
}

int fw_driver_put_stage(struct fw_driver *driver, uint32_t index, struct fw_error **err)
{
	const struct fw_stage *stage = &driver->workflow->stages.items[index];
	struct fw_stage_progress progress = fw_engine_stage(driver->engine, index);
	fw_cleanup_json json_t *configuration = configuration_of(driver, stage);
	struct fw_stage_row row = {
		.run = driver->run,
		.stage = stage->name,
		.position = (int64_t)index,
		.status = (char *)fw_status_name(progress.status),
		.first_start_ms = driver->stages[index].first_start_ms,
		.last_end_ms = driver->stages[index].last_end_ms,
		.tasks = progress.total,
		.ok = progress.ok,
		.failed = progress.failed,
		.skipped = progress.skipped,
		.attempts = progress.attempts,
		.triggered_by = (char *)trigger_of(driver, index),
		.resolved_at_start = FW_NULL_INT,
		.configuration = configuration,
	};

	return fw_store_stage_put(driver->store, &row, err);
}

void fw_driver_price(struct fw_driver *driver, const struct fw_stage *stage, struct fw_record *record)
{
	fw_cost_fill(driver->catalogue, driver->options.region, "as if on Lambda", stage->tmp_mb, record, NULL);
	fw_carbon_fill(driver->catalogue, driver->options.region, driver->processor_known ? &driver->processor : NULL, record,
	               NULL);
	fw_totals_add(&driver->totals, record);
}
