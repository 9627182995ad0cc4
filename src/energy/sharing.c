/* SPDX-License-Identifier: Apache-2.0
 *
 * Busy time of the other threads of each CPU's core, and what it takes off.
 */
#include "energy/sharing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { NO_CORE = -1 };

struct fw_sharing {
	unsigned cpus;
	uint32_t slots;
	size_t packages;
	double factor;
	uint64_t at_ns; /* 0: nothing taken yet */
	int *core;      /* of each CPU: number of the first CPU of its core, or NO_CORE */
	uint8_t *package_of;
	uint64_t *now, *past; /* cpu * slots + slot */
	double *off;          /* slot * packages + package */
};

static int core_of(const struct fw_machine *machine, unsigned cpu)
{
	const struct fw_cpu_place *place = &machine->cpus[cpu];

	if (cpu >= machine->cpu_count || place->core < 0)
		return NO_CORE;
	for (unsigned first = 0; first < cpu; first++)
		if (machine->cpus[first].core == place->core && machine->cpus[first].die == place->die &&
		    machine->cpus[first].package == place->package)
			return (int)first;
	return (int)cpu;
}

struct fw_sharing *fw_sharing_new(const struct fw_machine *machine, unsigned cpu_count, const uint8_t *package_of,
                                  size_t packages, uint32_t slots, double factor)
{
	struct fw_sharing *sharing = fw_alloc(sizeof *sharing);

	*sharing = (struct fw_sharing){.cpus = cpu_count < FW_MAX_CPUS ? cpu_count : FW_MAX_CPUS, .slots = slots,
	                               .packages = packages, .factor = factor};
	sharing->core = fw_alloc_array(sharing->cpus, sizeof *sharing->core);
	sharing->package_of = fw_alloc_array(sharing->cpus, sizeof *sharing->package_of);
	sharing->now = fw_alloc_array((size_t)sharing->cpus * slots, sizeof *sharing->now);
	sharing->past = fw_alloc_array((size_t)sharing->cpus * slots, sizeof *sharing->past);
	sharing->off = fw_alloc_array(slots * packages, sizeof *sharing->off);
	for (unsigned cpu = 0; cpu < sharing->cpus; cpu++) {
		sharing->core[cpu] = core_of(machine, cpu);
		sharing->package_of[cpu] = package_of[cpu];
	}
	return sharing;
}

void fw_sharing_free(struct fw_sharing *sharing)
{
	if (!sharing)
		return;
	free(sharing->core);
	free(sharing->package_of);
	free(sharing->now);
	free(sharing->past);
	free(sharing->off);
	free(sharing);
}

void fw_sharing_note(struct fw_sharing *sharing, unsigned cpu, uint32_t slot, uint64_t ns)
{
	if (cpu < sharing->cpus && slot < sharing->slots)
		sharing->now[(size_t)cpu * sharing->slots + slot] = ns;
}

static double moved_ns(const struct fw_sharing *sharing, unsigned cpu, uint32_t slot)
{
	size_t at = (size_t)cpu * sharing->slots + slot;

	return sharing->now[at] > sharing->past[at] ? (double)(sharing->now[at] - sharing->past[at]) : 0;
}

/* The part of the time in which at least one other thread of the core was busy. */
static double others_busy(const struct fw_sharing *sharing, unsigned cpu, double passed_ns)
{
	double all_rest = 1;

	for (unsigned other = 0; other < sharing->cpus; other++)
		if (other != cpu && sharing->core[other] == sharing->core[cpu])
			all_rest *= 1 - fmin(moved_ns(sharing, other, 0) / passed_ns, 1);
	return 1 - all_rest;
}

void fw_sharing_take(struct fw_sharing *sharing, uint64_t at_ns, uint32_t used)
{
	double passed_ns = sharing->at_ns > 0 && at_ns > sharing->at_ns ? (double)(at_ns - sharing->at_ns) : 0;

	for (unsigned cpu = 0; cpu < sharing->cpus && passed_ns > 0; cpu++) {
		double part = sharing->core[cpu] == NO_CORE ? 0 : sharing->factor * others_busy(sharing, cpu, passed_ns);

		for (uint32_t slot = 0; slot < used && slot < sharing->slots && part > 0; slot++)
			sharing->off[slot * sharing->packages + sharing->package_of[cpu]] += part * moved_ns(sharing, cpu, slot);
	}
	for (unsigned cpu = 0; cpu < sharing->cpus; cpu++)
		memcpy(sharing->past + (size_t)cpu * sharing->slots, sharing->now + (size_t)cpu * sharing->slots,
		       (used < sharing->slots ? used : sharing->slots) * sizeof *sharing->past);
	sharing->at_ns = at_ns;
}

double fw_sharing_ns(const struct fw_sharing *sharing, uint32_t slot, size_t package)
{
	return sharing->off[slot * sharing->packages + package];
}
