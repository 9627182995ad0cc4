/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of sweeps, series and raw counter readings.
 */
#include "store/measurements.h"

#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

#define SWEEP(kind, field) FW_COLUMN_OF(struct fw_sweep_row, kind, field)
static const struct fw_column sweep_columns[] = {
	SWEEP(TEXT, sweep),  SWEEP(TEXT, workflow), SWEEP(TEXT, state), SWEEP(INT, wall_ms),
	SWEEP(JSON, design), SWEEP(JSON, totals),   SWEEP(TEXT, error),
};

/* A series as it is kept: its samples as one blob. */
struct series_row {
	struct fw_series_row row;
	struct fw_buffer samples;
};
#define SERIES(kind, field) \
	{#field, FW_COLUMN_##kind, offsetof(struct series_row, row) + offsetof(struct fw_series_row, field)}
static const struct fw_column series_columns[] = {
	SERIES(RUN, run),   SERIES(NAME, stage), SERIES(INT, task), SERIES(INT, attempt),
	SERIES(NAME, name), SERIES(NAME, unit),  {"samples", FW_COLUMN_BLOB, offsetof(struct series_row, samples)},
};
const struct fw_table fw_table_series = {
	.name = "series",
	.primary_key = "run, stage, task, attempt, name",
	.columns = series_columns,
	.count = FW_COUNT_OF(series_columns),
};

#define READING(kind, field) FW_COLUMN_OF(struct fw_reading_row, kind, field)
static const struct fw_column reading_columns[] = {READING(RUN, run), READING(INT, ordinal), READING(BLOB, readings)};
const struct fw_table fw_table_reading = {
	.name = "reading",
	.primary_key = "run, ordinal",
	.columns = reading_columns,
	.count = FW_COUNT_OF(reading_columns),
};

void fw_sweep_row_done(struct fw_sweep_row *row)
{
	fw_columns_done(sweep_columns, FW_COUNT_OF(sweep_columns), row);
}

int fw_store_sweep_put(struct fw_store *store, const struct fw_sweep_row *row, struct fw_error **err)
{
	fw_cleanup_free char *sql = fw_columns_insert("INSERT OR REPLACE", "sweep", sweep_columns, FW_COUNT_OF(sweep_columns));
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_columns_prepare(store, sql, sweep_columns, FW_COUNT_OF(sweep_columns), row, &statement, err);

	return rc == FW_OK ? fw_store_step(store, statement, "write a sweep", err) : rc;
}

int fw_store_sweep_get(struct fw_store *store, const char *sweep, struct fw_sweep_row *row, struct fw_error **err)
{
	fw_cleanup_free char *list = fw_columns_list(sweep_columns, FW_COUNT_OF(sweep_columns));
	fw_cleanup_free char *sql = fw_printf("SELECT %s FROM sweep WHERE sweep = ?1", list);
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	struct fw_sweep_row read = {.wall_ms = FW_NULL_INT};
	int rc = fw_store_prepare(store, sql, &statement, err);

	if (rc != FW_OK)
		return rc;
	sqlite3_bind_text(statement, 1, sweep, -1, SQLITE_STATIC);
	int code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		return fw_fail(err, FW_E_ABSENT, "no sweep '%s' in %s", sweep, store->path);
	if (code != SQLITE_ROW)
		return fw_store_fail(store, err, code, "read a sweep");
	rc = fw_columns_read(store, NULL, statement, sweep_columns, FW_COUNT_OF(sweep_columns), &read, err);
	if (rc == FW_OK)
		*row = read;
	return rc;
}

int fw_store_sweep_runs(struct fw_store *store, const char *sweep, char ***runs, size_t *count, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	FW_VECTOR(char *) read = {0};
	int code;
	int rc = fw_store_prepare(store, "SELECT run FROM run WHERE sweep = ?1 ORDER BY repetition, wall_ms, id", &statement,
	                          err);

	if (rc != FW_OK)
		return rc;
	sqlite3_bind_text(statement, 1, sweep, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		FW_PUSH(&read, fw_strdup((const char *)sqlite3_column_text(statement, 0)));
	if (code == SQLITE_DONE) {
		*runs = read.items;
		*count = read.count;
		return FW_OK;
	}
	for (size_t i = 0; i < read.count; i++)
		free(read.items[i]);
	free(read.items);
	return fw_store_fail(store, err, code, "list the runs of a sweep");
}

void fw_series_row_done(struct fw_series_row *row)
{
	free(row->run);
	free(row->stage);
	free(row->name);
	free(row->unit);
	free(row->samples);
	*row = (struct fw_series_row){0};
}

int fw_store_series_put(struct fw_store *store, const struct fw_series_row *row, struct fw_error **err)
{
	struct series_row kept = {.row = *row};

	fw_buffer_init(&kept.samples, 32 + 20 * row->count); /* two varints of at most ten bytes each */
	fw_series_encode(row->samples, row->count, &kept.samples);
	int rc = fw_store_put_row(store, &fw_table_series, row->run, &kept, "write a series", err);
	fw_buffer_done(&kept.samples);
	return rc;
}

struct series_visit {
	int (*call)(void *context, const struct fw_series_row *row, struct fw_error **err);
	void *context;
};

static int visit_series(void *context, void *row, struct fw_error **err)
{
	const struct series_visit *visit = context;
	struct series_row *kept = row;
	int rc = fw_series_decode(kept->samples.data, kept->samples.length, &kept->row.samples, &kept->row.count, err);

	if (rc == FW_OK)
		rc = visit->call(visit->context, &kept->row, err);
	else
		fw_error_wrap(err, rc, "series %s of run %s", kept->row.name, kept->row.run);
	fw_buffer_done(&kept->samples);
	fw_series_row_done(&kept->row);
	return rc;
}

int fw_store_series_each(struct fw_store *store, const char *run,
                         int (*visit)(void *context, const struct fw_series_row *row, struct fw_error **err),
                         void *context, struct fw_error **err)
{
	static const struct series_row null_row;
	struct series_visit own = {visit, context};

	return fw_store_each_row(store, &fw_table_series, run, "stage, task, attempt, name",
	                         (struct fw_row_visit){sizeof null_row, &null_row, visit_series, &own, "read series"}, err);
}

void fw_reading_row_done(struct fw_reading_row *row)
{
	fw_columns_done(reading_columns, FW_COUNT_OF(reading_columns), row);
}

/* One a second, so by a statement that is kept. */
int fw_store_reading_put(struct fw_store *store, const struct fw_reading_row *row, struct fw_error **err)
{
	struct fw_scope *scope;
	sqlite3_stmt *statement;
	int rc = fw_store_begin(store, err);

	if (rc == FW_OK)
		rc = fw_store_scope(store, row->run, false, &scope, err);
	if (rc == FW_OK)
		rc = fw_store_statement(store, FW_STATEMENT_READING_INSERT, &statement, err);
	if (rc == FW_OK)
		rc = fw_columns_bind(store, scope, statement, 1, reading_columns, FW_COUNT_OF(reading_columns), row, err);
	return rc == FW_OK ? fw_store_step(store, statement, "write a reading", err) : rc;
}

struct reading_visit {
	int (*call)(void *context, const struct fw_reading_row *row, struct fw_error **err);
	void *context;
};

static int visit_reading(void *context, void *row, struct fw_error **err)
{
	const struct reading_visit *visit = context;
	int rc = visit->call(visit->context, row, err);

	fw_reading_row_done(row);
	return rc;
}

int fw_store_reading_each(struct fw_store *store, const char *run,
                          int (*visit)(void *context, const struct fw_reading_row *row, struct fw_error **err),
                          void *context, struct fw_error **err)
{
	static const struct fw_reading_row null_row;
	struct reading_visit own = {visit, context};

	return fw_store_each_row(store, &fw_table_reading, run, "ordinal",
	                         (struct fw_row_visit){sizeof null_row, &null_row, visit_reading, &own, "read readings"}, err);
}

int fw_store_reading_last(struct fw_store *store, const char *run, int64_t *ordinal, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	struct fw_scope *scope;
	int rc = fw_store_scope(store, run, true, &scope, err);

	if (rc == FW_OK)
		rc = fw_store_prepare(store, "SELECT coalesce(max(ordinal), 0) FROM reading_data WHERE run = ?1", &statement, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, scope->id);
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return fw_store_fail(store, err, code, "read the number of the last readings");
	*ordinal = sqlite3_column_int64(statement, 0);
	return FW_OK;
}
