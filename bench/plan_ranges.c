/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_ranges DIRECTORY KEY bytes|lines|csv PARTS: plans the ranges of one object as a run does, without a cache, and
 * prints the CPU seconds that it took.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bench.h"
#include "storage/range_plan.h"

static double cpu_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void planned(void *context, int rc, const struct fw_ranges *ranges, const struct fw_error *err)
{
	bench_require(rc == FW_OK && ranges->list.count > 0, "plan", err);
	fw_loop_stop(context);
}

static enum fw_range_kind kind_of(const char *name)
{
	return strcmp(name, "csv") == 0 ? FW_RANGE_CSV : strcmp(name, "lines") == 0 ? FW_RANGE_LINES : FW_RANGE_BYTES;
}

int main(int argc, char **argv)
{
	struct fw_error *err = NULL;
	struct fw_loop *loop = NULL;
	struct fw_pool *pool = NULL;
	struct fw_storage *storage = NULL;
	struct stat stat_of;

	bench_require(argc == 5, "usage: plan_ranges DIRECTORY KEY bytes|lines|csv PARTS", NULL);
	fw_cleanup_free char *uri = fw_printf("file:%s", argv[1]);
	fw_cleanup_free char *path = fw_printf("%s/%s", argv[1], argv[2]);

	bench_require(stat(path, &stat_of) == 0, path, NULL);
	bench_require(fw_loop_new(&loop, &err) == FW_OK && fw_pool_new(loop, 1, &pool, &err) == FW_OK, "begin", err);
	bench_require(fw_storage_open(uri, &(struct fw_storage_host){loop, pool, NULL}, &storage, &err) == FW_OK, uri, err);
	struct fw_range_object object = {.key = argv[2], .bytes = (int64_t)stat_of.st_size};
	struct fw_range_request request = {.loop = loop, .pool = pool, .storage = storage, .place = uri,
	                                   .format = {kind_of(argv[3]), ',', true}, .objects = &object, .object_count = 1,
	                                   .parts = (uint32_t)strtoul(argv[4], NULL, 10)};
	double began = cpu_s();

	fw_range_plan(&request, planned, loop);
	bench_require(fw_loop_run(loop, &err) == FW_OK, "run", err);
	printf("%.9f\n", cpu_s() - began);
	fw_pool_free(pool);
	fw_storage_close(storage);
	fw_loop_free(loop);
	return 0;
}
