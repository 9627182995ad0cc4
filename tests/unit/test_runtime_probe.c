/* SPDX-License-Identifier: Apache-2.0
 *
 * Probes run a program that a user named: whatever it does, they end.
 */
#include "base/buffer.h"
#include "base/time.h"
#include "runtime/probe.h"
#include "tests/unit/support.h"

static int probe(const char *script, struct fw_buffer *output, struct fw_error **err)
{
	const char *const argv[] = {"/bin/sh", "-c", script, NULL}, *const envp[] = {NULL};

	fw_buffer_init(output, 1000);
	return fw_probe_run(argv, envp, output, err);
}

static void what_it_prints_is_returned(void **state)
{
	(void)state;
	fw_cleanup_buffer struct fw_buffer output;

	assert_ok(probe("echo one; echo two", &output, NULL), NULL);
	assert_string_equal(output.data, "one\ntwo\n");
}

static void one_that_fails_or_floods_is_told(void **state)
{
	(void)state;
	fw_cleanup_buffer struct fw_buffer output, flood;
	struct fw_error *err = NULL;

	assert_error_is(probe("exit 3", &output, &err), &err, FW_E_ENVIRONMENT, "/bin/sh: it failed");
	assert_error_is(probe("while :; do echo x; done", &flood, &err), &err, FW_E_TIMEOUT, "neither ended nor");
}

static void one_that_closes_its_output_and_stays_is_ended(void **state)
{
	(void)state;
	fw_cleanup_buffer struct fw_buffer output;
	struct fw_error *err = NULL;
	uint64_t start_ns = fw_monotonic_ns();

	assert_error_is(probe("exec sleep 60 >&-", &output, &err), &err, FW_E_TIMEOUT, "neither ended nor");
	assert_true(fw_monotonic_ns() - start_ns < 15 * FW_NS_PER_S);
}

FW_TESTS(what_it_prints_is_returned, one_that_fails_or_floods_is_told, one_that_closes_its_output_and_stays_is_ended)
