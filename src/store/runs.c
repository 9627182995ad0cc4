/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of runs and of their stages.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/str.h"
#include "store/store_internal.h"

#define RUN(kind, field) FW_COLUMN_OF(struct fw_run_row, kind, field)
static const struct fw_column run_columns[] = {
	RUN(TEXT, run),           RUN(TEXT, workflow), RUN(TEXT, workflow_path),
	RUN(TEXT, workflow_digest), RUN(TEXT, workflow_text), RUN(TEXT, backend),
	RUN(TEXT, storage),       RUN(TEXT, state),    RUN(INT, wall_ms),
	RUN(REAL, makespan_ms),   RUN(JSON, environment), RUN(JSON, totals),
	RUN(TEXT, error),         RUN(INT, pid),       RUN(TEXT, boot_id),
	RUN(INT, pid_start),      RUN(TEXT, sweep),    RUN(INT, repetition),
	RUN(JSON, configuration),
};

#define STAGE(kind, field) FW_COLUMN_OF(struct fw_stage_row, kind, field)
static const struct fw_column stage_columns[] = {
	STAGE(RUN, run),           STAGE(TEXT, stage),        STAGE(INT, position),
	STAGE(TEXT, status),       STAGE(REAL, first_start_ms), STAGE(REAL, last_end_ms),
	STAGE(INT, tasks),         STAGE(INT, ok),            STAGE(INT, failed),
	STAGE(INT, skipped),       STAGE(INT, attempts),      STAGE(TEXT, triggered_by),
	STAGE(INT, resolved_at_start), STAGE(JSON, configuration),
};
const struct fw_table fw_table_stage = {
	.name = "stage",
	.primary_key = "run, stage",
	.columns = stage_columns,
	.count = FW_COUNT_OF(stage_columns),
};

static struct fw_run_row null_run(void)
{
	return (struct fw_run_row){.wall_ms = FW_NULL_INT, .makespan_ms = FW_NULL_REAL, .pid = FW_NULL_INT,
	                           .pid_start = FW_NULL_INT, .repetition = FW_NULL_INT};
}

void fw_run_row_done(struct fw_run_row *row)
{
	fw_columns_done(run_columns, FW_COUNT_OF(run_columns), row);
}

void fw_stage_row_done(struct fw_stage_row *row)
{
	fw_columns_done(stage_columns, FW_COUNT_OF(stage_columns), row);
}

int fw_store_run_insert(struct fw_store *store, const struct fw_run_row *row, struct fw_error **err)
{
	fw_cleanup_free char *sql = fw_columns_insert("INSERT", "run", run_columns, FW_COUNT_OF(run_columns));
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_columns_prepare(store, sql, run_columns, FW_COUNT_OF(run_columns), row, &statement, err);

	if (rc != FW_OK)
		return rc;
	int code = sqlite3_step(statement);
	if (code != SQLITE_CONSTRAINT_UNIQUE)
		return fw_store_finish(store, statement, code, "insert a run", err);
	fw_store_undo(store);
	return fw_fail(err, FW_E_CONFLICT, "store %s: run %s is there already", store->path, row->run);
}

int fw_store_run_update(struct fw_store *store, const struct fw_run_row *row, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	fw_cleanup_buffer struct fw_buffer sql;

	fw_buffer_init(&sql, 64 << 10);
	fw_buffer_text(&sql, "UPDATE run SET ");
	for (size_t i = 1; i < FW_COUNT_OF(run_columns); i++)
		fw_buffer_printf(&sql, "%s%s = ?%zu", i == 1 ? "" : ", ", run_columns[i].name, i + 1);
	fw_buffer_text(&sql, " WHERE run = ?1");
	int rc = fw_columns_prepare(store, sql.data, run_columns, FW_COUNT_OF(run_columns), row, &statement, err);
	if (rc == FW_OK)
		rc = fw_store_step(store, statement, "update a run", err);
	if (rc == FW_OK && sqlite3_changes(store->db) == 0)
		return fw_fail(err, FW_E_ABSENT, "store %s: no run '%s'", store->path, row->run);
	return rc;
}

/* The only id that is, begins or ends with `text`; newly allocated. */
static int find_run(struct fw_store *store, const char *text, char **run, struct fw_error **err)
{
	static const char sql[] = "SELECT run FROM run WHERE run = ?1"
	                          " OR (length(?1) > 0 AND (substr(run, 1, length(?1)) = ?1 OR substr(run, -length(?1)) = ?1))"
	                          " ORDER BY run <> ?1, run DESC LIMIT 6";
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	fw_cleanup_buffer struct fw_buffer list;
	fw_cleanup_free char *first = NULL;
	size_t found = 0;
	int code = SQLITE_DONE;
	int rc = fw_store_prepare(store, sql, &statement, err);

	fw_buffer_init(&list, 64 << 10);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_text(statement, 1, text, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *id = (const char *)sqlite3_column_text(statement, 0);

		if (found++ == 0)
			first = fw_strdup(id);
		fw_buffer_printf(&list, "%s%s", found == 1 ? "" : ", ", found > 5 ? "..." : id);
		if (found == 1 && strcmp(id, text) == 0) {
			code = SQLITE_DONE; /* a full id is meant, whatever else begins or ends with it */
			break;
		}
	}
	if (code != SQLITE_DONE)
		return fw_store_fail(store, err, code, "look for a run");
	if (found == 0) {
		rc = fw_fail(err, FW_E_USAGE, "no run '%s' in %s", text, store->path);
		return fw_error_hint(err, rc, "`flexwatt runs` lists them");
	}
	if (found > 1) {
		rc = fw_fail(err, FW_E_USAGE, "'%s' may be any of several runs", text);
		return fw_error_hint(err, rc, "give more of one of: %s; `flexwatt runs` tells them apart", list.data);
	}
	*run = FW_TAKE(first);
	return FW_OK;
}

static int read_run(struct fw_store *store, sqlite3_stmt *statement, struct fw_run_row *row, struct fw_error **err)
{
	struct fw_run_row read = null_run();
	int rc = fw_columns_read(store, NULL, statement, run_columns, FW_COUNT_OF(run_columns), &read, err);

	if (rc == FW_OK)
		*row = read;
	return rc;
}

int fw_store_run_get(struct fw_store *store, const char *id, struct fw_run_row *row, struct fw_error **err)
{
	fw_cleanup_free char *list = fw_columns_list(run_columns, FW_COUNT_OF(run_columns));
	fw_cleanup_free char *sql = fw_printf("SELECT %s FROM run WHERE run = ?1", list);
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	fw_cleanup_free char *run = NULL;
	int rc = find_run(store, id, &run, err);

	if (rc == FW_OK)
		rc = fw_store_prepare(store, sql, &statement, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_text(statement, 1, run, -1, SQLITE_STATIC);
	int code = sqlite3_step(statement);
	return code == SQLITE_ROW ? read_run(store, statement, row, err) : fw_store_fail(store, err, code, "read a run");
}

int fw_store_run_claim(struct fw_store *store, const char *id, int root_fd, struct fw_run_row *row, struct fw_error **err)
{
	struct fw_run_row read = null_run();
	int rc = fw_store_begin(store, err); /* others wait for the flush, and then find us */

	if (rc == FW_OK)
		rc = fw_store_run_get(store, id, &read, err);
	if (rc == FW_OK && fw_str_is(fw_str_of(read.state), "running") && fw_store_run_is_alive(&read, root_fd))
		rc = fw_fail(err, FW_E_BUSY, "run %s has just been taken up by process %lld", read.run, (long long)read.pid);
	if (rc == FW_OK)
		rc = fw_run_row_set_engine(&read, root_fd, err);
	if (rc == FW_OK)
		*row = read;
	else
		fw_run_row_done(&read);
	return rc;
}

int fw_store_run_list(struct fw_store *store, size_t limit, struct fw_run_row **rows, size_t *count, struct fw_error **err)
{
	fw_cleanup_free char *list = fw_columns_list(run_columns, FW_COUNT_OF(run_columns));
	fw_cleanup_free char *sql = fw_printf("SELECT %s FROM run ORDER BY wall_ms DESC, id DESC LIMIT ?1", list);
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	FW_VECTOR(struct fw_run_row) read = {0};
	int code = SQLITE_DONE;
	int rc = fw_store_prepare(store, sql, &statement, err);

	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, limit < INT64_MAX ? (int64_t)limit : INT64_MAX);
	while (rc == FW_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		FW_PUSH(&read, null_run());
		rc = read_run(store, statement, &read.items[read.count - 1], err);
	}
	if (rc == FW_OK && code != SQLITE_DONE)
		rc = fw_store_fail(store, err, code, "list runs");
	if (rc == FW_OK) {
		*rows = read.items;
		*count = read.count;
		return FW_OK;
	}
	for (size_t i = 0; i < read.count; i++)
		fw_run_row_done(&read.items[i]);
	free(read.items);
	return rc;
}

/* Foreign keys take along all that hangs on it. */
int fw_store_run_delete(struct fw_store *store, const char *run, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_store_begin(store, err);

	if (rc == FW_OK)
		rc = fw_store_prepare(store, "DELETE FROM run WHERE run = ?1", &statement, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_text(statement, 1, run, -1, SQLITE_STATIC);
	rc = fw_store_step(store, statement, "delete a run", err);
	if (rc == FW_OK && sqlite3_changes(store->db) == 0)
		return fw_fail(err, FW_E_ABSENT, "store %s: no run '%s'", store->path, run);
	fw_store_forget_scopes(store);
	return rc;
}

int fw_store_stage_put(struct fw_store *store, const struct fw_stage_row *row, struct fw_error **err)
{
	return fw_store_put_row(store, &fw_table_stage, row->run, row, "write a stage", err);
}

struct stage_list {
	FW_VECTOR(struct fw_stage_row) rows;
};

static int keep_stage(void *context, void *row, struct fw_error **err)
{
	struct stage_list *list = context;

	(void)err;
	FW_PUSH(&list->rows, *(struct fw_stage_row *)row);
	return FW_OK;
}

int fw_store_stage_list(struct fw_store *store, const char *run, struct fw_stage_row **rows, size_t *count,
                        struct fw_error **err)
{
	static const struct fw_stage_row null_row = {.first_start_ms = FW_NULL_REAL, .last_end_ms = FW_NULL_REAL};
	struct stage_list list = {0};
	int rc = fw_store_each_row(store, &fw_table_stage, run, "position, stage",
	                           (struct fw_row_visit){sizeof null_row, &null_row, keep_stage, &list, "list stages"}, err);

	if (rc == FW_OK) {
		*rows = list.rows.items;
		*count = list.rows.count;
		return FW_OK;
	}
	for (size_t i = 0; i < list.rows.count; i++)
		fw_stage_row_done(&list.rows.items[i]);
	free(list.rows.items);
	return rc;
}
