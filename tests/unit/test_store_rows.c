/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "tests/unit/store_support.h"

static void a_record_comes_back_as_it_was_put(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_record struct fw_record record = record_of("r1", "split", 3);
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	for (size_t i = 0; i < fw_record_field_count; i++) {
		void *member = (char *)&record + fw_record_fields[i].offset;

		if (fw_record_fields[i].kind == FW_FIELD_TEXT && !*(char **)member)
			fw_record_set_text(member, fw_record_fields[i].name);
		else if (fw_record_fields[i].kind == FW_FIELD_INT && *(int64_t *)member == FW_NULL_INT && i % 2)
			*(int64_t *)member = -(int64_t)i;
		else if (fw_record_fields[i].kind == FW_FIELD_REAL && i % 2)
			*(double *)member = (double)i / 3;
	}
	record.metrics = json_pack("{s:f}", "accuracy", 0.81);
	insert_run(store, "r1", 1);
	assert_ok(fw_store_record_put(store, &record, &err), err);
	flush(store);
	fw_cleanup_store struct fw_store *reader = NULL;
	assert_ok(fw_store_open(path, true, &reader, &err), err);
	fw_cleanup_seen struct seen seen = records_of(reader, "r1", NULL, -1);
	fw_cleanup_json json_t *expected = fw_record_to_json(&record);
	assert_int_equal(seen.count, 1);
	assert_true(json_equal(seen.last, expected));
}

static void a_second_record_of_an_attempt_replaces_the_first_and_its_energy(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_record struct fw_record record = record_of("r1", "split", 0);
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	insert_run(store, "r1", 1);
	fw_record_add_energy(&record);
	assert_ok(fw_store_record_put(store, &record, &err), err);
	put_record(store, "r1", "split", 0, 7);
	flush(store);
	fw_cleanup_seen struct seen seen = records_of(store, "r1", NULL, -1);
	assert_int_equal(seen.count, 1);
	assert_true(json_real_value(json_object_get(seen.last, "started_ms")) > 6.9);
	assert_int_equal(json_array_size(json_object_get(seen.last, "energy")), 1);
}

static void records_come_in_the_order_in_which_stages_started(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	(void)state;

	insert_run(store, "r1", 1);
	put_record(store, "r1", "never", 0, FW_NULL_REAL);
	put_record(store, "r1", "second", 0, 20);
	put_record(store, "r1", "first", 1, 5);
	put_record(store, "r1", "first", 0, 30);
	fw_cleanup_seen struct seen all = records_of(store, "r1", NULL, -1);
	assert_string_equal(all.order, "first/0.1 first/1.1 second/0.1 never/0.1 ");
	fw_cleanup_seen struct seen one = records_of(store, "r1", "first", 1);
	assert_string_equal(one.order, "first/1.1 ");
	fw_cleanup_seen struct seen none = records_of(store, "r1", "third", -1);
	assert_int_equal(none.count, 0);
}

static void rows_read_with_sql_have_texts_and_field_names(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	sqlite3_stmt *statement;
	sqlite3 *db;
	(void)state;

	insert_run(store, "r1", 1);
	put_record(store, "r1", "split", 0, 1);
	append_event(store, "r1", 1);
	flush(store);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT i.run, i.stage, i.status, i.duration_ms, e.source, e.joules, v.text"
	                                        " FROM invocation i JOIN energy e USING (run, stage, task, attempt)"
	                                        " JOIN event v USING (run)", -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(statement, 0), "r1");
	assert_string_equal(sqlite3_column_text(statement, 1), "split");
	assert_string_equal(sqlite3_column_text(statement, 2), "ok");
	assert_true(sqlite3_column_double(statement, 3) > 12.4);
	assert_string_equal(sqlite3_column_text(statement, 4), "model");
	assert_string_equal(sqlite3_column_text(statement, 6), "{\"event\":1}");
	sqlite3_finalize(statement);
	sqlite3_close(db);
}

static void a_run_is_found_by_its_tail_or_its_beginning(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_run_row row;
	(void)state;

	insert_run(store, "20261121-094512-k3f", 1);
	insert_run(store, "20261121-094513-abc", 2);
	insert_run(store, "abc", 3);
	assert_ok(fw_store_run_get(store, "k3f", &row, &err), err);
	assert_string_equal(row.run, "20261121-094512-k3f");
	assert_true(isnan(row.makespan_ms));
	fw_run_row_done(&row);
	assert_ok(fw_store_run_get(store, "20261121-094513", &row, &err), err);
	fw_run_row_done(&row);
	assert_ok(fw_store_run_get(store, "abc", &row, &err), err); /* a full id wins over a tail */
	assert_string_equal(row.run, "abc");
	fw_run_row_done(&row);
	assert_error_is(fw_store_run_get(store, "2026", &row, &err), &err, FW_E_USAGE,
	                "give more of one of: 20261121-094513-abc, 20261121-094512-k3f");
	assert_error_is(fw_store_run_get(store, "zzz", &row, &err), &err, FW_E_USAGE, "no run 'zzz'");
	assert_error_is(fw_store_run_get(store, "", &row, &err), &err, FW_E_USAGE, "`flexwatt runs` lists them");
}

static void a_run_is_claimed_by_one_alone(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_run_row row;
	struct fw_root root;
	(void)state;

	insert_run(store, "a", 1);
	assert_ok(fw_root_open("/", &root, &err), err);
	assert_ok(fw_store_run_claim(store, "a", root.fd, &row, &err), err);
	assert_int_equal(row.pid, getpid());
	assert_ok(fw_store_run_update(store, &row, &err), err);
	assert_ok(fw_store_flush(store, &err), err);
	fw_run_row_done(&row);
	assert_error_is(fw_store_run_claim(store, "a", root.fd, &row, &err), &err, FW_E_BUSY, "taken up by process");
	fw_store_discard(store);
	fw_root_close(&root);
}

static void a_run_is_updated_and_listed_newest_first(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_run_row row, *rows = NULL;
	size_t count = 0;
	(void)state;

	insert_run(store, "a", 1);
	insert_run(store, "b", 2);
	assert_ok(fw_store_run_get(store, "a", &row, &err), err);
	fw_record_set_text(&row.state, "ok");
	row.makespan_ms = 8.5;
	row.totals = json_pack("{s:i}", "tasks", 24);
	assert_ok(fw_store_run_update(store, &row, &err), err);
	fw_record_set_text(&row.run, "c");
	assert_error_is(fw_store_run_update(store, &row, &err), &err, FW_E_ABSENT, "no run 'c'");
	fw_run_row_done(&row);
	assert_ok(fw_store_run_list(store, 10, &rows, &count, &err), err);
	assert_int_equal(count, 2);
	assert_string_equal(rows[0].run, "b");
	assert_string_equal(rows[1].state, "ok");
	assert_int_equal(json_integer_value(json_object_get(rows[1].totals, "tasks")), 24);
	for (size_t i = 0; i < count; i++)
		fw_run_row_done(&rows[i]);
	free(rows);
	assert_ok(fw_store_run_list(store, 1, &rows, &count, &err), err);
	assert_int_equal(count, 1);
	fw_run_row_done(&rows[0]);
	free(rows);
	row = (struct fw_run_row){.run = (char[]){"a"}};
	assert_error_is(fw_store_run_insert(store, &row, &err), &err, FW_E_CONFLICT, "run a is there already");
}

static void stages_come_in_the_order_of_the_workflow(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_stage_row *rows = NULL;
	size_t count = 0;
	(void)state;

	insert_run(store, "r1", 1);
	for (int position = 1; position >= 0; position--) {
		const struct fw_stage_row row = {.run = (char[]){"r1"}, .stage = position ? (char[]){"b"} : (char[]){"z"},
		                                 .position = position, .first_start_ms = 1, .last_end_ms = FW_NULL_REAL, .tasks = 4};
		assert_ok(fw_store_stage_put(store, &row, &err), err);
		assert_ok(fw_store_stage_put(store, &row, &err), err);
	}
	assert_ok(fw_store_stage_list(store, "r1", &rows, &count, &err), err);
	assert_int_equal(count, 2);
	assert_string_equal(rows[0].stage, "z");
	assert_string_equal(rows[0].run, "r1");
	assert_true(isnan(rows[0].last_end_ms) && rows[1].tasks == 4);
	for (size_t i = 0; i < count; i++)
		fw_stage_row_done(&rows[i]);
	free(rows);
}

static void the_event_log_has_no_holes(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	insert_run(store, "r1", 1);
	append_event(store, "r1", 1);
	append_event(store, "r1", 2);
	assert_error_is(fw_store_event_append(store, "r1", 4, "{}", 2, &err), &err, FW_E_CONFLICT,
	                "event 4 of run r1 does not follow 2");
	flush(store);
	fw_store_close(FW_TAKE(store));
	store = open_store(path);
	append_event(store, "r1", 3);
	assert_int_equal(events_of(store, "r1"), 3);
	assert_error_is(fw_store_event_append(store, "r2", 1, "{}", 2, &err), &err, FW_E_ABSENT, "no run 'r2'");
}

static void deleting_a_run_leaves_nothing_of_it(void **state)
{
	static const char *const tables[] = {"run", "name", "event_data", "invocation_data", "energy_data", "stage_data",
	                                     "series_data", "reading_data"};
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	sqlite3 *db;
	(void)state;

	insert_run(store, "r1", 1);
	put_record(store, "r1", "split", 0, 1);
	append_event(store, "r1", 1);
	const struct fw_stage_row row = {.run = (char[]){"r1"}, .stage = (char[]){"split"}};
	assert_ok(fw_store_stage_put(store, &row, &err), err);
	flush(store);
	assert_ok(fw_store_run_delete(store, "r1", &err), err);
	flush(store);
	assert_error_is(fw_store_run_delete(store, "r1", &err), &err, FW_E_ABSENT, "no run 'r1'");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	for (size_t i = 0; i < FW_COUNT_OF(tables); i++) {
		fw_cleanup_free char *sql = fw_printf("SELECT 1 FROM %s", tables[i]);
		sqlite3_stmt *statement;

		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
		sqlite3_finalize(statement);
	}
	sqlite3_close(db);
}

static void a_writer_that_outlives_its_run_is_told(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path), *other = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	insert_run(store, "r1", 1);
	append_event(store, "r1", 1);
	flush(store);
	assert_ok(fw_store_run_delete(other, "r1", &err), err);
	insert_run(other, "r2", 1);
	flush(other);
	assert_error_is(fw_store_event_append(store, "r1", 2, "{}", 2, &err), &err, FW_E_CONFLICT,
	                "another process has removed");
	assert_int_equal(events_of(store, "r2"), 0);
}

static void tells_a_running_engine_from_a_dead_one(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of(
		"proc/sys/kernel/random/boot_id", "one\n",
		"proc/77/stat", "77 (a) b) S 1 1 1 0 -1 4194304 1 1 1 1 1 1 1 1 20 0 1 0 4242 9 9\n",
		"proc/78/stat", "78 (z) Z 1 1 1 0 -1 4194304 1 1 1 1 1 1 1 1 20 0 1 0 4242 9 9\n", NULL);
	struct fw_run_row row = {.pid = 77, .boot_id = (char[]){"one"}, .pid_start = 4242};
	fw_cleanup_error struct fw_error *err = NULL;
	(void)state;

	assert_true(fw_store_run_is_alive(&row, tree.fd));
	row.pid_start = 4243;
	assert_false(fw_store_run_is_alive(&row, tree.fd)); /* its pid was given again */
	row.pid_start = 4242;
	row.pid = 78;
	assert_false(fw_store_run_is_alive(&row, tree.fd)); /* a zombie */
	row.pid = 79;
	assert_false(fw_store_run_is_alive(&row, tree.fd));
	row.pid = 77;
	row.boot_id = (char[]){"two"};
	assert_false(fw_store_run_is_alive(&row, tree.fd));

	fw_cleanup_fd int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct fw_run_row own = {0};
	assert_ok(fw_run_row_set_engine(&own, root, &err), err);
	assert_true(own.pid == getpid() && fw_store_run_is_alive(&own, root));
	fw_run_row_done(&own);
}

FW_TESTS(a_record_comes_back_as_it_was_put, a_second_record_of_an_attempt_replaces_the_first_and_its_energy,
         records_come_in_the_order_in_which_stages_started, rows_read_with_sql_have_texts_and_field_names,
         a_run_is_found_by_its_tail_or_its_beginning, a_run_is_claimed_by_one_alone, a_run_is_updated_and_listed_newest_first,
         stages_come_in_the_order_of_the_workflow, the_event_log_has_no_holes, deleting_a_run_leaves_nothing_of_it,
         a_writer_that_outlives_its_run_is_told, tells_a_running_engine_from_a_dead_one)
