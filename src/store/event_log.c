/* SPDX-License-Identifier: Apache-2.0
 *
 * The append-only event log that resume replays. Its numbers have no holes: an event after a lost one is refused, so
 * that what is replayed is always a true prefix of what happened.
 */
#include "store/store_internal.h"

static int read_last_seq(struct fw_store *store, struct fw_scope *scope, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_store_prepare(store, "SELECT coalesce(max(seq), 0) FROM event_data WHERE run = ?1", &statement, err);

	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, scope->id);
	int code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return fw_store_fail(store, err, code, "read the end of the event log");
	scope->last_seq = sqlite3_column_int64(statement, 0);
	return FW_OK;
}

int fw_store_event_append(struct fw_store *store, const char *run, int64_t seq, const char *text, size_t length,
                          struct fw_error **err)
{
	struct fw_scope *scope;
	sqlite3_stmt *statement;
	int rc = fw_store_begin(store, err);

	if (rc == FW_OK)
		rc = fw_store_scope(store, run, false, &scope, err);
	if (rc == FW_OK && scope->last_seq < 0)
		rc = read_last_seq(store, scope, err);
	if (rc == FW_OK && seq != scope->last_seq + 1)
		rc = fw_fail(err, FW_E_CONFLICT, "store %s: event %lld of run %s does not follow %lld", store->path,
		             (long long)seq, run, (long long)scope->last_seq);
	if (rc == FW_OK)
		rc = fw_store_statement(store, FW_STATEMENT_EVENT_INSERT, &statement, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, scope->id);
	sqlite3_bind_int64(statement, 2, seq);
	sqlite3_bind_text64(statement, 3, text, length, SQLITE_STATIC, SQLITE_UTF8);
	rc = fw_store_step(store, statement, "append an event", err);
	if (rc == FW_OK)
		scope->last_seq = seq;
	return rc;
}

int fw_store_event_each(struct fw_store *store, const char *run,
                        int (*visit)(void *context, int64_t seq, const char *text, size_t length, struct fw_error **err),
                        void *context, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	struct fw_scope *scope;
	int code = SQLITE_DONE;
	int rc = fw_store_scope(store, run, true, &scope, err);

	if (rc == FW_OK)
		rc = fw_store_prepare(store, "SELECT seq, text FROM event_data WHERE run = ?1 ORDER BY seq", &statement, err);
	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, scope->id);
	while (rc == FW_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 1);

		rc = visit(context, sqlite3_column_int64(statement, 0), text ? text : "",
		           (size_t)sqlite3_column_bytes(statement, 1), err);
	}
	if (rc == FW_OK && code != SQLITE_DONE)
		return fw_store_fail(store, err, code, "read the event log");
	return rc;
}
