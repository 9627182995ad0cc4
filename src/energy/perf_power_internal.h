/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the perf monitor share: the events of energy that were opened, one for each counter.
 */
#pragma once

#include "energy/counter.h"
#include "energy/monitor.h"

enum {
	FW_POWER_EVENTS = 96,
	FW_POWER_CORES = 32, /* of single cores: each costs an interrupt to read and a place in every account */
	FW_POWER_NOTES = 8,
};

/* The kernel, or what stands for it in tests. */
struct fw_power_ops {
	/* Counts on one CPU, from 0. Descriptor or -errno. */
	int (*open)(void *context, uint32_t type, uint64_t config, unsigned cpu);
	int (*read)(void *context, int fd, uint64_t *count); /* 0 or -errno */
	void (*close)(void *context, int fd);
	void *context;
};
extern const struct fw_power_ops fw_power_kernel;

struct fw_power_event {
	struct fw_domain domain;
	const char *pmu;       /* "power", "power_core" */
	uint32_t type;
	uint64_t config;
	double scale;          /* joules of one count */
	int16_t core;          /* of a single core, else -1 */
	int fd;
	struct fw_counter counter;
	double longest_s;      /* unread for longer, the kernel itself may lose count */
	struct fw_domain_reading latest;
	uint64_t tried_ns;     /* when it was opened anew last; 0: it can be read */

	/* While it is opened. */
	uint64_t seen, last;   /* bits that were ever set; the latest count */
	unsigned moves;
	uint64_t first_ns, moved_ns;
	bool stands_still;
};

struct fw_monitor {
	const struct fw_power_ops *ops;
	const struct fw_root *root;
	const struct fw_machine *machine;
	size_t count;
	struct fw_power_event events[FW_POWER_EVENTS];
	struct fw_domain domains[FW_POWER_EVENTS];
	char *notes[FW_POWER_NOTES]; /* what was left out, and why */
	size_t note_count;
	int refusal;                 /* errno with which the kernel refused the packages; 0: none */
	uint64_t cores_least_ns, cores_ns; /* single cores are read no more often; when they were */
	bool dram_unit_is_old;
};

/* perf_power.c: all that is there. FW_E_ABSENT without the PMU; no package is no error yet. */
int fw_power_find(const struct fw_monitor_context *context, struct fw_monitor *power, struct fw_error **err);
/* Opens it anew where its CPU has gone and another one stands for its package. No allocation. */
void fw_power_reopen(struct fw_monitor *power, struct fw_power_event *event);
void fw_power_note(struct fw_monitor *power, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* perf_power_live.c: what only moving counts tell: the hardware's step, its interval, and which count nothing. */
void fw_power_measure(const struct fw_monitor_context *context, struct fw_monitor *power);

/* perf_power_monitor.c: the monitor's open() on another kernel than the one that runs. */
int fw_power_open_on(const struct fw_power_ops *ops, const struct fw_monitor_context *context,
                     struct fw_monitor **monitor, struct fw_error **err);
