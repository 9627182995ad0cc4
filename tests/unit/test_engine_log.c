/* SPDX-License-Identifier: Apache-2.0
 *
 * The event log: what is written reads back, and what is not ours is refused.
 */
#include <string.h>

#include "engine/engine.h"
#include "tests/unit/support.h"

static char *written(const struct fw_engine_event *event)
{
	struct fw_buffer text;

	fw_buffer_init(&text, 1 << 20);
	assert_int_equal(fw_event_log_encode(event, &text), FW_OK);
	return fw_buffer_take(&text);
}

static void each_kind_of_event_reads_back_as_it_was_written(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"{\"event\":\"run_started\",\"time_ns\":0,\"millivcpus\":2000,\"memory_mb\":7000,\"seed\":\"ffffffffffffffff\","
		"\"oversubscribe\":true}",
		"{\"event\":\"listed\",\"time_ns\":5,\"stage\":1,\"input\":2,\"objects\":[[\"a \\\"b\\\".mp4\",9000000000,0]]}",
		"{\"event\":\"list_failed\",\"time_ns\":5,\"stage\":1,\"input\":2,\"error_message\":\"no such bucket\"}",
		"{\"event\":\"planned\",\"time_ns\":5,\"stage\":1,\"input\":0,\"ranges\":[[0,0,4,9000000000,\"a,\\\"b\\\"\"],"
		"[1,0,9000000004,5,true],[1,2,4,6,\"\"],[2,2,10,6,true]]}",
		"{\"event\":\"planned\",\"time_ns\":5,\"stage\":1,\"input\":0,\"ranges\":[[0,0,0,1],[1,0,1,1]]}",
		"{\"event\":\"planned\",\"time_ns\":5,\"stage\":1,\"input\":0,\"ranges\":[]}",
		"{\"event\":\"planned\",\"time_ns\":5,\"stage\":1,\"input\":0,\"ranges\":[],\"versions\":[\"2a.7\",null]}",
		"{\"event\":\"recut\",\"time_ns\":5,\"stage\":1}",
		"{\"event\":\"plan_failed\",\"time_ns\":5,\"stage\":1,\"input\":0,\"status\":\"lost\",\"error_message\":\"gone\"}",
		"{\"event\":\"started\",\"time_ns\":6,\"stage\":0,\"task\":4294967295,\"attempt\":1}",
		"{\"event\":\"ended\",\"time_ns\":7,\"stage\":0,\"task\":3,\"attempt\":2,\"status\":\"ok\","
		"\"objects\":[[\"k\",1,0],[\"l\",2,1,\"v-2\"]],\"result\":{\"n\":[1,2.5,null]}}",
		"{\"event\":\"ended\",\"time_ns\":7,\"stage\":0,\"task\":3,\"attempt\":2,\"status\":\"timeout\","
		"\"error_type\":\"T\",\"error_message\":\"m\",\"objects\":[]}",
		"{\"event\":\"ended\",\"time_ns\":7,\"stage\":0,\"task\":3,\"attempt\":2,\"status\":\"function_error\","
		"\"final\":true,\"error_type\":\"T\",\"error_message\":\"m\",\"objects\":[]}",
		"{\"event\":\"timer\",\"time_ns\":8,\"timer\":12884901890}",
		"{\"event\":\"cancel\",\"time_ns\":9,\"now\":false}",
		"{\"event\":\"resumed\",\"time_ns\":9,\"millivcpus\":1,\"memory_mb\":1,\"seed\":\"0000000000000000\","
		"\"oversubscribe\":false}",
		"{\"event\":\"restarted\",\"time_ns\":18446744073709,\"stage\":4}",
	};

	for (size_t i = 0; i < FW_COUNT_OF(texts); i++) {
		struct fw_engine_event event;
		struct fw_error *err = NULL;
		json_t *owner;

		assert_ok(fw_event_log_decode(texts[i], strlen(texts[i]), &event, &owner, &err), err);
		fw_cleanup_free char *again = written(&event);
		assert_string_equal(again, texts[i]);
		fw_event_log_release(&event, owner);
	}
}

static void the_end_carries_what_is_known_of_the_record(void **state)
{
	(void)state;
	struct fw_record record, read;
	struct fw_engine_event event = {.kind = FW_EV_ENDED, .attempt = 1, .record = &record}, again;
	struct fw_error *err = NULL;
	json_t *owner;

	fw_record_init(&record);
	record.worker = (char *)"a \"b\"";
	record.memory_mb = 1769;
	record.vcpus = 1.0 / 3;
	record.duration_ms = 1234567.000001;
	record.clock_offset_ms = -2.5;
	record.queue_ms = 0;
	record.units = 1e300;
	record.metrics = json_pack("{s:f}", "frames", 2.5);
	fw_cleanup_free char *text = written(&event);
	assert_non_null(strstr(text, "\"duration_ms\":1234567.000001,"));
	assert_ok(fw_event_log_decode(text, strlen(text), &again, &owner, &err), err);
	assert_ok(fw_record_from_json(again.recorded, &read, &err), err);
	fw_cleanup_json json_t *expected = fw_record_to_json(&record), *got = fw_record_to_json(&read);
	assert_true(json_equal(expected, got));
	fw_record_done(&read);
	fw_event_log_release(&again, owner);
	json_decref(record.metrics);
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} lines[] = {
		{"", "not JSON"},
		{"{\"event\":\"started\"", "not JSON"},
		{"[]", "no event is named ''"},
		{"null", "no event is named ''"},
		{"{\"event\":\"exploded\",\"time_ns\":1}", "no event is named 'exploded'"},
		{"{\"event\":\"timer\",\"timer\":1}", "'timer' lacks 'time_ns'"},
		{"{\"event\":\"timer\",\"time_ns\":1}", "'timer' lacks 'timer'"},
		{"{\"event\":\"timer\",\"time_ns\":1,\"timer\":-1}", "'timer': 'timer' cannot be that"},
		{"{\"event\":\"timer\",\"time_ns\":1,\"timer\":1.0}", "cannot be that"},
		{"{\"event\":\"timer\",\"time_ns\":1,\"timer\":1,\"stage\":0}", "'stage' cannot be here"},
		{"{\"event\":\"timer\",\"time_ns\":1,\"timer\":1,\"x\":0}", "unknown members"},
		{"{\"event\":\"timer\",\"time_ns\":1,\"timer\":1,\"timer\":1}", "not JSON"},
		{"{\"event\":\"cancel\",\"time_ns\":1,\"now\":1}", "cannot be that"},
		{"{\"event\":\"restarted\",\"time_ns\":1,\"stage\":4294967296}", "cannot be that"},
		{"{\"event\":\"listed\",\"time_ns\":1,\"stage\":0,\"input\":0,\"objects\":[[\"k\",1]]}", "cannot be that"},
		{"{\"event\":\"listed\",\"time_ns\":1,\"stage\":0,\"input\":0,\"objects\":[[\"\",1,0]]}", "cannot be that"},
		{"{\"event\":\"listed\",\"time_ns\":1,\"stage\":0,\"input\":0,\"objects\":[[\"k\",1,0,7]]}", "cannot be that"},
		{"{\"event\":\"listed\",\"time_ns\":1,\"stage\":0,\"input\":0,\"objects\":[[\"k\",1,0,\"v\",7]]}", "cannot be that"},
		{"{\"event\":\"listed\",\"time_ns\":1,\"stage\":0,\"input\":0,\"objects\":{}}", "cannot be that"},
		{"{\"event\":\"planned\",\"time_ns\":1,\"stage\":0,\"input\":0}", "'planned' lacks 'ranges'"},
		{"{\"event\":\"planned\",\"time_ns\":1,\"stage\":0,\"input\":0,\"ranges\":[[0,0,0]]}", "cannot be that"},
		{"{\"event\":\"planned\",\"time_ns\":1,\"stage\":0,\"input\":0,\"ranges\":[],\"versions\":[7]}", "cannot be that"},
		{"{\"event\":\"planned\",\"time_ns\":1,\"stage\":0,\"input\":0,\"ranges\":[[0,0,0,-1]]}", "cannot be that"},
		{"{\"event\":\"planned\",\"time_ns\":1,\"stage\":0,\"input\":0,\"ranges\":[[0,0,0,1,true]]}", "cannot be that"},
		{"{\"event\":\"planned\",\"time_ns\":1,\"stage\":0,\"input\":0,\"ranges\":[[0,0,0,1,\"h\",1]]}", "cannot be that"},
		{"{\"event\":\"ended\",\"time_ns\":1,\"stage\":0,\"task\":0,\"attempt\":1,\"status\":\"fine\",\"objects\":[]}",
		 "cannot be that"},
		{"{\"event\":\"ended\",\"time_ns\":1,\"stage\":0,\"task\":0,\"attempt\":1,\"status\":\"ok\",\"objects\":[],\"record\":1}",
		 "'record' cannot be that"},
		{"{\"event\":\"resumed\",\"time_ns\":1,\"millivcpus\":1,\"memory_mb\":1,\"seed\":\"1\",\"oversubscribe\":false}",
		 "'seed' cannot be that"},
	};

	for (size_t i = 0; i < FW_COUNT_OF(lines); i++) {
		struct fw_engine_event event;
		struct fw_error *err = NULL;
		json_t *owner;

		assert_error_is(fw_event_log_decode(lines[i].text, strlen(lines[i].text), &event, &owner, &err), &err,
		                FW_E_INVALID, lines[i].why);
	}
}

static void a_key_that_json_cannot_carry_is_refused_rather_than_changed(void **state)
{
	(void)state;
	fw_cleanup_buffer struct fw_buffer text;
	struct fw_engine_event event = {.kind = FW_EV_LISTED, .object_count = 1,
	                                .objects = &(struct fw_engine_object){"caf\xe9.mp4", 1, 0, NULL}};

	fw_buffer_init(&text, 1 << 10);
	assert_int_equal(fw_event_log_encode(&event, &text), FW_E_INVALID);
}

static void names_of_statuses_read_back(void **state)
{
	(void)state;
	enum fw_status read;

	for (enum fw_status status = FW_STATUS_OK; status <= FW_STATUS_SKIPPED; status++) {
		assert_true(fw_status_parse(fw_status_name(status), &read));
		assert_int_equal(read, status);
	}
	assert_false(fw_status_parse("OK", &read));
}

FW_TESTS(each_kind_of_event_reads_back_as_it_was_written, the_end_carries_what_is_known_of_the_record,
         nonsense_is_refused,
         a_key_that_json_cannot_carry_is_refused_rather_than_changed, names_of_statuses_read_back)
