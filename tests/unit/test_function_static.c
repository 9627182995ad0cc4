/* SPDX-License-Identifier: Apache-2.0
 *
 * A function linked with -static (examples/functions/c/primes.c): no loader, a start of about a millisecond.
 */
#include "tests/unit/function_host.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void a_static_function_asks_for_work_within_milliseconds(void **state)
{
	const char *program = getenv("FUNCTION_STATIC");
	double best = 1e9;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct function_host host;
		double start = now_ms();

		host_start_program(&host, "count_primes", (const char *const[]){program, NULL});
		host_expect(&host, "GET /2018-06-01/runtime/invocation/next ");
		double took = now_ms() - start;
		best = took < best ? took : best;
		assert_int_equal(host_end(&host), 0);
	}
	print_message("fork to first request: %.2f ms\n", best);
	assert_true(best < 50); /* generous: fork under a sanitizer on a busy machine */
}

static void it_needs_no_loader(void **state)
{
	FILE *file = fopen(getenv("FUNCTION_STATIC"), "re");
	Elf64_Ehdr header;
	Elf64_Phdr segment;

	(void)state;
	assert_non_null(file);
	assert_int_equal(fread(&header, sizeof header, 1, file), 1);
	for (int i = 0; i < header.e_phnum; i++) {
		fseek(file, (long)(header.e_phoff + (size_t)i * header.e_phentsize), SEEK_SET);
		assert_int_equal(fread(&segment, sizeof segment, 1, file), 1);
		assert_int_not_equal(segment.p_type, PT_INTERP);
	}
	fclose(file);
}

static void it_counts_primes(void **state)
{
	struct function_host host;
	char event[512];

	(void)state;
	host_start_program(&host, "count_primes", (const char *const[]){getenv("FUNCTION_STATIC"), NULL});
	host_expect(&host, "GET /2018-06-01/runtime/invocation/next ");
	snprintf(event, sizeof event,
	         "{\"flexwatt\":1,\"handler\":\"count_primes\",\"task\":0,\"workers\":1,\"inputs\":{},\"outputs\":{\"counts\":"
	         "{\"directory\":\"%s\",\"suffix\":\".txt\"}},\"params\":{\"below\":100}}", host.directory);
	host_give(&host, event);
	const char *body = host_expect(&host, "POST /2018-06-01/runtime/invocation/id-1/response ");
	if (!strstr(body, "\"units\":100"))
		fail_msg("%s", body);
	assert_string_equal(host_file(&host, "0000-000.txt"), "25\n");
	host_reply(&host, "202 Accepted", "{}");
	host_expect(&host, "GET /2018-06-01/runtime/invocation/next ");
	assert_int_equal(host_end(&host), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_static_function_asks_for_work_within_milliseconds),
		cmocka_unit_test(it_needs_no_loader),
		cmocka_unit_test(it_counts_primes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
