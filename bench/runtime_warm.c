/* SPDX-License-Identifier: Apache-2.0
 *
 * A warm no-op on a parked worker in its sandbox, beside the floor: a ping-pong over loopback TCP in the same placement
 * (run it under taskset for one core). Usage: runtime_warm PACKAGE INVOCATIONS, PACKAGE holding noop as `bootstrap`.
 * Prints one JSON object, medians in microseconds: ping_pong; response, event written to answer read; cycle, from the call
 * of the runtime to the end of the invocation with its log file written; cold, to the first GET next.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/time.h"
#include "runtime/runtime.h"
#include "bench.h"

struct bench {
	struct fw_loop *loop;
	struct fw_runtime *runtime;
	struct fw_function function;
	struct fw_record record;
	const char *attempts;
	double *response_us, *cycle_us;
	double cold_us;
	size_t done, count;
	uint64_t submitted_ns;
};

static int prepare(void *context, const char *attempts, uid_t uid, char **body, size_t *length, struct fw_error **err)
{
	static const char event[] = "{\"flexwatt\":1,\"run\":\"r\",\"stage\":\"s\",\"handler\":\"noop\",\"task\":0,\"workers\":1,"
	                            "\"attempt\":1,\"inputs\":{},\"outputs\":{},\"params\":{}}";

	(void)context;
	(void)attempts;
	(void)uid;
	(void)err;
	*body = fw_strdup(event);
	*length = sizeof event - 1;
	return FW_OK;
}

static void ended(void *context, const struct fw_invoke_outcome *outcome)
{
	struct bench *bench = context;

	if (strcmp(outcome->record->status, "ok") != 0)
		fprintf(stderr, "runtime_warm: %s\n", outcome->record->error_message);
	bench_require(strcmp(outcome->record->status, "ok") == 0, "invoke", NULL);
	if (!isnan(outcome->record->cold_start_ms)) {
		bench->cold_us = outcome->record->cold_start_ms * 1000;
		return;
	}
	bench->response_us[bench->done] = outcome->record->response_ms * 1000;
	bench->cycle_us[bench->done++] = (double)(fw_monotonic_ns() - bench->submitted_ns) / 1000;
}

static void submit(void *context);

static void metered(void *context)
{
	struct bench *bench = context;

	fw_record_done(&bench->record);
	if (bench->done == bench->count)
		fw_loop_stop(bench->loop);
	else
		submit(bench);
}

static void submit(void *context)
{
	struct bench *bench = context;
	struct fw_invocation *invocation;
	fw_cleanup_free char *log_name = fw_printf("noop-%zu.log", bench->done);
	const struct fw_invoke invoke = {
		.function = &bench->function, .name = "bench-noop", .handler = "noop", .memory_mb = 1769, .tmp_mb = 512,
		.timeout_ms = 10000, .attempts_root = bench->attempts, .log_name = log_name, .stage_aware = true,
		.context = bench, .prepare = prepare, .ended = ended, .metered = metered,
	};

	fw_record_init(&bench->record);
	bench->record.memory_mb = 1769;
	bench->submitted_ns = fw_monotonic_ns();
	bench_require(fw_runtime_invoke(bench->runtime, &invoke, &bench->record, &invocation, NULL) == FW_OK, "invoke", NULL);
}

static void measure(struct bench *bench, const char *directory)
{
	static struct fw_machine machine;
	struct fw_error *err = NULL;
	struct fw_root root;
	struct fw_cgroups *cgroups = NULL;
	struct fw_pool *pool = NULL;

	bench_require(fw_loop_new(&bench->loop, &err) == FW_OK, "loop", err);
	bench_require(fw_pool_new(bench->loop, 1, &pool, &err) == FW_OK, "pool", err);
	bench_require(fw_root_open("/", &root, &err) == FW_OK && fw_machine_read(&root, &machine, &err) == FW_OK, "machine", err);
	(void)fw_cgroups_open(&root, "flexwatt", &cgroups, NULL);
	const struct fw_runtime_options options = {
		.loop = bench->loop, .pool = pool, .machine = &machine, .cgroups = cgroups, .run = "bench",
		.state_directory = directory, .log_directory = directory, .region = "eu-central-1",
		.start_ns = fw_monotonic_ns(),
	};

	bench_require(fw_runtime_new(&options, &bench->runtime, &err) == FW_OK, "runtime", err);
	submit(bench);
	bench_require(fw_loop_run(bench->loop, &err) == FW_OK, "run", err);
	fw_runtime_free(bench->runtime);
	fw_pool_free(pool);
	fw_cgroups_close(cgroups);
	fw_root_close(&root);
	fw_loop_free(bench->loop);
}

int main(int argc, char **argv)
{
	char directory[] = "/tmp/flexwatt-bench-XXXXXX";

	bench_require(argc == 3 && atol(argv[2]) > 0, "usage: runtime_warm PACKAGE INVOCATIONS", NULL);
	bench_require(mkdtemp(directory) && chmod(directory, 0755) == 0, "make a directory", NULL);
	size_t count = (size_t)atol(argv[2]);
	fw_cleanup_free char *attempts = fw_printf("%s/attempts", directory);
	fw_cleanup_free char *package = realpath(argv[1], NULL);
	fw_cleanup_free double *response_us = fw_alloc_array(count, sizeof *response_us);
	fw_cleanup_free double *cycle_us = fw_alloc_array(count, sizeof *cycle_us);
	struct bench bench = {
		.function = {.kind = FW_FUNCTION_PACKAGE, .path = package, .handler = (char[]){"noop"}},
		.attempts = attempts, .count = count, .response_us = response_us, .cycle_us = cycle_us,
	};

	bench_require(package && mkdir(attempts, 0755) == 0, "find the package", NULL);
	double floor_us = bench_ping_pong_us(response_us, count, -1, -1);

	measure(&bench, directory);
	printf("{\"ping_pong_us\": %.2f, \"response_us\": %.2f, \"cycle_us\": %.2f, \"cold_us\": %.0f, \"n\": %zu}\n", floor_us,
	       bench_median(response_us, count), bench_median(cycle_us, count), bench.cold_us, count);
	fw_cleanup_free char *remove = fw_printf("rm -rf %s", directory);

	return system(remove) != 0;
}
