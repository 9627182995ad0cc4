/* SPDX-License-Identifier: Apache-2.0
 *
 * Ends before the end: Ctrl-C, once and again, and what is open in the storage when the driver cannot go on. No wait for
 * the storage is without a bound then.
 */
#include "backend/driver_task.h"
#include "base/log.h"
#include "base/time.h"

enum {
	IMPATIENT_SWEEP_MS = 20000, /* of a run that was ended twice */
	SETTLE_MS = 5000,
};

static void cancel_storage(void *context)
{
	struct fw_driver *driver = context;

	if (driver->storage->ops->cancel)
		driver->storage->ops->cancel(driver->storage, NULL, NULL);
}

static void be_patient(struct fw_driver *driver, uint64_t milliseconds, fw_loop_fn *then)
{
	if (!driver->impatience)
		driver->impatience = fw_timer_new(driver->loop, then, driver);
	fw_timer_set(driver->impatience, milliseconds * FW_NS_PER_MS);
}

static void stop_loop(void *context)
{
	struct fw_driver *driver = context;

	fw_loop_stop(driver->loop);
}

/* What was being published or fetched when the fatal error came: no upload stays open, if the server has it so in time. */
void fw_driver_settle_storage(struct fw_driver *driver)
{
	fw_cleanup_error struct fw_error *error = NULL;

	fw_driver_cancel_plans(driver);
	if (!driver->storage->ops->cancel)
		return;
	fw_timer_free(FW_TAKE(driver->impatience));
	be_patient(driver, SETTLE_MS, stop_loop);
	driver->storage->ops->cancel(driver->storage, stop_loop, driver);
	if (fw_loop_run(driver->loop, &error) != FW_OK)
		fw_warning("uploads may have stayed open in the storage: %s", fw_error_message(error));
}

void fw_driver_limit_sweep(struct fw_driver *driver)
{
	if (driver->cancels > 1)
		be_patient(driver, IMPATIENT_SWEEP_MS, cancel_storage);
}

static bool is_any_running(const struct fw_driver *driver)
{
	for (const struct fw_task_run *run = driver->runs; run; run = run->next)
		if (!run->concluded)
			return true;
	return false;
}

/* The run has ended, and what it leaves is known; only the storage may take its time. */
static enum fw_driver_cancelled cancel_sweep(struct fw_driver *driver)
{
	if (!driver->closed || driver->fatal || !driver->storage->ops->cancel)
		return FW_DRIVER_AT_ITS_END;
	if (!driver->told_of_sweep) {
		driver->told_of_sweep = true;
		return FW_DRIVER_CLEANS;
	}
	cancel_storage(driver);
	return FW_DRIVER_LEAVES;
}

enum fw_driver_cancelled fw_driver_cancel(struct fw_driver *driver)
{
	if (driver->finishing || driver->fatal)
		return cancel_sweep(driver);
	struct fw_engine_event event = {.kind = FW_EV_CANCEL, .now = ++driver->cancels > 1};

	if (driver->cancels <= 2)
		fw_driver_feed(driver, &event);
	fw_driver_cancel_plans(driver);
	if (event.now || !is_any_running(driver)) /* what is listed or planned alone is of no use any more */
		cancel_storage(driver);
	return driver->cancels == 1 ? FW_DRIVER_WAITS : driver->cancels == 2 ? FW_DRIVER_ENDS : FW_DRIVER_AT_ITS_END;
}
