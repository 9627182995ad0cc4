/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store's tests share: a store in a fixture tree, a run in it, records.
 */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/unit/support.h"

#define fw_cleanup_store FW_CLEANUP(fw_store_close)
#define fw_cleanup_record __attribute__((cleanup(fw_record_done)))

static inline char *store_path(const struct tree *tree)
{
	return fw_printf("%s/state/flexwatt.db", tree->path);
}

static inline struct fw_store *open_store(const char *path)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_store *store = NULL;

	assert_ok(fw_store_open(path, false, &store, &err), err);
	return store;
}

static inline void flush(struct fw_store *store)
{
	fw_cleanup_error struct fw_error *err = NULL;

	assert_ok(fw_store_flush(store, &err), err);
}

static inline void insert_run(struct fw_store *store, const char *run, int64_t wall_ms)
{
	fw_cleanup_error struct fw_error *err = NULL;
	const struct fw_run_row row = {.run = (char *)(uintptr_t)run, .workflow = (char[]){"video"}, .wall_ms = wall_ms,
	                               .state = (char[]){"running"}, .makespan_ms = FW_NULL_REAL, .repetition = FW_NULL_INT,
	                               .pid = 1, .boot_id = (char[]){"b"}, .pid_start = 2};

	assert_ok(fw_store_run_insert(store, &row, &err), err);
}

static inline struct fw_record record_of(const char *run, const char *stage, int64_t task)
{
	struct fw_record record;

	fw_record_init(&record);
	fw_record_set_text(&record.run, run);
	fw_record_set_text(&record.stage, stage);
	fw_record_set_text(&record.status, "ok");
	record.task = task;
	record.attempt = 1;
	record.duration_ms = 12.5;
	struct fw_energy *energy = fw_record_add_energy(&record);
	fw_record_set_text(&energy->source, "model");
	energy->joules = 1.5;
	return record;
}

static inline void put_record(struct fw_store *store, const char *run, const char *stage, int64_t task, double started_ms)
{
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_record struct fw_record record = record_of(run, stage, task);

	record.started_ms = started_ms;
	assert_ok(fw_store_record_put(store, &record, &err), err);
}

static inline void append_event(struct fw_store *store, const char *run, int64_t seq)
{
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_free char *text = fw_printf("{\"event\":%lld}", (long long)seq);

	assert_ok(fw_store_event_append(store, run, seq, text, strlen(text), &err), err);
}

/* Counts, and checks that the numbers follow each other from 1. */
static inline int count_event(void *context, int64_t seq, const char *text, size_t length, struct fw_error **err)
{
	int64_t *count = context;

	if (seq != ++*count || length == 0 || text[length - 1] != '}')
		return fw_fail(err, FW_E_INVALID, "event %lld in place %lld", (long long)seq, (long long)*count);
	return FW_OK;
}

static inline int64_t events_of(struct fw_store *store, const char *run)
{
	fw_cleanup_error struct fw_error *err = NULL;
	int64_t count = 0;

	assert_ok(fw_store_event_each(store, run, count_event, &count, &err), err);
	return count;
}

struct seen {
	size_t count;
	char order[512]; /* "split/0.1 split/1.1 " */
	json_t *last;
};

static inline int see_record(void *context, const struct fw_record *record, struct fw_error **err)
{
	struct seen *seen = context;
	size_t used = strlen(seen->order);

	(void)err;
	seen->count++;
	if (used + 64 < sizeof seen->order)
		snprintf(seen->order + used, sizeof seen->order - used, "%s/%lld.%lld ", record->stage, (long long)record->task,
		         (long long)record->attempt);
	json_decref(seen->last);
	seen->last = fw_record_to_json(record);
	return FW_OK;
}

static inline void seen_done(struct seen *seen)
{
	json_decref(seen->last);
}

static inline struct seen records_of(struct fw_store *store, const char *run, const char *stage, int64_t task)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct seen seen = {0};

	assert_ok(fw_store_record_each(store, run, stage, task, see_record, &seen, &err), err);
	return seen;
}
#define fw_cleanup_seen __attribute__((cleanup(seen_done)))
