/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking a killed run up again: its log is replayed into a fresh engine, and what the log says has ended but has no
 * record yet (the kill came before the meters) gets one with what the log knows: all but the metered figures. A workflow
 * or package that has changed since is refused, saying what changed; --from STAGE accepts the change from there on.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "backend/driver_internal.h"
#include "base/digest.h"
#include "base/time.h"

int fw_driver_package_digests(const struct fw_workflow *workflow, json_t **digests, struct fw_error **err)
{
	fw_cleanup_json json_t *made = json_object();

	for (size_t i = 0; i < workflow->stages.count; i++) {
		const char *path = workflow->stages.items[i].function.path;
		char digest[FW_DIGEST_TEXT];

		if (!path || json_object_get(made, path))
			continue;
		int rc = fw_digest_tree(AT_FDCWD, path, digest, err);

		if (rc != FW_OK)
			return fw_error_wrap(err, rc, "stage '%s': read package %s", workflow->stages.items[i].name, path);
		json_object_set_new(made, path, json_string(digest));
	}
	*digests = FW_TAKE(made);
	return FW_OK;
}

/* ---- the run as it was ---- */

static int read_before(struct fw_driver *driver, const json_t *entry, struct fw_error **err)
{
	fw_cleanup_free char *text = fw_json_dump(json_object_get(entry, "workflow"));
	struct fw_workflow *workflow = NULL;
	int rc = fw_workflow_parse(driver->row.workflow_path, text, strlen(text), NULL, false, &workflow, err);

	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "read the workflow that run %s began with", driver->run);
	FW_PUSH(&driver->before, workflow);
	return FW_OK;
}

/* With --from the run's present workflow becomes a part of its history. */
static int remember(struct fw_driver *driver, struct fw_error **err)
{
	const struct fw_run_row *row = &driver->row;
	json_t *workflow = NULL;
	int rc = fw_json_load("workflow of the run", row->workflow_text, strlen(row->workflow_text), &workflow, err);

	if (rc != FW_OK)
		return rc;
	json_array_append_new(driver->history,
	                      json_pack("{s:s, s:o, s:O?}", "digest", row->workflow_digest, "workflow", workflow, "packages",
	                                json_object_get(row->environment, "packages")));
	return FW_OK;
}

static int read_history(struct fw_driver *driver, struct fw_error **err)
{
	const json_t *kept = json_object_get(driver->row.environment, "history");
	const json_t *entry;
	size_t i;
	int rc = FW_OK;

	driver->history = kept ? json_deep_copy(kept) : json_array();
	if (driver->options.from_stage)
		rc = remember(driver, err);
	json_array_foreach (driver->history, i, entry)
		rc = rc == FW_OK ? read_before(driver, entry, err) : rc;
	return rc;
}

/* Of two that take up one run, before either touches what the dead engine left, one alone goes on. */
static int claim_row(struct fw_driver *driver, struct fw_error **err)
{
	struct fw_root root;
	int rc = fw_root_open("/", &root, err);

	if (rc != FW_OK)
		return rc;
	rc = fw_store_run_claim(driver->store, driver->options.run, root.fd, &driver->row, err);
	fw_root_close(&root);
	return rc;
}

int fw_driver_take_up(struct fw_driver *driver, struct fw_error **err)
{
	int rc = claim_row(driver, err);

	if (rc == FW_OK && driver->options.from_stage && !fw_workflow_stage(driver->workflow, driver->options.from_stage))
		rc = fw_fail(err, FW_E_USAGE, "--from %s: the workflow has no such stage", driver->options.from_stage);
	if (rc == FW_OK)
		rc = fw_driver_check_unchanged(driver, err);
	if (rc == FW_OK)
		rc = read_history(driver, err);
	if (rc != FW_OK)
		return rc;
	return fw_engine_new(driver->before.count ? driver->before.items[0] : driver->workflow, &driver->engine, err);
}

/* ---- replay ---- */

struct ended {
	uint32_t stage, task, attempt;
	enum fw_status status;
	char *error_type, *error_message;
	bool recorded;
	json_t *record;               /* what the log says of it, or NULL */
	const struct fw_stage *of;    /* the workflow as it was then */
};

struct replay {
	struct fw_driver *driver;
	uint64_t last_ns;
	size_t restarts; /* seen so far */
	FW_VECTOR(struct ended) ended;
};

static void note_times(struct fw_driver *driver, const struct fw_engine_event *event)
{
	double now_ms = fw_ns_to_ms(event->time_ns);

	if (event->kind == FW_EV_STARTED && isnan(driver->stages[event->stage].first_start_ms))
		driver->stages[event->stage].first_start_ms = now_ms;
	if (event->kind == FW_EV_ENDED)
		driver->stages[event->stage].last_end_ms = now_ms;
}

/* The stages that --from started afresh went on as the workflow was from then on. */
static int replay_restart(struct replay *replay, struct fw_error **err)
{
	struct fw_driver *driver = replay->driver;
	size_t next = ++replay->restarts;

	if (next > driver->before.count)
		return fw_fail(err, FW_E_INVALID, "run %s has no workflow of its %zu. start from a stage", driver->run, next);
	return fw_engine_replan(driver->engine, next < driver->before.count ? driver->before.items[next] : driver->workflow,
	                        err);
}

static const struct fw_workflow *workflow_then(const struct replay *replay)
{
	const struct fw_driver *driver = replay->driver;

	return replay->restarts < driver->before.count ? driver->before.items[replay->restarts] : driver->workflow;
}

static void note_end(struct replay *replay, const struct fw_engine_event *event)
{
	FW_PUSH(&replay->ended, (struct ended){event->stage, event->task, event->attempt, event->status,
	                                       fw_strdup(event->error_type), fw_strdup(event->error_message), false,
	                                       json_incref((json_t *)(uintptr_t)event->recorded),
	                                       &workflow_then(replay)->stages.items[event->stage]});
}

static int replay_event(void *context, int64_t sequence, const char *text, size_t length, struct fw_error **err)
{
	struct replay *replay = context;
	struct fw_driver *driver = replay->driver;
	struct fw_engine_event event;
	json_t *owner = NULL;
	int rc = fw_event_log_decode(text, length, &event, &owner, err);

	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "event %lld of run %s", (long long)sequence, driver->run);
	rc = fw_engine_step(driver->engine, &event, &driver->step, err);
	if (rc == FW_OK && event.kind == FW_EV_RESTARTED)
		rc = replay_restart(replay, err);
	if (rc == FW_OK) {
		driver->sequence = sequence;
		replay->last_ns = event.time_ns > replay->last_ns ? event.time_ns : replay->last_ns;
		note_times(driver, &event);
		if (event.kind == FW_EV_ENDED)
			note_end(replay, &event);
	}
	fw_event_log_release(&event, owner);
	return rc;
}

/* ---- records and rows that the kill cost ---- */

static int by_identity(const void *left, const void *right)
{
	const struct ended *a = left, *b = right;

	if (a->stage != b->stage)
		return a->stage < b->stage ? -1 : 1;
	if (a->task != b->task)
		return a->task < b->task ? -1 : 1;
	return a->attempt < b->attempt ? -1 : a->attempt > b->attempt;
}

static int mark_recorded(void *context, const struct fw_record *record, struct fw_error **err)
{
	struct replay *replay = context;
	struct fw_driver *driver = replay->driver;
	const struct fw_stage *stage = fw_workflow_stage(driver->workflow, record->stage);
	struct ended key = {.task = (uint32_t)record->task, .attempt = (uint32_t)record->attempt};

	(void)err;
	fw_totals_add(&driver->totals, record);
	if (!stage || replay->ended.count == 0)
		return FW_OK;
	key.stage = (uint32_t)(stage - driver->workflow->stages.items);
	struct ended *ended = bsearch(&key, replay->ended.items, replay->ended.count, sizeof key, by_identity);

	if (ended)
		ended->recorded = true;
	return FW_OK;
}

static int put_unmetered(struct fw_driver *driver, const struct ended *ended, struct fw_error **err)
{
	struct fw_record record;
	int rc = FW_OK;

	fw_record_init(&record);
	if (ended->record)
		rc = fw_record_from_json(ended->record, &record, err);
	if (rc != FW_OK)
		return fw_error_wrap(err, rc, "the log of run %s: the end of %s/%u", driver->run, ended->of->name, ended->task);
	record.run = fw_strdup(driver->run);
	record.stage = fw_strdup(ended->of->name);
	record.task = ended->task;
	record.attempt = ended->attempt;
	record.backend = fw_strdup(driver->options.backend->name);
	record.status = fw_strdup(fw_status_name(ended->status));
	record.error_type = fw_strdup(ended->error_type);
	record.error_message = fw_strdup(ended->error_message);
	if (record.memory_mb != FW_NULL_INT)
		record.vcpus = fw_driver_vcpus(record.memory_mb);
	fw_record_flag(&record.flags, "unmetered");
	fw_driver_price(driver, ended->of, &record);
	rc = fw_store_record_put(driver->store, &record, err);
	fw_record_done(&record);
	return rc;
}

static int restore_records(struct replay *replay, struct fw_error **err)
{
	struct fw_driver *driver = replay->driver;

	if (replay->ended.count > 0)
		qsort(replay->ended.items, replay->ended.count, sizeof *replay->ended.items, by_identity);
	int rc = fw_store_record_each(driver->store, driver->run, NULL, -1, mark_recorded, replay, err);

	for (size_t i = 0; rc == FW_OK && i < replay->ended.count; i++)
		if (!replay->ended.items[i].recorded)
			rc = put_unmetered(driver, &replay->ended.items[i], err);
	return rc;
}

static bool has_its_row(const struct fw_driver *driver, uint32_t stage, const struct fw_stage_row *rows, size_t count)
{
	struct fw_stage_progress progress = fw_engine_stage(driver->engine, stage);

	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].stage, driver->workflow->stages.items[stage].name) == 0)
			return rows[i].ok == progress.ok && rows[i].failed == progress.failed &&
			       rows[i].skipped == progress.skipped && rows[i].attempts == progress.attempts;
	return false;
}

static int restore_stages(struct fw_driver *driver, struct fw_error **err)
{
	struct fw_stage_row *rows = NULL;
	size_t count = 0;
	int rc = fw_store_stage_list(driver->store, driver->run, &rows, &count, err);

	for (uint32_t i = 0; rc == FW_OK && i < driver->workflow->stages.count; i++)
		if (fw_engine_stage(driver->engine, i).ended && !has_its_row(driver, i, rows, count))
			rc = fw_driver_put_stage(driver, i, err);
	for (size_t i = 0; i < count; i++)
		fw_stage_row_done(&rows[i]);
	free(rows);
	return rc;
}

/* Tried before anything is written: a plan that cannot go on from what is kept must not be in the log. Starting afresh
 * twice is the same as once. */
static int try_restart(struct fw_driver *driver, struct fw_error **err)
{
	const struct fw_stage *stage = fw_workflow_stage(driver->workflow, driver->options.from_stage);
	struct fw_engine_event restarted = {.kind = FW_EV_RESTARTED,
	                                    .stage = (uint32_t)(stage - driver->workflow->stages.items)};
	int rc = fw_engine_step(driver->engine, &restarted, &driver->step, err);

	return rc == FW_OK ? fw_engine_replan(driver->engine, driver->workflow, err) : rc;
}

int fw_driver_replay(struct fw_driver *driver, struct fw_error **err)
{
	struct replay replay = {.driver = driver};
	int rc = fw_store_event_each(driver->store, driver->run, replay_event, &replay, err);

	if (rc == FW_OK)
		rc = restore_records(&replay, err);
	if (rc == FW_OK)
		rc = restore_stages(driver, err);
	if (rc == FW_OK && driver->options.from_stage)
		rc = try_restart(driver, err);
	for (size_t i = 0; i < replay.ended.count; i++) {
		free(replay.ended.items[i].error_type);
		free(replay.ended.items[i].error_message);
		json_decref(replay.ended.items[i].record);
	}
	free(replay.ended.items);
	driver->start_ns = fw_monotonic_ns() - replay.last_ns;
	return rc;
}
