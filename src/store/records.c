/* SPDX-License-Identifier: Apache-2.0
 *
 * Records: one row an invocation, one row an energy figure. The columns are the field tables, so a field added there is
 * written and read here without a line more.
 */
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

/* The run is a TEXT among the fields and a reference here. */
#define RECORD_COLUMN(field_kind, field, description)                                                      \
	{#field, offsetof(struct fw_record, field) == offsetof(struct fw_record, run) ? FW_COLUMN_RUN          \
	                                                                              : FW_COLUMN_##field_kind, \
	 offsetof(struct fw_record, field)},
static const struct fw_column invocation_columns[] = {
	FW_RECORD_FIELDS(RECORD_COLUMN)
	FW_COLUMN_OF(struct fw_record, JSON, metrics),
};
const struct fw_table fw_table_invocation = {
	.name = "invocation",
	.primary_key = "run, stage, task, attempt",
	.columns = invocation_columns,
	.count = FW_COUNT_OF(invocation_columns),
};

#define ENERGY_COLUMN(field_kind, field, description) \
	{#field, FW_COLUMN_##field_kind, offsetof(struct fw_energy_row, figure) + offsetof(struct fw_energy, field)},
enum { ENERGY_KEYS = 5 };
static const struct fw_column energy_columns[] = {
	FW_COLUMN_OF(struct fw_energy_row, RUN, run),         FW_COLUMN_OF(struct fw_energy_row, NAME, stage),
	FW_COLUMN_OF(struct fw_energy_row, INT, task),        FW_COLUMN_OF(struct fw_energy_row, INT, attempt),
	FW_COLUMN_OF(struct fw_energy_row, INT, ordinal),     FW_ENERGY_FIELDS(ENERGY_COLUMN)
};
const struct fw_table fw_table_energy = {
	.name = "energy",
	.primary_key = "run, stage, task, attempt, ordinal",
	.columns = energy_columns,
	.count = FW_COUNT_OF(energy_columns),
};

static int insert_energy(struct fw_store *store, struct fw_scope *scope, const struct fw_record *record,
                         struct fw_error **err)
{
	sqlite3_stmt *statement;
	int rc = fw_store_statement(store, FW_STATEMENT_ENERGY_INSERT, &statement, err);

	for (size_t i = 0; i < record->energy.count && rc == FW_OK; i++) {
		const struct fw_energy_row row = {
			.run = record->run, .stage = record->stage, .task = record->task, .attempt = record->attempt,
			.ordinal = (int64_t)i, .figure = record->energy.items[i],
		};

		rc = fw_columns_bind(store, scope, statement, 1, energy_columns, FW_COUNT_OF(energy_columns), &row, err);
		if (rc == FW_OK)
			rc = fw_store_step(store, statement, "write an energy figure", err);
	}
	return rc;
}

/* Parameters 1 to 4 are the invocation's key. */
static int bind_key(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement,
                    const struct fw_record *record, struct fw_error **err)
{
	int64_t stage;
	int rc = fw_store_intern(store, scope, record->stage, &stage, err);

	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, scope->id);
	sqlite3_bind_int64(statement, 2, stage);
	sqlite3_bind_int64(statement, 3, record->task);
	sqlite3_bind_int64(statement, 4, record->attempt);
	return FW_OK;
}

static int delete_old(struct fw_store *store, struct fw_scope *scope, const char *table, const struct fw_record *record,
                      struct fw_error **err)
{
	fw_cleanup_free char *sql =
		fw_printf("DELETE FROM %s_data WHERE run = ?1 AND stage = ?2 AND task = ?3 AND attempt = ?4", table);
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_store_prepare(store, sql, &statement, err);

	if (rc == FW_OK)
		rc = bind_key(store, scope, statement, record, err);
	return rc == FW_OK ? fw_store_step(store, statement, "replace a record", err) : rc;
}

/* Nearly every record is put once, so the plain insert comes first; only when the row is there it is replaced. */
static int insert_invocation(struct fw_store *store, struct fw_scope *scope, const struct fw_record *record,
                             struct fw_error **err)
{
	sqlite3_stmt *statement;
	int rc = fw_store_statement(store, FW_STATEMENT_INVOCATION_INSERT, &statement, err);

	if (rc == FW_OK)
		rc = fw_columns_bind(store, scope, statement, 1, invocation_columns, FW_COUNT_OF(invocation_columns), record, err);
	if (rc != FW_OK)
		return rc;
	int code = sqlite3_step(statement);
	if (code == SQLITE_CONSTRAINT_PRIMARYKEY) {
		sqlite3_reset(statement); /* keeps the bindings */
		rc = delete_old(store, scope, "energy", record, err);
		if (rc == FW_OK)
			rc = delete_old(store, scope, "invocation", record, err);
		if (rc != FW_OK) {
			sqlite3_clear_bindings(statement);
			return rc;
		}
		return fw_store_step(store, statement, "write a record", err);
	}
	return fw_store_finish(store, statement, code, "write a record", err);
}

int fw_store_record_put(struct fw_store *store, const struct fw_record *record, struct fw_error **err)
{
	struct fw_scope *scope;

	if (!record->run || !record->stage || record->task == FW_NULL_INT || record->attempt == FW_NULL_INT)
		return fw_fail(err, FW_E_INTERNAL, "store %s: a record needs run, stage, task and attempt", store->path);
	int rc = fw_store_begin(store, err);
	if (rc == FW_OK)
		rc = fw_store_scope(store, record->run, false, &scope, err);
	if (rc == FW_OK)
		rc = insert_invocation(store, scope, record, err);
	if (rc == FW_OK && record->energy.count > 0)
		rc = insert_energy(store, scope, record, err);
	return rc;
}

static int read_energy(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement, struct fw_record *record,
                       struct fw_error **err)
{
	int code = SQLITE_DONE;
	int rc = bind_key(store, scope, statement, record, err);

	if (rc != FW_OK)
		return rc;
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct fw_energy_row row = {.figure = *fw_record_add_energy(record)};

		rc = fw_columns_read(store, scope, statement, energy_columns, FW_COUNT_OF(energy_columns), &row, err);
		if (rc != FW_OK)
			break;
		record->energy.items[record->energy.count - 1] = row.figure;
		fw_columns_done(energy_columns, ENERGY_KEYS, &row);
	}
	if (rc == FW_OK && code != SQLITE_DONE)
		rc = fw_store_fail(store, err, code, "read energy figures");
	sqlite3_reset(statement);
	return rc;
}

typedef int record_visit_fn(void *context, const struct fw_record *record, struct fw_error **err);

static int visit_rows(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *rows, sqlite3_stmt *figures,
                      record_visit_fn *visit, void *context, struct fw_error **err)
{
	int code = SQLITE_DONE, rc = FW_OK;

	while (rc == FW_OK && (code = sqlite3_step(rows)) == SQLITE_ROW) {
		struct fw_record record;

		fw_record_init(&record);
		rc = fw_columns_read(store, scope, rows, invocation_columns, FW_COUNT_OF(invocation_columns), &record, err);
		if (rc == FW_OK)
			rc = read_energy(store, scope, figures, &record, err);
		if (rc == FW_OK)
			rc = visit(context, &record, err);
		fw_record_done(&record);
		if (rc != FW_OK)
			return rc;
	}
	return code == SQLITE_DONE ? rc : fw_store_fail(store, err, code, "read records");
}

int fw_store_record_each(struct fw_store *store, const char *run, const char *stage, int64_t task,
                         record_visit_fn *visit, void *context, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *rows = NULL, *figures = NULL;
	fw_cleanup_free char *select_rows = fw_table_select(&fw_table_invocation,
		"JOIN (SELECT stage, min(started_ms) AS first FROM invocation_data WHERE run = ?1 GROUP BY stage) f USING (stage)"
		" WHERE run = ?1 AND (?2 IS NULL OR stage = (SELECT id FROM name n WHERE n.run = ?1 AND n.text = ?2))"
		" AND (?3 < 0 OR task = ?3) ORDER BY f.first NULLS LAST, stage, task, attempt");
	fw_cleanup_free char *select_figures = fw_table_select(&fw_table_energy,
		"WHERE run = ?1 AND stage = ?2 AND task = ?3 AND attempt = ?4 ORDER BY ordinal");
	struct fw_scope *scope;
	int rc = fw_store_scope(store, run, true, &scope, err);

	if (rc == FW_OK)
		rc = fw_store_prepare(store, select_rows, &rows, err);
	if (rc == FW_OK)
		rc = fw_store_prepare(store, select_figures, &figures, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(rows, 1, scope->id);
	if (stage)
		sqlite3_bind_text(rows, 2, stage, -1, SQLITE_STATIC);
	sqlite3_bind_int64(rows, 3, task);
	return visit_rows(store, scope, rows, figures, visit, context, err);
}
