/* SPDX-License-Identifier: Apache-2.0 */
#include "store/measurements.h"
#include "tests/unit/store_support.h"

static void check_round_trip(const struct fw_sample *samples, size_t count, size_t most_bytes)
{
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_buffer struct fw_buffer bytes;
	fw_cleanup_free struct fw_sample *read = NULL;
	size_t read_count = 99;

	fw_buffer_init(&bytes, 1 << 20);
	fw_series_encode(samples, count, &bytes);
	assert_in_range(bytes.length, 1, most_bytes);
	assert_ok(fw_series_decode(bytes.data, bytes.length, &read, &read_count, &err), err);
	assert_int_equal(read_count, count);
	if (count > 0)
		assert_memory_equal(read, samples, count * sizeof *samples);
}

static void every_number_comes_back_from_a_series(void **state)
{
	static const struct fw_sample extremes[] = {
		{0, INT64_MAX}, {INT64_MIN, INT64_MIN}, {INT64_MAX, 0}, {-1, FW_NULL_INT}, {-1, -1}, {7, INT64_MAX},
	};
	(void)state;

	check_round_trip(extremes, FW_COUNT_OF(extremes), 200);
	check_round_trip(NULL, 0, 2);
}

static void a_steady_series_takes_few_bytes(void **state)
{
	static struct fw_sample samples[1000];
	(void)state;

	for (int i = 0; i < 1000; i++)
		samples[i] = (struct fw_sample){100000000LL * i, 50 * i};
	check_round_trip(samples, 1000, 2050 + 20);
}

static void refuse(const char *bytes, size_t length, const char *message)
{
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_sample *samples = NULL;
	size_t count = 0;

	assert_error_is(fw_series_decode(bytes, length, &samples, &count, &err), &err, FW_E_INVALID, message);
}

static void bytes_that_are_no_series_are_refused(void **state)
{
	(void)state;
	refuse("", 0, "not of version 1");
	refuse("\x02\x00", 2, "not of version 1");
	refuse("\x01", 1, "shorter than it says");
	refuse("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01xx", 13, "shorter than it says");
	refuse("\x01\x01\x00", 3, "shorter than it says");
	refuse("\x01\x01\x80\x80", 4, "damaged");
	refuse("\x01\x01\x00\x00\x00", 5, "damaged");
	refuse("\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00", 13, "damaged");
}

static int take_series(void *context, const struct fw_series_row *row, struct fw_error **err)
{
	(void)err;
	assert_string_equal(row->run, "r1");
	assert_string_equal(row->stage, "split");
	assert_string_equal(row->unit, "bytes");
	assert_int_equal(row->count, 2);
	assert_int_equal(row->samples[1].value, 9);
	++*(int *)context;
	return FW_OK;
}

static void a_series_comes_back_and_is_replaced(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_sample samples[] = {{1, 8}, {2, 9}};
	struct fw_series_row row = {.run = (char[]){"r1"}, .stage = (char[]){"split"}, .task = 0, .attempt = 1,
	                            .name = (char[]){"memory"}, .unit = (char[]){"bytes"}, .samples = samples, .count = 1};
	int seen = 0;
	(void)state;

	insert_run(store, "r1", 1);
	assert_ok(fw_store_series_put(store, &row, &err), err);
	row.count = 2;
	assert_ok(fw_store_series_put(store, &row, &err), err);
	assert_ok(fw_store_series_each(store, "r1", take_series, &seen, &err), err);
	assert_int_equal(seen, 1);
}

static int take_reading(void *context, const struct fw_reading_row *row, struct fw_error **err)
{
	(void)err;
	assert_int_equal(row->ordinal, ++*(int64_t *)context);
	assert_int_equal(row->readings.length, 3);
	assert_memory_equal(row->readings.data, row->ordinal == 1 ? "a\0b" : "c\0d", 3);
	return FW_OK;
}

static void portions_of_readings_come_back_in_their_order(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_reading_row row = {.run = (char[]){"r1"}, .ordinal = 2};
	int64_t seen = 0, last = -1;
	(void)state;

	insert_run(store, "r1", 1);
	assert_ok(fw_store_reading_last(store, "r1", &last, &err), err);
	assert_int_equal(last, 0);
	fw_buffer_init(&row.readings, 16);
	fw_buffer_append(&row.readings, "c\0d", 3);
	assert_ok(fw_store_reading_put(store, &row, &err), err);
	row.ordinal = 1;
	fw_buffer_clear(&row.readings);
	fw_buffer_append(&row.readings, "a\0b", 3);
	assert_ok(fw_store_reading_put(store, &row, &err), err);
	fw_buffer_done(&row.readings);
	assert_ok(fw_store_reading_each(store, "r1", take_reading, &seen, &err), err);
	assert_int_equal(seen, 2);
	assert_ok(fw_store_reading_last(store, "r1", &last, &err), err);
	assert_int_equal(last, 2);
	assert_error_is(fw_store_reading_last(store, "r2", &last, &err), &err, FW_E_ABSENT, "r2");
}

static void a_sweep_names_its_runs(void **state)
{
	fw_cleanup_tree struct tree tree = tree_of("x", "", NULL);
	fw_cleanup_free char *path = store_path(&tree);
	fw_cleanup_store struct fw_store *store = open_store(path);
	fw_cleanup_error struct fw_error *err = NULL;
	struct fw_sweep_row sweep = {.sweep = (char[]){"s1"}, .state = (char[]){"running"}, .wall_ms = 5}, read;
	struct fw_run_row run = {.run = (char[]){"late"}, .sweep = (char[]){"s1"}, .repetition = 1};
	char **runs = NULL;
	size_t count = 0;
	(void)state;

	fw_cleanup_json json_t *design = json_pack("{s:i}", "repetitions", 2);
	sweep.design = design;
	assert_ok(fw_store_sweep_put(store, &sweep, &err), err);
	sweep.state = (char[]){"ok"};
	assert_ok(fw_store_sweep_put(store, &sweep, &err), err);
	assert_ok(fw_store_run_insert(store, &run, &err), err);
	run.run = (char[]){"soon"};
	run.repetition = 0;
	assert_ok(fw_store_run_insert(store, &run, &err), err);
	insert_run(store, "of-no-sweep", 1);
	assert_ok(fw_store_sweep_get(store, "s1", &read, &err), err);
	assert_string_equal(read.state, "ok");
	assert_true(json_equal(read.design, design));
	fw_sweep_row_done(&read);
	assert_ok(fw_store_sweep_runs(store, "s1", &runs, &count, &err), err);
	assert_int_equal(count, 2);
	assert_string_equal(runs[0], "soon");
	for (size_t i = 0; i < count; i++)
		free(runs[i]);
	free(runs);
	assert_error_is(fw_store_sweep_get(store, "s2", &read, &err), &err, FW_E_ABSENT, "no sweep 's2'");
}

FW_TESTS(every_number_comes_back_from_a_series, a_steady_series_takes_few_bytes, bytes_that_are_no_series_are_refused,
         a_series_comes_back_and_is_replaced, portions_of_readings_come_back_in_their_order,
         a_sweep_names_its_runs)
