/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver's life: open everything, feed the first event, turn the loop, close the books. See driver.h for the order
 * that makes a run resumable; it is kept in fw_driver_feed() and carry_out().
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/driver_task.h"
#include "base/log.h"
#include "base/time.h"

enum { POOL_THREADS = 2 };
#define CHECKPOINT_EVERY_NS FW_NS_PER_S

double fw_driver_now_ms(const struct fw_driver *driver)
{
	return fw_ns_to_ms(fw_monotonic_ns() - driver->start_ns);
}

void fw_driver_fatal(struct fw_driver *driver, struct fw_error *error)
{
	if (driver->fatal)
		fw_error_free(error);
	else
		driver->fatal = error;
	fw_loop_stop(driver->loop);
}

static int append_event(struct fw_driver *driver, const struct fw_engine_event *event, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, (size_t)1 << 30);
	int rc = fw_event_log_encode(event, &text);

	if (rc != FW_OK)
		return fw_fail(err, rc, "an event of the run cannot be logged: %s", fw_code_text(rc));
	return fw_store_event_append(driver->store, driver->run, ++driver->sequence, text.data, text.length, err);
}

void fw_driver_feed(struct fw_driver *driver, struct fw_engine_event *event)
{
	struct fw_error *error = NULL;

	if (driver->fatal)
		return;
	event->time_ns = fw_monotonic_ns() - driver->start_ns;
	/* Stepped first: an event that the engine refuses must not be in the log that resume replays. No action is carried out
	 * before the commit, so a kill in between costs nothing. */
	int rc = fw_engine_step(driver->engine, event, &driver->step, &error);

	if (rc == FW_OK)
		rc = append_event(driver, event, &error);
	if (rc != FW_OK) {
		fw_driver_fatal(driver, error);
		return;
	}
	for (size_t i = 0; i < driver->step.list.count; i++)
		FW_PUSH(&driver->pending, driver->step.list.items[i]);
	driver->dirty = true;
	fw_loop_want_flush(driver->loop);
}

/* ---- carrying out ---- */

struct listing {
	struct fw_driver *driver;
	uint32_t stage, input;
};

static void listed(void *context, int rc, struct fw_storage_objects *objects, const struct fw_error *error)
{
	fw_cleanup_free struct listing *listing = context;
	struct fw_engine_event event = {.stage = listing->stage, .input = listing->input};
	fw_cleanup_free struct fw_engine_object *list = NULL;

	if (rc == FW_OK) {
		event.kind = FW_EV_LISTED;
		list = fw_alloc_array(objects->list.count, sizeof *list);
		for (size_t i = 0; i < objects->list.count; i++)
			list[i] = (struct fw_engine_object){objects->list.items[i].key, objects->list.items[i].bytes, 0};
		event.objects = list;
		event.object_count = objects->list.count;
		if (objects->list.count == 0)
			listing->driver->empty = &listing->driver->workflow->stages.items[listing->stage].inputs.items[listing->input];
	} else {
		event.kind = FW_EV_LIST_FAILED;
		event.error_type = "Storage.ListFailed";
		event.error_message = fw_error_message(error);
	}
	fw_driver_feed(listing->driver, &event);
}

static void list_objects(struct fw_driver *driver, const struct fw_engine_action *action)
{
	const struct fw_input *input = &driver->workflow->stages.items[action->stage].inputs.items[action->input];
	struct listing *listing = fw_alloc(sizeof *listing);

	*listing = (struct listing){driver, action->stage, action->input};
	driver->storage->ops->list(driver->storage, input->keys, listed, listing);
}

static void timer_ran_out(void *context)
{
	struct fw_driver_timer *timer = context;
	struct fw_engine_event event = {.kind = FW_EV_TIMER, .timer = timer->id};

	fw_driver_feed(timer->driver, &event);
}

static void set_timer(struct fw_driver *driver, const struct fw_engine_action *action)
{
	struct fw_driver_timer *timer = fw_alloc(sizeof *timer);

	*timer = (struct fw_driver_timer){driver, fw_timer_new(driver->loop, timer_ran_out, timer), action->timer};
	fw_timer_set(timer->timer, action->delay_ms * FW_NS_PER_MS);
	FW_PUSH(&driver->timers, timer);
}

static void stage_ended(struct fw_driver *driver, const struct fw_engine_action *action)
{
	struct fw_error *error = NULL;

	if (fw_driver_put_stage(driver, action->stage, &error) != FW_OK)
		fw_driver_fatal(driver, error);
}

static void carry_out_one(struct fw_driver *driver, const struct fw_engine_action *action)
{
	switch (action->kind) {
	case FW_ACT_LIST:
		list_objects(driver, action);
		break;
	case FW_ACT_DISPATCH:
		fw_driver_dispatch(driver, action);
		break;
	case FW_ACT_CANCEL:
		driver->backend->ops->cancel(driver->backend, action->stage, action->task, action->attempt,
		                             driver->cancels > 1);
		break;
	case FW_ACT_TIMER:
		set_timer(driver, action);
		break;
	case FW_ACT_STAGE_ENDED:
		stage_ended(driver, action);
		break;
	case FW_ACT_FINISH:
		driver->finishing = true;
		driver->status = action->status;
		driver->backend->ops->flush(driver->backend);
		fw_driver_maybe_finish(driver);
		break;
	}
}

/* The flush hook: commit first, act after. */
static void carry_out(void *context)
{
	struct fw_driver *driver = context;
	struct fw_error *error = NULL;

	if (driver->fatal)
		return;
	if (fw_store_flush(driver->store, &error) != FW_OK) {
		fw_driver_fatal(driver, error);
		return;
	}
	for (size_t i = 0; i < driver->pending.count && !driver->fatal; i++) {
		struct fw_engine_action action = driver->pending.items[i];

		carry_out_one(driver, &action);
	}
	driver->pending.count = 0;
}

/* ---- durability: fsync off the loop, once a second ---- */

static void checkpoint_work(void *context)
{
	struct fw_driver *driver = context;
	struct fw_error *error = NULL;

	if (fw_store_checkpoint(fw_store_path(driver->store), &error) != FW_OK)
		fw_debug("checkpoint: %s", fw_error_message(error));
	fw_error_free(error);
}

static void checkpoint_done(void *context)
{
	struct fw_driver *driver = context;

	driver->checkpointing = false;
}

static void checkpoint_tick(void *context)
{
	struct fw_driver *driver = context;

	if (driver->dirty && !driver->checkpointing) {
		driver->dirty = false;
		driver->checkpointing = true;
		fw_pool_submit(driver->pool, checkpoint_work, checkpoint_done, driver);
	}
	fw_timer_set(driver->checkpoint, CHECKPOINT_EVERY_NS);
}

/* ---- the end ---- */

static bool keep_attempt(void *context, const struct fw_attempt_key *key)
{
	struct fw_driver *driver = context;
	const struct fw_stage *stage = fw_workflow_stage(driver->workflow, key->stage);

	return stage && fw_engine_committed(driver->engine, (uint32_t)(stage - driver->workflow->stages.items), key->task,
	                                    key->attempt);
}

static void swept(void *context, int rc, const struct fw_error *error)
{
	struct fw_driver *driver = context;

	if (rc != FW_OK)
		fw_warning("attempts that lost were not all removed: %s", fw_error_message(error));
	fw_loop_stop(driver->loop);
}

void fw_driver_maybe_finish(struct fw_driver *driver)
{
	if (!driver->finishing || driver->open_records > 0 || driver->closed || driver->fatal)
		return;
	driver->closed = true;
	driver->storage->ops->sweep(driver->storage, driver->run, keep_attempt, swept, driver);
}

static const char *state_name(enum fw_status status)
{
	return status == FW_STATUS_OK ? "ok" : status == FW_STATUS_CANCELLED ? "cancelled" : "failed";
}

static int close_row(struct fw_driver *driver, struct fw_error **err)
{
	fw_record_set_text(&driver->row.state, driver->fatal ? "interrupted" : state_name(driver->status));
	fw_record_set_text(&driver->row.error, driver->fatal ? fw_error_message(driver->fatal) : driver->failure.error_message);
	driver->row.makespan_ms = fw_driver_now_ms(driver);
	json_decref(driver->row.totals);
	driver->row.totals = json_pack("{s:f, s:f, s:f, s:b}", "joules", driver->totals.joules, "usd", driver->totals.usd,
	                               "gco2e", driver->totals.gco2e, "modelled", driver->totals.modelled);
	int rc = fw_store_run_update(driver->store, &driver->row, err);

	return rc == FW_OK ? fw_store_flush(driver->store, err) : rc;
}

/* Where the workflow file asks for keys that matched nothing. */
static int point_at_keys(const struct fw_driver *driver, int rc, struct fw_error **err)
{
	const struct fw_input *input = driver->empty;
	struct fw_str rest = fw_str_of(driver->workflow->text), line = {0};

	if (!input || input->keys_line == 0)
		return rc;
	for (size_t i = 0; i < input->keys_line; i++)
		fw_str_next_line(&rest, &line);
	fw_error_at(err, rc, driver->workflow->path, input->keys_line, input->keys_column, line.text, line.length);
	return fw_error_hint(err, rc, "the storage is %s: put the files there, or mend the glob", driver->workflow->storage);
}

/* Nothing has been dispatched and nothing can be: no run has taken place, so none is kept. */
static int refuse_run(struct fw_driver *driver, struct fw_error **err)
{
	int rc = fw_engine_failure(driver->engine, err);

	driver->storage->ops->remove_run(driver->storage, driver->run, NULL);
	fw_store_run_delete(driver->store, driver->run, NULL);
	fw_store_flush(driver->store, NULL);
	return point_at_keys(driver, rc, err);
}

static bool is_refused(const struct fw_driver *driver)
{
	int why = fw_engine_failure(driver->engine, NULL);

	return !driver->fatal && !driver->options.resume && !driver->dispatched &&
	       (why == FW_E_INVALID || why == FW_E_ENVIRONMENT);
}

int fw_driver_run(struct fw_driver *driver, enum fw_status *status, struct fw_error **err)
{
	int rc = fw_loop_run(driver->loop, err);

	if (rc != FW_OK)
		return rc;
	if (is_refused(driver))
		return refuse_run(driver, err);
	struct fw_error *closing = NULL;
	int closed = close_row(driver, &closing);

	if (driver->fatal) {
		rc = fw_error_code(driver->fatal);
		fw_error_free(closing);
		if (err)
			*err = FW_TAKE(driver->fatal);
		return fw_error_wrap(err, rc, "run %s", driver->run);
	}
	if (closed != FW_OK) {
		if (err)
			*err = closing;
		else
			fw_error_free(closing);
		return closed;
	}
	*status = driver->status;
	return FW_OK;
}

void fw_driver_cancel(struct fw_driver *driver)
{
	struct fw_engine_event event = {.kind = FW_EV_CANCEL, .now = ++driver->cancels > 1};

	if (!driver->finishing && driver->cancels <= 2)
		fw_driver_feed(driver, &event);
}

/* ---- opening ---- */

static int open_parts(struct fw_driver *driver, struct fw_error **err)
{
	const struct fw_driver_options *options = &driver->options;
	struct fw_backend_context context;
	int rc = fw_loop_new(&driver->loop, err);

	if (rc == FW_OK)
		rc = fw_pool_new(driver->loop, POOL_THREADS, &driver->pool, err);
	if (rc == FW_OK)
		rc = fw_storage_open(driver->workflow->storage, driver->loop, driver->pool, &driver->storage, err);
	if (rc == FW_OK)
		rc = fw_catalogue_open(NULL, &driver->catalogue, err);
	if (rc == FW_OK)
		rc = fw_driver_package_digests(driver->workflow, &driver->packages, err);
	if (rc == FW_OK)
		rc = options->resume ? fw_driver_take_up(driver, err)
		                     : fw_engine_new(driver->workflow, &driver->engine, err);
	if (rc == FW_OK && options->resume)
		rc = fw_driver_replay(driver, err); /* sets start_ns */
	if (rc != FW_OK)
		return rc;
	context = (struct fw_backend_context){
		.loop = driver->loop,
		.pool = driver->pool,
		.storage = driver->storage,
		.workflow = driver->workflow,
		.catalogue = driver->catalogue,
		.run = driver->run,
		.state_directory = options->state_directory,
		.region = options->region,
		.start_ns = driver->start_ns,
		.oversubscribe = options->oversubscribe,
	};
	return options->backend->open(&context, &driver->backend, err);
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

	if (rc == FW_OK)
		rc = driver->options.resume ? fw_store_run_update(driver->store, row, err)
		                            : fw_store_run_insert(driver->store, row, err);
	return rc;
}

static void first_event(struct fw_driver *driver)
{
	struct fw_engine_event event = {
		.kind = driver->options.resume ? FW_EV_RESUMED : FW_EV_RUN_STARTED,
		.oversubscribe = driver->options.oversubscribe,
		.seed = driver->options.seed,
	};
	struct fw_error *error = NULL;
	size_t orphans = 0;

	driver->backend->ops->capacity(driver->backend, &event.millivcpus, &event.memory_mb);
	if (driver->options.resume && driver->backend->ops->end_orphans(driver->backend, &orphans, NULL) == FW_OK && orphans)
		fw_info("ended %zu workers that the killed run had left", orphans);
	if (driver->options.from_stage) {
		const struct fw_stage *stage = fw_workflow_stage(driver->workflow, driver->options.from_stage);
		struct fw_engine_event restarted = {.kind = FW_EV_RESTARTED,
		                                    .stage = (uint32_t)(stage - driver->workflow->stages.items)};

		fw_driver_feed(driver, &restarted);
		if (!driver->fatal && fw_engine_replan(driver->engine, driver->workflow, &error) != FW_OK)
			fw_driver_fatal(driver, error);
	}
	fw_driver_feed(driver, &event);
}

static int start(struct fw_driver *driver, struct fw_error **err)
{
	int rc = write_row(driver, err);

	if (rc != FW_OK)
		return rc;
	fw_loop_on_flush(driver->loop, carry_out, driver);
	driver->checkpoint = fw_timer_new(driver->loop, checkpoint_tick, driver);
	fw_timer_set(driver->checkpoint, CHECKPOINT_EVERY_NS);
	first_event(driver);
	if (!driver->fatal)
		return FW_OK;
	/* Refused by the engine (a task that can never fit): nothing has started. A new run is not kept, one to resume stays. */
	rc = fw_error_code(driver->fatal);
	if (driver->options.resume)
		fw_record_set_text(&driver->row.state, "interrupted");
	if (driver->options.resume)
		fw_store_run_update(driver->store, &driver->row, NULL);
	else
		fw_store_run_delete(driver->store, driver->run, NULL);
	fw_store_flush(driver->store, NULL);
	if (err)
		*err = FW_TAKE(driver->fatal);
	return rc;
}

int fw_driver_new(const struct fw_driver_options *options, struct fw_driver **driver, struct fw_error **err)
{
	fw_cleanup_driver struct fw_driver *made = fw_alloc(sizeof *made);

	made->options = *options;
	made->workflow = options->workflow;
	made->store = options->store;
	made->run = fw_strdup(options->run);
	made->start_ns = fw_monotonic_ns();
	made->failure.stage = UINT32_MAX;
	made->stages = fw_alloc_array(made->workflow->stages.count, sizeof *made->stages);
	for (size_t i = 0; i < made->workflow->stages.count; i++)
		made->stages[i].first_start_ms = made->stages[i].last_end_ms = FW_NULL_REAL;
	int rc = open_parts(made, err);

	if (rc == FW_OK)
		rc = start(made, err);
	if (rc != FW_OK)
		return rc;
	*driver = FW_TAKE(made);
	return FW_OK;
}

void fw_driver_free(struct fw_driver *driver)
{
	if (!driver)
		return;
	if (driver->backend)
		driver->backend->ops->close(driver->backend);
	fw_pool_free(driver->pool); /* before what its jobs use */
	while (driver->runs)
		fw_task_run_free(driver->runs);
	for (size_t i = 0; i < driver->timers.count; i++) {
		fw_timer_free(driver->timers.items[i]->timer);
		free(driver->timers.items[i]);
	}
	free(driver->timers.items);
	if (driver->checkpoint)
		fw_timer_free(driver->checkpoint);
	fw_storage_close(driver->storage);
	fw_catalogue_close(driver->catalogue);
	fw_engine_free(driver->engine);
	fw_loop_free(driver->loop);
	for (size_t i = 0; i < driver->workflow->stages.count; i++)
		free(driver->stages[i].note);
	free(driver->stages);
	fw_run_row_done(&driver->row);
	fw_error_free(driver->fatal);
	free(driver->failure.error_type);
	free(driver->failure.error_message);
	free(driver->failure.log_path);
	json_decref(driver->packages);
	json_decref(driver->history);
	for (size_t i = 0; i < driver->before.count; i++)
		fw_workflow_free(driver->before.items[i]);
	free(driver->before.items);
	free(driver->step.list.items);
	free(driver->pending.items);
	free(driver->run);
	free(driver);
}

/* ---- what progress asks ---- */

struct fw_loop *fw_driver_loop(struct fw_driver *driver)
{
	return driver->loop;
}

struct fw_stage_progress fw_driver_stage(const struct fw_driver *driver, uint32_t stage)
{
	return fw_engine_stage(driver->engine, stage);
}

struct fw_driver_totals fw_driver_totals(const struct fw_driver *driver)
{
	return driver->totals;
}

const char *fw_driver_note(const struct fw_driver *driver, uint32_t stage)
{
	return driver->stages[stage].note;
}

double fw_driver_elapsed_ms(const struct fw_driver *driver)
{
	return fw_driver_now_ms(driver);
}

const char *fw_driver_missing(const struct fw_driver *driver)
{
	return driver->backend->ops->missing(driver->backend);
}

int fw_driver_reason(const struct fw_driver *driver, struct fw_error **err)
{
	return fw_engine_failure(driver->engine, err);
}

const struct fw_driver_failure *fw_driver_failure(const struct fw_driver *driver)
{
	return driver->failure.stage == UINT32_MAX ? NULL : &driver->failure;
}
