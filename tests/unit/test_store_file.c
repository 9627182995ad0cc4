/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/store_support.h"

static void execute(const char *path, const char *sql)
{
	char *message = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s: %s", sql, message);
	sqlite3_close(db);
}

static bool exists(const struct tree *tree, const char *path)
{
	return faccessat(tree->fd, path, F_OK, 0) == 0;
}

static void refuse(const char *path, bool read_only, int code, const char *message)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_store *store = NULL;
	int rc = fw_store_open(path, read_only, &store, &err);

	fw_store_close(store);
	assert_error_is(rc, &err, code, message);
}

static void a_missing_store_is_made_with_its_directories_for_the_user_alone(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = fw_printf("%s/a/b/s.db", tree.path);
	struct stat status;
	(void)state;

	refuse(path, true, FW_E_ABSENT, "does not exist");
	assert_false(exists(&tree, "a"));
	fw_store_close(open_store(path));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(fstatat(tree.fd, "a/b", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	assert_false(exists(&tree, "a/b/s.db-wal"));
}

/* The devices are made for the test: had the store replaced them, /dev would be none the wiser. */
static void what_is_no_regular_file_is_refused_and_left_as_it_is(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *pipe_path = fw_printf("%s/pipe", tree.path);
	fw_cleanup_free char *device = fw_printf("%s/null", tree.path);
	fw_cleanup_free char *loop = fw_printf("%s/loop", tree.path);
	fw_cleanup_free char *dangling = fw_printf("%s/dangling", tree.path);
	struct stat status;
	(void)state;

	assert_int_equal(mkfifoat(tree.fd, "pipe", 0666), 0);
	assert_int_equal(symlinkat("loop", tree.fd, "loop"), 0);
	assert_int_equal(symlinkat("nothing", tree.fd, "dangling"), 0);
	for (int read_only = 0; read_only < 2; read_only++) {
		refuse(tree.path, read_only, FW_E_IO, "is a directory, not a file");
		refuse(pipe_path, read_only, FW_E_IO, "is a device, socket or pipe, not a file");
		refuse(loop, read_only, fw_code_from_errno(ELOOP), "open it");
		refuse(dangling, read_only, FW_E_IO, "is a link to nothing");
	}
	assert_int_equal(fstatat(tree.fd, "pipe", &status, 0), 0);
	assert_true(S_ISFIFO(status.st_mode));
	if (mknodat(tree.fd, "null", S_IFCHR | 0666, makedev(1, 3)) != 0) {
		print_message("devices cannot be made here: %s\n", strerror(errno));
		return;
	}
	refuse(device, false, FW_E_IO, "is a device, socket or pipe, not a file");
	assert_int_equal(fstatat(tree.fd, "null", &status, 0), 0);
	assert_true(S_ISCHR(status.st_mode));
}

static void an_empty_file_becomes_a_store(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("state/flexwatt.db", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	(void)state;

	refuse(path, true, FW_E_ABSENT, "does not exist");
	fw_cleanup_store struct fw_store *store = open_store(path);
	insert_run(store, "r1", 1);
	flush(store);
}

static void a_file_of_others_is_refused_and_left_alone(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("text", "hello, this is a text and no database, whatever its name\n", NULL);
	fw_cleanup_free char *text = fw_printf("%s/text", tree.path);
	fw_cleanup_free char *other = fw_printf("%s/other.db", tree.path);
	struct stat before, after;
	(void)state;

	refuse(text, false, FW_E_ENVIRONMENT, "is not a flexwatt store");
	refuse(text, true, FW_E_ENVIRONMENT, "is not a flexwatt store");
	execute(other, "CREATE TABLE theirs(a)");
	assert_int_equal(stat(other, &before), 0);
	refuse(other, false, FW_E_ENVIRONMENT, "is not a flexwatt store");
	assert_int_equal(stat(other, &after), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(before.st_size, after.st_size);
}

static void a_store_of_a_newer_flexwatt_is_refused(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	(void)state;

	fw_store_close(open_store(path));
	execute(path, "PRAGMA user_version = 99");
	refuse(path, false, FW_E_ENVIRONMENT, "is of version 99, from a newer flexwatt");
	refuse(path, true, FW_E_ENVIRONMENT, "is of version 99, from a newer flexwatt");
}

static void a_field_added_later_gets_its_column_and_old_rows_stay(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	(void)state;

	fw_cleanup_store struct fw_store *store = open_store(path);
	insert_run(store, "r1", 1);
	put_record(store, "r1", "split", 0, 1);
	fw_store_close(FW_TAKE(store));
	execute(path, "DROP VIEW invocation; DROP VIEW energy;"
	              "ALTER TABLE invocation_data DROP COLUMN pue; ALTER TABLE invocation_data DROP COLUMN grid_kind;"
	              "ALTER TABLE energy_data DROP COLUMN method; DROP VIEW reading; DROP TABLE reading_data");
	fw_cleanup_error struct fw_error *err = NULL;
	assert_ok(fw_store_open(path, true, &store, &err), err); /* a reader, too, gets it up to date */
	fw_cleanup_seen struct seen old = records_of(store, "r1", NULL, -1);
	assert_int_equal(old.count, 1);
	assert_true(json_is_null(json_object_get(old.last, "pue")));
	assert_true(json_real_value(json_object_get(old.last, "duration_ms")) > 12.4);
	fw_store_close(FW_TAKE(store));
	store = open_store(path);
	put_record(store, "r1", "split", 1, 2);
	fw_store_close(FW_TAKE(store));
	execute(path, "SELECT pue, grid_kind FROM invocation; SELECT method FROM energy; SELECT readings FROM reading");
}

static void a_column_that_only_a_newer_flexwatt_knows_does_no_harm(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	(void)state;

	fw_store_close(open_store(path));
	execute(path, "ALTER TABLE invocation_data ADD COLUMN of_tomorrow REAL");
	fw_cleanup_store struct fw_store *store = open_store(path);
	insert_run(store, "r1", 1);
	put_record(store, "r1", "split", 0, 1);
	flush(store);
}

static void damage_is_told_with_the_file(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	char junk[4096];
	(void)state;

	fw_cleanup_store struct fw_store *store = open_store(path);
	insert_run(store, "r1", 1);
	for (int i = 0; i < 200; i++)
		put_record(store, "r1", "split", i, 1);
	fw_store_close(FW_TAKE(store));
	fw_cleanup_fd int fd = open(path, O_RDWR | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	memset(junk, 0xa5, sizeof junk);
	for (off_t at = 4096; at < size; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
	refuse(path, false, FW_E_ENVIRONMENT, "the file is damaged");
	refuse(path, true, FW_E_ENVIRONMENT, "move it away");
}

static void a_reader_sees_what_was_flushed_while_the_writer_goes_on(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path), *reader = NULL;
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	insert_run(store, "r1", 1);
	append_event(store, "r1", 1);
	flush(store);
	assert_ok(fw_store_open(path, true, &reader, &err), err);
	append_event(store, "r1", 2);
	put_record(store, "r1", "named-later", 0, 1);
	assert_int_equal(events_of(reader, "r1"), 1);
	flush(store);
	assert_int_equal(events_of(reader, "r1"), 2);
	fw_cleanup_seen struct seen seen = records_of(reader, "r1", "named-later", -1);
	assert_int_equal(seen.count, 1);
	assert_error_is(fw_store_event_append(reader, "r1", 3, "{}", 2, &err), &err, FW_E_PERMISSION,
	                "is open for reading only");
	assert_ok(fw_store_checkpoint(path, &err), err);
}

static void what_was_written_in_a_turn_is_undone_as_a_whole(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	insert_run(store, "r1", 1);
	append_event(store, "r1", 1);
	flush(store);
	append_event(store, "r1", 2);
	const struct fw_run_row twice = {.run = (char[]){"r1"}};
	assert_error_is(fw_store_run_insert(store, &twice, &err), &err, FW_E_CONFLICT, "is there already");
	assert_error_is(fw_store_event_append(store, "r1", 3, "{}", 2, &err), &err, FW_E_CONFLICT, "does not follow 1");
	flush(store);
	assert_int_equal(events_of(store, "r1"), 1);
}

/* Runs `body` in a child with its own mounts where we are root. The child's exit status: 0 as wished, 77 to skip: false,
 * because skip() does not return and what the caller holds would leak. */
static bool in_child(void (*body)(const struct tree *tree), const struct tree *tree)
{
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, NULL) != 0) {
			printf("needs root: no mount namespace (%s)\n", strerror(errno));
			_exit(77);
		}
		body(tree);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return false;
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	return true;
}

/* Assertions of cmocka do not work in a child: this one ends it. */
static void require(int rc, int code, struct fw_error **err, const char *text)
{
	fw_cleanup_free char *described = *err ? fw_error_describe(*err) : fw_strdup("");

	if (rc != code || !strstr(described, text)) {
		printf("expected %s with '%s', got %s: %s\n", fw_code_name(code), text, fw_code_name(rc), described);
		fflush(stdout);
		_exit(1);
	}
	fw_error_free(FW_TAKE(*err));
}

static void use_read_only_mount(const struct tree *tree)
{
	fw_cleanup_free char *path = store_path(tree);
	fw_cleanup_free char *directory = fw_printf("%s/state", tree->path);
	fw_cleanup_free char *none = fw_printf("%s/state/none.db", tree->path);
	struct fw_error *err = NULL;
	struct fw_store *store = NULL;

	if (mount(directory, directory, "", MS_BIND, NULL) != 0 ||
	    mount("", directory, "", MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0)
		_exit(77);
	require(fw_store_open(path, false, &store, &err), FW_E_PERMISSION, &err, "FLEXWATT_STORE=PATH names another");
	require(fw_store_open(none, false, &store, &err), FW_E_PERMISSION, &err, "Read-only file system");
	require(fw_store_open(path, true, &store, &err), FW_OK, &err, "");
	int64_t count = 0;
	require(fw_store_event_each(store, "r1", count_event, &count, &err), FW_OK, &err, "");
	if (count != 1)
		_exit(1);
	fw_store_close(store);
}

static bool with_use_read_only_mount(void)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);

	fw_cleanup_store struct fw_store *store = open_store(path);
	insert_run(store, "r1", 1);
	append_event(store, "r1", 1);
	fw_store_close(FW_TAKE(store));
	return in_child(use_read_only_mount, &tree);
}

static void what_cannot_be_written_can_be_read(void **state)
{
	(void)state;
	if (!with_use_read_only_mount())
		skip();
}

static void become_nobody(const struct tree *tree)
{
	fw_cleanup_free char *path = store_path(tree);
	struct fw_error *err = NULL;
	struct fw_store *store = NULL;

	if (chmod(tree->path, 0755) != 0 || setuid(65534) != 0)
		_exit(77);
	require(fw_store_open(path, false, &store, &err), FW_E_PERMISSION, &err, "Permission denied");
}

static bool with_become_nobody(void)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);

	return in_child(become_nobody, &tree);
}

static void an_unwritable_directory_is_told(void **state)
{
	(void)state;
	if (!with_become_nobody())
		skip();
}

static void fill_small_disk(const struct tree *tree)
{
	fw_cleanup_free char *path = store_path(tree);
	fw_cleanup_free char *directory = fw_printf("%s/state", tree->path);
	struct fw_error *err = NULL;
	struct fw_store *store = NULL;
	int64_t flushed = 0, count = 0;
	int rc = FW_OK;

	if (mount("tmpfs", directory, "tmpfs", 0, "size=12k") != 0)
		_exit(77);
	require(fw_store_open(path, false, &store, &err), FW_E_NO_SPACE, &err, "make the store");
	if (access(path, F_OK) == 0)
		_exit(2); /* half a store */
	if (mount("", directory, "", MS_REMOUNT, "size=512k") != 0)
		_exit(77);
	require(fw_store_open(path, false, &store, &err), FW_OK, &err, "");
	const struct fw_run_row row = {.run = (char[]){"r1"}};
	require(fw_store_run_insert(store, &row, &err), FW_OK, &err, "");
	for (int64_t seq = 1; rc == FW_OK && seq < 10000; seq++) {
		rc = fw_store_event_append(store, "r1", seq, "{\"some\":\"event\"}", 16, &err);
		if (rc == FW_OK)
			rc = fw_store_flush(store, &err);
		flushed = rc == FW_OK ? seq : flushed;
	}
	require(rc, FW_E_NO_SPACE, &err, "store");
	fw_store_close(store);
	if (mount("", directory, "", MS_REMOUNT, "size=8m") != 0)
		_exit(77);
	store = NULL;
	require(fw_store_open(path, false, &store, &err), FW_OK, &err, "");
	require(fw_store_event_each(store, "r1", count_event, &count, &err), FW_OK, &err, "");
	if (count != flushed) {
		printf("%lld events of %lld flushed\n", (long long)count, (long long)flushed);
		fflush(stdout);
		_exit(3);
	}
	fw_store_close(store);
}

static bool with_fill_small_disk(void)
{
	fw_cleanup_tree struct tree tree = tree_of("state/", "", NULL);

	return in_child(fill_small_disk, &tree);
}

static void a_full_disk_is_told_and_leaves_what_was_flushed(void **state)
{
	(void)state;
	if (!with_fill_small_disk())
		skip();
}

static void the_default_place_follows_the_environment(void **state)
{
	(void)state;
	setenv("FLEXWATT_STORE", "/x/y.db", 1);
	fw_cleanup_free char *first = fw_store_default_path();
	assert_string_equal(first, "/x/y.db");
	unsetenv("FLEXWATT_STORE");
	setenv("XDG_STATE_HOME", "/s", 1);
	fw_cleanup_free char *second = fw_store_default_path();
	assert_string_equal(second, "/s/flexwatt/flexwatt.db");
	setenv("XDG_STATE_HOME", "relative", 1);
	setenv("HOME", "/h", 1);
	fw_cleanup_free char *third = fw_store_default_path();
	assert_string_equal(third, "/h/.local/state/flexwatt/flexwatt.db");
}

FW_TESTS(a_missing_store_is_made_with_its_directories_for_the_user_alone,
         what_is_no_regular_file_is_refused_and_left_as_it_is, an_empty_file_becomes_a_store,
         a_file_of_others_is_refused_and_left_alone, a_store_of_a_newer_flexwatt_is_refused,
         a_field_added_later_gets_its_column_and_old_rows_stay, a_column_that_only_a_newer_flexwatt_knows_does_no_harm,
         damage_is_told_with_the_file, a_reader_sees_what_was_flushed_while_the_writer_goes_on,
         what_was_written_in_a_turn_is_undone_as_a_whole, what_cannot_be_written_can_be_read,
         an_unwritable_directory_is_told, a_full_disk_is_told_and_leaves_what_was_flushed,
         the_default_place_follows_the_environment)
