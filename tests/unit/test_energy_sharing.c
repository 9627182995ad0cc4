/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads that share a core: what is taken off their time when both are busy, and never when one is alone.
 */
#include <string.h>

#include "energy/sharing.h"
#include "support.h"

/* Two cores of two threads each: CPUs 0 and 2, 1 and 3. */
static struct fw_machine *machine_of(void)
{
	static struct fw_machine machine = {.cpu_count = 4};

	for (unsigned cpu = 0; cpu < 4; cpu++)
		machine.cpus[cpu] = (struct fw_cpu_place){.package = 0, .die = -1, .core = (int16_t)(cpu % 2), .online = true};
	return &machine;
}

static const uint8_t packages[4];

static void second(struct fw_sharing *sharing, uint64_t at_s, const uint64_t busy_ms[4], const uint32_t slots[4])
{
	static uint64_t sums[4][3];

	if (at_s == 1)
		memset(sums, 0, sizeof sums);
	for (unsigned cpu = 0; cpu < 4; cpu++) {
		sums[cpu][0] += busy_ms[cpu] * 1000000;
		sums[cpu][slots[cpu]] += busy_ms[cpu] * 1000000;
		for (uint32_t slot = 0; slot < 3; slot++)
			fw_sharing_note(sharing, cpu, slot, sums[cpu][slot]);
	}
	fw_sharing_take(sharing, at_s * 1000000000, 3);
}

static void two_busy_threads_of_one_core_count_as_one(void **state)
{
	FW_CLEANUP(fw_sharing_free) struct fw_sharing *sharing = fw_sharing_new(machine_of(), 4, packages, 1, 3, 0.5);

	(void)state;
	second(sharing, 1, (uint64_t[]){0, 0, 0, 0}, (uint32_t[]){1, 1, 2, 2});
	second(sharing, 2, (uint64_t[]){1000, 0, 1000, 0}, (uint32_t[]){1, 1, 2, 2});
	assert_near(fw_sharing_ns(sharing, 1, 0), 0.5e9, 1);
	assert_near(fw_sharing_ns(sharing, 2, 0), 0.5e9, 1);
	assert_near(fw_sharing_ns(sharing, 0, 0), 1e9, 1);
}

static void one_alone_on_its_core_counts_whole(void **state)
{
	FW_CLEANUP(fw_sharing_free) struct fw_sharing *sharing = fw_sharing_new(machine_of(), 4, packages, 1, 3, 0.5);

	(void)state;
	second(sharing, 1, (uint64_t[]){0, 0, 0, 0}, (uint32_t[]){1, 2, 1, 1});
	second(sharing, 2, (uint64_t[]){1000, 1000, 0, 0}, (uint32_t[]){1, 2, 1, 1});
	assert_near(fw_sharing_ns(sharing, 1, 0), 0, 1e-9);
	assert_near(fw_sharing_ns(sharing, 2, 0), 0, 1e-9);
	second(sharing, 3, (uint64_t[]){1000, 1000, 250, 0}, (uint32_t[]){1, 2, 1, 1}); /* a quarter beside another */
	assert_near(fw_sharing_ns(sharing, 2, 0), 0, 1e-9);
	assert_near(fw_sharing_ns(sharing, 1, 0), 0.5 * (0.25e9 + 0.25e9), 1);
}

static void nothing_is_taken_off_without_time_or_topology(void **state)
{
	struct fw_machine unknown = *machine_of();

	(void)state;
	for (unsigned cpu = 0; cpu < 4; cpu++)
		unknown.cpus[cpu].core = -1;
	FW_CLEANUP(fw_sharing_free) struct fw_sharing *sharing = fw_sharing_new(&unknown, 4, packages, 1, 3, 0.5);

	second(sharing, 1, (uint64_t[]){1000, 1000, 1000, 1000}, (uint32_t[]){1, 1, 1, 1});
	second(sharing, 2, (uint64_t[]){1000, 1000, 1000, 1000}, (uint32_t[]){1, 1, 1, 1});
	second(sharing, 2, (uint64_t[]){1000, 1000, 1000, 1000}, (uint32_t[]){1, 1, 1, 1});
	assert_near(fw_sharing_ns(sharing, 0, 0), 0, 1e-9);
}

FW_TESTS(two_busy_threads_of_one_core_count_as_one, one_alone_on_its_core_counts_whole,
         nothing_is_taken_off_without_time_or_topology)
