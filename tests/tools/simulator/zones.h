/* SPDX-License-Identifier: Apache-2.0
 *
 * Zones of powercap as files: DIR/sys/devices/virtual/powercap/intel-rapl/intel-rapl:N[:M] and the links of
 * /sys/class/powercap. A counter is rewritten in place, its number filled up with blanks to one width, so that readers
 * that keep the file open and pread see a whole number of now. On request a zone misbehaves as real ones do.
 */
#pragma once

#include <stdbool.h>

#include "model.h"

enum { SIM_ZONES = 32 };

struct sim_zone {
	char entry[32];   /* "intel-rapl:0:0" */
	char path[512];   /* its directory */
	char name[32];    /* "package-0" */
	int fd;           /* of energy_uj; -1: the zone has vanished */
	struct sim_counter counter;
	double reset_j;   /* what had been used when it began anew */
	double shown_j;   /* the latest: a counter never falls for reasons of ours */
	bool stuck, garbled;
	double most_w;
};

/* All that are missing, from the top. On error a line on standard error and false. */
bool sim_make_directories(char *path);
/* Makes directory, files and link. On error a line on standard error and false. */
bool sim_zone_make(struct sim_zone *zone, const char *root);
/* joules: true ones since the beginning. */
void sim_zone_show(struct sim_zone *zone, double joules);

/* reset, stick, free, vanish, restore, forbid, allow, garble, mend. False: no such action. `forbid` takes the
 * permission away, which only a reader without CAP_DAC_OVERRIDE meets, and one that opens anew. */
bool sim_zone_act(struct sim_zone *zone, const char *action, double joules);
