/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the rapl monitor share: zones of powercap as they were found, and which of them count.
 */
#pragma once

#include <stdatomic.h>

#include "energy/counter.h"
#include "energy/monitor.h"
#include "energy/rapl_names.h"
#include "energy/units.h"

enum { FW_RAPL_ZONES = 64, FW_RAPL_NO_ZONE = -1 };

struct fw_rapl_zone {
	char entry[FW_RAPL_ENTRY]; /* "intel-rapl:0:1": says what contains it, never which socket it is */
	bool mmio;
	bool named;                /* guests may show a counter alone */
	int parent;                /* zone that contains it, or FW_RAPL_NO_ZONE */
	struct fw_domain domain;
	uint64_t range;            /* of the counter in µJ; 0: not told */
	double limit_w;            /* the highest of its power limits; NAN: none is told */
	int fd;                    /* energy_uj, kept open; -1 */
	uint64_t first_uj;         /* read at open */
	const char *left_out;      /* why it is no domain, or NULL */
	bool unread;               /* left out because it could not be read */
	bool refused;              /* by permissions */
	int mirror_of;             /* zone that shows the same counter, or FW_RAPL_NO_ZONE */
	size_t number;             /* of its domain */

	/* Sampler thread. */
	struct fw_counter counter;
	double joules;             /* the latest; NAN: none yet */
	uint64_t shown_uj;         /* the latest raw value */
	uint64_t tried_ns;         /* when it was looked for again last; 0: it can be read */
	unsigned still;            /* reads in a row without movement */
	uint64_t still_since_ns;
	int64_t still_busy_ns;     /* of all CPUs, when it stood still first */
	double gate_j, gate_roots_j; /* psys: where the comparison began; NAN: not yet */
	bool diverged;             /* a mirror that went its own way after all */
	atomic_bool rejected;      /* told by `describe`, which is on another thread */
};

struct fw_monitor {
	const struct fw_root *root;
	struct fw_rapl_zone zones[FW_RAPL_ZONES];
	size_t zone_count;
	size_t unlisted;           /* zones beyond FW_RAPL_ZONES */
	size_t masked;             /* links of which the target is not there */
	int zone_of[FW_RAPL_ZONES]; /* of each domain */
	struct fw_domain domains[FW_RAPL_ZONES];
	size_t domain_count;
	int stat_fd;               /* /proc/stat, to tell a stuck counter from an idle machine */
	double update_s;           /* measured at open; NAN */
	double step_j;             /* the least that it moved by at open; NAN */
	bool several_psys;         /* "psys" beside "psys-1": it is of package 0 alone */
	bool dram_unit_is_old;     /* the kernel applies another processor's unit */
};

/* rapl_zones.c: everything that is there; FW_E_ABSENT without powercap. */
int fw_rapl_find(const struct fw_root *root, struct fw_monitor *rapl, struct fw_error **err);
/* FW_OK, or errno of the read; no allocation. */
int fw_rapl_zone_read(const struct fw_rapl_zone *zone, uint64_t *microjoules);
/* Opens it anew when its name is still the same. */
void fw_rapl_zone_reopen(const struct fw_root *root, struct fw_rapl_zone *zone);

/* rapl_rules.c: which zones are domains, and which of these are roots; sets limits and counters. */
void fw_rapl_choose(const struct fw_monitor_context *context, struct fw_monitor *rapl);

/* rapl_live.c: what only moving counters tell. */
void fw_rapl_measure(struct fw_monitor *rapl); /* at open, a few milliseconds: mirrored dies, interval, step */
void fw_rapl_judge(struct fw_monitor *rapl, struct fw_domain_reading *readings); /* after each read */
