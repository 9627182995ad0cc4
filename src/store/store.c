/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection: opening, the transaction of a turn, prepared statements, errors. A transaction begins at the first
 * write and ends in fw_store_flush(); any failed write undoes it whole, so that nothing half written is ever committed.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "store/store_internal.h"

enum {
	BUSY_TIMEOUT_MS = 10000, /* another process may be removing a large run */
	LOG_MAX_BYTES = 64 << 20, /* of the -wal file, before it is moved into the main one */
};

char *fw_store_default_path(void)
{
	const char *path = getenv("FLEXWATT_STORE");
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (path && *path)
		return fw_strdup(path);
	if (state && *state == '/') /* the specification: relative paths are invalid */
		return fw_printf("%s/flexwatt/flexwatt.db", state);
	return fw_printf("%s/.local/state/flexwatt/flexwatt.db", home && *home ? home : "/var/lib/flexwatt");
}

const char *fw_store_path(const struct fw_store *store)
{
	return store->path;
}

static int code_of_sqlite(int code, int errnum)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return FW_E_BUSY;
	case SQLITE_FULL: return FW_E_NO_SPACE;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH: return FW_E_PERMISSION;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR: return errnum ? fw_code_from_errno(errnum) : FW_E_IO;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT: return FW_E_ENVIRONMENT;
	default: return FW_E_INTERNAL;
	}
}

static int fail_foreign(struct fw_error **err, const char *path)
{
	int rc = fw_fail(err, FW_E_ENVIRONMENT, "store %s: is not a flexwatt store", path);

	return fw_error_hint(err, rc, "move the file away, or name another place with FLEXWATT_STORE=PATH");
}

int fw_store_fail_damaged(struct fw_error **err, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fw_cleanup_free char *message = fw_vprintf(format, arguments);
	va_end(arguments);
	return fw_error_hint(err, fw_fail(err, FW_E_ENVIRONMENT, "%s", message),
	                     "move it away; `sqlite3 FILE .recover` may save what is in it");
}

int fw_store_fail_on(const char *path, sqlite3 *db, struct fw_error **err, int code, const char *what)
{
	int errnum = db ? sqlite3_system_errno(db) : 0;
	bool by_system = errnum && ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR);
	int rc = code_of_sqlite(code, errnum);

	if ((code & 0xff) == SQLITE_NOTADB)
		return fail_foreign(err, path);
	if ((code & 0xff) == SQLITE_CORRUPT)
		return fw_store_fail_damaged(err, "store %s: %s: the file is damaged", path, what);
	if (by_system)
		fw_fail(err, rc, "store %s: %s: %s", path, what, strerror(errnum));
	else
		fw_fail(err, rc, "store %s: %s: %s", path, what, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
	if (rc == FW_E_PERMISSION)
		return fw_error_hint(err, rc, "the file and its directory must be writable; FLEXWATT_STORE=PATH names another");
	if (rc == FW_E_BUSY)
		return fw_error_hint(err, rc, "another flexwatt has been writing for %d s", BUSY_TIMEOUT_MS / 1000);
	return rc;
}

int fw_store_fail(struct fw_store *store, struct fw_error **err, int code, const char *what)
{
	return fw_store_fail_on(store->path, store->db, err, code, what);
}

int fw_store_execute(struct fw_store *store, const char *sql, struct fw_error **err)
{
	int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? FW_OK : fw_store_fail(store, err, code, "change it");
}

int fw_store_prepare(struct fw_store *store, const char *sql, sqlite3_stmt **statement, struct fw_error **err)
{
	int code = sqlite3_prepare_v2(store->db, sql, -1, statement, NULL);

	return code == SQLITE_OK ? FW_OK : fw_store_fail(store, err, code, "read it");
}

/* Newly allocated. */
static char *statement_sql(enum fw_statement which)
{
	switch (which) {
	case FW_STATEMENT_BEGIN: return fw_strdup("BEGIN IMMEDIATE");
	case FW_STATEMENT_COMMIT: return fw_strdup("COMMIT");
	case FW_STATEMENT_RUN_ID: return fw_strdup("SELECT id FROM run WHERE run = ?1");
	case FW_STATEMENT_NAME_INSERT: return fw_strdup("INSERT INTO name(run, id, text) VALUES(?1, ?2, ?3)");
	case FW_STATEMENT_EVENT_INSERT: return fw_strdup("INSERT INTO event_data(run, seq, text) VALUES(?1, ?2, ?3)");
	case FW_STATEMENT_INVOCATION_INSERT: return fw_table_insert("INSERT", &fw_table_invocation);
	case FW_STATEMENT_ENERGY_INSERT: return fw_table_insert("INSERT", &fw_table_energy);
	case FW_STATEMENT_READING_INSERT: return fw_table_insert("INSERT", &fw_table_reading);
	case FW_STATEMENT_COUNT: break;
	}
	return NULL;
}

int fw_store_statement(struct fw_store *store, enum fw_statement which, sqlite3_stmt **statement, struct fw_error **err)
{
	if (!store->statements[which]) {
		fw_cleanup_free char *sql = statement_sql(which);
		int code = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &store->statements[which], NULL);
		if (code != SQLITE_OK)
			return fw_store_fail(store, err, code, "prepare a statement");
	}
	*statement = store->statements[which];
	return FW_OK;
}

int fw_store_begin(struct fw_store *store, struct fw_error **err)
{
	sqlite3_stmt *begin = NULL;

	if (store->writing)
		return FW_OK;
	if (store->read_only)
		return fw_fail(err, FW_E_PERMISSION, "store %s: is open for reading only", store->path);
	int rc = fw_store_statement(store, FW_STATEMENT_BEGIN, &begin, err);
	if (rc == FW_OK)
		rc = fw_store_step(store, begin, "begin to write", err);
	store->writing = rc == FW_OK;
	return rc;
}

void fw_store_undo(struct fw_store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL); /* fails only where SQLite has rolled back itself */
	store->writing = false;
	fw_store_forget_scopes(store);
}

void fw_store_discard(struct fw_store *store)
{
	if (store->writing)
		fw_store_undo(store);
}

int fw_store_finish(struct fw_store *store, sqlite3_stmt *statement, int code, const char *what, struct fw_error **err)
{
	int rc = FW_OK;

	if (code == SQLITE_CONSTRAINT_FOREIGNKEY || code == SQLITE_CONSTRAINT_PRIMARYKEY)
		rc = fw_fail(err, FW_E_CONFLICT, "store %s: %s: another process has removed or is writing this run", store->path,
		             what);
	else if (code != SQLITE_DONE)
		rc = fw_store_fail(store, err, code, what);
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	if (rc != FW_OK)
		fw_store_undo(store);
	return rc;
}

int fw_store_step(struct fw_store *store, sqlite3_stmt *statement, const char *what, struct fw_error **err)
{
	return fw_store_finish(store, statement, sqlite3_step(statement), what, err);
}

int fw_store_flush(struct fw_store *store, struct fw_error **err)
{
	sqlite3_stmt *commit = NULL;

	if (!store->writing)
		return FW_OK;
	int rc = fw_store_statement(store, FW_STATEMENT_COMMIT, &commit, err);
	if (rc == FW_OK)
		rc = fw_store_step(store, commit, "commit", err);
	store->writing = false;
	return rc;
}

int fw_store_connect(struct fw_store *store, int flags, bool immutable, struct fw_error **err)
{
	static const char settings[] =
		"PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
		"PRAGMA secure_delete = OFF; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;"
		"PRAGMA temp_store = MEMORY";
	fw_cleanup_buffer struct fw_buffer uri;

	fw_buffer_init(&uri, 64 << 10);
	fw_buffer_text(&uri, *store->path == '/' ? "file://" : "file:");
	for (const char *at = store->path; *at; at++)
		fw_buffer_printf(&uri, strchr("%?#", *at) ? "%%%02X" : "%c", (unsigned char)*at);
	if (immutable)
		fw_buffer_text(&uri, "?immutable=1");
	int code = sqlite3_open_v2(uri.data, &store->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
	if (code != SQLITE_OK)
		return fw_store_fail(store, err, code, "open it");
	sqlite3_extended_result_codes(store->db, 1);
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	code = sqlite3_exec(store->db, settings, NULL, NULL, NULL);
	return code == SQLITE_OK ? FW_OK : fw_store_fail(store, err, code, "open it");
}

static int check_identity(struct fw_store *store, struct fw_error **err)
{
	fw_cleanup_statement sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(store->db, "PRAGMA application_id", -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code != SQLITE_ROW)
		return fw_store_fail(store, err, code, "open it");
	if (sqlite3_column_int(statement, 0) != FW_STORE_APPLICATION_ID)
		return fail_foreign(err, store->path);
	return FW_OK;
}

/* Opens for reading. A cleanly closed store in a directory where we may not write has no -wal file, and SQLite cannot
 * make one; nobody writes to it then, so it is read as the constant it is. */
static int connect_to_read(struct fw_store *store, struct fw_error **err)
{
	fw_cleanup_error struct fw_error *first = NULL;
	fw_cleanup_free char *log = fw_printf("%s-wal", store->path);
	int rc = fw_store_connect(store, SQLITE_OPEN_READONLY, false, &first);

	if (rc == FW_OK)
		rc = check_identity(store, &first);
	if (rc != FW_OK && store->db && sqlite3_errcode(store->db) == SQLITE_CANTOPEN && access(log, F_OK) != 0) {
		sqlite3_close(FW_TAKE(store->db));
		rc = fw_store_connect(store, SQLITE_OPEN_READONLY, true, err);
		return rc == FW_OK ? check_identity(store, err) : rc;
	}
	if (rc != FW_OK && err)
		*err = FW_TAKE(first);
	return rc;
}

static int connect_to_write(struct fw_store *store, struct fw_error **err)
{
	fw_cleanup_error struct fw_error *first = NULL;
	int rc = fw_store_connect(store, SQLITE_OPEN_READWRITE, false, &first);

	if (store->db && sqlite3_db_readonly(store->db, "main") == 1) { /* SQLite has opened it all the same, for reading */
		rc = fw_fail(err, FW_E_PERMISSION, "store %s: cannot be written", store->path);
		return fw_error_hint(err, rc, "FLEXWATT_STORE=PATH names another");
	}
	if (rc == FW_OK)
		rc = check_identity(store, &first);
	if (rc != FW_OK && err)
		*err = FW_TAKE(first);
	return rc;
}

/* An older schema: a writer migrates it, also on behalf of a reader. */
static int bring_up_to_date(struct fw_store *store, struct fw_error **err)
{
	fw_cleanup_free char *path = fw_strdup(store->path);
	bool current = false;
	int rc = fw_schema_is_current(store, &current, err);

	if (rc != FW_OK || current)
		return rc;
	if (!store->read_only)
		return fw_schema_migrate(store, err);
	FW_CLEANUP(fw_store_close) struct fw_store *writer = NULL;
	rc = fw_store_open(path, false, &writer, err);
	return rc == FW_OK ? FW_OK : fw_error_wrap(err, rc, "bring the store up to date");
}

/* Whether there is a file to open. Whatever is neither absent nor a regular file is refused: making a store replaces an
 * empty file, and a device such as /dev/null must never be taken for one. */
static int look(const char *path, bool *absent, struct fw_error **err)
{
	struct stat status;
	int rc = FW_OK;

	*absent = false;
	if (stat(path, &status) == 0) {
		*absent = S_ISREG(status.st_mode) && status.st_size == 0;
		if (!S_ISREG(status.st_mode))
			rc = fw_fail(err, FW_E_IO, "store %s: is %s, not a file", path,
			             S_ISDIR(status.st_mode) ? "a directory" : "a device, socket or pipe");
	} else if (errno == ENOENT && lstat(path, &status) == 0) {
		rc = fw_fail(err, FW_E_IO, "store %s: is a link to nothing", path);
	} else if (errno == ENOENT) {
		*absent = true;
	} else {
		rc = fw_fail_errno(err, errno, "store %s: open it", path);
	}
	return rc == FW_OK ? rc : fw_error_hint(err, rc, "FLEXWATT_STORE=PATH names another place");
}

int fw_store_open(const char *path, bool read_only, struct fw_store **out, struct fw_error **err)
{
	FW_CLEANUP(fw_store_close) struct fw_store *store = fw_alloc(sizeof *store);
	bool absent = false;
	int rc = look(path, &absent, err);

	store->path = fw_strdup(path);
	store->read_only = read_only;
	if (rc == FW_OK && absent) {
		if (read_only) {
			rc = fw_fail(err, FW_E_ABSENT, "store %s: does not exist", path);
			return fw_error_hint(err, rc, "`flexwatt run` makes it; FLEXWATT_STORE=PATH names another");
		}
		rc = fw_store_create(path, err);
	}
	if (rc == FW_OK)
		rc = read_only ? connect_to_read(store, err) : connect_to_write(store, err);
	if (rc == FW_OK)
		rc = bring_up_to_date(store, err);
	if (rc == FW_OK)
		*out = FW_TAKE(store);
	return rc;
}

void fw_store_close(struct fw_store *store)
{
	fw_cleanup_error struct fw_error *err = NULL;

	if (!store)
		return;
	if (store->db && fw_store_flush(store, &err) != FW_OK)
		fw_warning("%s", fw_error_message(err));
	for (size_t i = 0; i < FW_STATEMENT_COUNT; i++)
		sqlite3_finalize(store->statements[i]);
	fw_store_forget_scopes(store);
	sqlite3_close(store->db);
	free(store->path);
	free(store);
}

/* Only when the log has grown large: each move lets the log start over, which costs the writer one fsync. */
static int move_log(const char *path, struct fw_error **err)
{
	FW_CLEANUP(fw_store_close) struct fw_store *store = fw_alloc(sizeof *store);

	store->path = fw_strdup(path);
	int rc = fw_store_connect(store, SQLITE_OPEN_READWRITE, false, err);
	if (rc != FW_OK)
		return rc;
	int code = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return code == SQLITE_OK || code == SQLITE_BUSY ? FW_OK : fw_store_fail(store, err, code, "move its log");
}

int fw_store_checkpoint(const char *path, struct fw_error **err)
{
	fw_cleanup_free char *log = fw_printf("%s-wal", path);
	fw_cleanup_fd int fd = open(log, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0)
		return errno == ENOENT ? FW_OK : fw_fail_errno(err, errno, "store %s: open its log", path); /* all is in the file */
	if (fdatasync(fd) != 0 || fstat(fd, &status) != 0)
		return fw_fail_errno(err, errno, "store %s: make it durable", path);
	return status.st_size > LOG_MAX_BYTES ? move_log(path, err) : FW_OK;
}
