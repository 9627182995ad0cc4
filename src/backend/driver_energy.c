/* SPDX-License-Identifier: Apache-2.0
 *
 * The raw readings behind the run's energy go into the store in portions, so that a later version can attribute again.
 */
#include "backend/driver_internal.h"
#include "base/time.h"
#include "store/measurements.h"

enum { PORTION_MAX = 4 << 20 };
enum { RUNS_LOOKED_AT = 16 };

static int put_portion(struct fw_driver *driver, struct fw_reading_row *row, struct fw_error **err)
{
	int rc = driver->portions < 0 ? fw_store_reading_last(driver->store, driver->run, &driver->portions, err) : FW_OK;

	if (rc != FW_OK)
		return rc;
	row->ordinal = driver->portions + 1;
	rc = fw_store_reading_put(driver->store, row, err);
	if (rc == FW_OK)
		driver->portions++;
	return rc;
}

void fw_driver_put_readings(struct fw_driver *driver)
{
	struct fw_reading_row row = {.run = driver->run};
	struct fw_error *error = NULL;

	if (driver->fatal)
		return;
	fw_buffer_init(&row.readings, PORTION_MAX);
	if (driver->backend->ops->energy_readings(driver->backend, &row.readings)) {
		if (put_portion(driver, &row, &error) != FW_OK)
			fw_driver_fatal(driver, error);
		else
			fw_loop_want_flush(driver->loop);
	}
	fw_buffer_done(&row.readings);
}

static bool is_of_the_same(const json_t *environment, const json_t *other)
{
	const json_t *machine = fw_json_at(environment, "backend.machine"), *place = fw_json_at(environment, "backend.counters_of");

	return machine && place && json_equal(machine, fw_json_at(other, "backend.machine")) &&
	       json_equal(place, fw_json_at(other, "backend.counters_of"));
}

/* The newest run that has ended with books of this machine's counters. */
static bool inherit_from(struct fw_driver *driver, const struct fw_run_row *row)
{
	const json_t *books = fw_json_at(row->totals, "energy");
	double ended_ms = (double)row->wall_ms + row->makespan_ms, now_ms = (double)fw_wall_ms();

	if (!books || !(ended_ms <= now_ms) || !is_of_the_same(row->environment, driver->row.environment))
		return false;
	driver->backend->ops->energy_inherit(driver->backend, books, (now_ms - ended_ms) / 1000);
	return true;
}

void fw_driver_inherit_floors(struct fw_driver *driver)
{
	fw_cleanup_json json_t *own = driver->backend->ops->energy_books(driver->backend);
	fw_cleanup_error struct fw_error *error = NULL;
	struct fw_run_row *rows = NULL;
	size_t count = 0;
	bool found = false;

	if (!own || fw_store_run_list(driver->store, RUNS_LOOKED_AT, &rows, &count, &error) != FW_OK)
		return; /* without it the floor is found anew */
	for (size_t i = 0; i < count; i++) {
		found = found || inherit_from(driver, &rows[i]);
		fw_run_row_done(&rows[i]);
	}
	free(rows);
}
