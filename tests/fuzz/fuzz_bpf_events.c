/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as the events and the idle records that tracepoints of a foreign kernel leave: frequency, temperature and idle
 * share of an invocation are unknown or possible. Sources: src/energy/ebpf_history.c.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "energy/ebpf_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CPUS = 3 };

static const uint8_t *input;
static size_t left;

static bool take(void *memory, size_t size)
{
	if (left < size)
		return false;
	memcpy(memory, input, size);
	input += size;
	left -= size;
	return true;
}

static void give_events(struct fw_bpf *bpf, fw_bpf_event_fn *give, void *context)
{
	struct fw_bpf_event event;
	uint8_t count = 0;

	(void)bpf;
	for (take(&count, 1); count > 0 && take(&event, sizeof event); count--)
		give(context, &event);
}

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_record(const struct fw_record *record)
{
	double idle = record->cstate_residency_percent, celsius = record->temperature_c;

	check(isnan(idle) || (idle >= 0 && idle <= 100));
	check(isnan(celsius) || (celsius > -40 && celsius < 150));
	check(isnan(record->frequency_mhz_min) || record->frequency_mhz_min > 0);
	check(isnan(record->frequency_mhz_mean) || record->frequency_mhz_min <= record->frequency_mhz_max);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fw_bpf_idle idle[CPUS];
	struct fw_bpf bpf = {.cpu_count = CPUS, .idle = idle, .has_idle = true, .has_frequency = true, .has_temperature = true,
	                     .take_events = give_events};
	struct fw_root nowhere = {-1};
	struct fw_bpf_history *history = fw_bpf_history_new(&bpf, &nowhere);
	uint64_t began_ns = fw_monotonic_ns();

	input = data;
	left = size;
	for (unsigned i = 0; i < 16 && left > 0; i++) {
		uint8_t cpu = 0;

		if (take(&cpu, 1) && take(&idle[cpu % CPUS], sizeof idle[0]))
			idle[cpu % CPUS].version &= ~1ULL; /* written */
		fw_bpf_history_sample(history);
		struct fw_record record;

		fw_record_init(&record);
		fw_bpf_history_fill(history, began_ns, fw_monotonic_ns(), &record);
		check_record(&record);
		fw_record_done(&record);
	}
	fw_bpf_history_free(history);
	return 0;
}
