/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the hwmon monitor share: channels, by chip and label.
 */
#pragma once

#include "energy/counter.h"
#include "energy/hwmon_names.h"
#include "energy/monitor.h"

enum { FW_HWMON_CHANNELS = 64 };

struct fw_hwmon_channel {
	struct fw_domain domain;
	bool is_coarse; /* of a part that would count in the total, if it were told often enough */
	bool is_power; /* watts now, to be added up; else joules since the driver was loaded */
	int fd;
	uint64_t least_ns; /* read no more often: it tells nothing newer, or its firmware takes long to answer */
	uint64_t read_ns;  /* when it was read last */
	struct fw_domain_reading latest;
	struct fw_counter counter;
	struct fw_power_sum sum;
};

struct fw_monitor {
	struct fw_hwmon_channel channels[FW_HWMON_CHANNELS];
	struct fw_domain domains[FW_HWMON_CHANNELS];
	size_t count;
	size_t refused;  /* channels that may not be read */
	size_t cores;    /* left out: of one core each */
	size_t slow;     /* left out: take long and count in no total */
	size_t unlisted; /* beyond FW_HWMON_CHANNELS */
};

/* hwmon_channels.c: all that is there. FW_E_ABSENT without hwmon. */
int fw_hwmon_find(const struct fw_root *root, struct fw_monitor *hwmon, struct fw_error **err);
