/* SPDX-License-Identifier: Apache-2.0
 *
 * How a driver comes to be and goes: everything that can be known to fail fails here, before a task starts, and leaves
 * nothing behind. What is opened last is closed first.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "backend/driver_task.h"
#include "base/log.h"
#include "base/time.h"
#include "base/tree.h"

enum { POOL_THREADS = 2 };

/* Figures as if in a region that the tables do not have would all be missing. */
static int check_region(const struct fw_driver *driver, struct fw_error **err)
{
	const char *region = driver->options.region;
	struct fw_price price;
	struct fw_grid grid;
	int rc = fw_catalogue_price(driver->catalogue, region, "x86_64", &price, err);

	if (rc == FW_OK)
		rc = fw_catalogue_grid(driver->catalogue, region, &grid, err);
	return rc == FW_OK ? rc : fw_error_wrap(err, FW_E_USAGE, "%s %s", driver->options.region_said, region);
}

/* Ids are of a second and some chance: two runs may have been given the same. */
static int claim(struct fw_driver *driver, struct fw_error **err)
{
	int rc = driver->storage->ops->claim(driver->storage, driver->run, err);

	driver->claimed = rc == FW_OK;
	return rc == FW_E_CONFLICT ? fw_error_hint(err, rc, "start it again: it gets another name") : rc;
}

static int open_storage(struct fw_driver *driver, struct fw_error **err)
{
	fw_cleanup_free char *scratch = fw_printf("%s/scratch", driver->state_directory);
	const struct fw_storage_host host = {driver->loop, driver->pool, scratch};

	return fw_storage_open(driver->workflow->storage, &host, &driver->storage, err);
}

static int open_parts(struct fw_driver *driver, struct fw_error **err)
{
	const struct fw_driver_options *options = &driver->options;
	struct fw_backend_context context;
	int rc = fw_loop_new(&driver->loop, err);

	if (rc == FW_OK)
		rc = fw_pool_new(driver->loop, POOL_THREADS, &driver->pool, err);
	if (rc == FW_OK)
		rc = open_storage(driver, err);
	if (rc == FW_OK)
		rc = fw_catalogue_open(NULL, &driver->catalogue, err);
	if (rc == FW_OK)
		rc = check_region(driver, err);
	if (rc == FW_OK)
		rc = fw_driver_package_digests(driver->workflow, &driver->packages, err);
	if (rc == FW_OK)
		rc = options->resume ? fw_driver_take_up(driver, err)
		                     : fw_engine_new(driver->workflow, &driver->engine, err);
	if (rc == FW_OK && options->before_traces)
		options->before_traces();
	if (rc == FW_OK && options->resume)
		rc = fw_driver_replay(driver, err); /* sets start_ns */
	if (rc == FW_OK && options->resume)
		rc = fw_driver_check_cuts(driver, err);
	else if (rc == FW_OK)
		rc = claim(driver, err);
	if (rc != FW_OK)
		return rc;
	context = (struct fw_backend_context){
		.loop = driver->loop,
		.pool = driver->pool,
		.storage = driver->storage,
		.workflow = driver->workflow,
		.catalogue = driver->catalogue,
		.run = driver->run,
		.state_directory = driver->state_directory,
		.region = options->region,
		.start_ns = driver->start_ns,
		.oversubscribe = options->oversubscribe,
		.smt_weight = options->smt_weight,
		.counters_root = options->counters_root,
		.resume = options->resume,
	};
	rc = options->backend->open(&context, &driver->backend, err);
	if (rc == FW_OK)
		driver->processor_known = driver->backend->ops->processor(driver->backend, &driver->processor);
	return rc;
}

/* So that others can tell this run from one whose engine died. */
static int own_row(struct fw_run_row *row, struct fw_error **err)
{
	struct fw_root root;
	int rc = fw_root_open("/", &root, err);

	if (rc != FW_OK)
		return rc;
	rc = fw_run_row_set_engine(row, root.fd, err);
	fw_root_close(&root);
	return rc;
}

static int write_row(struct fw_driver *driver, struct fw_error **err)
{
	struct fw_run_row *row = &driver->row;

	if (!driver->options.resume) {
		row->run = fw_strdup(driver->run);
		row->workflow = fw_strdup(driver->workflow->name);
		row->workflow_path = fw_strdup(driver->workflow->path);
		row->backend = fw_strdup(driver->options.backend->name);
		row->storage = fw_strdup(driver->workflow->storage);
		row->wall_ms = (int64_t)fw_wall_ms();
		row->repetition = FW_NULL_INT;
	}
	fw_record_set_text(&row->workflow_digest, driver->workflow->digest);
	free(row->workflow_text);
	row->workflow_text = fw_json_dump(driver->workflow->effective);
	fw_record_set_text(&row->state, "running");
	fw_record_set_text(&row->error, NULL);
	row->makespan_ms = FW_NULL_REAL;
	json_decref(row->environment);
	row->environment = json_pack("{s:o, s:O, s:O?, s:O*}", "backend", driver->backend->ops->describe(driver->backend),
	                             "packages", driver->packages, "options", driver->options.options, "history",
	                             driver->history);
	int rc = own_row(row, err);

	if (rc != FW_OK || driver->options.resume)
		return rc == FW_OK ? fw_store_run_update(driver->store, row, err) : rc;
	rc = fw_store_run_insert(driver->store, row, err);
	driver->inserted = rc == FW_OK;
	return rc;
}

/* One that cannot be ended writes where nobody looks any more: the run goes on, and it is said. */
static void end_orphans(struct fw_driver *driver)
{
	fw_cleanup_error struct fw_error *error = NULL;
	size_t orphans = 0;

	if (driver->backend->ops->end_orphans(driver->backend, &orphans, &error) != FW_OK)
		fw_warning("workers that the killed run had left may still run: %s", fw_error_message(error));
	else if (orphans > 0)
		fw_info("ended %zu workers that the killed run had left", orphans);
}

static void cut_again(struct fw_driver *driver)
{
	for (uint32_t i = 0; driver->recut && i < driver->workflow->stages.count; i++)
		if (driver->recut[i])
			fw_driver_feed(driver, &(struct fw_engine_event){.kind = FW_EV_RECUT, .stage = i});
}

static void first_event(struct fw_driver *driver)
{
	struct fw_engine_event event = {
		.kind = driver->options.resume ? FW_EV_RESUMED : FW_EV_RUN_STARTED,
		.oversubscribe = driver->options.oversubscribe,
		.seed = driver->options.seed,
	};
	struct fw_error *error = NULL;

	driver->backend->ops->capacity(driver->backend, &event.millivcpus, &event.memory_mb);
	if (driver->options.resume)
		end_orphans(driver);
	if (driver->options.from_stage) {
		const struct fw_stage *stage = fw_workflow_stage(driver->workflow, driver->options.from_stage);
		struct fw_engine_event restarted = {.kind = FW_EV_RESTARTED,
		                                    .stage = (uint32_t)(stage - driver->workflow->stages.items)};

		fw_driver_feed(driver, &restarted);
		if (!driver->fatal && fw_engine_replan(driver->engine, driver->workflow, &error) != FW_OK)
			fw_driver_fatal(driver, error);
	}
	cut_again(driver);
	fw_driver_feed(driver, &event);
}

static int start(struct fw_driver *driver, struct fw_error **err)
{
	int rc = write_row(driver, err);

	if (rc != FW_OK)
		return rc;
	fw_driver_inherit_floors(driver);
	fw_driver_begin_turns(driver);
	first_event(driver);
	if (!driver->fatal)
		return FW_OK;
	rc = fw_error_code(driver->fatal); /* refused by the engine (a task that can never fit): nothing has started */
	if (err)
		*err = FW_TAKE(driver->fatal);
	return rc;
}

void fw_driver_forget_run(struct fw_driver *driver)
{
	fw_cleanup_free char *logs = fw_printf("%s/logs/%s", driver->state_directory, driver->run);

	if (driver->claimed)
		driver->storage->ops->remove_run(driver->storage, driver->run, NULL);
	if (!driver->inserted) {
		rmdir(logs); /* nothing was logged yet; what is there is another's */
		return;
	}
	fw_tree_remove(AT_FDCWD, logs, NULL);
	fw_store_run_delete(driver->store, driver->run, NULL);
	fw_store_flush(driver->store, NULL);
}

int fw_driver_new(const struct fw_driver_options *options, struct fw_driver **driver, struct fw_error **err)
{
	fw_cleanup_driver struct fw_driver *made = fw_alloc(sizeof *made);

	made->options = *options;
	made->workflow = options->workflow;
	made->store = options->store;
	made->run = fw_strdup(options->run);
	made->state_directory = fw_strdup(options->state_directory);
	made->start_ns = fw_monotonic_ns();
	made->failure.stage = UINT32_MAX;
	made->portions = -1;
	made->unpublished = fw_map_new();
	made->totals = FW_TOTALS_OF_NOTHING;
	made->stages = fw_alloc_array(made->workflow->stages.count, sizeof *made->stages);
	for (size_t i = 0; i < made->workflow->stages.count; i++)
		made->stages[i].first_start_ms = made->stages[i].last_end_ms = FW_NULL_REAL;
	int rc = open_parts(made, err);

	if (rc == FW_OK)
		rc = start(made, err);
	if (rc != FW_OK && options->resume) /* the run stays what it was */
		fw_store_discard(made->store);
	else if (rc != FW_OK)
		fw_driver_forget_run(made);
	if (rc != FW_OK)
		return rc;
	*driver = FW_TAKE(made);
	return FW_OK;
}

void fw_driver_free(struct fw_driver *driver)
{
	if (!driver)
		return;
	driver->closing = true;
	if (driver->backend)
		driver->backend->ops->close(driver->backend);
	fw_driver_cancel_plans(driver);
	fw_pool_free(driver->pool); /* before what its jobs use */
	for (struct fw_task_run *run = driver->runs; run; run = run->next)
		fw_task_run_let_go(run);
	fw_storage_close(driver->storage); /* its own ones use the runs, too */
	if (driver->loop)
		fw_loop_run_deferred(driver->loop); /* plans end so */
	while (driver->runs)
		fw_task_run_free(driver->runs);
	for (size_t i = 0; i < driver->timers.count; i++) {
		fw_timer_free(driver->timers.items[i]->timer);
		free(driver->timers.items[i]);
	}
	free(driver->timers.items);
	if (driver->checkpoint)
		fw_timer_free(driver->checkpoint);
	fw_timer_free(driver->impatience);
	fw_catalogue_close(driver->catalogue);
	fw_engine_free(driver->engine);
	fw_loop_free(driver->loop);
	for (size_t i = 0; i < driver->workflow->stages.count; i++)
		free(driver->stages[i].note);
	free(driver->stages);
	fw_run_row_done(&driver->row);
	fw_error_free(driver->fatal);
	free(driver->advice);
	free(driver->failure.error_type);
	free(driver->failure.error_message);
	free(driver->failure.log_path);
	free(driver->recut);
	fw_map_free(driver->unpublished);
	json_decref(driver->packages);
	json_decref(driver->history);
	for (size_t i = 0; i < driver->before.count; i++)
		fw_workflow_free(driver->before.items[i]);
	free(driver->before.items);
	free(driver->step.list.items);
	free(driver->pending.items);
	free(driver->held.items);
	free(driver->state_directory);
	free(driver->run);
	free(driver);
}

