/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/unit/sandbox_world.h"

static void without_namespaces_it_runs_and_says_what_is_missing(void **state)
{
	(void)state;
	struct running *running = running_new();
	fw_cleanup_free char *said = say(running, "environment=LAMBDA_TASK_ROOT", "descriptors", "limits", "exit=3", NULL);
	char expected[160];

	snprintf(expected, sizeof expected, "environment LAMBDA_TASK_ROOT: %s\n", world.package);
	assert_says(said, expected);
	assert_says(said, "descriptors: 0 1 2\n");
	assert_says(said, "files 1024 core 0");
	assert_int_equal(WEXITSTATUS(running->wait_status), 3);
	assert_says(fw_sandboxes_missing(world.sandboxes), "no namespaces: workers see this machine's files");
	fw_cleanup_free char *as = fw_printf("workers run as user %u", geteuid());

	assert_says(fw_sandboxes_missing(world.sandboxes), as);
	running_free(running);
}

static void network_none_is_refused_rather_than_pretended(void **state)
{
	(void)state;
	struct fw_sandbox *sandbox = NULL;
	struct fw_error *err = NULL;

	assert_error_is(fw_sandbox_new(world.sandboxes, FW_NETWORK_NONE, &sandbox, &err), &err, FW_E_ENVIRONMENT,
	                "network: none needs network namespaces");
	assert_null(sandbox);
}

static void a_kill_reaches_its_session(void **state)
{
	(void)state;
	struct running *running = running_new();
	struct fw_error *err = NULL;

	assert_ok(running_start(running, &err, "ignore-sigterm", "wait", NULL), err);
	running_wait_for(running, "waiting");
	assert_ok(fw_sandbox_signal(running->sandbox, SIGKILL, &err), err);
	running_wait_until_ended(running);
	assert_int_equal(WTERMSIG(running->wait_status), SIGKILL);
	running_free(running);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_namespaces_it_runs_and_says_what_is_missing),
		cmocka_unit_test(network_none_is_refused_rather_than_pretended),
		cmocka_unit_test(a_kill_reaches_its_session),
	};

	if (!world_as_asked())
		return WORLD_SKIPPED;
	return cmocka_run_group_tests(tests, world_set_up, world_tear_down);
}
