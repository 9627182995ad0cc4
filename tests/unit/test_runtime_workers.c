/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <signal.h>

#include "tests/unit/fake_sandbox.h"
#include "tests/unit/runtime_fixture.h"

static void a_warm_worker_is_reused_and_its_times_say_so(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, NULL);
	struct call *cold = call_of(fixture, "echo"), *warm = call_of(fixture, "echo");

	assert_status(cold, "ok");
	assert_status(warm, "ok");
	assert_int_equal(cold->started, 1);
	assert_non_null(strstr(cold->body, "\"do\": \"echo\""));
	assert_string_equal(cold->record.worker, warm->record.worker);
	assert_string_not_equal(cold->record.request_id, warm->record.request_id);
	assert_string_equal(cold->record.package_digest, warm->record.package_digest);
	assert_true(cold->record.init_ms > 0 && cold->record.cold_start_ms >= cold->record.init_ms);
	assert_true(isnan(warm->record.init_ms) && isnan(warm->record.cold_start_ms));
	assert_true(warm->record.response_ms > 0 && warm->record.duration_ms >= warm->record.response_ms);
	assert_true(warm->record.started_ms > cold->record.started_ms + cold->record.duration_ms);
	assert_true(warm->record.queue_ms >= 0 && warm->record.submitted_ms <= warm->record.started_ms);
	assert_null(warm->record.error_type);
	assert_true(warm->record.exit == FW_NULL_INT);
	assert_int_equal(fake_sandboxes_settled, 1);
	struct fw_runtime_counts counts = fw_runtime_count(fixture->runtime);

	assert_int_equal(counts.workers, 1);
	assert_int_equal(counts.idle, 1);
	assert_int_equal(counts.cold_starts, 1);
	assert_int_equal(counts.invocations, 2);
	call_free(cold);
	call_free(warm);
	fixture_free(fixture);
}

static void workers_run_side_by_side_and_the_last_used_is_taken_first(void **state)
{
	struct fixture *fixture = fixture_new();
	struct call *a, *b, *c;

	(void)state;
	fixture_start(fixture, NULL);
	a = call_new(fixture, "echo");
	b = call_new(fixture, "echo");
	call_submit(a);
	call_submit(b);
	call_wait(a);
	call_wait(b);
	assert_string_not_equal(a->record.worker, b->record.worker);
	c = call_of(fixture, "echo");
	const char *last = a->record.started_ms + a->record.duration_ms > b->record.started_ms + b->record.duration_ms
	                       ? a->record.worker : b->record.worker;

	assert_string_equal(c->record.worker, last);
	call_free(a);
	call_free(b);
	call_free(c);
	fixture_free(fixture);
}

enum change { MEMORY, TMP, NETWORK, PLAIN, PLAIN_HANDLER, ENVIRONMENT, VIEWS };

static void change_call(struct call *call, enum change change)
{
	static const char *const views[] = {"/usr", NULL};

	switch (change) {
	case MEMORY:
		call->invoke.memory_mb = 256;
		break;
	case TMP:
		call->invoke.tmp_mb = 1024;
		break;
	case NETWORK:
		call->invoke.network = FW_NETWORK_NONE;
		break;
	case PLAIN_HANDLER:
		call->invoke.handler = "another";
		__attribute__((fallthrough));
	case PLAIN:
		call->invoke.stage_aware = false;
		break;
	case ENVIRONMENT:
		json_object_set_new(call->fixture->function.environment, "X", json_string("1"));
		break;
	case VIEWS:
		call->invoke.read_only = views;
		break;
	}
}

static void what_a_worker_was_started_with_is_never_changed_under_it(void **state)
{
	struct fixture *fixture = fixture_new();
	struct call *calls[8] = {0};

	(void)state;
	fixture_start(fixture, NULL);
	calls[7] = call_of(fixture, "echo");
	for (enum change change = MEMORY; change <= VIEWS; change++) {
		calls[change] = call_new(fixture, "echo");
		change_call(calls[change], change);
		call_submit(calls[change]);
		call_wait(calls[change]);
		assert_status(calls[change], "ok");
	}
	assert_int_equal(fw_runtime_count(fixture->runtime).cold_starts, 8);
	for (size_t i = 0; i < 8; i++)
		call_free(calls[i]);
	fixture_free(fixture);
}

static void another_handler_of_a_stage_aware_package_finds_it_warm(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, NULL);
	struct call *first = call_of(fixture, "echo"), *second = call_new(fixture, "echo");

	second->invoke.handler = "extract";
	second->invoke.name = "video-extract";
	call_submit(second);
	call_wait(second);
	assert_string_equal(first->record.worker, second->record.worker);
	call_free(first);
	call_free(second);
	fixture_free(fixture);
}

static void the_oldest_idle_worker_makes_room(void **state)
{
	struct fixture *fixture = fixture_new();
	struct call *old, *young, *large, *again;

	(void)state;
	fixture_start(fixture, &(struct fw_runtime_options){.memory_mb = 128 + 256 + 512});
	old = call_of(fixture, "echo");
	young = call_new(fixture, "echo");
	young->invoke.memory_mb = 256;
	call_submit(young);
	call_wait(young);
	large = call_new(fixture, "echo");
	large->invoke.memory_mb = 640;
	call_submit(large);
	call_wait(large);
	turn_until(fixture->loop, fw_runtime_count(fixture->runtime).workers == 2);
	again = call_new(fixture, "echo");
	again->invoke.memory_mb = 256;
	call_submit(again);
	call_wait(again);
	assert_string_equal(again->record.worker, young->record.worker);
	call_free(old);
	call_free(young);
	call_free(large);
	call_free(again);
	fixture_free(fixture);
}

static void an_idle_worker_that_dies_is_not_used_again(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, NULL);
	struct call *first = call_of(fixture, "environment");
	fw_cleanup_json json_t *ignored = NULL;

	assert_ok(fw_json_load("answer", first->body, first->length, &ignored, NULL), NULL);
	/* the fake's worker leads its group: find it through the one child that we have */
	FILE *children = fopen("/proc/thread-self/children", "r");
	int pid = 0;

	assert_non_null(children);
	assert_int_equal(fscanf(children, "%d", &pid), 1);
	fclose(children);
	kill(pid, SIGKILL);
	turn_until(fixture->loop, fw_runtime_count(fixture->runtime).workers == 0);
	struct call *second = call_of(fixture, "echo");

	assert_status(second, "ok");
	assert_string_not_equal(first->record.worker, second->record.worker);
	call_free(first);
	call_free(second);
	fixture_free(fixture);
}

static void the_environment_is_lambdas(void **state)
{
	static const char *const expected[] = {
		"_HANDLER", "split", "AWS_REGION", "eu-central-1", "AWS_DEFAULT_REGION", "eu-central-1",
		"AWS_LAMBDA_FUNCTION_NAME", "video-split", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128",
		"AWS_LAMBDA_FUNCTION_VERSION", "$LATEST", "AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand",
		"AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/video-split", "LAMBDA_TASK_ROOT", "/var/task",
		"LAMBDA_RUNTIME_DIR", "/var/runtime", "TZ", ":UTC", "LANG", "en_US.UTF-8",
		"PATH", "/mine:/usr/bin", "OWN", "value",
	};
	struct fixture *fixture = fixture_new();
	fw_cleanup_json json_t *environment = NULL;

	(void)state;
	json_object_set_new(fixture->function.environment, "OWN", json_string("value"));
	json_object_set_new(fixture->function.environment, "PATH", json_string("/mine:/usr/bin"));
	json_object_set_new(fixture->function.environment, "AWS_REGION", json_string("mars-1"));
	setenv("AWS_SECRET_ACCESS_KEY", "of the engine", 1);
	fixture_start(fixture, NULL);
	struct call *call = call_of(fixture, "environment");

	assert_ok(fw_json_load("answer", call->body, call->length, &environment, NULL), NULL);
	for (size_t i = 0; i < FW_COUNT_OF(expected); i += 2)
		assert_string_equal(json_string_value(json_object_get(environment, expected[i])), expected[i + 1]);
	assert_null(json_object_get(environment, "AWS_SECRET_ACCESS_KEY"));
	unsetenv("AWS_SECRET_ACCESS_KEY");
	call_free(call);
	fixture_free(fixture);
}

static void progress_reaches_the_caller(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture_start(fixture, NULL);
	struct call *call = call_of(fixture, "progress");

	assert_int_equal(call->progresses, 1);
	assert_string_equal(call->note, "half");
	call_free(call);
	fixture_free(fixture);
}

static void a_record_is_final_after_the_end_whenever_the_meter_is(void **state)
{
	(void)state;
	for (int at_once = 0; at_once < 2; at_once++) {
		struct fixture *fixture = fixture_new();

		fixture->energy.at_once = at_once;
		fixture_start(fixture, NULL);
		struct call *call = call_of(fixture, "echo");

		if (!at_once)
			assert_int_equal(call->metered, 0);
		call_free(call);
		assert_int_equal(fixture->energy.begun, 1);
		assert_int_equal(fixture->energy.ended, 1);
		fixture_free(fixture);
	}
}

static void without_a_meter_records_are_final_too(void **state)
{
	struct fixture *fixture = fixture_new();

	(void)state;
	fixture->metering = false;
	fixture_start(fixture, NULL);
	struct call *call = call_of(fixture, "echo");

	call_free(call);
	fixture_free(fixture);
}

static void what_still_runs_at_the_end_is_cancelled_and_told(void **state)
{
	struct fixture *fixture = fixture_new();
	struct call *running, *starting, *ended;

	(void)state;
	fixture_start(fixture, &(struct fw_runtime_options){.grace_ns = 50 * FW_NS_PER_MS});
	ended = call_of(fixture, "echo");
	running = call_new(fixture, "hang, deaf to SIGTERM");
	starting = call_new(fixture, "echo");
	call_submit(running);
	call_submit(starting);
	turn_until(fixture->loop, running->started);
	fw_runtime_free(fixture->runtime);
	fixture->runtime = NULL;
	assert_status(running, "cancelled");
	assert_status(starting, "cancelled");
	assert_int_equal(ended->metered + running->metered + starting->metered, 3);
	call_free(ended);
	call_free(running);
	call_free(starting);
	fixture_free(fixture);
}

static size_t open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void a_thousand_warm_invocations_leave_nothing_open(void **state)
{
	struct fixture *fixture = fixture_new();
	size_t before;

	(void)state;
	fixture_start(fixture, NULL);
	call_free(call_of(fixture, "echo"));
	call_free(call_of(fixture, "echo"));
	before = open_descriptors();
	for (int i = 0; i < 1000; i++)
		call_free(call_of(fixture, "echo"));
	turn_until(fixture->loop, open_descriptors() == before); /* exactly: fails at its deadline */
	assert_int_equal(fw_runtime_count(fixture->runtime).cold_starts, 1);
	fixture_free(fixture);
}

FW_TESTS(a_warm_worker_is_reused_and_its_times_say_so, workers_run_side_by_side_and_the_last_used_is_taken_first,
         what_a_worker_was_started_with_is_never_changed_under_it, another_handler_of_a_stage_aware_package_finds_it_warm,
         the_oldest_idle_worker_makes_room, an_idle_worker_that_dies_is_not_used_again, the_environment_is_lambdas,
         progress_reaches_the_caller, a_record_is_final_after_the_end_whenever_the_meter_is,
         without_a_meter_records_are_final_too, what_still_runs_at_the_end_is_cancelled_and_told,
         a_thousand_warm_invocations_leave_nothing_open)
