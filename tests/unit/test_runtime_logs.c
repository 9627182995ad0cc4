/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/report_line.h"
#include "tests/unit/runtime_fixture.h"

static void a_log_has_lambdas_lines_around_what_was_printed(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	json_object_set_new(fixture->function.environment, "INIT_MODE", json_string("print"));
	fixture_start(fixture, NULL);
	struct call *cold = call_of(fixture, "print"), *warm = call_of(fixture, "print");
	fw_cleanup_free char *cold_log = call_log(cold), *warm_log = call_log(warm);
	const char *id = cold->record.request_id;
	double init_ms = cold->record.init_ms, duration_ms = cold->record.duration_ms;
	fw_cleanup_free char *expected = fw_printf(
		"while starting\nSTART RequestId: %s Version: $LATEST\nto stdout\nto stderr\nEND RequestId: %s\n"
		"REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: 128 MB\t"
		"Max Memory Used: 18 MB\tInit Duration: %.2f ms\t\n", id, id, id, duration_ms, ceil(duration_ms + init_ms), init_ms);

	assert_string_equal(cold_log, expected);
	assert_null(strstr(warm_log, "Init Duration"));
	assert_null(strstr(warm_log, "while starting"));
	call_free(cold);
	call_free(warm);
	fixture_free(fixture);
}

static void a_success_that_prints_nothing_has_its_lines_from_the_record(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, NULL);
	struct call *call = call_of(fixture, "echo");

	assert_status(call, "ok");
	assert_null(call->log_path);
	fw_cleanup_free char *log = fw_report_silent(&call->record);
	fw_cleanup_free char *expected = fw_printf("START RequestId: %1$s Version: $LATEST\nEND RequestId: %1$s\n"
	                                           "REPORT RequestId: %1$s\tDuration: ", call->record.request_id);

	assert_int_equal(strncmp(log, expected, strlen(expected)), 0);
	assert_int_equal(rmdir(fixture->logs), 0); /* it is empty */
	call_free(call);
	fixture_free(fixture);
}

static void of_a_flood_the_head_and_the_tail_are_kept(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, &(struct fw_runtime_options){.log_bytes = 1 << 20});
	struct call *call = call_of(fixture, "flood");
	fw_cleanup_free char *log = call_log(call);
	const char *cut = strstr(log, " bytes of this log were cut here]\n");

	assert_status(call, "ok");
	assert_true(strlen(log) < (1 << 20) + 4096);
	assert_non_null(strstr(log, "line 0000000 of a flood"));
	assert_non_null(cut);
	assert_int_equal(strncmp(strchr(cut, '\n') + 1, "line ", 5), 0);
	assert_non_null(strstr(log, "the last line\nEND RequestId: "));
	/* 40 x 10,000 lines of 33 bytes and the last one, less what was kept */
	const char *number = cut;

	while (number[-1] >= '0' && number[-1] <= '9')
		number--;
	size_t said = (size_t)atol(number), printed = 40 * 10000 * 33 + 14;
	size_t kept = strlen(log);
	const char *start = strchr(log, '\n') + 1, *end = strstr(log, "END RequestId");
	size_t line_bytes = strlen("\n[flexwatt:  bytes of this log were cut here]\n") + (size_t)(cut - number);

	assert_int_equal(printed - said, kept - (size_t)(start - log) - strlen(end) - line_bytes);
	call_free(call);
	fixture_free(fixture);
}

static void a_flood_without_end_starves_nobody(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, &(struct fw_runtime_options){.grace_ns = 50 * FW_NS_PER_MS});
	struct call *flood = call_new(fixture, "flood forever"), *neighbour;

	flood->invoke.timeout_ms = 1500;
	call_submit(flood);
	turn_until(fixture->loop, flood->started);
	for (int i = 0; i < 10; i++) {
		neighbour = call_of(fixture, "echo");
		assert_status(neighbour, "ok");
		call_free(neighbour);
	}
	call_wait(flood);
	assert_status(flood, "timeout");
	fw_cleanup_free char *log = call_log(flood);

	assert_true(strlen(log) < (5 << 20));
	call_free(flood);
	fixture_free(fixture);
}

static void a_log_that_cannot_be_made_does_not_stop_the_work(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, NULL);
	assert_int_equal(rmdir(fixture->logs), 0);
	struct call *call = call_of(fixture, "print");

	assert_status(call, "ok");
	assert_null(call->log_path);
	call_free(call);
	fixture_free(fixture);
}

static struct fw_record record_of(const char *status)
{
	struct fw_record record;

	fw_record_init(&record);
	fw_record_set_text(&record.request_id, "6f747a63-0a0b-4c0d-8e0f-000000000001");
	fw_record_set_text(&record.status, status);
	record.memory_mb = 1024;
	record.duration_ms = 3001.236;
	record.billed_ms = 3000;
	record.memory_peak_high_mb = 63.2;
	return record;
}

static void report_lines_are_what_lambda_writes(void **state)
{
	struct fw_record record = record_of("timeout");

	(void)state;
	fw_cleanup_free char *timeout = fw_report_line(&record, 3000);

	assert_string_equal(timeout, "REPORT RequestId: 6f747a63-0a0b-4c0d-8e0f-000000000001\tDuration: 3000.00 ms\t"
	                    "Billed Duration: 3000 ms\tMemory Size: 1024 MB\tMax Memory Used: 64 MB\tStatus: timeout\n");
	fw_record_set_text(&record.status, "out_of_memory");
	fw_record_set_text(&record.error_type, "Runtime.OutOfMemory");
	record.memory_peak_high_mb = FW_NULL_REAL;
	record.init_ms = 100.5;
	record.billed_ms = 3102;
	fw_cleanup_free char *memory = fw_report_line(&record, 900000);

	assert_string_equal(memory, "REPORT RequestId: 6f747a63-0a0b-4c0d-8e0f-000000000001\tDuration: 3001.24 ms\t"
	                    "Billed Duration: 3102 ms\tMemory Size: 1024 MB\tInit Duration: 100.50 ms\t"
	                    "Status: error\tError Type: Runtime.OutOfMemory\n");
	fw_cleanup_free char *init = fw_init_report_line(&record, 10337.01);

	assert_string_equal(init, "INIT_REPORT Init Duration: 10337.01 ms\tPhase: init\t"
	                    "Status: error\tError Type: Runtime.OutOfMemory\n");
	fw_record_done(&record);
}

FW_TESTS(a_log_has_lambdas_lines_around_what_was_printed,
         a_success_that_prints_nothing_has_its_lines_from_the_record, of_a_flood_the_head_and_the_tail_are_kept,
         a_flood_without_end_starves_nobody, a_log_that_cannot_be_made_does_not_stop_the_work,
         report_lines_are_what_lambda_writes)
