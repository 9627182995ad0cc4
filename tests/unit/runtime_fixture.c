/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/runtime_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static char *bootstrap_text(void)
{
	fw_cleanup_free char *path = fw_printf("%s/tests/unit/runtime_bootstrap.py", getenv("FLEXWATT_SOURCE"));
	fw_cleanup_buffer struct fw_buffer text;

	fw_buffer_init(&text, 1 << 20);
	assert_ok(fw_read_file(AT_FDCWD, path, &text, NULL), NULL);
	return fw_buffer_take(&text);
}

struct fixture *fixture_new(void)
{
	struct fixture *fixture = fw_alloc(sizeof *fixture);
	fw_cleanup_free char *bootstrap = bootstrap_text();

	fixture->tree = tree_of("package/bootstrap", bootstrap, "attempts/", "", "logs/", "", NULL);
	assert_int_equal(fchmodat(fixture->tree.fd, "package/bootstrap", 0755, 0), 0);
	assert_int_equal(fchmod(fixture->tree.fd, 0755), 0);
	fixture->package = fw_printf("%s/package", fixture->tree.path);
	fixture->attempts = fw_printf("%s/attempts", fixture->tree.path);
	fixture->logs = fw_printf("%s/logs", fixture->tree.path);
	fixture->function = (struct fw_function){
		.kind = FW_FUNCTION_PACKAGE, .path = fixture->package, .environment = json_object()};
	fixture->metering = true;
	return fixture;
}

void fixture_start(struct fixture *fixture, const struct fw_runtime_options *changes)
{
	struct fw_runtime_options options = changes ? *changes : (struct fw_runtime_options){0};

	assert_ok(fw_loop_new(&fixture->loop, NULL), NULL);
	assert_ok(fw_pool_new(fixture->loop, 1, &fixture->pool, NULL), NULL);
	options.loop = fixture->loop;
	options.pool = fixture->pool;
	options.energy = fixture->metering ? &fixture->energy : NULL;
	options.run = "20261121-094512-k3f";
	options.log_directory = fixture->logs;
	options.region = "eu-central-1";
	options.start_ns = fw_monotonic_ns();
	assert_ok(fw_runtime_new(&options, &fixture->runtime, NULL), NULL);
}

void fixture_free(struct fixture *fixture)
{
	fw_runtime_free(fixture->runtime);
	assert_int_equal(fixture->energy.workers, 0);
	fw_pool_free(fixture->pool);
	fw_loop_free(fixture->loop);
	json_decref(fixture->function.environment);
	free(fixture->package);
	free(fixture->attempts);
	free(fixture->logs);
	tree_remove_cleanup(&fixture->tree);
	free(fixture);
}

static int prepare(void *context, const char *attempts, uid_t uid, char **body, size_t *length, struct fw_error **err)
{
	struct call *call = context;
	fw_cleanup_json json_t *event =
		json_pack("{s:s, s:s, s:s?}", "do", call->action, "attempts", attempts, "argument", call->argument);

	call->uid = uid;
	if (call->fail_prepare)
		return fw_fail(err, call->fail_prepare, "no room for it");
	*body = fw_json_dump(event);
	*length = strlen(*body);
	return FW_OK;
}

static void started(void *context, const char *worker)
{
	struct call *call = context;

	assert_string_equal(call->record.worker, worker);
	call->started++;
}

static void progress(void *context, double done, double total, const char *note)
{
	struct call *call = context;

	assert_true(done == 1 && total == 2);
	snprintf(call->note, sizeof call->note, "%s", note);
	call->progresses++;
}

static void ended(void *context, const struct fw_invoke_outcome *outcome)
{
	struct call *call = context;

	assert_int_equal(call->ended, 0);
	assert_int_equal(call->metered, 0);
	call->ended++;
	call->body = outcome->body ? fw_strndup(outcome->body, outcome->length) : NULL;
	call->length = outcome->length;
	call->final = outcome->final;
	call->log_path = fw_strdup(outcome->log_path);
}

static void metered(void *context)
{
	struct call *call = context;

	assert_int_equal(call->ended, 1);
	assert_int_equal(call->metered, 0);
	call->metered++;
}

struct call *call_new(struct fixture *fixture, const char *action)
{
	static unsigned number;
	struct call *call = fw_alloc(sizeof *call);

	*call = (struct call){.fixture = fixture, .action = action};
	fw_record_init(&call->record);
	call->record.memory_mb = 128;
	call->invoke = (struct fw_invoke){
		.function = &fixture->function,
		.name = "video-split",
		.handler = "split",
		.memory_mb = 128,
		.tmp_mb = 512,
		.timeout_ms = 20000,
		.attempts_root = fixture->attempts,
		.log_name = fw_printf("split-%u.1.log", number++),
		.stage_aware = true,
		.ready_ns = fw_monotonic_ns(),
		.context = call,
		.prepare = prepare,
		.started = started,
		.progress = progress,
		.ended = ended,
		.metered = metered,
	};
	return call;
}

void call_submit(struct call *call)
{
	call->record.memory_mb = call->invoke.memory_mb;
	assert_ok(fw_runtime_invoke(call->fixture->runtime, &call->invoke, &call->record, &call->invocation, NULL), NULL);
	assert_int_equal(call->ended, 0); /* never inside the call */
}

void call_wait(struct call *call)
{
	turn_until(call->fixture->loop, call->ended);
}

struct call *call_of(struct fixture *fixture, const char *action)
{
	struct call *call = call_new(fixture, action);

	call_submit(call);
	call_wait(call);
	return call;
}

static void wait_metered(struct call *call)
{
	struct fixture *fixture = call->fixture;

	if (call->metered)
		return;
	if (fixture->metering)
		fw_energy_flush(&fixture->energy);
	turn_until(fixture->loop, call->metered);
}

void call_free(struct call *call)
{
	wait_metered(call);
	fw_record_done(&call->record);
	free((char *)(uintptr_t)call->invoke.log_name);
	free(call->body);
	free(call->log_path);
	free(call);
}

char *call_log(struct call *call)
{
	fw_cleanup_buffer struct fw_buffer text;

	wait_metered(call);
	assert_non_null(call->log_path);
	fw_buffer_init(&text, 64 << 20);
	assert_ok(fw_read_file(AT_FDCWD, call->log_path, &text, NULL), NULL);
	return fw_buffer_take(&text);
}
