/* SPDX-License-Identifier: Apache-2.0
 *
 * A monitor reads one kind of meter: the kernel's accounting, powercap, the power PMU, hwmon, NVML, BPF, perf events, a model.
 * The EnergyManager owns them all. One that fails is reported with its reason and left out; it never stops a run.
 */
#pragma once

#include <stdint.h>

#include "base/error.h"
#include "catalogue/catalogue.h"
#include "energy/domain.h"
#include "host/cgroup.h"
#include "host/machine.h"
#include "host/root.h"
#include "record/record.h"

struct fw_monitor; /* a member's own state, opaque to the manager */

/* What a monitor may use. Borrowed; outlives the monitor. */
struct fw_monitor_context {
	const struct fw_root *root;
	const struct fw_machine *machine;
	const struct fw_catalogue *catalogue;
};

/* A worker as monitors see it. */
struct fw_metered {
	struct fw_cgroup *cgroup; /* or NULL where there is none: then pid's tree is read */
	pid_t pid;                /* first process of the worker */
	double vcpus;
	int64_t memory_mb;        /* reserved; 0: nothing, it has what it uses */
	/* What was seen last of a tree stands for an end at which nothing is left to read (fw_energy_unseen_ns). */
	bool keeps_seen;
	/* USS and PSS at each end, whatever they cost. */
	bool wants_shares;
	/* Where it talks with flexwatt itself, IPv4 in network byte order, 0: nowhere. That is no network traffic of its own. */
	uint32_t own_address;
	uint16_t own_port;
	/* The manager's: what each monitor keeps of this worker, in their order; NULL before it is metered. */
	void **states;
};

enum fw_count { FW_COUNT_CYCLES, FW_COUNT_INSTRUCTIONS, FW_COUNT_CACHE_MISSES, FW_COUNTS };

/* One edge or one sample of a worker: cumulative figures; what is unknown is -1. */
struct fw_reading {
	uint64_t before_ns, after_ns; /* CLOCK_MONOTONIC around the reading */
	struct fw_cgroup_stat stat;
	/* Sum of VmHWM of the processes + shared + kernel memory; -1 when not read, or when a process has ended, whose own
	 * mark is gone and may have been the highest. */
	int64_t memory_high_bytes;
	int64_t unique_bytes, proportional_bytes; /* USS and PSS; only at an end, -1 elsewhere */
	int64_t switches_voluntary, switches_involuntary;
	int64_t ended_faults; /* faults of children that had ended and been waited for: differs where one more has */
	int64_t network_sent_bytes, network_received_bytes;
	int64_t counts[FW_COUNTS];
	uint64_t counts_scaled; /* how often so far: the PMU was shared, and counts scaled by the time that it counted */
	int64_t work_ns; /* on-CPU time by BPF, also of what runs right now */
	double fallen_ns; /* at an edge: what the sum of a tree's CPU times has lost before by processes that nobody waited for */
	int64_t work_cycles; /* by BPF, as far as tasks have left their CPU since */
};

/* An invocation between two edges, with what the samples in between gave. CPU times and the clock are those of the
 * edges. The other counters are of the readings next to the edges, and -1 when those do not bracket this invocation
 * alone: many short ones between two readings share them, and nobody can tell the shares. */
struct fw_interval {
	const struct fw_metered *worker;
	struct fw_reading begin, end;
	double duration_s;
	double cpu_s;              /* NAN unknown */
	double memory_peak_mb;     /* NAN unknown */
	double memory_average_mb;  /* NAN unknown */
};

struct fw_monitor_ops {
	const char *name;   /* the source stored with every figure */
	const char *method; /* version of the method, "model/1": changes whenever figures may */
	const char *gives;  /* what it gives, for `flexwatt monitors`: "energy (modelled)" */

	/* Finds the meter. Main thread, before any worker runs. FW_OK and a monitor that close() frees, or FW_E_ABSENT,
	 * FW_E_PERMISSION with the reason and, as hint, what would enable it. */
	int (*open)(const struct fw_monitor_context *context, struct fw_monitor **monitor, struct fw_error **err);

	/* One line on what it reads here: "12 cpus, cgroup v1". Newly allocated. Main thread. */
	char *(*describe)(struct fw_monitor *monitor);

	/* Begins and ends to watch a worker: own counters, programs tied to its group. Loop thread, with no reading of this
	 * worker under way. meter() gives the state that unmeter() frees, or NULL when there is nothing to watch. Both may be
	 * NULL, but not one of them. */
	void *(*meter)(struct fw_monitor *monitor, const struct fw_metered *worker);
	void (*unmeter)(struct fw_monitor *monitor, void *state);
	/* Adds the worker's counters to a reading that is being taken. At an edge, thousands of times a second, only what
	 * costs no system call. Loop or sampler thread; no allocation, no log. May be NULL. */
	void (*count)(struct fw_monitor *monitor, void *state, bool edge, struct fw_reading *reading);

	/* Reads machine-wide counters. Sampler thread only; may not allocate, block or log: up to 100 calls a second.
	 * May be NULL. */
	void (*sample)(struct fw_monitor *monitor);

	/* The energy counters that it offers, fixed from open to close, in an order that does not change. Main thread.
	 * NULL, or none: a monitor without energy. */
	size_t (*domains)(struct fw_monitor *monitor, const struct fw_domain **domains);
	/* Reads all of them now into readings[], one for each domain in that order. Sampler thread, as `sample`. */
	void (*read)(struct fw_monitor *monitor, struct fw_domain_reading *readings);

	/* Adds this monitor's figures of one finished invocation to its record: resources, counters or energy.
	 * Sampler thread, or the loop's when there is no sampler. A figure that cannot be given stays null. May be NULL. */
	void (*attribute)(struct fw_monitor *monitor, const struct fw_interval *interval, struct fw_record *record);

	/* Main thread, after the last sample. Takes NULL and half-opened monitors. */
	void (*close)(struct fw_monitor *monitor);
};

extern const struct fw_monitor_ops fw_monitor_system;
extern const struct fw_monitor_ops fw_monitor_perf;
extern const struct fw_monitor_ops fw_monitor_rapl;
extern const struct fw_monitor_ops fw_monitor_hwmon;
extern const struct fw_monitor_ops fw_monitor_nvml;
extern const struct fw_monitor_ops fw_monitor_ebpf;
extern const struct fw_monitor_ops fw_monitor_counts;
extern const struct fw_monitor_ops fw_monitor_model;
extern const struct fw_monitor_ops fw_monitor_tdp;
