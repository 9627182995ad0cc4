/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows to statements and back, by column tables: one place that knows how each kind of member is kept. Null in the
 * struct (NULL, FW_NULL_INT, NAN) is NULL in SQL, both ways.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "store/store_internal.h"

enum { MAX_SQL = 1 << 20 };

static int bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	return text ? sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC) : SQLITE_OK;
}

static int bind_json(sqlite3_stmt *statement, int index, const json_t *json)
{
	if (!json)
		return SQLITE_OK;
	char *text = fw_json_dump(json);
	if (!text)
		return SQLITE_ERROR;
	return sqlite3_bind_text(statement, index, text, -1, free);
}

static int bind_name(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement, int index,
                     const char *text, struct fw_error **err)
{
	int64_t id;

	if (!text)
		return FW_OK;
	int rc = fw_store_intern(store, scope, text, &id, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, index, id);
	return FW_OK;
}

/* What is null needs no call: the bindings were cleared. */
static int bind_member(sqlite3_stmt *statement, int index, enum fw_column_kind kind, const void *member)
{
	switch (kind) {
	case FW_COLUMN_TEXT:
		return bind_text(statement, index, *(char *const *)member);
	case FW_COLUMN_INT: {
		int64_t number = *(const int64_t *)member;
		return number != FW_NULL_INT ? sqlite3_bind_int64(statement, index, number) : SQLITE_OK;
	}
	case FW_COLUMN_REAL: {
		double number = *(const double *)member;
		return isfinite(number) ? sqlite3_bind_double(statement, index, number) : SQLITE_OK;
	}
	case FW_COLUMN_JSON:
		return bind_json(statement, index, *(json_t *const *)member);
	case FW_COLUMN_BLOB: {
		const struct fw_buffer *blob = member;
		return sqlite3_bind_blob64(statement, index, blob->data, blob->length, SQLITE_STATIC);
	}
	case FW_COLUMN_RUN:
	case FW_COLUMN_NAME:
		break; /* bound by the caller: they need the scope */
	}
	return SQLITE_MISUSE;
}

static int bind_column(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement, int index,
                       const struct fw_column *column, const void *member, struct fw_error **err)
{
	int code;

	if (!scope && (column->kind == FW_COLUMN_RUN || column->kind == FW_COLUMN_NAME))
		return fw_store_fail(store, err, SQLITE_MISUSE, column->name);
	if (column->kind == FW_COLUMN_NAME)
		return bind_name(store, scope, statement, index, *(char *const *)member, err);
	if (column->kind == FW_COLUMN_RUN)
		code = sqlite3_bind_int64(statement, index, scope->id);
	else
		code = bind_member(statement, index, column->kind, member);
	return code == SQLITE_OK ? FW_OK : fw_store_fail(store, err, code, column->name);
}

int fw_columns_bind(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement, int first,
                    const struct fw_column *columns, size_t count, const void *row, struct fw_error **err)
{
	for (size_t i = 0; i < count; i++) {
		const void *member = (const char *)row + columns[i].offset;
		int rc = bind_column(store, scope, statement, first + (int)i, &columns[i], member, err);
		if (rc != FW_OK) {
			sqlite3_clear_bindings(statement); /* they borrow from the row */
			return rc;
		}
	}
	return FW_OK;
}

static int damaged(struct fw_store *store, const struct fw_column *column, struct fw_error **err)
{
	return fw_store_fail_damaged(err, "store %s: column %s is damaged", store->path, column->name);
}

static int read_json(struct fw_store *store, sqlite3_stmt *statement, int index, const struct fw_column *column,
                     json_t **json, struct fw_error **err)
{
	const char *text = (const char *)sqlite3_column_text(statement, index);
	size_t length = (size_t)sqlite3_column_bytes(statement, index);

	if (!text || fw_json_load(column->name, text, length, json, NULL) != FW_OK)
		return damaged(store, column, err);
	return FW_OK;
}

static int read_text(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement, int index,
                     const struct fw_column *column, char **target, struct fw_error **err)
{
	const char *text;

	if (column->kind == FW_COLUMN_RUN) {
		text = scope->run;
	} else if (column->kind == FW_COLUMN_NAME) {
		int rc = fw_store_name(store, scope, sqlite3_column_int64(statement, index), &text, err);
		if (rc != FW_OK)
			return rc;
	} else {
		text = (const char *)sqlite3_column_text(statement, index);
	}
	*target = fw_strdup(text);
	return FW_OK;
}

static int read_blob(sqlite3_stmt *statement, int index, struct fw_buffer *blob)
{
	const void *bytes = sqlite3_column_blob(statement, index);
	size_t length = (size_t)sqlite3_column_bytes(statement, index);

	fw_buffer_init(blob, length + 1);
	return length > 0 ? fw_buffer_append(blob, bytes, length) : FW_OK;
}

static int read_member(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement, int index,
                       const struct fw_column *column, void *member, struct fw_error **err)
{
	if (sqlite3_column_type(statement, index) == SQLITE_NULL)
		return FW_OK;
	switch (column->kind) {
	case FW_COLUMN_INT:
		*(int64_t *)member = sqlite3_column_int64(statement, index);
		return FW_OK;
	case FW_COLUMN_REAL:
		*(double *)member = sqlite3_column_double(statement, index);
		return FW_OK;
	case FW_COLUMN_JSON:
		return read_json(store, statement, index, column, member, err);
	case FW_COLUMN_BLOB:
		return read_blob(statement, index, member);
	case FW_COLUMN_RUN:
	case FW_COLUMN_NAME:
	case FW_COLUMN_TEXT:
		break;
	}
	return read_text(store, scope, statement, index, column, member, err);
}

int fw_columns_read(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement,
                    const struct fw_column *columns, size_t count, void *row, struct fw_error **err)
{
	for (size_t i = 0; i < count; i++) {
		int rc = read_member(store, scope, statement, (int)i, &columns[i], (char *)row + columns[i].offset, err);
		if (rc != FW_OK) {
			fw_columns_done(columns, count, row);
			return rc;
		}
	}
	return FW_OK;
}

void fw_columns_done(const struct fw_column *columns, size_t count, void *row)
{
	for (size_t i = 0; i < count; i++) {
		void *member = (char *)row + columns[i].offset;

		switch (columns[i].kind) {
		case FW_COLUMN_RUN:
		case FW_COLUMN_NAME:
		case FW_COLUMN_TEXT:
			free(*(char **)member);
			*(char **)member = NULL;
			break;
		case FW_COLUMN_JSON:
			json_decref(*(json_t **)member);
			*(json_t **)member = NULL;
			break;
		case FW_COLUMN_BLOB:
			fw_buffer_done(member);
			break;
		case FW_COLUMN_INT:
		case FW_COLUMN_REAL:
			break;
		}
	}
}

static void append_list(struct fw_buffer *sql, const struct fw_column *columns, size_t count)
{
	for (size_t i = 0; i < count; i++)
		fw_buffer_printf(sql, "%s\"%s\"", i == 0 ? "" : ", ", columns[i].name);
}

char *fw_columns_list(const struct fw_column *columns, size_t count)
{
	fw_cleanup_buffer struct fw_buffer sql;

	fw_buffer_init(&sql, MAX_SQL);
	append_list(&sql, columns, count);
	return fw_buffer_take(&sql);
}

char *fw_columns_insert(const char *verb, const char *table, const struct fw_column *columns, size_t count)
{
	fw_cleanup_buffer struct fw_buffer sql;

	fw_buffer_init(&sql, MAX_SQL);
	fw_buffer_printf(&sql, "%s INTO %s(", verb, table);
	append_list(&sql, columns, count);
	fw_buffer_text(&sql, ") VALUES(");
	for (size_t i = 0; i < count; i++)
		fw_buffer_printf(&sql, "%s?%zu", i == 0 ? "" : ", ", i + 1);
	fw_buffer_text(&sql, ")");
	return fw_buffer_take(&sql);
}

char *fw_table_insert(const char *verb, const struct fw_table *table)
{
	fw_cleanup_free char *data = fw_printf("%s_data", table->name);

	return fw_columns_insert(verb, data, table->columns, table->count);
}

char *fw_table_select(const struct fw_table *table, const char *tail)
{
	fw_cleanup_free char *list = fw_columns_list(table->columns, table->count);

	return fw_printf("SELECT %s FROM %s_data d %s", list, table->name, tail);
}

int fw_columns_prepare(struct fw_store *store, const char *sql, const struct fw_column *columns, size_t count,
                       const void *row, sqlite3_stmt **statement, struct fw_error **err)
{
	int rc = fw_store_begin(store, err);

	if (rc == FW_OK)
		rc = fw_store_prepare(store, sql, statement, err);
	return rc == FW_OK ? fw_columns_bind(store, NULL, *statement, 1, columns, count, row, err) : rc;
}

int fw_store_each_row(struct fw_store *store, const struct fw_table *table, const char *run, const char *order,
                      struct fw_row_visit visit, struct fw_error **err)
{
	fw_cleanup_free char *tail = fw_printf("WHERE run = ?1 ORDER BY %s", order);
	fw_cleanup_free char *sql = fw_table_select(table, tail), *row = fw_alloc(visit.size);
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	struct fw_scope *scope;
	int code = SQLITE_DONE;
	int rc = fw_store_scope(store, run, true, &scope, err);

	if (rc == FW_OK)
		rc = fw_store_prepare(store, sql, &statement, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, scope->id);
	while (rc == FW_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		memcpy(row, visit.null_row, visit.size);
		rc = fw_columns_read(store, scope, statement, table->columns, table->count, row, err);
		if (rc == FW_OK)
			rc = visit.call(visit.context, row, err);
	}
	return rc == FW_OK && code != SQLITE_DONE ? fw_store_fail(store, err, code, visit.what) : rc;
}

int fw_store_put_row(struct fw_store *store, const struct fw_table *table, const char *run, const void *row,
                     const char *what, struct fw_error **err)
{
	fw_cleanup_free char *sql = fw_table_insert("INSERT OR REPLACE", table);
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	struct fw_scope *scope;
	int rc = fw_store_begin(store, err);

	if (rc == FW_OK)
		rc = fw_store_scope(store, run, false, &scope, err);
	if (rc == FW_OK)
		rc = fw_store_prepare(store, sql, &statement, err);
	if (rc == FW_OK)
		rc = fw_columns_bind(store, scope, statement, 1, table->columns, table->count, row, err);
	return rc == FW_OK ? fw_store_step(store, statement, what, err) : rc;
}
