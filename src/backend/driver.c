/* SPDX-License-Identifier: Apache-2.0
 *
 * The driver's turns: feed events, commit, carry out what follows, close the books. See driver.h for the order that makes
 * a run resumable; it is kept in fw_driver_feed() and carry_out().
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/driver_task.h"
#include "base/log.h"
#include "base/time.h"

#define CHECKPOINT_EVERY_NS FW_NS_PER_S

double fw_driver_now_ms(const struct fw_driver *driver)
{
	return fw_ns_to_ms(fw_monotonic_ns() - driver->start_ns);
}

char *fw_driver_told(const struct fw_error *error)
{
	const char *hint = fw_error_hint_text(error);

	return hint ? fw_printf("%s (%s)", fw_error_message(error), hint) : fw_strdup(fw_error_message(error));
}

void fw_driver_fatal(struct fw_driver *driver, struct fw_error *error)
{
	if (driver->fatal) { /* the loop may turn once more for what is open in the storage */
		fw_error_free(error);
		return;
	}
	driver->fatal = error;
	fw_loop_stop(driver->loop);
}

static int append_one(struct fw_driver *driver, const struct fw_engine_event *event, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, (size_t)1 << 30);
	int rc = fw_event_log_encode(event, &text);

	if (rc != FW_OK)
		return fw_fail(err, rc, "an event of the run cannot be logged: %s", fw_code_text(rc));
	return fw_store_event_append(driver->store, driver->run, ++driver->sequence, text.data, text.length, err);
}

/* What is held back comes first: the log is in the order of the engine's steps. */
static int append_held(struct fw_driver *driver, struct fw_error **err)
{
	int rc = FW_OK;

	for (size_t i = 0; i < driver->held.count && rc == FW_OK; i++)
		rc = append_one(driver, &driver->held.items[i], err);
	driver->held.count = 0;
	return rc;
}

/* That an invocation started calls for no action: it is logged with the next event, and costs no commit of its own. A kill
 * in between forgets a start without an end, which is executed again in either case. */
static int append_event(struct fw_driver *driver, const struct fw_engine_event *event, struct fw_error **err)
{
	if (event->kind == FW_EV_STARTED) {
		FW_PUSH(&driver->held, *event);
		return FW_OK;
	}
	int rc = append_held(driver, err);

	if (rc == FW_OK)
		rc = append_one(driver, event, err);
	fw_loop_want_flush(driver->loop);
	return rc;
}

void fw_driver_feed(struct fw_driver *driver, struct fw_engine_event *event)
{
	struct fw_error *error = NULL;

	if (driver->fatal || driver->closing) /* what was given up is no event of the run: a resumed one does it again */
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
			list[i] = (struct fw_engine_object){.key = objects->list.items[i].key, .bytes = objects->list.items[i].bytes,
			                                    .version = objects->list.items[i].version};
		event.objects = list;
		event.object_count = objects->list.count;
		if (objects->list.count == 0 && !listing->driver->empty)
			listing->driver->empty = &listing->driver->workflow->stages.items[listing->stage].inputs.items[listing->input];
	} else {
		event.kind = FW_EV_LIST_FAILED;
		event.error_type = "Storage.ListFailed";
		event.error_message = fw_error_message(error);
		fw_record_set_text(&listing->driver->advice, fw_error_hint_text(error));
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
	fw_cleanup_free struct fw_driver_timer *timer = context;
	struct fw_driver *driver = timer->driver;
	struct fw_engine_event event = {.kind = FW_EV_TIMER, .timer = timer->id};
	struct fw_driver_timer *last = driver->timers.items[--driver->timers.count];

	driver->timers.items[timer->at] = last;
	last->at = timer->at;
	fw_timer_free(timer->timer);
	fw_driver_feed(driver, &event);
}

static void set_timer(struct fw_driver *driver, const struct fw_engine_action *action)
{
	struct fw_driver_timer *timer = fw_alloc(sizeof *timer);

	*timer = (struct fw_driver_timer){driver, fw_timer_new(driver->loop, timer_ran_out, timer), action->timer,
	                                  driver->timers.count};
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
	case FW_ACT_PLAN:
		fw_driver_plan(driver, action);
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
	if (append_held(driver, &error) != FW_OK || fw_store_flush(driver->store, &error) != FW_OK) {
		fw_driver_fatal(driver, error);
		return;
	}
	/* An action may feed an event at once: what follows from that waits for the next commit. */
	size_t count = driver->pending.count;

	for (size_t i = 0; i < count && !driver->fatal; i++) {
		struct fw_engine_action action = driver->pending.items[i];

		carry_out_one(driver, &action);
	}
	driver->pending.count -= count;
	memmove(driver->pending.items, driver->pending.items + count, driver->pending.count * sizeof *driver->pending.items);
}

/* ---- durability: fsync off the loop, once a second ---- */

/* One at a time. The run goes on without it, but a promise is broken: it is said once. */
static void checkpoint_work(void *context)
{
	struct fw_driver *driver = context;
	fw_cleanup_error struct fw_error *error = NULL;

	if (fw_store_checkpoint(fw_store_path(driver->store), &error) == FW_OK || driver->not_durable)
		return;
	driver->not_durable = true;
	fw_warning("a power loss may cost more than the last second: %s", fw_error_message(error));
}

static void checkpoint_done(void *context)
{
	struct fw_driver *driver = context;

	driver->checkpointing = false;
}

static void checkpoint_tick(void *context)
{
	struct fw_driver *driver = context;

	fw_driver_put_readings(driver);
	if (driver->held.count > 0)
		fw_loop_want_flush(driver->loop);
	if (driver->dirty && !driver->checkpointing) {
		driver->dirty = false;
		driver->checkpointing = true;
		fw_pool_submit(driver->pool, checkpoint_work, checkpoint_done, driver);
	}
	fw_timer_set(driver->checkpoint, CHECKPOINT_EVERY_NS);
}

void fw_driver_begin_turns(struct fw_driver *driver)
{
	fw_loop_on_flush(driver->loop, carry_out, driver);
	driver->checkpoint = fw_timer_new(driver->loop, checkpoint_tick, driver);
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
		fw_warning("attempts that lost were not all removed, the run's removal takes them along: %s", fw_error_message(error));
	fw_loop_stop(driver->loop);
}

void fw_driver_maybe_finish(struct fw_driver *driver)
{
	if (!driver->finishing || driver->open_records > 0 || driver->closed || driver->fatal)
		return;
	driver->closed = true;
	fw_driver_limit_sweep(driver);
	driver->storage->ops->sweep(driver->storage, driver->run, keep_attempt, swept, driver);
}

static const char *state_name(enum fw_status status)
{
	return status == FW_STATUS_OK ? "ok" : status == FW_STATUS_CANCELLED ? "cancelled" : "failed";
}

static int close_row(struct fw_driver *driver, struct fw_error **err)
{
	if (!driver->fatal)
		driver->backend->ops->flush(driver->backend);
	fw_driver_put_readings(driver);
	fw_record_set_text(&driver->row.state, driver->fatal ? "interrupted" : state_name(driver->status));
	fw_record_set_text(&driver->row.error, driver->fatal ? fw_error_message(driver->fatal) : driver->failure.error_message);
	driver->row.makespan_ms = fw_driver_now_ms(driver);
	json_decref(driver->row.totals);
	driver->row.totals = json_pack("{s:o, s:o, s:o, s:b}", "joules", fw_json_real(driver->totals.joules), "usd",
	                               fw_json_real(driver->totals.usd), "gco2e", fw_json_real(driver->totals.gco2e), "modelled",
	                               driver->totals.modelled);
	json_t *books = driver->backend->ops->energy_books(driver->backend);

	if (books)
		json_object_set_new(driver->row.totals, "energy", books);
	int rc = fw_store_run_update(driver->store, &driver->row, err);

	return rc == FW_OK ? fw_store_flush(driver->store, err) : rc;
}

/* Where the workflow file asks for keys that matched nothing. */
static int point_at_keys(const struct fw_driver *driver, int rc, struct fw_error **err)
{
	const struct fw_input *input = driver->empty;
	struct fw_str rest = fw_str_of(driver->workflow->text), line = {0};

	if (driver->advice)
		fw_error_hint(err, rc, "%s", driver->advice);
	if (!input || input->keys_line == 0)
		return rc;
	for (size_t i = 0; i < input->keys_line; i++)
		fw_str_next_line(&rest, &line);
	fw_error_at(err, rc, driver->workflow->path, input->keys_line, input->keys_column, line.text, line.length);
	if (driver->recordless)
		return rc;
	return fw_error_hint(err, rc, "the storage is %s: put the files there, or mend the glob", driver->workflow->storage);
}

/* Nothing has been dispatched and nothing can be: no run has taken place, so none is kept. */
static int refuse_run(struct fw_driver *driver, struct fw_error **err)
{
	int rc = fw_engine_failure(driver->engine, err);

	fw_driver_forget_run(driver);
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
	if (driver->fatal)
		fw_driver_settle_storage(driver);
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

/* ---- what progress asks ---- */

struct fw_loop *fw_driver_loop(struct fw_driver *driver)
{
	return driver->loop;
}

struct fw_stage_progress fw_driver_stage(const struct fw_driver *driver, uint32_t stage)
{
	return fw_engine_stage(driver->engine, stage);
}

struct fw_totals fw_driver_totals(struct fw_driver *driver, size_t *running)
{
	struct fw_totals totals = driver->totals;

	*running = driver->backend->ops->energy_running(driver->backend, &totals);
	return totals;
}

double fw_driver_fraction(const struct fw_driver *driver, uint32_t stage)
{
	double sum = 0;
	int count = 0;

	for (const struct fw_task_run *run = driver->runs; run; run = run->next) {
		if (run->stage_index != stage || run->concluded || isnan(run->fraction))
			continue;
		sum += run->fraction;
		count++;
	}
	return count > 0 ? sum / count : NAN;
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
	int rc = fw_engine_failure(driver->engine, err);

	return rc != FW_OK && driver->advice ? fw_error_hint(err, rc, "%s", driver->advice) : rc;
}

const struct fw_driver_failure *fw_driver_failure(const struct fw_driver *driver)
{
	return driver->failure.stage == UINT32_MAX ? NULL : &driver->failure;
}
