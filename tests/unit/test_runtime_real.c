/* SPDX-License-Identifier: Apache-2.0
 *
 * The runtime on the sandboxes of this machine: what only both together can show.
 */
#include <dirent.h>
#include <poll.h>
#include <sys/stat.h>

#include "tests/unit/runtime_fixture.h"

struct place {
	struct fixture *fixture;
	struct fw_root root;
	struct fw_machine machine;
	struct fw_cgroups *cgroups;
	char *state;
};

static bool can(const struct place *place, unsigned wanted)
{
	if (place->cgroups && (fw_cgroups_can(place->cgroups) & wanted) == wanted)
		return true;
	print_message("skipped: no usable control groups here\n");
	return false;
}

static struct place *place_new(void)
{
	struct place *place = fw_alloc(sizeof *place);

	place->fixture = fixture_new();
	place->state = fw_printf("%s/state", place->fixture->tree.path);
	assert_int_equal(mkdir(place->state, 0755), 0);
	assert_ok(fw_root_open("/", &place->root, NULL), NULL);
	assert_ok(fw_machine_read(&place->root, &place->machine, NULL), NULL);
	fw_cleanup_free char *parent = fw_printf("flexwatt-test-%d", (int)getpid()); /* groups are counted in it */
	(void)fw_cgroups_open(&place->root, parent, &place->cgroups, NULL);
	fixture_start(place->fixture, &(struct fw_runtime_options){
		.cgroups = place->cgroups, .machine = &place->machine, .state_directory = place->state,
		.grace_ns = 300 * FW_NS_PER_MS});
	return place;
}

static size_t workers_left(const struct place *place)
{
	DIR *directory = opendir(place->fixture->attempts);
	size_t count = 0;

	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

/* Also shows that no worker's directory is left. */
static void place_free(struct place *place)
{
	struct fixture *fixture = place->fixture;

	fw_runtime_free(fixture->runtime);
	fixture->runtime = NULL;
	assert_int_equal(workers_left(place), 0);
	fixture_free(fixture);
	end_groups(place->cgroups);
	fw_root_close(&place->root);
	free(place->state);
	free(place);
}

static void serves_cold_and_warm_from_the_package_cache(void **state)
{
	struct place *place = place_new();
	struct call *cold = call_of(place->fixture, "echo"), *warm = call_of(place->fixture, "environment");

	(void)state;
	assert_status(cold, "ok");
	assert_status(warm, "ok");
	assert_string_equal(cold->record.worker, warm->record.worker);
	assert_int_equal(strlen(cold->record.package_digest), 64);
	assert_non_null(strstr(warm->body, "\"LAMBDA_TASK_ROOT\": \"/var/task\""));
	call_free(cold);
	call_free(warm);
	place_free(place);
}

static void a_worker_without_a_network_still_has_its_host(void **state)
{
	struct place *place = place_new();
	struct call *call = call_new(place->fixture, "echo");

	(void)state;
	call->invoke.network = FW_NETWORK_NONE;
	call_submit(call);
	call_wait(call);
	assert_status(call, "ok");
	call_free(call);
	place_free(place);
}

static char *address_of(struct call *call)
{
	fw_cleanup_json json_t *environment = NULL;

	assert_ok(fw_json_load("answer", call->body, call->length, &environment, NULL), NULL);
	return fw_strdup(json_string_value(json_object_get(environment, "AWS_LAMBDA_RUNTIME_API")));
}

static void a_worker_cannot_take_anothers_events(void **state)
{
	struct place *place = place_new();
	struct call *victim = call_of(place->fixture, "environment"), *thief = call_new(place->fixture, "ask another's host");
	fw_cleanup_free char *address = address_of(victim);

	(void)state;
	thief->argument = address;
	thief->invoke.memory_mb = 256; /* a worker of its own */
	call_submit(thief);
	call_wait(thief);
	if (victim->uid == thief->uid)
		print_message("skipped: workers share one uid here\n");
	else
		assert_string_equal(thief->body, "\"refused\"");
	call_free(victim);
	call_free(thief);
	place_free(place);
}

static void memory_past_the_limit_is_out_of_memory_in_itself_and_in_a_child(void **state)
{
	static const char *const actions[] = {"eat memory", "eat memory in a child"};
	struct place *place = place_new();

	(void)state;
	for (size_t i = 0; i < FW_COUNT_OF(actions) && can(place, FW_CAN_MEMORY); i++) {
		struct call *call = call_of(place->fixture, actions[i]), *neighbour = call_of(place->fixture, "echo");

		assert_status(call, "out_of_memory");
		assert_string_equal(call->record.error_type, "Runtime.OutOfMemory");
		assert_status(neighbour, "ok");
		call_free(call);
		call_free(neighbour);
	}
	place_free(place);
}

static void count_one(void *context, const char *name)
{
	(void)name;
	++*(size_t *)context;
}

static size_t count_groups(const struct place *place)
{
	size_t count = 0;

	assert_ok(fw_cgroups_each(place->cgroups, count_one, &count, NULL), NULL);
	return count;
}

static void wait_for_groups(const struct place *place, size_t wanted)
{
	uint64_t deadline_ns = fw_monotonic_ns() + 100 * FW_NS_PER_S;

	while (count_groups(place) != wanted) {
		assert_true(fw_monotonic_ns() < deadline_ns);
		poll(NULL, 0, 1);
	}
}

static void expected_workers_find_their_groups_made(void **state)
{
	struct place *place = place_new();

	(void)state;
	if (can(place, FW_CAN_PIDS)) {
		struct call *call = call_new(place->fixture, "echo");

		fw_runtime_expect(place->fixture->runtime, call->invoke.memory_mb, call->invoke.tmp_mb, 5);
		wait_for_groups(place, 2); /* a few, not all */
		fw_runtime_expect(place->fixture->runtime, 200, call->invoke.tmp_mb, 1);
		wait_for_groups(place, 3);
		call_submit(call);
		call_wait(call);
		assert_status(call, "ok");
		wait_for_groups(place, 4); /* the worker's, made anew in the stock */
		fw_runtime_free(place->fixture->runtime);
		place->fixture->runtime = NULL;
		assert_int_equal(count_groups(place), 0);
		call_free(call);
	}
	place_free(place);
}

static size_t count_sleepers(void)
{
	FILE *list = popen("pgrep -c -x -f 'sleep 1000'", "r");
	size_t count = 0;

	assert_non_null(list);
	assert_int_equal(fscanf(list, "%zu", &count), 1);
	pclose(list);
	return count;
}

static void what_a_worker_left_running_ends_with_it(void **state)
{
	struct place *place = place_new();
	size_t before = count_sleepers();
	struct call *call = call_of(place->fixture, "daemonise and exit");

	(void)state;
	assert_status(call, "function_error");
	call_free(call);
	turn_until(place->fixture->loop, count_sleepers() <= before);
	place_free(place);
}

static void one_deaf_to_sigterm_is_killed(void **state)
{
	struct place *place = place_new();
	struct call *call = call_new(place->fixture, "hang, deaf to SIGTERM");

	(void)state;
	call->invoke.timeout_ms = 300;
	call_submit(call);
	call_wait(call);
	assert_status(call, "timeout");
	assert_int_equal(call->record.exit, 128 + 9);
	call_free(call);
	place_free(place);
}

static void a_bootstrap_that_cannot_be_executed_is_told_with_its_reason(void **state)
{
	struct place *place = place_new();

	(void)state;
	tree_write(&place->fixture->tree, "package/bootstrap", "#!/nowhere/interpreter\n");
	struct call *call = call_of(place->fixture, "echo");

	assert_status(call, "function_error");
	assert_string_equal(call->record.error_type, "Runtime.InvalidEntrypoint");
	assert_non_null(strstr(call->record.error_message, "/nowhere/interpreter"));
	call_free(call);
	place_free(place);
}

FW_TESTS(serves_cold_and_warm_from_the_package_cache, a_worker_without_a_network_still_has_its_host,
         a_worker_cannot_take_anothers_events, memory_past_the_limit_is_out_of_memory_in_itself_and_in_a_child,
         expected_workers_find_their_groups_made, what_a_worker_left_running_ends_with_it, one_deaf_to_sigterm_is_killed,
         a_bootstrap_that_cannot_be_executed_is_told_with_its_reason)
