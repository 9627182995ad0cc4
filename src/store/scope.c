/* SPDX-License-Identifier: Apache-2.0
 *
 * A run as a connection knows it: its integer id, the numbers of its names, the end of its event log. Rows stay small,
 * and a run that is removed takes its names along. What is cached here came from the file or from this connection's own
 * open transaction; when that is undone, all of it is forgotten.
 */
#include <stdlib.h>
#include <string.h>

#include "store/store_internal.h"

static void free_scope(struct fw_scope *scope)
{
	fw_map_free(scope->ids);
	for (size_t i = 0; i < scope->names.count; i++)
		free(scope->names.items[i]);
	free(scope->names.items);
	free(scope->run);
	free(scope);
}

void fw_store_forget_scopes(struct fw_store *store)
{
	const char *run;
	void *scope;

	if (!store->scopes)
		return;
	for (size_t i = 0; fw_map_next(store->scopes, &i, &run, &scope);)
		free_scope(scope);
	fw_map_free(store->scopes);
	store->scopes = NULL;
	store->recent = NULL;
}

/* Names are numbered from 1 without holes, so those behind the known ones are the new ones. */
static int load_names(struct fw_store *store, struct fw_scope *scope, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int rc = fw_store_prepare(store, "SELECT text FROM name WHERE run = ?1 AND id > ?2 ORDER BY id", &statement, err);

	if (rc != FW_OK)
		return rc;
	sqlite3_bind_int64(statement, 1, scope->id);
	sqlite3_bind_int64(statement, 2, (int64_t)scope->names.count);
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		FW_PUSH(&scope->names, fw_strdup((const char *)sqlite3_column_text(statement, 0)));
		fw_map_set(scope->ids, scope->names.items[scope->names.count - 1], (void *)(uintptr_t)scope->names.count);
	}
	return rc == SQLITE_DONE ? FW_OK : fw_store_fail(store, err, rc, "read the names of a run");
}

static int look_up(struct fw_store *store, const char *run, int64_t *id, struct fw_error **err)
{
	sqlite3_stmt *statement;
	int rc = fw_store_statement(store, FW_STATEMENT_RUN_ID, &statement, err);

	if (rc != FW_OK)
		return rc;
	sqlite3_bind_text(statement, 1, run, -1, SQLITE_STATIC);
	int code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		*id = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	if (code == SQLITE_DONE)
		return fw_fail(err, FW_E_ABSENT, "store %s: no run '%s'", store->path, run);
	return code == SQLITE_ROW ? FW_OK : fw_store_fail(store, err, code, "look for a run");
}

static int add_scope(struct fw_store *store, const char *run, int64_t id, struct fw_scope **out, struct fw_error **err)
{
	struct fw_scope *scope = fw_alloc(sizeof *scope);

	scope->id = id;
	scope->run = fw_strdup(run);
	scope->last_seq = -1;
	scope->ids = fw_map_new();
	int rc = load_names(store, scope, err);
	if (rc != FW_OK) {
		free_scope(scope);
		return rc;
	}
	if (!store->scopes)
		store->scopes = fw_map_new();
	fw_map_set(store->scopes, run, scope);
	*out = scope;
	return FW_OK;
}

int fw_store_scope(struct fw_store *store, const char *run, bool fresh, struct fw_scope **out, struct fw_error **err)
{
	struct fw_scope *scope = store->recent;
	int64_t id = 0;

	if (!scope || strcmp(scope->run, run) != 0)
		scope = store->scopes ? fw_map_get(store->scopes, run) : NULL;
	if (!scope || fresh) {
		int rc = look_up(store, run, &id, err);
		if (rc == FW_OK && scope && scope->id != id) {
			fw_store_forget_scopes(store); /* removed and made again by another process */
			scope = NULL;
		}
		if (rc == FW_OK && !scope)
			rc = add_scope(store, run, id, &scope, err);
		if (rc != FW_OK)
			return rc;
	}
	*out = store->recent = scope;
	return FW_OK;
}

int fw_store_intern(struct fw_store *store, struct fw_scope *scope, const char *text, int64_t *id, struct fw_error **err)
{
	uintptr_t known = (uintptr_t)fw_map_get(scope->ids, text);
	sqlite3_stmt *statement;

	if (known) {
		*id = (int64_t)known;
		return FW_OK;
	}
	int rc = fw_store_statement(store, FW_STATEMENT_NAME_INSERT, &statement, err);
	if (rc != FW_OK)
		return rc;
	int64_t next = (int64_t)scope->names.count + 1;
	sqlite3_bind_int64(statement, 1, scope->id);
	sqlite3_bind_int64(statement, 2, next);
	sqlite3_bind_text(statement, 3, text, -1, SQLITE_STATIC);
	rc = fw_store_step(store, statement, "add a name", err);
	if (rc != FW_OK)
		return rc;
	FW_PUSH(&scope->names, fw_strdup(text));
	fw_map_set(scope->ids, text, (void *)(uintptr_t)next);
	*id = next;
	return FW_OK;
}

int fw_store_name(struct fw_store *store, struct fw_scope *scope, int64_t id, const char **text, struct fw_error **err)
{
	if (id > (int64_t)scope->names.count) {
		int rc = load_names(store, scope, err);
		if (rc != FW_OK)
			return rc;
	}
	if (id < 1 || id > (int64_t)scope->names.count)
		return fw_store_fail_damaged(err, "store %s: is damaged: run %s has no name %lld", store->path, scope->run,
		               (long long)id);
	*text = scope->names.items[id - 1];
	return FW_OK;
}
