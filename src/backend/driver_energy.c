/* SPDX-License-Identifier: Apache-2.0
 *
 * The raw readings behind the run's energy go into the store in portions, so that a later version can attribute again.
 */
#include "backend/driver_internal.h"
#include "store/measurements.h"

enum { PORTION_MAX = 4 << 20 };

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
