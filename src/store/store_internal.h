/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the store share: the connection with its statements, the scope of a run (its integer id and its
 * names), and tables described by columns, so that binding, reading and the schema come from one description.
 */
#pragma once

#include <sqlite3.h>

#include "base/map.h"
#include "store/store.h"

enum { FW_STORE_APPLICATION_ID = 0x66777474 }; /* "fwtt" */

FW_DEFINE_CLEANUP(sqlite3_stmt *, sqlite3_finalize)
#define fw_cleanup_statement FW_CLEANUP(sqlite3_finalize)

/* Statements of the hot path, prepared once. */
enum fw_statement {
	FW_STATEMENT_BEGIN,
	FW_STATEMENT_COMMIT,
	FW_STATEMENT_RUN_ID,
	FW_STATEMENT_NAME_INSERT,
	FW_STATEMENT_EVENT_INSERT,
	FW_STATEMENT_INVOCATION_INSERT,
	FW_STATEMENT_ENERGY_INSERT,
	FW_STATEMENT_READING_INSERT,
	FW_STATEMENT_COUNT,
};

/* A run as this connection knows it. Texts that repeat from row to row are kept once a run, as small integers. */
struct fw_scope {
	int64_t id;
	char *run;
	int64_t last_seq; /* of the event log; -1 not read yet */
	struct fw_map *ids; /* name -> id */
	FW_VECTOR(char *) names; /* id - 1 -> name */
};

struct fw_store {
	char *path;
	sqlite3 *db;
	bool read_only;
	bool writing; /* between BEGIN and COMMIT */
	sqlite3_stmt *statements[FW_STATEMENT_COUNT];
	struct fw_map *scopes; /* run -> struct fw_scope */
	struct fw_scope *recent; /* the one used last */
};

enum fw_column_kind {
	FW_COLUMN_RUN,  /* char *; its id in SQL */
	FW_COLUMN_NAME, /* char *; its id in SQL */
	FW_COLUMN_TEXT,
	FW_COLUMN_INT,
	FW_COLUMN_REAL,
	FW_COLUMN_JSON, /* json_t * */
	FW_COLUMN_BLOB, /* struct fw_buffer */
};

struct fw_column {
	const char *name;
	enum fw_column_kind kind;
	size_t offset; /* in the row's struct */
};
#define FW_COLUMN_OF(type, column_kind, field) {#field, FW_COLUMN_##column_kind, offsetof(type, field)}

/* A table whose first column is the run. `<name>_data` holds integers for run and names; the view `<name>` shows texts. */
struct fw_table {
	const char *name;
	const char *primary_key; /* columns, comma-separated */
	const struct fw_column *columns;
	size_t count;
};
extern const struct fw_table fw_table_invocation;
extern const struct fw_table fw_table_energy;
extern const struct fw_table fw_table_stage;
extern const struct fw_table fw_table_series;
extern const struct fw_table fw_table_reading;

/* One row of fw_table_energy. */
struct fw_energy_row {
	char *run;
	char *stage;
	int64_t task, attempt, ordinal;
	struct fw_energy figure;
};

/* Error of the connection's last call: "store PATH: what: why", code and hint by the SQLite code. */
int fw_store_fail(struct fw_store *store, struct fw_error **err, int code, const char *what);
/* With the hint what to do about a damaged file. */
int fw_store_fail_damaged(struct fw_error **err, const char *format, ...) __attribute__((format(printf, 2, 3)));
int fw_store_fail_on(const char *path, sqlite3 *db, struct fw_error **err, int code, const char *what);
/* Runs SQL without results. */
int fw_store_execute(struct fw_store *store, const char *sql, struct fw_error **err);
int fw_store_prepare(struct fw_store *store, const char *sql, sqlite3_stmt **statement, struct fw_error **err);
/* The cached statement. */
int fw_store_statement(struct fw_store *store, enum fw_statement which, sqlite3_stmt **statement, struct fw_error **err);
/* Starts the transaction of this turn, once. */
int fw_store_begin(struct fw_store *store, struct fw_error **err);
/* Steps a statement that gives no rows and resets it. A failure undoes the turn. */
int fw_store_step(struct fw_store *store, sqlite3_stmt *statement, const char *what, struct fw_error **err);
/* The same after a step that gave `code`. */
int fw_store_finish(struct fw_store *store, sqlite3_stmt *statement, int code, const char *what, struct fw_error **err);
/* Ends the transaction without its effects and forgets what was cached from it. */
void fw_store_undo(struct fw_store *store);

/* The run's scope; FW_E_ABSENT when there is no such run. `fresh` looks again whether the run is still there. */
int fw_store_scope(struct fw_store *store, const char *run, bool fresh, struct fw_scope **scope, struct fw_error **err);
void fw_store_forget_scopes(struct fw_store *store);
int fw_store_intern(struct fw_store *store, struct fw_scope *scope, const char *text, int64_t *id, struct fw_error **err);
int fw_store_name(struct fw_store *store, struct fw_scope *scope, int64_t id, const char **text, struct fw_error **err);

/* Binds a row's members to parameters from `first` on; texts are borrowed until the statement is reset. */
int fw_columns_bind(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement, int first,
                    const struct fw_column *columns, size_t count, const void *row, struct fw_error **err);
/* Reads result columns from 0 on into a row whose members are all null; on failure what was read is freed. */
int fw_columns_read(struct fw_store *store, struct fw_scope *scope, sqlite3_stmt *statement,
                    const struct fw_column *columns, size_t count, void *row, struct fw_error **err);
void fw_columns_done(const struct fw_column *columns, size_t count, void *row);
char *fw_columns_list(const struct fw_column *columns, size_t count);
/* "INSERT INTO table(columns) VALUES(?1, ...)", newly allocated; verb is "INSERT" or "INSERT OR REPLACE". */
char *fw_columns_insert(const char *verb, const char *table, const struct fw_column *columns, size_t count);
char *fw_table_insert(const char *verb, const struct fw_table *table);
/* One row of a table, replacing the one with its key. */
int fw_store_put_row(struct fw_store *store, const struct fw_table *table, const char *run, const void *row,
                     const char *what, struct fw_error **err);
char *fw_table_select(const struct fw_table *table, const char *tail);
/* A statement of this turn that writes a row of a table without a scope, its members bound. */
int fw_columns_prepare(struct fw_store *store, const char *sql, const struct fw_column *columns, size_t count,
                       const void *row, sqlite3_stmt **statement, struct fw_error **err);
/* The rows of a run, in the order of `order`: each starts as a copy of null_row and belongs to the call, which frees what
 * it does not keep. `what` names the reading in an error. */
struct fw_row_visit {
	size_t size;
	const void *null_row;
	int (*call)(void *context, void *row, struct fw_error **err);
	void *context;
	const char *what;
};
int fw_store_each_row(struct fw_store *store, const struct fw_table *table, const char *run, const char *order,
                      struct fw_row_visit visit, struct fw_error **err);

/* Schema: brings a database to this version, in one transaction. */
int fw_schema_version(void);
int fw_schema_is_current(struct fw_store *store, bool *current, struct fw_error **err);
int fw_schema_migrate(struct fw_store *store, struct fw_error **err);
/* A new, complete store appears at path at once, or not at all. */
int fw_store_create(const char *path, struct fw_error **err);
/* Opens the connection and sets what every connection needs. */
int fw_store_connect(struct fw_store *store, int flags, bool immutable, struct fw_error **err);
