/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine of files for tests of energy readers: a tree that stands for "/", zones of powercap in it as the kernel lays
 * them out, one open monitor and its latest readings.
 */
#pragma once

#include "energy/monitor.h"
#include "tests/unit/support.h"

enum { WORLD_DOMAINS = 64 };

struct world {
	struct tree tree;
	struct fw_root root;
	struct fw_machine machine;
	const struct fw_monitor_ops *ops;
	struct fw_monitor *monitor;
	const struct fw_domain *domains;
	size_t count;
	struct fw_domain_reading readings[WORLD_DOMAINS];
};

void world_init(struct world *world);
void world_done(struct world *world);
#define fw_cleanup_world __attribute__((cleanup(world_done)))

/* "intel-rapl:0:1" of `name`: directory, link of the class, energy_uj, name, max_energy_range_uj (left out when 0). */
void world_zone(struct world *world, const char *entry, const char *name, uint64_t energy_uj, uint64_t range_uj);
/* A file of a zone. */
void world_zone_file(struct world *world, const char *entry, const char *file, const char *text);
void world_energy(struct world *world, const char *entry, uint64_t energy_uj);
/* /proc/stat after so much work of all CPUs. */
void world_busy_ms(struct world *world, uint64_t busy_ms);

int world_try_open(struct world *world, const struct fw_monitor_ops *ops, struct fw_error **err);
void world_open(struct world *world, const struct fw_monitor_ops *ops);
void world_read(struct world *world);
/* Waits until that much time has gone by since the latest reading; tests of time need it to pass. */
void world_pass_ms(struct world *world, unsigned ms);
/* The reading, or the domain, of that name; fails when there is none. */
const struct fw_domain_reading *world_reading(const struct world *world, const char *name);
const struct fw_domain *world_domain(const struct world *world, const char *name);
bool world_has(const struct world *world, const char *name);
/* Of the domains that count in the total. */
double world_total_j(const struct world *world);
/* What `describe` says contains the text. */
void world_says(struct world *world, const char *text);
/* The kept-open descriptor of a file of the tree fails from now on with EIO, as it does when hardware goes away. */
void world_break(struct world *world, const char *path);
