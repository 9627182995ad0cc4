/* SPDX-License-Identifier: Apache-2.0
 *
 * Any words as what the kernel says of hardware counters: sums are unknown or only rise.
 * Sources: src/energy/perf_counts.c.
 */
#include <stdlib.h>
#include <string.h>

#include "energy/perf_counts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;

static int open_event(void *context, uint64_t config, int directory, unsigned cpu, int leader)
{
	(void)context;
	(void)config;
	(void)directory;
	(void)cpu;
	return leader + 2;
}

static int read_events(void *context, int leader, size_t count, struct fw_raw_counts *raw)
{
	size_t wanted = sizeof *raw;

	(void)context;
	(void)leader;
	(void)count;
	if (left < wanted)
		return -5;
	memcpy(raw, input, wanted);
	input += wanted;
	left -= wanted;
	return 0;
}

static void close_event(void *context, int fd)
{
	(void)context;
	(void)fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fw_count_ops ops = {open_event, read_events, close_event, NULL};
	static struct fw_count_source source = {.ops = &ops, .pmu_count = 1, .has = {true, true, true}};
	struct fw_group_counts *counts = NULL;
	int64_t values[FW_COUNTS], before[FW_COUNTS] = {0};

	input = data;
	left = size;
	source.pmus[0].on[0] = source.pmus[0].on[1] = true;
	if (fw_group_counts_new(&source, -1, &counts, NULL) != FW_OK)
		abort();
	while (left > 0) {
		size_t had = left;

		fw_group_counts_read(counts, values);
		for (size_t kind = 0; kind < FW_COUNTS; kind++) {
			if (values[kind] < -1 || (values[kind] >= 0 && values[kind] < before[kind]))
				abort();
			before[kind] = values[kind] < 0 ? before[kind] : values[kind];
		}
		if (left == had)
			break;
	}
	fw_group_counts_free(counts);
	return 0;
}
