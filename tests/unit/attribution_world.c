/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/attribution_world.h"

#include "base/memory.h"

void machine_init_with(struct machine *machine, double memory_update_s, bool has_misses)
{
	const struct fw_domain domains[DOMAINS] = {
		{.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .name = "package-0", .package = 0, .is_root = true, .quantum_j = 6e-5, .update_s = 0.001},
		{.source = "rapl", .kind = FW_DOMAIN_PACKAGE, .name = "package-1", .package = 1, .is_root = true, .quantum_j = 6e-5, .update_s = 0.001},
		{.source = "rapl", .kind = FW_DOMAIN_DRAM, .name = "dram", .package = 0, .is_root = true, .quantum_j = 6e-5, .update_s = memory_update_s},
		{.source = "rapl", .kind = FW_DOMAIN_CORE, .name = "core", .package = 0, .quantum_j = 6e-5, .update_s = 0.001},
		{.source = "rapl", .kind = FW_DOMAIN_PSYS, .name = "psys", .package = -1, .quantum_j = 1, .update_s = 0.001},
	};
	struct fw_attribution_machine shape = {
		.packages = 2, .physical = {0, 1}, .cpus = {2, 2}, .memory_bytes = 8 * GB, .lag_ns = 0, .has_misses = has_misses};

	*machine = (struct machine){.now_ns = 10 * FW_NS_PER_S, .work = {.bytes = 4 * GB}};
	machine->attribution = fw_attribution_new(&shape, domains, DOMAINS);
	for (size_t i = 0; i < DOMAINS; i++)
		machine->readings[i].joules = 1e6; /* what was used before anyone looked */
}

void machine_init(struct machine *machine)
{
	machine_init_with(machine, 0.001, false);
}

void machine_done(struct machine *machine)
{
	fw_attribution_free(machine->attribution);
}

void join(struct machine *machine, size_t index, double reserved_cpus)
{
	machine->works[index].at_ns = machine->now_ns;
	machine->works[index].bytes = 1 * GB;
	machine->holders[index] = fw_attribution_join(machine->attribution, reserved_cpus, 2 * GB, &machine->works[index]);
}

void work(struct machine *machine, size_t index, size_t package, double cpu_s)
{
	machine->works[index].ns[package] += cpu_s * 1e9;
	machine->works[index].total_ns += cpu_s * 1e9;
	machine->work.ns[package] += cpu_s * 1e9;
}

void use(struct machine *machine, size_t domain, double joules)
{
	machine->readings[domain].joules += joules;
}

void pass(struct machine *machine, double seconds)
{
	machine->now_ns += (uint64_t)(seconds * 1e9);
}

struct fw_edge edge(const struct machine *machine, size_t index)
{
	return (struct fw_edge){machine->now_ns, machine->works[index].total_ns};
}

void tick(struct machine *machine)
{
	for (size_t i = 0; i < HOLDERS; i++)
		if (machine->holders[i]) {
			machine->works[i].at_ns = machine->now_ns;
			fw_holder_set(machine->holders[i], &machine->works[i], machine->held[i]);
		}
	for (size_t i = 0; i < DOMAINS; i++)
		machine->readings[i].before_ns = machine->readings[i].after_ns = machine->now_ns;
	fw_attribution_tick(machine->attribution, machine->readings, &machine->work);
	for (size_t i = 0; i < DOMAINS; i++)
		machine->readings[i].flags = 0;
}

void rest(struct machine *machine)
{
	for (unsigned i = 0; i < 20; i++) {
		pass(machine, 0.1);
		use(machine, PACKAGE_0, 1);
		use(machine, PACKAGE_1, 1);
		use(machine, DRAM, 0.2);
		use(machine, CORE, 0.5);
		use(machine, PSYS, 3);
		tick(machine);
	}
}

bool cut(struct machine *machine, size_t index, uint64_t serial, struct fw_edge begin, struct fw_edge end,
         enum fw_domain_kind kind, struct fw_share *share)
{
	struct fw_share shares[16];
	size_t count = fw_holder_cut(machine->holders[index], serial, &begin, &end, shares, FW_COUNT_OF(shares));

	for (size_t i = 0; i < count; i++)
		if (shares[i].kind == kind) {
			*share = shares[i];
			return true;
		}
	return false;
}
