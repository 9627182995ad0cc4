/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine for tests of attribution: its readings, its workers and its time are what a test says, so that the truth is known.
 */
#pragma once

#include "base/time.h"
#include "energy/attribution.h"
#include "tests/unit/energy_support.h"

enum { DOMAINS = 5, HOLDERS = 3 };
enum { PACKAGE_0, PACKAGE_1, DRAM, CORE, PSYS };

/* Two packages of two CPUs each, 8 GB; 10 W of each package are idle, and everything else is as a test says. */
struct machine {
	struct fw_attribution *attribution;
	struct fw_holder *holders[HOLDERS];
	struct fw_work_now works[HOLDERS], work;
	double held[HOLDERS];
	struct fw_domain_reading readings[DOMAINS];
	uint64_t now_ns;
};

#define GB (1024.0 * 1024 * 1024)

void machine_init_with(struct machine *machine, double memory_update_s, bool has_misses);
void machine_init(struct machine *machine);
void machine_done(struct machine *machine);
void join(struct machine *machine, size_t index, double reserved_cpus);
/* So much CPU time of a worker on a package, which uses `watts` for it beside everything else. */
void work(struct machine *machine, size_t index, size_t package, double cpu_s);
void use(struct machine *machine, size_t domain, double joules);
void pass(struct machine *machine, double seconds);
struct fw_edge edge(const struct machine *machine, size_t index);
void tick(struct machine *machine);
/* The floor as it is in force: quiet seconds at 10 W a package, 2 W memory. */
void rest(struct machine *machine);
bool cut(struct machine *machine, size_t index, uint64_t serial, struct fw_edge begin, struct fw_edge end,
         enum fw_domain_kind kind, struct fw_share *share);
#define cleanup_machine __attribute__((cleanup(machine_done)))
