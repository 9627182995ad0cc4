/* SPDX-License-Identifier: Apache-2.0
 *
 * Three passes over a run: which invocations were contended, which is a flag of their figures; the readings through the
 * ledger; the records against what came out.
 */
#include "report/recomputed.h"

#include <math.h>
#include <string.h>

#include "base/map.h"
#include "catalogue/catalogue.h"
#include "energy/books.h"
#include "energy/replay.h"
#include "report/summary.h"
#include "store/measurements.h"

struct work {
	struct fw_recomputed *out;
	struct fw_map *contended; /* key of an invocation → itself */
	struct fw_map *fresh;     /* key → struct fw_record *, with the rows of energy alone */
	struct fw_replay *replay;
	size_t portions;
};

static char *key_of(const char *stage, int64_t task, int64_t attempt)
{
	return fw_printf("%s/%lld.%lld", stage ? stage : "", (long long)task, (long long)attempt);
}

static int note_contended(void *context, const struct fw_record *record, struct fw_error **err)
{
	struct work *work = context;

	(void)err;
	if (fw_record_has_flag(record->flags, "contended")) {
		fw_cleanup_free char *key = key_of(record->stage, record->task, record->attempt);

		fw_map_set(work->contended, key, work);
	}
	return FW_OK;
}

static void take_cut(void *context, const struct fw_replay_cut *cut)
{
	struct work *work = context;
	fw_cleanup_free char *key = key_of(cut->stage, cut->task, cut->attempt);
	struct fw_record *record = fw_map_get(work->fresh, key);

	if (record)
		fw_record_done(record);
	else
		fw_map_set(work->fresh, key, record = fw_alloc(sizeof *record));
	fw_record_init(record);
	if (fw_map_has(work->contended, key))
		fw_record_flag(&record->flags, "contended");
	for (size_t i = 0; i < cut->count; i++)
		fw_books_add_row(&cut->shares[i], cut->work, record);
}

static int take_portion(void *context, const struct fw_reading_row *row, struct fw_error **err)
{
	struct work *work = context;

	work->portions++;
	return fw_replay_page(work->replay, row->readings.data, row->readings.length, err);
}

/* ---- a record against what came out ---- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_other(const struct fw_energy *a, const struct fw_energy *b)
{
	return a->joules != b->joules || a->low != b->low || a->high != b->high || a->dynamic_j != b->dynamic_j ||
	       a->idle_j != b->idle_j || !same_text(a->flags, b->flags) || !same_text(a->method, b->method);
}

static struct fw_energy copy_row(const struct fw_energy *row)
{
	struct fw_energy copy = row ? *row : (struct fw_energy){.joules = NAN, .low = NAN, .high = NAN, .dynamic_j = NAN, .idle_j = NAN};

	copy.source = fw_strdup(copy.source);
	copy.domain = fw_strdup(copy.domain);
	copy.method = fw_strdup(copy.method);
	copy.flags = fw_strdup(copy.flags);
	return copy;
}

static const struct fw_energy *find(const struct fw_record *record, const struct fw_energy *like)
{
	for (size_t i = 0; i < record->energy.count; i++) {
		const struct fw_energy *row = &record->energy.items[i];

		if (fw_books_made(row) && same_text(row->source, like->source) && same_text(row->domain, like->domain))
			return row;
	}
	return NULL;
}

static void add_change(struct fw_recomputed *out, const struct fw_record *record, const struct fw_energy *before,
                       const struct fw_energy *after)
{
	struct fw_recomputed_row change = {fw_strdup(record->stage), record->task, record->attempt, copy_row(before),
	                                   copy_row(after)};

	FW_PUSH(&out->changes, change);
}

/* The record with its new rows first, where the ledger puts them, and new grams of CO2e. */
static int rebuild(struct fw_recomputed *out, const struct fw_record *record, const struct fw_record *fresh,
                   struct fw_error **err)
{
	fw_cleanup_json json_t *json = fw_record_to_json(record);
	fw_cleanup_json json_t *rows = fw_record_to_json(fresh);
	json_t *energy = json_array(), *row;
	struct fw_record whole;
	size_t i;

	json_array_extend(energy, json_object_get(rows, "energy"));
	json_array_foreach(json_object_get(json, "energy"), i, row)
		if (!fw_books_made(&record->energy.items[i]))
			json_array_append(energy, row);
	json_object_set_new(json, "energy", energy);
	int rc = fw_record_from_json(json, &whole, err);

	if (rc != FW_OK)
		return rc;
	fw_carbon_of_energy(&whole);
	FW_PUSH(&out->records, fw_record_to_json(&whole));
	fw_record_done(&whole);
	return FW_OK;
}

static void note_method(struct fw_recomputed *out, const struct fw_energy *row)
{
	const char *at = strstr(row->method, "ledger/");

	if (!out->method_before && at)
		out->method_before = fw_strndup(at, strcspn(at, " "));
}

static int compare(void *context, const struct fw_record *record, struct fw_error **err)
{
	struct work *work = context;
	struct fw_recomputed *out = work->out;
	fw_cleanup_free char *key = key_of(record->stage, record->task, record->attempt);
	const struct fw_record *fresh = fw_map_get(work->fresh, key);
	size_t changed = out->changes.count, had = 0;

	for (size_t i = 0; i < record->energy.count; i++) {
		const struct fw_energy *row = &record->energy.items[i], *now;

		if (!fw_books_made(row))
			continue;
		had++;
		note_method(out, row);
		now = fresh ? find(fresh, row) : NULL;
		if (fresh && (!now || is_other(row, now)))
			add_change(out, record, row, now);
	}
	if (!fresh) {
		out->missing += had > 0;
		return FW_OK;
	}
	out->invocations++;
	out->rows += fresh->energy.count;
	for (size_t i = 0; i < fresh->energy.count; i++)
		if (!find(record, &fresh->energy.items[i]))
			add_change(out, record, NULL, &fresh->energy.items[i]);
	return out->changes.count > changed ? rebuild(out, record, fresh, err) : FW_OK;
}

/* ---- all of it ---- */

static int refuse(const struct fw_run_row *row, size_t portions, struct fw_error **err)
{
	int rc = FW_OK;

	if (same_text(fw_run_state(row), "running")) {
		rc = fw_fail(err, FW_E_USAGE, "run %s is still running", row->run);
		rc = fw_error_hint(err, rc, "once it has ended its readings are complete");
	} else if (portions == 0) {
		rc = fw_fail(err, FW_E_USAGE, "run %s has no stored readings of energy counters", row->run);
		rc = fw_error_hint(err, rc, "only where counters can be read are there any: flexwatt monitors says what works here");
	}
	return rc;
}

static void free_fresh(struct fw_map *fresh)
{
	const char *key;
	void *value;

	for (size_t i = 0; fw_map_next(fresh, &i, &key, &value);) {
		fw_record_done(value);
		free(value);
	}
	fw_map_free(fresh);
}

static int recompute(struct fw_store *store, struct work *work, struct fw_error **err)
{
	struct fw_recomputed *out = work->out;
	const char *run = out->row.run;
	int rc = fw_store_record_each(store, run, NULL, -1, note_contended, work, err);

	if (rc == FW_OK)
		rc = fw_store_reading_each(store, run, take_portion, work, err);
	if (rc == FW_OK)
		rc = refuse(&out->row, work->portions, err);
	if (rc == FW_OK)
		rc = fw_store_record_each(store, run, NULL, -1, compare, work, err);
	if (rc != FW_OK)
		return rc;
	out->is_cut_short = fw_replay_is_cut_short(work->replay);
	out->books = fw_replay_books(work->replay);
	return FW_OK;
}

int fw_recomputed_load(struct fw_store *store, const char *run, struct fw_recomputed *recomputed, struct fw_error **err)
{
	struct work work = {.out = recomputed, .contended = fw_map_new(), .fresh = fw_map_new()};

	*recomputed = (struct fw_recomputed){0};
	work.replay = fw_replay_new(take_cut, &work);
	int rc = fw_store_run_get(store, run, &recomputed->row, err);

	if (rc == FW_OK) {
		rc = recompute(store, &work, err);
		if (rc != FW_OK)
			fw_error_wrap(err, rc, "recompute run %s", recomputed->row.run);
	}
	fw_replay_free(work.replay);
	fw_map_free(work.contended);
	free_fresh(work.fresh);
	if (rc != FW_OK)
		fw_recomputed_done(recomputed);
	return rc;
}

static void row_done(struct fw_energy *row)
{
	free(row->source);
	free(row->domain);
	free(row->method);
	free(row->flags);
}

void fw_recomputed_done(struct fw_recomputed *recomputed)
{
	for (size_t i = 0; i < recomputed->changes.count; i++) {
		free(recomputed->changes.items[i].stage);
		row_done(&recomputed->changes.items[i].before);
		row_done(&recomputed->changes.items[i].after);
	}
	for (size_t i = 0; i < recomputed->records.count; i++)
		json_decref(recomputed->records.items[i]);
	free(recomputed->changes.items);
	free(recomputed->records.items);
	free(recomputed->method_before);
	json_decref(recomputed->books);
	fw_run_row_done(&recomputed->row);
	*recomputed = (struct fw_recomputed){0};
}

/* ---- kept ---- */

static int add_totals(void *context, const struct fw_record *record, struct fw_error **err)
{
	(void)err;
	fw_totals_add(context, record);
	return FW_OK;
}

static int save_totals(struct fw_store *store, struct fw_recomputed *recomputed, struct fw_error **err)
{
	struct fw_totals totals = FW_TOTALS_OF_NOTHING;
	int rc = fw_store_record_each(store, recomputed->row.run, NULL, -1, add_totals, &totals, err);
	json_t *row = recomputed->row.totals;

	if (rc != FW_OK || !json_is_object(row))
		return rc;
	json_object_set_new(row, "joules", fw_json_real(totals.joules));
	json_object_set_new(row, "gco2e", fw_json_real(totals.gco2e));
	json_object_set_new(row, "modelled", json_boolean(totals.modelled));
	if (json_object_get(row, "energy")) /* what it cost to read stays */
		json_object_update(json_object_get(row, "energy"), recomputed->books);
	return fw_store_run_update(store, &recomputed->row, err);
}

int fw_recomputed_save(struct fw_store *store, struct fw_recomputed *recomputed, struct fw_error **err)
{
	int rc = FW_OK;

	for (size_t i = 0; i < recomputed->records.count && rc == FW_OK; i++) {
		struct fw_record record;

		rc = fw_record_from_json(recomputed->records.items[i], &record, err);
		if (rc != FW_OK)
			return rc;
		rc = fw_store_record_put(store, &record, err);
		fw_record_done(&record);
	}
	if (rc == FW_OK)
		rc = save_totals(store, recomputed, err);
	if (rc == FW_OK)
		rc = fw_store_flush(store, err);
	recomputed->saved = rc == FW_OK;
	return rc;
}
