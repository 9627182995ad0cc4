/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges are offsets in one version of an object: of another one they are torn records. So the objects that a resumed run
 * goes on with are looked at before anything starts, and those of a task when it starts and before it is committed. What
 * is elsewhere is fetched with its version, which the server compares.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/driver_task.h"

enum { LOOKS_AT_ONCE = 16 };

/* The objects that one stage of a resumed run goes on with. */
struct looking {
	struct fw_driver *driver;
	const struct fw_engine_object *objects;
	size_t count, next, open;
	bool *of;            /* which of them */
	const char *changed; /* key of the first one, or NULL */
	bool running;        /* the loop is */
	struct fw_error *error;
};

struct look {
	struct looking *looking;
	const struct fw_engine_object *object;
};

static bool is_what_was_cut(const struct fw_engine_object *object, const struct fw_storage_stat *stat)
{
	return stat->bytes == object->bytes && (!object->version || strcmp(object->version, stat->version) == 0);
}

static void go_on(struct looking *looking);

static void looked(void *context, int rc, const struct fw_storage_stat *stat, const struct fw_error *error)
{
	fw_cleanup_free struct look *look = context;
	struct looking *looking = look->looking;

	looking->open--;
	if (rc == FW_E_ABSENT || (rc == FW_OK && !is_what_was_cut(look->object, stat)))
		looking->changed = looking->changed ? looking->changed : look->object->key;
	else if (rc != FW_OK && !looking->error)
		fw_fail(&looking->error, rc, "%s", fw_error_message(error));
	if (looking->running)
		go_on(looking);
}

/* A storage may answer at once. */
static void go_on(struct looking *looking)
{
	const struct fw_storage_ops *ops = looking->driver->storage->ops;

	while (looking->open < LOOKS_AT_ONCE && looking->next < looking->count && !looking->changed && !looking->error) {
		size_t at = looking->next++;

		if (!looking->of[at])
			continue;
		struct look *look = fw_alloc(sizeof *look);
		bool running = looking->running;

		*look = (struct look){looking, &looking->objects[at]};
		looking->open++;
		looking->running = false;
		ops->stat(looking->driver->storage, looking->objects[at].key, looked, look);
		looking->running = running;
	}
	if (looking->open == 0 && looking->running)
		fw_loop_stop(looking->driver->loop);
}

static int look_at_all(struct looking *looking, struct fw_error **err)
{
	int rc = FW_OK;

	go_on(looking);
	looking->running = true;
	if (looking->open > 0)
		rc = fw_loop_run(looking->driver->loop, err);
	if (rc == FW_OK && looking->error) {
		rc = fw_error_code(looking->error);
		*err = FW_TAKE(looking->error);
	}
	fw_error_free(looking->error);
	return rc;
}

static int refuse(const struct fw_driver *driver, uint32_t stage, const char *key, struct fw_error **err)
{
	const char *name = driver->workflow->stages.items[stage].name;
	struct fw_stage_progress progress = fw_engine_stage(driver->engine, stage);
	int rc = fw_fail(err, FW_E_USAGE, "cannot resume: stage '%s': object %s has changed since it was cut into ranges, and %u of "
	                 "its %u tasks are committed", name, key, progress.ok, progress.total);

	return fw_error_hint(err, rc, "accept it with --from %s: that stage, with new cuts, and what follows it run again", name);
}

static int check_stage(struct fw_driver *driver, uint32_t stage, struct fw_error **err)
{
	struct looking looking = {.driver = driver};
	uint32_t input = 0;

	if (!fw_engine_goes_on_with(driver->engine, stage, &input, NULL))
		return FW_OK;
	looking.objects = fw_engine_input(driver->engine, stage, input, &looking.count);
	fw_cleanup_free bool *of = fw_alloc_array(looking.count + 1, sizeof *of);

	looking.of = of;
	fw_engine_goes_on_with(driver->engine, stage, &input, of);
	int rc = look_at_all(&looking, err);

	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "run %s: stage '%s'", driver->run, driver->workflow->stages.items[stage].name);
	if (!looking.changed)
		return FW_OK;
	if (fw_engine_stage(driver->engine, stage).ok > 0)
		return refuse(driver, stage, looking.changed, err);
	driver->recut[stage] = true;
	return FW_OK;
}

int fw_driver_check_cuts(struct fw_driver *driver, struct fw_error **err)
{
	int rc = FW_OK;

	driver->recut = fw_alloc_array(driver->workflow->stages.count + 1, sizeof *driver->recut);
	for (uint32_t i = 0; i < driver->workflow->stages.count && rc == FW_OK; i++)
		rc = check_stage(driver, i, err);
	return rc;
}

/* ---- of one task ---- */

static int check_ranges(const struct fw_task_run *run, const struct fw_engine_object *objects,
                        const struct fw_range *ranges, size_t count, struct fw_error **err)
{
	struct fw_storage *storage = run->driver->storage;

	for (size_t i = 0; i < count; i++) {
		const struct fw_engine_object *object = &objects[ranges[i].object];

		if (!object->version || storage->ops->is_still(storage, object->key, object->version))
			continue;
		/* An event has no hint of its own. */
		return fw_fail(err, FW_E_CONFLICT, "object %s has changed since it was cut into ranges (flexwatt run --resume %s cuts it "
		               "again, or says how)", object->key, run->driver->run);
	}
	return FW_OK;
}

int fw_task_run_check_cuts(const struct fw_task_run *run, struct fw_error **err)
{
	struct fw_task_inputs inputs = {0};
	int rc = FW_OK;

	fw_engine_task_inputs(run->driver->engine, run->stage_index, run->task, &inputs);
	for (size_t i = 0; i < inputs.count && rc == FW_OK; i++)
		if (inputs.inputs[i].ranges)
			rc = check_ranges(run, inputs.inputs[i].objects, inputs.inputs[i].ranges, inputs.inputs[i].range_count, err);
	fw_task_inputs_done(&inputs);
	return rc;
}
