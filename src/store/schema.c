/* SPDX-License-Identifier: Apache-2.0
 *
 * Brings a store to this version's schema: the numbered steps, then a column for every field that has none yet. All in
 * one transaction: a store is of the old version or of the new one, never in between.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "store/schema_steps.h"
#include "store/store_internal.h"

enum { MAX_SQL = 1 << 20 };

static const struct fw_table *const tables[] = {
	&fw_table_invocation, &fw_table_energy, &fw_table_stage, &fw_table_series, &fw_table_reading,
};

int fw_schema_version(void)
{
	return (int)FW_COUNT_OF(schema_steps);
}

static const char *sql_type(enum fw_column_kind kind)
{
	switch (kind) {
	case FW_COLUMN_RUN: return "INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE";
	case FW_COLUMN_NAME:
	case FW_COLUMN_INT: return "INTEGER";
	case FW_COLUMN_REAL: return "REAL";
	case FW_COLUMN_TEXT:
	case FW_COLUMN_JSON: return "TEXT";
	case FW_COLUMN_BLOB: return "BLOB";
	}
	return "ANY";
}

static int create_table(struct fw_store *store, const struct fw_table *table, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer sql;

	fw_buffer_init(&sql, MAX_SQL);
	fw_buffer_printf(&sql, "CREATE TABLE %s_data(", table->name);
	for (size_t i = 0; i < table->count; i++)
		fw_buffer_printf(&sql, "\"%s\" %s, ", table->columns[i].name, sql_type(table->columns[i].kind));
	fw_buffer_printf(&sql, "PRIMARY KEY(%s)) STRICT, WITHOUT ROWID", table->primary_key);
	return fw_store_execute(store, sql.data, err);
}

/* The view shows texts where the table has integers. */
static int create_view(struct fw_store *store, const struct fw_table *table, struct fw_error **err)
{
	fw_cleanup_buffer struct fw_buffer sql;

	fw_buffer_init(&sql, MAX_SQL);
	fw_buffer_printf(&sql, "DROP VIEW IF EXISTS %s; CREATE VIEW %s AS SELECT ", table->name, table->name);
	for (size_t i = 0; i < table->count; i++) {
		const char *name = table->columns[i].name;

		fw_buffer_text(&sql, i == 0 ? "" : ", ");
		if (table->columns[i].kind == FW_COLUMN_RUN)
			fw_buffer_printf(&sql, "(SELECT r.run FROM run r WHERE r.id = d.run) AS \"%s\"", name);
		else if (table->columns[i].kind == FW_COLUMN_NAME)
			fw_buffer_printf(&sql, "(SELECT n.text FROM name n WHERE n.run = d.run AND n.id = d.\"%s\") AS \"%s\"", name, name);
		else
			fw_buffer_printf(&sql, "d.\"%s\"", name);
	}
	fw_buffer_printf(&sql, " FROM %s_data d", table->name);
	return fw_store_execute(store, sql.data, err);
}

/* Names of the table's columns in the file; an empty map when there is no such table. */
static int existing_columns(struct fw_store *store, const struct fw_table *table, struct fw_map *names,
                            struct fw_error **err)
{
	fw_cleanup_free char *sql = fw_printf("SELECT name FROM pragma_table_info('%s_data')", table->name);
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_store_prepare(store, sql, &statement, err);

	if (rc != FW_OK)
		return rc;
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
		fw_map_set(names, (const char *)sqlite3_column_text(statement, 0), store);
	return rc == SQLITE_DONE ? FW_OK : fw_store_fail(store, err, rc, "read the schema");
}

/* Visits the columns that the file lacks: `missing` counts them; they are added when `add`. */
static int complete_columns(struct fw_store *store, const struct fw_table *table, const struct fw_map *names, bool add,
                            size_t *missing, struct fw_error **err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct fw_column *column = &table->columns[i];

		if (fw_map_has(names, column->name))
			continue;
		++*missing;
		if (!add)
			continue;
		fw_cleanup_free char *sql =
			fw_printf("ALTER TABLE %s_data ADD COLUMN \"%s\" %s", table->name, column->name, sql_type(column->kind));
		int rc = fw_store_execute(store, sql, err);
		if (rc != FW_OK)
			return rc;
	}
	return FW_OK;
}

static int complete_table(struct fw_store *store, const struct fw_table *table, bool add, size_t *missing,
                          struct fw_error **err)
{
	struct fw_map *names = fw_map_new();
	size_t absent = 0;
	int rc = existing_columns(store, table, names, err);

	if (rc == FW_OK && fw_map_count(names) == 0 && add)
		rc = create_table(store, table, err), absent = table->count;
	else if (rc == FW_OK)
		rc = complete_columns(store, table, names, add, &absent, err);
	if (rc == FW_OK && absent > 0 && add)
		rc = create_view(store, table, err);
	fw_map_free(names);
	*missing += absent;
	return rc;
}

static int read_version(struct fw_store *store, int *version, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_store_prepare(store, "PRAGMA user_version", &statement, err);

	if (rc != FW_OK)
		return rc;
	rc = sqlite3_step(statement);
	if (rc != SQLITE_ROW)
		return fw_store_fail(store, err, rc, "read its version");
	*version = sqlite3_column_int(statement, 0);
	if (*version <= fw_schema_version())
		return FW_OK;
	rc = fw_fail(err, FW_E_ENVIRONMENT, "store %s: is of version %d, from a newer flexwatt (this one knows %d)",
	             store->path, *version, fw_schema_version());
	return fw_error_hint(err, rc, "use that flexwatt, or another store with FLEXWATT_STORE=PATH");
}

int fw_schema_is_current(struct fw_store *store, bool *current, struct fw_error **err)
{
	int version = 0;
	size_t missing = 0;
	int rc = read_version(store, &version, err);

	for (size_t i = 0; i < FW_COUNT_OF(tables) && rc == FW_OK && missing == 0 && version == fw_schema_version(); i++)
		rc = complete_table(store, tables[i], false, &missing, err);
	if (rc == FW_OK)
		*current = missing == 0 && version == fw_schema_version();
	return rc;
}

static int apply(struct fw_store *store, struct fw_error **err)
{
	int version = 0;
	size_t missing = 0;
	int rc = read_version(store, &version, err); /* again: another process may have migrated before our lock */

	for (int step = version; step < fw_schema_version() && rc == FW_OK; step++)
		rc = fw_store_execute(store, schema_steps[step], err);
	for (size_t i = 0; i < FW_COUNT_OF(tables) && rc == FW_OK; i++)
		rc = complete_table(store, tables[i], true, &missing, err);
	if (rc != FW_OK)
		return rc;
	fw_cleanup_free char *sql = fw_printf("PRAGMA application_id = %d; PRAGMA user_version = %d", FW_STORE_APPLICATION_ID,
	                                      fw_schema_version());
	return fw_store_execute(store, sql, err);
}

int fw_schema_migrate(struct fw_store *store, struct fw_error **err)
{
	int rc = fw_store_execute(store, "BEGIN IMMEDIATE", err);

	if (rc != FW_OK)
		return rc;
	rc = apply(store, err);
	if (rc == FW_OK)
		rc = fw_store_execute(store, "COMMIT", err);
	if (rc != FW_OK) {
		fw_store_undo(store);
		return fw_error_wrap(err, rc, "bring the store to version %d", fw_schema_version());
	}
	return FW_OK;
}
