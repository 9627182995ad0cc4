/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/runtime_fixture.h"

static struct fixture *started_with(const struct fw_runtime_options *options, const char *init_mode)
{
	struct fixture *fixture = fixture_new();

	if (init_mode)
		json_object_set_new(fixture->function.environment, "INIT_MODE", json_string(init_mode));
	fixture_start(fixture, options);
	return fixture;
}

/* The worker that served the failure is gone: a neighbour of the same kind starts cold and succeeds. */
static void assert_discarded(struct fixture *fixture, const struct call *failed)
{
	struct call *next = call_of(fixture, "echo");

	assert_status(next, "ok");
	assert_string_not_equal(next->record.worker, failed->record.worker);
	call_free(next);
}

static void assert_kept(struct fixture *fixture, const struct call *failed)
{
	struct call *next = call_of(fixture, "echo");

	assert_status(next, "ok");
	assert_string_equal(next->record.worker, failed->record.worker);
	call_free(next);
}

static void assert_message(const struct call *call, const char *format)
{
	fw_cleanup_free char *expected = fw_printf("RequestId: %s Error: %s", call->record.request_id, format);
	fw_cleanup_json json_t *document = NULL;

	assert_string_equal(call->record.error_message, expected);
	assert_ok(fw_json_load("document", call->body, call->length, &document, NULL), NULL);
	assert_string_equal(json_string_value(json_object_get(document, "errorMessage")), expected);
	assert_string_equal(json_string_value(json_object_get(document, "errorType")), call->record.error_type);
}

static void an_error_of_the_function_keeps_its_worker(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	struct call *call = call_of(fixture, "error");

	(void)state;
	assert_status(call, "function_error");
	assert_string_equal(call->record.error_type, "Oops");
	assert_string_equal(call->record.error_message, "it broke");
	assert_string_equal(call->body, "{\"errorType\": \"Oops\", \"errorMessage\": \"it broke\"}");
	assert_kept(fixture, call);
	call_free(call);
	fixture_free(fixture);
}

static void a_worker_that_exits_says_how(void **state)
{
	static const struct {
		const char *action, *message, *status;
		int exit;
	} cases[] = {
		{"exit", "Runtime exited with error: exit status 7", "function_error", 7},
		{"exit 0", "Runtime exited without providing a reason", "function_error", 0},
		{"abort", "Runtime exited with error: signal: segmentation fault", "function_error", 128 + 11},
		{"be killed", "Runtime exited with error: signal: killed", "function_error", 128 + 9},
	};
	struct fixture *fixture = started_with(NULL, NULL);

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct call *call = call_of(fixture, cases[i].action);
		char *core = strstr(call->record.error_message, " (core dumped)");

		assert_status(call, cases[i].status);
		assert_string_equal(call->record.error_type, "Runtime.ExitError");
		if (!core)
			assert_message(call, cases[i].message);
		assert_int_equal(call->record.exit, cases[i].exit);
		assert_true(call->record.duration_ms > 0);
		assert_discarded(fixture, call);
		call_free(call);
	}
	fixture_free(fixture);
}

static void a_timeout_ends_the_worker_even_one_deaf_to_sigterm(void **state)
{
	static const char *const actions[] = {"hang", "hang, deaf to SIGTERM"};
	struct fixture *fixture =
		started_with(&(struct fw_runtime_options){.grace_ns = 300 * FW_NS_PER_MS}, NULL);

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(actions); i++) {
		struct call *call = call_new(fixture, actions[i]), *neighbour = call_new(fixture, "echo");

		call->invoke.timeout_ms = 500;
		call_submit(call);
		call_submit(neighbour);
		call_wait(call);
		call_wait(neighbour);
		assert_status(call, "timeout");
		assert_status(neighbour, "ok");
		assert_string_equal(call->record.error_type, "Sandbox.Timedout");
		assert_message(call, "Task timed out after 0.50 seconds");
		assert_true(call->record.duration_ms >= 500);
		assert_true((call->record.duration_ms >= 800) == (i == 1));
		assert_int_equal(call->record.exit, i == 1 ? 128 + 9 : 128 + 15);
		fw_cleanup_free char *log = call_log(call);

		assert_non_null(strstr(log, "\tStatus: timeout\n"));
		assert_non_null(strstr(log, "Duration: 500.00 ms\tBilled Duration: "));
		call_free(call);
		call_free(neighbour);
	}
	fixture_free(fixture);
}

static void a_worker_that_never_asks_times_out_in_init(void **state)
{
	struct fixture *fixture = started_with(
		&(struct fw_runtime_options){.init_ns = 250 * FW_NS_PER_MS, .grace_ns = 50 * FW_NS_PER_MS}, "hang");
	struct call *call = call_new(fixture, "echo");

	(void)state;
	call->invoke.timeout_ms = 250;
	call_submit(call);
	call_wait(call);
	assert_status(call, "timeout");
	assert_message(call, "Init timed out: the worker did not ask for its first event within 0.50 seconds");
	assert_true(isnan(call->record.duration_ms) && isnan(call->record.started_ms));
	assert_int_equal(call->started, 0);
	fw_cleanup_free char *log = call_log(call);

	assert_non_null(strstr(log, "INIT_REPORT Init Duration: "));
	call_free(call);
	turn_until(fixture->loop, fw_runtime_count(fixture->runtime).workers == 0);
	fixture_free(fixture);
}

static void a_worker_that_exits_in_init_says_what_it_printed(void **state)
{
	struct fixture *fixture = started_with(NULL, "exit");
	struct call *call = call_of(fixture, "echo");

	(void)state;
	assert_status(call, "function_error");
	assert_message(call, "Runtime exited with error: exit status 3");
	fw_cleanup_free char *log = call_log(call);

	assert_int_equal(strncmp(log, "cannot start\nSTART RequestId: ", 29), 0);
	assert_non_null(strstr(log, "Runtime.ExitError\nEND RequestId: "));
	call_free(call);
	fixture_free(fixture);
}

static void an_init_error_is_the_functions(void **state)
{
	struct fixture *fixture = started_with(NULL, "error");
	struct call *call = call_of(fixture, "echo");

	(void)state;
	assert_status(call, "function_error");
	assert_string_equal(call->record.error_type, "Runtime.NoSuchModule");
	assert_string_equal(call->record.error_message, "no module");
	call_free(call);
	fixture_free(fixture);
}

static void out_of_memory_is_told_from_other_deaths(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	struct call *call = call_of(fixture, "run out of memory");

	(void)state;
	assert_status(call, "out_of_memory");
	assert_string_equal(call->record.error_type, "Runtime.OutOfMemory");
	assert_message(call, "Runtime exited with error: signal: killed");
	assert_discarded(fixture, call);
	call_free(call);
	fixture_free(fixture);
}

static void a_child_lost_to_memory_counts_when_the_function_failed_by_it(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	struct call *failed = call_of(fixture, "lose a child to memory, fail");
	struct call *ok = call_of(fixture, "lose a child to memory, succeed");
	struct call *later = call_of(fixture, "error");

	(void)state;
	assert_status(failed, "out_of_memory");
	assert_string_equal(failed->record.error_message, "it broke");
	assert_status(ok, "ok");
	assert_status(later, "function_error"); /* the kill before is not blamed again */
	call_free(failed);
	call_free(ok);
	call_free(later);
	fixture_free(fixture);
}

static void an_accepted_answer_counts_whatever_the_worker_does_behind_it(void **state)
{
	static const char *const actions[] = {"answer, then exit", "answer, then hang"};
	struct fixture *fixture = started_with(&(struct fw_runtime_options){.grace_ns = 50 * FW_NS_PER_MS}, NULL);

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(actions); i++) {
		struct call *call = call_new(fixture, actions[i]);

		call->invoke.timeout_ms = 500;
		call_submit(call);
		call_wait(call);
		assert_status(call, "ok");
		assert_string_equal(call->body, "\"kept\"");
		assert_int_equal(call->record.exit, i == 0 ? 5 : 128 + 15);
		assert_discarded(fixture, call);
		call_free(call);
	}
	fixture_free(fixture);
}

static void only_the_first_answer_counts(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	struct call *call = call_of(fixture, "answer twice");

	(void)state;
	assert_status(call, "ok");
	assert_string_equal(call->body, "\"first\"");
	fw_cleanup_free char *log = call_log(call);

	assert_non_null(strstr(log, "second answer: 403\n"));
	assert_kept(fixture, call);
	call_free(call);
	fixture_free(fixture);
}

static void an_answer_of_seven_megabytes_is_the_functions_error(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	struct call *call = call_of(fixture, "answer 7 MB");

	(void)state;
	assert_status(call, "function_error");
	assert_string_equal(call->record.error_type, "Function.ResponseSizeTooLarge");
	assert_string_equal(call->record.error_message,
	                    "Response payload size (7340034 bytes) exceeded maximum allowed payload size (6291556 bytes).");
	fw_cleanup_free char *log = call_log(call);

	assert_non_null(strstr(log, "answered: 413\n"));
	assert_kept(fixture, call);
	call_free(call);
	fixture_free(fixture);
}

static void answers_to_other_invocations_change_nothing(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	struct call *other = call_of(fixture, "answer another"), *early = call_of(fixture, "ask before answering");

	(void)state;
	assert_status(other, "ok");
	assert_string_equal(other->body, "\"right\"");
	fw_cleanup_free char *log = call_log(other);

	assert_non_null(strstr(log, "answered: 400\n"));
	assert_status(early, "ok");
	fw_cleanup_free char *early_log = call_log(early);

	assert_non_null(strstr(early_log, "next: 403\n"));
	call_free(other);
	call_free(early);
	fixture_free(fixture);
}

static void an_answer_cut_off_is_a_failure_and_garbage_is_ignored(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	struct call *cut = call_of(fixture, "cut the answer off"), *garbage = call_of(fixture, "post garbage");

	(void)state;
	assert_status(cut, "function_error");
	assert_string_equal(cut->record.error_type, "Runtime.ExitError");
	assert_status(garbage, "ok");
	assert_string_equal(garbage->body, "\"alive\"");
	call_free(cut);
	call_free(garbage);
	fixture_free(fixture);
}

static void cancelling_is_graceful_or_at_once(void **state)
{
	struct fixture *fixture = started_with(&(struct fw_runtime_options){.grace_ns = 10 * FW_NS_PER_S}, NULL);

	(void)state;
	for (int now = 0; now < 2; now++) {
		struct call *call = call_new(fixture, now ? "hang, deaf to SIGTERM" : "hang");

		call_submit(call);
		turn_until(fixture->loop, call->started);
		turn(fixture->loop, 20 * FW_NS_PER_MS);
		fw_runtime_cancel(call->invocation, now);
		fw_runtime_cancel(call->invocation, now);
		call_wait(call);
		assert_status(call, "cancelled");
		assert_int_equal(call->record.exit, now ? 128 + 9 : 128 + 15);
		assert_true(call->record.duration_ms < 9000);
		call_free(call);
	}
	fixture_free(fixture);
}

static void a_worker_that_is_still_starting_can_be_cancelled(void **state)
{
	struct fixture *fixture = started_with(NULL, "hang");
	struct call *call = call_new(fixture, "echo");

	(void)state;
	call_submit(call);
	fw_runtime_cancel(call->invocation, true);
	call_wait(call);
	assert_status(call, "cancelled");
	assert_int_equal(call->started, 0);
	call_free(call);
	fixture_free(fixture);
}

static void a_package_without_a_bootstrap_is_refused_with_a_remedy(void **state)
{
	struct fixture *fixture = started_with(NULL, NULL);
	fw_cleanup_error struct fw_error *err = NULL;
	fw_cleanup_free char *path = fw_printf("%s/bootstrap", fixture->package);

	(void)state;
	assert_int_equal(unlink(path), 0);
	struct call *call = call_of(fixture, "echo");

	assert_status(call, "function_error");
	assert_string_equal(call->record.error_type, "Runtime.InvalidEntrypoint");
	assert_true(call->final);
	assert_non_null(strstr(call->record.error_message, "the package has no file 'bootstrap'"));
	assert_error_is(fw_runtime_prepare(fixture->runtime, &fixture->function, &err), &err, FW_E_ABSENT,
	                "hint: a package is a directory or zip with an executable named bootstrap at its top");
	call_free(call);
	fixture_free(fixture);
}

static void an_unpreparable_event_spares_the_worker_and_is_tried_again_where_that_can_help(void **state)
{
	(void)state;
	static const struct {
		int code;
		const char *status;
	} cases[] = {{FW_E_NO_SPACE, "lost"}, {FW_E_LIMIT, "function_error"}};

	for (size_t i = 0; i < FW_COUNT_OF(cases); i++) {
		struct fixture *fixture = started_with(NULL, NULL);
		struct call *first = call_of(fixture, "echo"), *call = call_new(fixture, "echo");

		call->fail_prepare = cases[i].code;
		call_submit(call);
		call_wait(call);
		assert_status(call, cases[i].status);
		assert_int_equal(call->final, i == 1);
		assert_non_null(strstr(call->record.error_message, "no room for it"));
		assert_kept(fixture, first);
		call_free(first);
		call_free(call);
		fixture_free(fixture);
	}
}

FW_TESTS(an_error_of_the_function_keeps_its_worker, a_worker_that_exits_says_how,
         a_timeout_ends_the_worker_even_one_deaf_to_sigterm, a_worker_that_never_asks_times_out_in_init,
         a_worker_that_exits_in_init_says_what_it_printed, an_init_error_is_the_functions,
         out_of_memory_is_told_from_other_deaths, a_child_lost_to_memory_counts_when_the_function_failed_by_it,
         an_accepted_answer_counts_whatever_the_worker_does_behind_it, only_the_first_answer_counts,
         an_answer_of_seven_megabytes_is_the_functions_error, answers_to_other_invocations_change_nothing,
         an_answer_cut_off_is_a_failure_and_garbage_is_ignored, cancelling_is_graceful_or_at_once,
         a_worker_that_is_still_starting_can_be_cancelled, a_package_without_a_bootstrap_is_refused_with_a_remedy,
         an_unpreparable_event_spares_the_worker_and_is_tried_again_where_that_can_help)
