/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/sandbox_world.h"

static struct world world;

static int open_world(void **state)
{
	(void)state;
	world_open(&world);
	return 0;
}

static int close_world(void **state)
{
	(void)state;
	world_close(&world);
	return 0;
}

static void runs_a_program_of_the_package(void **state)
{
	(void)state;
	struct running *running = running_new(&world);
	fw_cleanup_free char *said = say(running, "print=hello", "exit=7", NULL);

	assert_says(said, "hello\n");
	assert_true(WIFEXITED(running->wait_status));
	assert_int_equal(WEXITSTATUS(running->wait_status), 7);
	running_free(running);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_a_program_of_the_package),
	};
	return cmocka_run_group_tests(tests, open_world, close_world);
}
