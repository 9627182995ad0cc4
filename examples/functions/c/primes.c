/* SPDX-License-Identifier: Apache-2.0
 *
 * A function package in C: two handlers in one bootstrap. Build it with
 *   mkdir -p package && cc -O2 primes.c $(pkg-config --cflags --libs flexwatt-function) -o package/bootstrap
 */
#include <flexwatt/function.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_prime(int64_t number)
{
	for (int64_t divisor = 2; divisor * divisor <= number; divisor++)
		if (number % divisor == 0)
			return 0;
	return number > 1;
}

/* Each task counts every workers-th number: equal work for all. */
static int count_primes(struct fw_invocation *invocation)
{
	int64_t below = fw_param_integer(invocation, "below", 1000000), count = 0;
	char line[32];

	for (int64_t number = fw_task(invocation); number < below; number += fw_workers(invocation)) {
		count += is_prime(number);
		fw_progress(invocation, (double)number, (double)below, NULL);
	}
	fw_units(invocation, (double)below / (double)fw_workers(invocation));
	int length = snprintf(line, sizeof line, "%lld\n", (long long)count);
	return fw_write_output(invocation, fw_output_path(invocation, "counts", NULL), line, (size_t)length);
}

static int sum_counts(struct fw_invocation *invocation)
{
	struct fw_object object;
	int64_t sum = 0;
	char line[32];
	int rc;

	while ((rc = fw_next_input(invocation, "counts", &object)) == FW_OK) {
		FILE *file = fopen(object.path, "r");
		char *read = file ? fgets(line, sizeof line, file) : NULL;

		if (file)
			fclose(file);
		if (!read)
			return fw_fail_invocation(invocation, "Primes.Unreadable", "%s: no number in it", object.uri);
		sum += strtoll(line, NULL, 10);
	}
	if (rc != FW_END)
		return rc;
	fw_metric(invocation, "primes", (double)sum);
	snprintf(line, sizeof line, "{\"primes\": %lld}", (long long)sum);
	return fw_result(invocation, line);
}

FW_FUNCTIONS({"count_primes", count_primes}, {"sum_counts", sum_counts})
